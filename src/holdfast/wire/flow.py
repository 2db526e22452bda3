"""Flow control by absolute offsets, and fair turns between the channels of one connection.

A credit is the offset up to which a sender may send. It only ever rises; one that does not rise is a protocol error,
and after a cut the request that opens a channel anew simply carries the first. There is no window to leak.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from holdfast.errors import RemoteProtocolError
from holdfast.wire.codes import ErrorCode
from holdfast.wire.limits import CHUNK_BYTES, CREDIT_STEP_BYTES, TURN_BYTES


class Turn(msgspec.Struct, frozen=True, gc=False):
    """Permission to send up to ``size`` bytes of one channel, from ``offset`` on."""

    stream: int
    channel: int
    offset: int
    size: int


class Outflow:
    """What may be sent on one channel: sent up to ``offset``, allowed up to ``limit``, known to exist up to ``end``.

    ``granted`` is the last limit that the receiver named. A GAP of ours raises ``limit`` above it, and a CREDIT that
    crosses that GAP on the wire knows nothing of it.
    """

    __slots__ = ("channel", "end", "granted", "limit", "offset", "queued", "stream")

    def __init__(self, stream: int, channel: int, *, offset: int, limit: int) -> None:
        self.stream = stream
        self.channel = channel
        self.offset = offset
        self.limit = limit
        self.granted = limit
        self.end = offset
        self.queued = False

    @property
    def sendable(self) -> int:
        """Bytes that exist and are within the credit."""
        return min(self.limit, self.end) - self.offset

    def credit(self, limit: int) -> None:
        """The receiver raised its limit.

        Raises:
            RemoteProtocolError: lower than before, or raised by less than ``limits.CREDIT_STEP_BYTES``.
        """
        if limit < self.granted + CREDIT_STEP_BYTES:
            raise RemoteProtocolError(
                f"credit from {self.granted} to {limit}: it must rise by {CREDIT_STEP_BYTES} bytes at least",
                code=ErrorCode.FLOW_CONTROL,
            )
        self.granted = limit
        self.limit = max(self.limit, limit)


class Inflow:
    """What must come next on one channel: from ``offset``, up to ``limit``."""

    __slots__ = ("ended", "limit", "offset")

    def __init__(self, *, offset: int, limit: int) -> None:
        self.offset = offset
        self.limit = limit
        self.ended = False

    def received(self, position: int, size: int) -> None:
        """Check one DATA frame.

        Raises:
            RemoteProtocolError: it does not start at the next byte wanted, is empty, or goes beyond the credit.
        """
        if self.ended or position != self.offset or not size:
            raise RemoteProtocolError(f"DATA of {size} bytes at {position}, expected at {self.offset}")
        if position + size > self.limit:
            raise RemoteProtocolError(
                f"DATA up to {position + size} beyond the credit {self.limit}", code=ErrorCode.FLOW_CONTROL
            )
        self.offset = position + size

    def skipped(self, position: int) -> None:
        """Check one GAP frame: it must go forward."""
        if self.ended or position <= self.offset:
            raise RemoteProtocolError(f"GAP to {position}, already at {self.offset}")
        self.limit = max(self.limit, position)
        self.offset = position

    def end(self, position: int) -> None:
        """Check one END frame: the length must be what was received."""
        if self.ended or position != self.offset:
            raise RemoteProtocolError(f"END at {position}, received {self.offset}")
        self.ended = True

    def grant(self, limit: int) -> bool:
        """Raise the limit; False if the step is too small to be worth a frame (nothing changes then)."""
        if limit < self.limit + CREDIT_STEP_BYTES:
            return False
        self.limit = limit
        return True


_NOBODY: Final[deque[Outflow]] = deque()
"""What every connection holds that has nothing to send: an empty deque of its own is 0.7 KiB."""


class Turns:
    """Round robin over the channels that have something to send, so that none is starved.

    With several channels ready each turn is 64 KiB; a channel alone gets whole frames of 256 KiB.
    """

    __slots__ = ("_flows", "_ready")

    def __init__(self) -> None:
        self._flows: dict[tuple[int, int], Outflow] = {}
        self._ready = _NOBODY

    def open(self, stream: int, channel: int, *, offset: int, limit: int) -> Outflow:
        """Start a channel that is not open; it takes part in the turns from its first ``offer`` on."""
        flow = self._flows[stream, channel] = Outflow(stream, channel, offset=offset, limit=limit)
        return flow

    def get(self, stream: int, channel: int) -> Outflow | None:
        """The channel, if it is open."""
        return self._flows.get((stream, channel))

    def offer(self, flow: Outflow, end: int) -> None:
        """Bytes up to ``end`` exist now."""
        if end > flow.end:
            flow.end = end
        self._enqueue(flow)

    def credit(self, flow: Outflow, limit: int) -> None:
        """The receiver allows bytes up to ``limit``."""
        flow.credit(limit)
        self._enqueue(flow)

    def close(self, stream: int, channel: int) -> None:
        """Forget a channel; unknown ones are fine."""
        flow = self._flows.pop((stream, channel), None)
        if flow is not None and flow.queued:
            flow.queued = False
            self._ready.remove(flow)

    def clear(self) -> None:
        """Forget all channels."""
        self._flows.clear()
        self._ready.clear()

    def next_turn(self) -> Turn | None:
        """Whose turn it is and how much it may send; None when nobody has bytes and credit."""
        ready = self._ready
        if not ready:
            self._ready = _NOBODY
            return None
        flow = ready[0]
        most = CHUNK_BYTES if len(ready) == 1 else TURN_BYTES
        return Turn(flow.stream, flow.channel, flow.offset, min(flow.sendable, most))

    def sent(self, flow: Outflow, size: int) -> None:
        """``size`` bytes of this channel went out; it moves to the back of the queue."""
        flow.offset += size
        if flow.offset > flow.end:
            flow.end = flow.offset
        self._requeue(flow)

    def skip(self, flow: Outflow, offset: int) -> None:
        """Go on from ``offset``, further on: the bytes before it are gone, and credit reaches at least there."""
        flow.offset = offset
        flow.limit = max(flow.limit, offset)
        flow.end = max(flow.end, offset)
        self._requeue(flow)

    def _requeue(self, flow: Outflow) -> None:
        if flow.queued:
            flow.queued = False
            self._ready.remove(flow)
        self._enqueue(flow)

    def _enqueue(self, flow: Outflow) -> None:
        if not flow.queued and flow.sendable > 0:
            flow.queued = True
            if self._ready is _NOBODY:
                self._ready = deque()
            self._ready.append(flow)


class TokenBucket:
    """At most ``burst`` at once and ``per_s`` a second in the long run."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, *, burst: float, per_s: float, now: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._tokens = burst
        self._at = now

    def take(self, now: float, count: int = 1) -> bool:
        """So many tokens, or none of them and False."""
        if self._tokens < self._burst:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True
