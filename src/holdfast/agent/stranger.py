"""A connection whose TLS handshake is not over yet; the moment it is, somebody else takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from holdfast.wire.link import Link
from holdfast.wire.phases import Role

if TYPE_CHECKING:
    import ssl

    from holdfast.agent.gate import Ticket


class Stranger(asyncio.Protocol):
    """Holds the place of a protocol while hands are shaken, and after that of one who is being turned away.

    Args:
        ticket: Its admission by the gate; given back by whoever takes over, or on ``gone``.
        address: Where it comes from, for people.
        on_shaken: Called once, with the connection, the agreed ALPN name and the peer's certificate (DER), either of
            which may be None. Nothing has been read yet.
        on_gone: Called when the connection ends while this protocol holds it.
    """

    __slots__ = ("_on_gone", "_on_shaken", "address", "ticket", "transport")

    def __init__(
        self,
        ticket: Ticket,
        address: str,
        on_shaken: Callable[[Stranger, str | None, bytes | None], None],
        on_gone: Callable[[Stranger], None],
    ) -> None:
        self.ticket = ticket
        self.address = address
        self.transport: asyncio.Transport | None = None
        self._on_shaken = on_shaken
        self._on_gone = on_gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._on_shaken(self, tls.selected_alpn_protocol(), tls.getpeercert(binary_form=True))
        decoded = transport.get_extra_info("peercert")
        if decoded:
            decoded.clear()  # uvloop keeps it as long as the connection; it is 1 KiB that nobody reads

    def data_received(self, data: bytes) -> None:
        """What it says after it was turned away is not read."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_gone(self)


def closing_words(code: int, text: str) -> bytes:
    """The one frame that somebody who is turned away gets to read."""
    link = Link(Role.AGENT, now=0.0)
    link.close(code, text)
    return link.data_to_send()
