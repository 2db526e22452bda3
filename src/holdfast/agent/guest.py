"""A connection that wants to enrol: four frames, a few seconds, and it is over either way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from holdfast.wire.enrol import EnrolRefused, EnrolServer
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.messages import encode

if TYPE_CHECKING:
    from holdfast.agent.stranger import Stranger

ENROL_S: Final = 5.0
"""Longest time from the handshake to the last answer."""


class Guest(asyncio.Protocol):
    """Pumps an ``EnrolServer`` over the connection of a stranger, whose place it takes.

    Args:
        stranger: Whose handshake is over.
        server: Decides.
        on_gone: Called once when the connection has ended, with what was decided in ``server``.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stranger: Stranger,
        server: EnrolServer,
        on_gone: Callable[[Stranger, EnrolServer], None],
    ) -> None:
        assert stranger.transport is not None
        self._stranger = stranger
        self._server = server
        self._transport = stranger.transport
        self._on_gone = on_gone
        self._deadline = loop.call_later(ENROL_S, self._transport.abort)
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self._server.receive_data(data)
        answer = self._server.data_to_send()
        if answer:
            self._transport.write(answer)
        if self._server.closed:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._server.receive_data(b"")
        self._on_gone(self._stranger, self._server)


def no_words(code: int, text: str) -> bytes:
    """The frame for a guest who need not begin."""
    return encode_frame(FrameType.ENROL, header=encode(EnrolRefused(code, text)))
