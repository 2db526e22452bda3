"""Ways of telling where a message ends: each one encodes messages and finds them again in a stream. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from holdfast.wire.frames import FrameParser, FrameType, encode_frame

Encode = Callable[[bytes], bytes]
Decode = Callable[[Iterable[bytes]], Iterator[bytes]]

PREFIX: Final = struct.Struct(">I")
FIXED_BYTES: Final = 16
_BOUNDS: Final = {int(FrameType.DATA): (1 << 16, 1 << 16)}


class Way(msgspec.Struct, frozen=True):
    """One way."""

    name: str
    fixed_header: bool
    header: bool
    encode: Encode
    decode: Decode


class Found(msgspec.Struct, frozen=True):
    """Where the first message of a stream is."""

    start: int
    stop: int
    """Behind its last byte."""
    end: int
    """Where the next one begins."""


def _cut(find: Callable[[bytes], Found | None]) -> Decode:
    """A decoder that keeps what is not complete; ``find`` gives None until the first message is there."""

    def decode(chunks: Iterable[bytes]) -> Iterator[bytes]:
        held = b""
        for chunk in chunks:
            held += chunk
            while (found := find(held)) is not None:
                yield held[found.start : found.stop]
                held = held[found.end :]

    return decode


def _sized(held: bytes, start: int, size: int) -> Found | None:
    end = start + size
    return Found(start, end, end) if len(held) >= end else None


def _prefixed(held: bytes) -> Found | None:
    return _sized(held, PREFIX.size, PREFIX.unpack_from(held)[0]) if len(held) >= PREFIX.size else None


def _delimited(held: bytes) -> Found | None:
    at = held.find(b"\n")
    return Found(0, at, at + 1) if at >= 0 else None


def _self_describing(held: bytes) -> Found | None:
    """``12:`` and then 12 bytes: the length itself has as many digits as it needs."""
    colon = held.find(b":")
    return _sized(held, colon + 1, int(held[:colon])) if colon >= 0 else None


def _headed(held: bytes) -> Found | None:
    """Lines, an empty line, the body: a header of any length, as in HTTP."""
    blank = held.find(b"\r\n\r\n")
    if blank < 0:
        return None
    fields = dict(line.split(b": ", 1) for line in held[:blank].split(b"\r\n"))
    return _sized(held, blank + 4, int(fields[b"Length"]))


def _always(held: bytes) -> Found | None:
    """Filled up with zero bytes to one size for all."""
    found = _sized(held, 0, FIXED_BYTES)
    return found and Found(0, len(held[:FIXED_BYTES].rstrip(b"\0")), found.end)


def _chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a program gets that takes every read for a message."""
    yield from chunks


def _frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    parser = FrameParser(_BOUNDS)
    for chunk in chunks:
        parser.feed(chunk)
        while (frame := parser.next_frame()) is not None:
            yield frame.body


def _frame(message: bytes) -> bytes:
    # With a header, so that its parser hands the frame over in one piece; DATA without one may come in parts.
    return encode_frame(FrameType.DATA, channel=1, header=b"{}", body_bytes=len(message)) + message


WAYS: Final[Sequence[Way]] = (
    Way("nothing", False, False, bytes, _chunks),
    Way("length in 4 bytes", True, True, lambda message: PREFIX.pack(len(message)) + message, _cut(_prefixed)),
    Way("newline behind", False, False, lambda message: message + b"\n", _cut(_delimited)),
    Way("length in digits", False, True, lambda message: b"%d:%s" % (len(message), message), _cut(_self_describing)),
    Way("lines of a header", False, True,
        lambda message: b"Name: m\r\nLength: %d\r\n\r\n%s" % (len(message), message), _cut(_headed)),
    Way("always 16 bytes", False, False, lambda message: message.ljust(FIXED_BYTES, b"\0"), _cut(_always)),
    Way("Holdfast's frame", True, True, _frame, _frames),
)  # fmt: skip
"""What is in front of a message, or behind it."""


def intact(sent: Sequence[bytes], got: Sequence[bytes]) -> int:
    """How many came out as they were sent, at their place."""
    return sum(one == other for one, other in zip(sent, got, strict=False))
