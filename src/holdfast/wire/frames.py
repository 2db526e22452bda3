"""The byte layout of a frame: 24-byte prefix, JSON header, body, all big-endian (docs/spec/protocol.md, "Frames").

This is the only ``struct`` of the protocol. The parser checks both lengths against the bounds it was given for the
frame's type before it waits for, or allocates, a single byte of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.errors import RemoteProtocolError
from holdfast.wire.codes import ErrorCode
from holdfast.wire.limits import PREFIX_BYTES

if TYPE_CHECKING:
    Chunk = bytes | bytearray | memoryview

MAGIC: Final = 0xF5
_PREFIX: Final = struct.Struct(">BBBBIIIQ")
_pack = _PREFIX.pack
_unpack_from = _PREFIX.unpack_from
assert _PREFIX.size == PREFIX_BYTES

_SMALL_PIECE_BYTES: Final = 4096
"""Pieces below this size are gathered in one buffer: a peer that drips single bytes costs no object for each."""
PART_BYTES: Final = 32 * 1024
"""So much of a DATA frame is told as it comes: joining a frame of 256 KiB from its chunks would copy it once more."""


class FrameType(IntEnum):
    """Types by group: 0x0_ connection, 0x1_ requests and answers, 0x2_ channels."""

    HELLO = 0x01
    WELCOME = 0x02
    GOAWAY = 0x03
    PING = 0x04
    PONG = 0x05
    CLOSE = 0x06
    ENROL = 0x07
    REQ = 0x10
    RES = 0x11
    ERR = 0x12
    CANCEL = 0x13
    EVT = 0x14
    DATA = 0x20
    CREDIT = 0x21
    END = 0x22
    ACK = 0x23
    GAP = 0x24


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it was received. ``position`` means offset, limit, event number or nonce, by type."""

    type: int
    channel: int
    stream: int
    position: int
    header: bytes
    body: bytes


Bounds = Mapping[int, tuple[int, int]]
"""Frame type -> (most header bytes, most body bytes); a type that is not in it is illegal now."""


def encode_frame(
    type_: int, *, channel: int = 0, stream: int = 0, position: int = 0, header: bytes = b"", body_bytes: int = 0
) -> bytes:
    """Prefix and header of one frame; a body of ``body_bytes`` bytes must follow it on the wire."""
    return _pack(MAGIC, type_, channel, 0, len(header), body_bytes, stream, position) + header


class _Spread:
    """A frame that did not fit into one chunk: what its prefix says, and its pieces so far.

    Large pieces are kept as they came and joined once, which copies each byte a single time; joining a sole piece
    copies nothing at all.
    """

    __slots__ = ("channel", "header_bytes", "held", "missing", "pieces", "small", "stream", "type", "where")

    def __init__(self, type_: int, channel: int, stream: int, where: int, header_bytes: int, missing: int) -> None:
        self.type = type_
        self.channel = channel
        self.stream = stream
        self.where = where
        self.header_bytes = header_bytes
        self.missing = missing
        self.held = 0
        self.pieces: list[bytes | bytearray | memoryview] = []
        self.small = bytearray()

    def add(self, chunk: Chunk, start: int, end: int) -> None:
        """Take ``chunk[start:end]``; a mutable chunk is the driver's own buffer and must be copied now."""
        size = end - start
        self.missing -= size
        self.held += size
        if size < _SMALL_PIECE_BYTES or not isinstance(chunk, bytes):
            self.small += memoryview(chunk)[start:end]
            return
        if self.small:
            self.pieces.append(self.small)
            self.small = bytearray()
        if size == len(chunk):
            self.pieces.append(chunk)
        elif 2 * size >= len(chunk):
            self.pieces.append(memoryview(chunk)[start:end])
        else:  # a view would keep a chunk alive that is mostly other frames
            self.pieces.append(chunk[start:end])

    def may_come_in_parts(self, size: int) -> bool:
        """Whether what is held and the next ``size`` bytes are better told as they are: much of a body of DATA."""
        if self.type != FrameType.DATA or self.header_bytes:
            return False
        return self.held + size >= PART_BYTES or size == self.missing

    def part(self, chunk: Chunk, start: int, end: int) -> Frame:
        """What is held and ``chunk[start:end]`` as a frame of its own; what is missing then goes on behind it."""
        size = end - start
        where, held = self.where, self.held
        self.missing -= size
        self.where += held + size
        if not held and size == len(chunk) and isinstance(chunk, bytes):
            return Frame(self.type, self.channel, self.stream, where, b"", chunk)
        with memoryview(chunk) as view:
            body = b"".join((*self.pieces, self.small, view[start:end])) if held else bytes(view[start:end])
        if held:
            self.held = 0
            self.pieces = []
            self.small = bytearray()
        return Frame(self.type, self.channel, self.stream, where, b"", body)

    def frame(self) -> Frame:
        """The frame, once nothing is missing."""
        if self.small:
            self.pieces.append(self.small)
        payload = b"".join(self.pieces)
        cut = self.header_bytes
        if cut:
            return Frame(self.type, self.channel, self.stream, self.where, payload[:cut], payload[cut:])
        return Frame(self.type, self.channel, self.stream, self.where, b"", payload)


