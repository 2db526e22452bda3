"""The header: how it is written, what one ``recv`` makes of it, and what it is good for before the data come."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import socket
import struct
import sys
from collections.abc import Callable

from holdfast.lab.cases.sticky_packets.data import Announced, Code, Framing, HeaderText, OneRead
from holdfast.lab.cases.sticky_packets.framing import PREFIX, WAYS, Way, intact
from holdfast.lab.socket_counts import connected_pair, until_unread

LENGTH = 507
HEADER = json.dumps({"name": "report.csv", "size": 70_000, "about": ""}).encode()
HEADER = HEADER[:-2] + b"x" * (LENGTH - len(HEADER)) + HEADER[-2:]
BODY_BYTES = 70_000
FORMATS = ("h", "i", "<i", ">i", "!I", "l", "<l", "q", ">Q")
SOME = (b"one", b"the second", b"3", b"number four", b"", b"six", b"the seventh one", b"8")


def read_exactly(end: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the stream ends before."""
    got = bytearray()
    while len(got) < size and (more := end.recv(size - len(got))):
        got += more
    return bytes(got)


def framings(dice: random.Random) -> tuple[Framing, ...]:
    """The same messages framed in all ways, through a real connection, read once all had come and in crumbs."""
    return tuple(
        Framing(
            way=way.name,
            fixed_header=way.fixed_header,
            header=way.header,
            sent=len(SOME),
            intact_merged=intact(SOME, _passed(way, lambda: 1 << 16)),
            intact_split=intact(SOME, _passed(way, lambda: dice.randint(1, 5))),
            extra_bytes=len(b"".join(map(way.encode, SOME))) - len(b"".join(SOME)),
        )
        for way in WAYS
    )


def _passed(way: Way, most: Callable[[], int]) -> list[bytes]:
    near, far = connected_pair()
    with near, far:
        sent = [way.encode(message) for message in SOME]
        for piece in sent:
            if piece:
                near.send(piece)
        near.close()
        until_unread(far, sum(map(len, sent)))
        chunks = iter(lambda: far.recv(most()), b"")
        return list(way.decode(chunks))


def one_reads() -> tuple[OneRead, ...]:
    """Prefix and header, each of which arrives in two pieces, read with one ``recv``."""
    return (
        _one_read("prefix", PREFIX.pack(LENGTH), 2, lambda data: struct.unpack(">I", data)),
        _one_read("header", HEADER, 200, json.loads),
    )


def _one_read(part: str, data: bytes, first: int, decode: Callable[[bytes], object]) -> OneRead:
    near, far = connected_pair()
    with near, far:
        near.send(data[:first])
        until_unread(far, first)
        got = far.recv(len(data))
        near.send(data[first:])
        whole = got + read_exactly(far, len(data) - len(got))
    error = ""
    try:
        decode(got)
    except (struct.error, ValueError) as caught:
        error = f"{type(caught).__name__}: {caught}"
    return OneRead(part, len(data), len(got), error, len(whole) if whole == data else 0)


def announced(dice: random.Random) -> tuple[Announced, ...]:
    """A body behind a header with its name, size and hash: sent whole, with one bit turned over, and cut short."""
    body = dice.randbytes(BODY_BYTES)
    flipped = bytearray(body)
    flipped[dice.randrange(BODY_BYTES)] ^= 1
    return tuple(
        _announce(name, body, travels)
        for name, travels in (("whole", body), ("flipped", bytes(flipped)), ("cut", body[: BODY_BYTES // 2]))
    )


def _announce(name: str, body: bytes, travels: bytes) -> Announced:
    near, far = connected_pair()
    with near, far:
        header = json.dumps(
            {"name": "photo.jpg", "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        ).encode()
        near.sendall(PREFIX.pack(len(header)) + header)
        told = json.loads(read_exactly(far, PREFIX.unpack(read_exactly(far, PREFIX.size))[0]))
        near.sendall(travels)  # it fits into the buffers of the loopback
        near.close()
        came = read_exactly(far, told["size"])
    return Announced(name, len(came) == told["size"], hashlib.sha256(came).hexdigest() == told["sha256"])


def bytes_in_json() -> tuple[str, float]:
    """What JSON says to bytes, and how much larger they become as text for it."""
    content = bytes(range(256)) * 12
    try:
        json.dumps({"content": content})
    except TypeError as caught:
        return f"TypeError: {caught}", len(base64.b64encode(content)) / len(content)
    return "", 1.0


def codes() -> tuple[Code, ...]:
    """Formats of ``struct`` that stand for a whole number."""
    return tuple(Code(code, struct.calcsize(code), struct.pack(code, LENGTH).hex(" ")) for code in FORMATS)


def too_large() -> tuple[str, str]:
    """2 GiB in the notes' format."""
    try:
        struct.pack("i", 1 << 31)
    except struct.error as caught:
        return str(1 << 31), f"struct.error: {caught}"
    return str(1 << 31), ""


def swapped() -> int:
    """507 as this machine packs it, read by one of the other byte order."""
    other = ">i" if sys.byteorder == "little" else "<i"
    (read,) = struct.unpack(other, struct.pack("i", LENGTH))
    return int(read)


def texts() -> tuple[HeaderText, ...]:
    """Dictionaries in ASCII and beyond, with and without escapes."""
    plain, beyond = {"file": "a.txt", "size": 12}, {"文件": "照片.jpg", "大小": 12}
    return tuple(_text(said, ascii_only) for said, ascii_only in ((plain, True), (beyond, True), (beyond, False)))


def _text(said: dict[str, object], ascii_only: bool) -> HeaderText:
    text = json.dumps(said, ensure_ascii=ascii_only)
    encoded = text.encode()
    return HeaderText(
        tuple(said),
        ascii_only,
        len(text),
        len(encoded),
        _returned(said, encoded, len(encoded)),
        _returned(said, encoded, len(text)),
    )


def _returned(said: dict[str, object], encoded: bytes, length: int) -> bool:
    stream = PREFIX.pack(length) + encoded
    (told,) = PREFIX.unpack_from(stream)
    try:
        return bool(json.loads(stream[PREFIX.size : PREFIX.size + told]) == said)
    except ValueError:
        return False
