"""The streams of one connection: their numbers, the channels they receive, the channels they send.

Numbers of clients are odd, grow, and are never used again. Frames of a number that was used and is over have crossed
the answer on the wire and are dropped; a number that was never used is a protocol error.
"""

from __future__ import annotations

from typing import Final

from holdfast.errors import LocalProtocolError, RemoteProtocolError
from holdfast.wire.codes import ErrorCode
from holdfast.wire.flow import Inflow, TokenBucket, Turns
from holdfast.wire.limits import STREAM_HIGHEST, STREAMS_OPEN, STREAMS_PER_S


class Stream:
    """What one open stream receives, by channel, and which channels it has sent on."""

    __slots__ = ("inflows", "outflows")

    def __init__(self) -> None:
        self.inflows: dict[int, Inflow] = {}
        self.outflows: list[int] = []


class Streams:
    """The open streams of a connection, on either side of it.

    Attributes:
        newest: Highest number used so far; 0 or less: none.
        turns: Who may send next, over all streams.
    """

    __slots__ = ("_open", "_starts", "newest", "turns")

    def __init__(self, *, now: float) -> None:
        self._open: dict[int, Stream] = {}
        self._starts = TokenBucket(burst=STREAMS_PER_S, per_s=STREAMS_PER_S, now=now)
        self.newest = -1
        self.turns: Final = Turns()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, stream: int) -> bool:
        return stream in self._open

    def begin(self) -> tuple[int, Stream]:
        """Client: a new stream.

        Raises:
            LocalProtocolError: too many are open, or all numbers are used up.
        """
        if len(self._open) >= STREAMS_OPEN:
            raise LocalProtocolError(f"{STREAMS_OPEN} streams are open already")
        number = self.newest + 2
        if number > STREAM_HIGHEST:
            raise LocalProtocolError("all stream numbers of this connection are used up")
        self.newest = number
        stream = self._open[number] = Stream()
        return number, stream

    @property
    def used_up(self) -> bool:
        """Whether ``begin`` has given out the last number there is."""
        return self.newest + 2 > STREAM_HIGHEST

    def accept(self, number: int, now: float) -> None:
        """Agent: the client opens a stream.

        Raises:
            RemoteProtocolError: a number out of order, too many streams a second, or too many open.
        """
        if number <= self.newest or not number & 1:
            raise RemoteProtocolError(f"stream {number} opened after {self.newest}: numbers are odd and grow")
        self.newest = number
        if not self._starts.take(now):
            raise RemoteProtocolError(f"more than {STREAMS_PER_S} streams a second", code=ErrorCode.RATE_LIMITED)
        if len(self._open) >= STREAMS_OPEN:
            raise RemoteProtocolError(f"more than {STREAMS_OPEN} streams open", code=ErrorCode.TOO_MANY_STREAMS)
        self._open[number] = Stream()

    def known(self, number: int) -> bool:
        """Whether a received frame belongs to an open stream; False: to one that is over.

        Raises:
            RemoteProtocolError: no such stream was ever opened.
        """
        if number in self._open:
            return True
        if number > self.newest or not number & 1:
            raise RemoteProtocolError(f"stream {number} was never opened")
        return False

    def inflow(self, number: int, channel: int) -> Inflow | None:
        """The channel that a received frame belongs to; None: of a stream that is over.

        Raises:
            RemoteProtocolError: the stream was never opened, or the channel is not open on it.
        """
        stream = self._open.get(number)
        if stream is None:
            self.known(number)
            return None
        inflow = stream.inflows.get(channel)
        if inflow is None:
            raise RemoteProtocolError(f"channel {channel} is not open on stream {number}")
        return inflow

    def expect(self, number: int, channel: int, *, offset: int, limit: int) -> None:
        """Open a channel for receiving; nothing on a stream that is over.

        Raises:
            LocalProtocolError: no such stream was ever opened.
        """
        stream = self.own(number)
        if stream is not None:
            stream.inflows[channel] = Inflow(offset=offset, limit=limit)

    def grant(self, number: int, channel: int, limit: int) -> bool:
        """Whether raising the limit of a received channel is worth a CREDIT; if so, it is raised."""
        stream = self._open.get(number)
        inflow = stream.inflows.get(channel) if stream else None
        return inflow is not None and not inflow.ended and inflow.grant(limit)

    def open_out(self, number: int, channel: int, *, offset: int, limit: int) -> None:
        """Open a channel for sending; nothing on a stream that is over.

        Raises:
            LocalProtocolError: no such stream was ever opened, or the channel was before.
        """
        stream = self.own(number)
        if stream is None:
            return
        if channel in stream.outflows:
            raise LocalProtocolError(f"channel {channel} was opened before on stream {number}")
        stream.outflows.append(channel)
        self.turns.open(number, channel, offset=offset, limit=limit)

    def end_out(self, number: int, channel: int, length: int) -> bool:
        """End a channel at its total length; one that was never opened ends without a byte.

        Returns:
            Whether END is to be sent; False on a stream that is over.

        Raises:
            LocalProtocolError: no such stream was ever opened, the channel has ended, or was sent up to another offset.
        """
        stream = self.own(number)
        if stream is None:
            return False
        flow = self.turns.get(number, channel)
        if flow is None:
            if channel in stream.outflows:
                raise LocalProtocolError(f"channel {channel} has ended already on stream {number}")
            stream.outflows.append(channel)
            return True
        if flow.offset != length:
            raise LocalProtocolError(f"END at {length} of channel {channel}, sent up to {flow.offset}")
        self.turns.close(number, channel)
        return True

    def skip_out(self, number: int, channel: int, offset: int) -> bool:
        """Go on sending a channel from ``offset``: what was before it is gone.

        Returns:
            Whether GAP is to be sent; False on a stream that is over.

        Raises:
            LocalProtocolError: the channel is not open, or ``offset`` is not further on.
        """
        if self.own(number) is None:
            return False
        flow = self.turns.get(number, channel)
        if flow is None or offset <= flow.offset:
            raise LocalProtocolError(f"GAP to {offset} on stream {number} channel {channel}: not open, or not forward")
        self.turns.skip(flow, offset)
        return True

    def own(self, number: int) -> Stream | None:
        """A stream of our own doing; None: it is over, as when the peer's CANCEL came in right behind its request.

        Raises:
            LocalProtocolError: no such stream was ever opened.
        """
        stream = self._open.get(number)
        if stream is None and (number > self.newest or not number & 1):
            raise LocalProtocolError(f"stream {number} was never opened")
        return stream

    def finish(self, number: int) -> bool:
        """End a stream and its channels; False if it is not open."""
        stream = self._open.pop(number, None)
        if stream is None:
            return False
        for channel in stream.outflows:
            self.turns.close(number, channel)
        return True

    def finish_received(self, number: int) -> bool:
        """As ``finish``, on the peer's word.

        Raises:
            RemoteProtocolError: no such stream was ever opened.
        """
        return self.finish(number) or self.known(number)

    def clear(self) -> None:
        """End all streams."""
        self._open.clear()
        self.turns.clear()
