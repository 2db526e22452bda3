"""The byte layout of a frame: 24-byte prefix, JSON header, body, all big-endian (docs/spec/protocol.md, "Frames").

This is the only ``struct`` of the protocol. The parser checks both lengths against the bounds it was given for the
frame's type before it waits for, or allocates, a single byte of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

from holdfast.errors import RemoteProtocolError
from holdfast.wire.limits import PREFIX_BYTES

MAGIC: Final = 0xF5
_PREFIX: Final = struct.Struct(">BBBBIIIQ")
_pack = _PREFIX.pack
_unpack_from = _PREFIX.unpack_from
assert _PREFIX.size == PREFIX_BYTES


class FrameType(IntEnum):
    """Types by group: 0x0_ connection, 0x1_ requests and answers, 0x2_ channels."""

    HELLO = 0x01
    WELCOME = 0x02
    GOAWAY = 0x03
    PING = 0x04
    PONG = 0x05
    CLOSE = 0x06
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


class FrameParser:
    """Bytes in, frames out; holds at most one incomplete frame.

    Complete frames inside one chunk are cut out of it directly; only a frame that is spread over several chunks is
    gathered in a buffer of its own.
    """

    __slots__ = ("_chunk", "_need", "_partial", "_position", "bounds")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._chunk: bytes | bytearray = b""
        self._position = 0
        self._partial = bytearray()
        self._need = PREFIX_BYTES

    def feed(self, data: bytes) -> None:
        """Take more bytes. All frames of the bytes before must have been fetched with ``next_frame``."""
        if self._partial:
            self._partial += data
            self._chunk = self._partial
        else:
            self._chunk = data
        self._position = 0

    def next_frame(self) -> Frame | None:
        """The next complete frame, or None when more bytes are needed.

        Raises:
            RemoteProtocolError: bad magic, undefined flag bits, a type that is illegal now, or a length over its bound.
        """
        chunk, position = self._chunk, self._position
        left = len(chunk) - position
        if left < self._need:
            self._keep_rest(position)
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
                code=101,
            )
        total = PREFIX_BYTES + header_bytes + body_bytes
        if left < total:
            self._need = total
            self._keep_rest(position)
            return None
        start = position + PREFIX_BYTES
        middle = start + header_bytes
        end = middle + body_bytes
        self._position = end
        self._need = PREFIX_BYTES
        if isinstance(chunk, bytes):
            return Frame(type_, channel, stream, where, chunk[start:middle], chunk[middle:end])
        view = memoryview(chunk)
        try:
            return Frame(type_, channel, stream, where, bytes(view[start:middle]), bytes(view[middle:end]))
        finally:
            view.release()

    @property
    def buffered_bytes(self) -> int:
        """Bytes held of a frame that is not complete yet."""
        return len(self._partial)

    def _keep_rest(self, position: int) -> None:
        chunk = self._chunk
        if chunk is self._partial:
            if position:
                del self._partial[:position]
        elif position < len(chunk):
            self._partial += memoryview(chunk)[position:]
        self._chunk = self._partial
        self._position = 0
