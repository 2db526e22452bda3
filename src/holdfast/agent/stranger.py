"""A connection whose TLS handshake is not over yet; the moment it is, somebody else takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from holdfast.wire.link import Link
from holdfast.wire.phases import Role

if TYPE_CHECKING:
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


class Handshake(ssl.SSLObject):
    """TLS as uvloop runs it, with the last word of a handshake that fails.

    uvloop (0.23) tears the connection down without sending the alert that OpenSSL has written, so a client whose key is
    not known would take its refusal for a cut, and come again for ever. Set as ``sslobject_class`` of the context
    (documented in ``ssl``); the socket is found by a context variable, which uvloop hands on to what it calls.
    """

    _socket: socket.socket | None
    _unsent: ssl.MemoryBIO | None

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> Handshake:
        made = super()._create(incoming, outgoing, *args, **options)  # type: ignore[misc]
        made._unsent, made._socket = outgoing, shaking_hands.get(None)
        return cast(Handshake, made)

    def do_handshake(self) -> None:
        """As its base; on a failure the peer is told which."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self._socket is not None and self._unsent is not None:
                with contextlib.suppress(OSError):  # it is gone, or takes nothing: then it hears nothing
                    self._socket.send(self._unsent.read())
            raise
        self._socket = self._unsent = None


shaking_hands: ContextVar[socket.socket] = ContextVar("shaking_hands")
"""Set by whoever begins a handshake, to the connection that it is for."""
