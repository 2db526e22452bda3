"""What is observed of TCP and UDP."""

from __future__ import annotations

from typing import Literal

import msgspec

Protocol = Literal["TCP", "UDP"]


class Kept(msgspec.Struct, frozen=True):
    """What the sending kernel holds at one moment."""

    protocol: Protocol
    moment: str
    sent: int
    """Bytes that the program has handed over so far."""
    confirmed: int
    """Bytes of them that the other side's kernel has confirmed to this one."""
    kept: int
    unsent: int
    """Bytes of those kept that were never on the wire."""


class Crossing(msgspec.Struct, frozen=True):
    """Numbered messages over a wire that loses, doubles and delays."""

    protocol: Protocol
    loss: float
    """The part of all packets that is lost."""
    sent: int
    arrived: tuple[int, ...]
    """Numbers in the order in which the receiving program read them."""
    errors: int
    """Errors that the sending program saw."""
    sent_again: int
    """Segments that its kernel sent once more."""
    lost: int
    """Packets that the wire has lost."""
    doubled: int
    overtaken: int
    """Packets that arrived behind the next one."""
    seconds: float

    @property
    def missing(self) -> int:
        """Messages that never came."""
        return self.sent - len(set(self.arrived))

    @property
    def as_sent(self) -> bool:
        """All of them, once each, in order."""
        return self.arrived == tuple(range(self.sent))


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer."""

    way: Literal["UDP", "TCP, connection made for it", "TCP, open connection"]
    round_trip_s: float
    """How long the wire takes there and back; 0: a loopback."""
    seconds: tuple[float, ...]
    packets: int
    """Packets on the wire for one of them, closing included; 0: not counted."""
    connected_s: tuple[float, ...] = ()
    """What of the seconds went into connecting; (): nothing did, or it was not measured."""


class Bulk(msgspec.Struct, frozen=True):
    """As much as possible through the loopback, from one process to another."""

    protocol: Protocol
    write_bytes: int
    sent_bytes: int
    arrived_bytes: tuple[int, ...]
    """Of each round."""
    seconds: tuple[float, ...]

    @property
    def rates(self) -> tuple[float, ...]:
        """MiB per second that arrived."""
        return tuple(size / (1 << 20) / seconds for size, seconds in zip(self.arrived_bytes, self.seconds, strict=True))


class Unread(msgspec.Struct, frozen=True):
    """Bytes that TCP had confirmed and that no program has read."""

    sent: int
    confirmed: int
    read: int
    told: str
    """What the sender hears on its next call."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    kept: tuple[Kept, ...]
    crossings: tuple[Crossing, ...]
    exchanges: tuple[Exchange, ...]
    bulks: tuple[Bulk, ...]
    unread: Unread
    refused: tuple[str, ...]
    """What two sends to a UDP port that nobody has say to a connected socket; "": nothing."""
    not_read_in_time: int
    """Datagrams of ``burst`` that the receiver's full buffer has lost, without any loss on the way."""
    burst: int
