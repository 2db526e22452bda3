"""What is observed of messages in a stream of bytes."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran
from holdfast.lab.segments import Step


class Passage(msgspec.Struct, frozen=True):
    """Small messages through one kind of channel, read when all of them had come."""

    channel: str
    nagle: bool
    """Whether Nagle's algorithm exists in it and is on."""
    gap_s: float
    """Pause between two messages."""
    sent: tuple[int, ...]
    """Bytes of each send."""
    reads: tuple[int, ...]
    """Bytes of each read."""
    segments: int | None
    """Segments with data that left; None: it is not TCP."""


class Ways(msgspec.Struct, frozen=True):
    """The same messages sent in one way: what the program asked for, and what became of it."""

    way: str
    acks_wait: bool
    """Whether the receiving kernel delays its acknowledgements."""
    sent: int
    segments: int


class Wired(msgspec.Struct, frozen=True):
    """Messages over a wire whose acknowledgements come when the lab lets them."""

    nagle: bool
    acknowledged: bool
    """Whether each message is acknowledged before the next is sent; else the first is held until all are sent."""
    gap_s: float
    """The mean pause between two messages."""
    sent: int
    steps: tuple[Step, ...]

    @property
    def segments(self) -> int:
        """Segments with data."""
        return sum(step.segment.length > 0 and step.to_server for step in self.steps)


class Framing(msgspec.Struct, frozen=True):
    """One way of telling where a message ends, and what came out at the other end."""

    way: str
    fixed_header: bool
    """Each message is led by a header of fixed length."""
    header: bool
    """There is something in front of the message that speaks about it."""
    sent: int
    intact_merged: int
    """Messages that came out as they were sent, when all of them had come before the first read."""
    intact_split: int
    """The same when they came in crumbs."""
    extra_bytes: int
    """Bytes beside the messages' own."""


class OneRead(msgspec.Struct, frozen=True):
    """A part of a message asked for with a single ``recv``."""

    part: str
    asked: int
    got: int
    error: str
    """What its decoder said to that; "": nothing."""
    looped: int
    """Bytes after reading in a loop until all are there."""


class Announced(msgspec.Struct, frozen=True):
    """A body sent behind a header that tells its name, size and hash."""

    body: str
    """What was done to it on the way: "whole", "flipped", "cut"."""
    size_right: bool
    hash_right: bool


class Code(msgspec.Struct, frozen=True):
    """What ``struct`` makes of a format."""

    format: str
    size: int
    packed_hex: str
    """507 in it."""


class HeaderText(msgspec.Struct, frozen=True):
    """A dictionary on its way: ``json.dumps``, ``encode``, length, prefix, and back."""

    keys: tuple[str, ...]
    ascii_only: bool
    """``json.dumps`` wrote other letters as ``\\u…``."""
    characters: int
    size: int
    """Bytes after ``encode``."""
    returned: bool
    """Read back with the length of the bytes in front, it is the same dictionary."""
    returned_by_characters: bool
    """The same with the number of characters in front."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    passages: tuple[Passage, ...]
    ways: tuple[Ways, ...]
    wired: tuple[Wired, ...]
    """Empty: no private wire here."""
    corked_s: tuple[float, ...]
    """How long the kernel kept a byte that the program had corked and then forgotten."""
    large_sent: int
    """Bytes of one large send."""
    large_reads: tuple[int, ...]
    framings: tuple[Framing, ...]
    one_reads: tuple[OneRead, ...]
    announced: tuple[Announced, ...]
    bytes_in_json: str
    """What ``json.dumps`` says to bytes in a dictionary; "": it took them."""
    base64_factor: float
    """How much larger bytes become as text for JSON."""
    program: Ran
    repaired: Ran
    codes: tuple[Code, ...]
    too_large: tuple[str, str]
    """2 GiB, and what ``struct.pack("i", …)`` says to it; "": it took it."""
    swapped: int
    """507 packed as "i" here, read in the other byte order."""
    byte_order: str
    texts: tuple[HeaderText, ...]
    frame_prefix_hex: str
    """The first 24 bytes of one of Holdfast's frames."""
