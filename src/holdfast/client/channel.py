"""One output channel of a job on its way to the caller: offsets, credit, digest. Pure."""

from __future__ import annotations

from typing import Final

import xxhash

from holdfast.types import Channel, ChannelRecord
from holdfast.wire.limits import INITIAL_WINDOW_BYTES, WINDOW_BYTES
from holdfast.wire.messages import End

NAMES: Final = {1: "stdout", 2: "stderr"}


class ChannelFeed:
    """What has come and what was taken of one channel.

    Attributes:
        received: Offset of the next byte wanted from the agent.
        delivered: Offset of the next byte that the caller takes.
        limit: The agent may send up to here.
        ended: END was received; ``length`` and ``end`` hold what it said.
        keep: What is taken is kept for ``collected``.
    """

    __slots__ = (
        "_digest",
        "_hashed_from",
        "_kept",
        "channel",
        "delivered",
        "end",
        "ended",
        "keep",
        "kept_bytes",
        "length",
        "limit",
        "received",
        "window",
    )

    def __init__(self, channel: Channel, offset: int) -> None:
        self.channel: Channel = channel
        self.keep = False
        self.kept_bytes = 0
        self.window = INITIAL_WINDOW_BYTES
        self.ended = False
        self.length = 0
        self.end: End | None = None
        self._kept: list[bytes] = []
        self.start_at(offset)

    def start_at(self, offset: int) -> None:
        """Begin at ``offset``; what came before it is no part of this."""
        self.received = self.delivered = self._hashed_from = offset
        self.limit = offset
        self._digest = xxhash.xxh3_128()
        self._kept.clear()
        self.kept_bytes = 0

    def open(self, window_bytes: int) -> tuple[int, int]:
        """Next offset and first limit, for a new connection."""
        self.limit = self.received + window_bytes
        return self.received, self.limit

    def take(self, data: bytes) -> None:
        """The caller has got these bytes."""
        self.delivered += len(data)
        self._digest.update(data)
        if self.keep:
            self._kept.append(data)
            self.kept_bytes += len(data)

    def credit(self, window_most: int) -> int | None:
        """The new limit, once half of the window was taken; the window grows while it is used up.

        Half, so that the agent always has the other half to go on with; a growing window, so that a short output costs
        little memory and a long one is not slowed down by round trips.
        """
        if self.ended or self.limit - self.delivered > self.window // 2:
            return None
        self.window = min(self.window * 2, max(window_most, INITIAL_WINDOW_BYTES), WINDOW_BYTES)
        self.limit = max(self.limit, self.delivered + self.window)
        return self.limit

    def kept(self) -> bytes:
        """What was kept, in one piece."""
        if len(self._kept) > 1:
            self._kept = [b"".join(self._kept)]
        return self._kept[0] if self._kept else b""

    def mismatch(self, record: ChannelRecord | None) -> str | None:
        """How what was delivered differs from what the agent said, in words; None if it does not.

        A digest covers the bytes from its own ``first`` on, so it can be compared only if those were all delivered.
        """
        name = NAMES[self.channel]
        end = self.end
        if end is None or end.partial:
            return None
        if self.delivered != self.length:
            return f"{name}: {self.delivered} bytes delivered of {self.length}"
        if end.xxh3 is not None and end.first == self._hashed_from and self._digest.hexdigest() != end.xxh3:
            return f"{name}: the {self.length - end.first} bytes delivered have another digest than the host's"
        if record is None:
            return None
        if record.bytes != self.length:
            return f"{name}: {self.length} bytes delivered, {record.bytes} in the receipt"
        if record.xxh3 is not None and record.first == self._hashed_from and self._digest.hexdigest() != record.xxh3:
            return f"{name}: the bytes delivered have another digest than the receipt's"
        return None
