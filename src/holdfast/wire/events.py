"""What a link tells its driver, one type each; the names are past tense because it has happened."""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.errors import RemoteProtocolError
from holdfast.wire.messages import AnyEvent, AnyRequest, End, Failure, GoAway, Hello, Welcome


class LinkEvent(msgspec.Struct, frozen=True, gc=False):
    """Base of what a link tells its driver."""


class HelloReceived(LinkEvent, frozen=True, gc=False):
    """Agent: a client greets; answer with ``Link.welcome`` or ``Link.close``."""

    hello: Hello


class Welcomed(LinkEvent, frozen=True, gc=False):
    """Client: connected."""

    welcome: Welcome


class RequestReceived(LinkEvent, frozen=True, gc=False):
    """Agent: a request opened ``stream``; end it with ``respond`` or ``fail``."""

    stream: int
    request: AnyRequest
    body: bytes


class Cancelled(LinkEvent, frozen=True, gc=False):
    """Agent: the client no longer wants the answer; the stream is forgotten, the job is not touched."""

    stream: int


class Answered(LinkEvent, frozen=True, gc=False):
    """Client: RES; the stream is over. ``header`` is decoded by who asked."""

    stream: int
    header: bytes
    body: bytes


class Failed(LinkEvent, frozen=True, gc=False):
    """Client: ERR; the stream is over."""

    stream: int
    failure: Failure


class EventReceived(LinkEvent, frozen=True, gc=False):
    """Client: EVT on an open stream."""

    stream: int
    number: int
    event: AnyEvent


class DataReceived(LinkEvent, frozen=True, gc=False):
    """DATA: the bytes from ``offset`` on, checked to be the next ones wanted."""

    stream: int
    channel: int
    offset: int
    data: bytes


class EndReceived(LinkEvent, frozen=True, gc=False):
    """END: the channel is ``length`` bytes long, and all of them from the asked offset on were received."""

    stream: int
    channel: int
    length: int
    end: End


class GapReceived(LinkEvent, frozen=True, gc=False):
    """GAP: the bytes below ``offset`` are gone by the job's own retention rule."""

    stream: int
    channel: int
    offset: int


class CreditReceived(LinkEvent, frozen=True, gc=False):
    """CREDIT: the peer takes bytes up to ``limit``; ``next_turn`` already knows."""

    stream: int
    channel: int
    limit: int


class AckReceived(LinkEvent, frozen=True, gc=False):
    """ACK: the agent holds everything below ``offset``."""

    stream: int
    channel: int
    offset: int


class GoAwayReceived(LinkEvent, frozen=True, gc=False):
    """The peer takes no new streams."""

    goaway: GoAway


class LinkClosed(LinkEvent, frozen=True, gc=False):
    """The last event. ``error`` is None after a close by either side, or a bare end of stream (``code`` -1)."""

    code: int
    text: str
    error: RemoteProtocolError | None = None


END_OF_STREAM: Final = -1
"""``LinkClosed.code`` when the peer's bytes ended without a CLOSE."""
SILENT: Final = -2
"""``LinkClosed.code`` when nothing was received for ``limits.SILENCE_S``."""

NO_END: Final = End()
"""An END without a digest: for stdin, and for channels whose digest comes later."""