class FrameParser:
    """Bytes in, frames out; holds at most one incomplete frame.

    Complete frames inside one chunk are cut out of it directly. Memory held for an incomplete frame is at most twice
    the bytes received of it, whatever the sizes of the chunks.
    """

    __slots__ = ("_chunk", "_part", "_position", "_prefix", "_spread", "bounds")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._chunk: Chunk = b""
        self._position = 0
        self._prefix = b""
        self._part: Frame | None = None
        self._spread: _Spread | None = None

    def feed(self, data: Chunk) -> None:
        """Take more bytes. All frames of the bytes before must have been fetched with ``next_frame``.

        A mutable buffer may be used again by its owner as soon as ``next_frame`` has returned None.
        """
        spread = self._spread
        self._chunk = data
        if spread is not None:
            self._position = end = min(len(data), spread.missing)
            if spread.may_come_in_parts(end):
                self._part = spread.part(data, 0, end)
                if not spread.missing:
                    self._spread = None
            else:
                spread.add(data, 0, end)
        elif self._prefix:
            self._chunk = self._prefix + data
            self._prefix = b""
            self._position = 0
        else:
            self._position = 0

    def next_frame(self) -> Frame | None:
        """The next complete frame or large part of a DATA frame, or None when more bytes are needed.

        Raises:
            RemoteProtocolError: bad magic, undefined flag bits, a type that is illegal now, or a length over its bound.
        """
        part = self._part
        if part is not None:
            self._part = None
            return part
        spread = self._spread
        if spread is not None:
            if spread.missing:
                self._chunk = b""
                return None
            self._spread = None
            return spread.frame()
        chunk, position = self._chunk, self._position
        left = len(chunk) - position
        if left < PREFIX_BYTES:
            self._prefix = bytes(chunk[position:])
            self._chunk = b""
            self._position = 0
            return None
        magic, type_, channel, flags, header_bytes, body_bytes, stream, where = _unpack_from(chunk, position)
        if magic != MAGIC:
            raise RemoteProtocolError(f"bad magic 0x{magic:02x}: the peer does not speak holdfast/1")
        if flags:
            raise RemoteProtocolError(f"undefined flag bits 0x{flags:02x}")
        bound = self.bounds.get(type_)
        if bound is None:
            raise RemoteProtocolError(f"frame type 0x{type_:02x} is not allowed in this phase")
        if header_bytes > bound[0] or body_bytes > bound[1]:
            raise RemoteProtocolError(
                f"frame type 0x{type_:02x} announces {header_bytes}+{body_bytes} bytes, limit {bound[0]}+{bound[1]}",
                code=ErrorCode.TOO_LARGE,
            )
        start = position + PREFIX_BYTES
        middle = start + header_bytes
        end = middle + body_bytes
        if end > len(chunk):
            spread = self._spread = _Spread(type_, channel, stream, where, header_bytes, header_bytes + body_bytes)
            if spread.may_come_in_parts(len(chunk) - start):
                self._position = len(chunk)
                return spread.part(chunk, start, len(chunk))
            spread.add(chunk, start, len(chunk))
            self._chunk = b""
            self._position = 0
            return None
        self._position = end
        if isinstance(chunk, bytes):
            return Frame(type_, channel, stream, where, chunk[start:middle], chunk[middle:end])
        with memoryview(chunk) as view:
            return Frame(type_, channel, stream, where, bytes(view[start:middle]), bytes(view[middle:end]))

    def cut_short(self) -> Frame | None:
        """The frame under way with as much of its body as came, or None; the parser is at its end afterwards."""
        spread, self._spread = self._spread, None
        return None if spread is None or spread.held < spread.header_bytes else spread.frame()

    @property
    def buffered_bytes(self) -> int:
        """Bytes held of a frame that is not complete yet."""
        if self._spread is not None:
            return PREFIX_BYTES + self._spread.held
        return len(self._prefix)
