"""The byte layout, and the parser on well-formed and malformed bytes."""

from __future__ import annotations

import pytest

from holdfast.errors import RemoteProtocolError
from holdfast.wire.frames import MAGIC, Frame, FrameParser, FrameType, encode_frame
from tests.unit.wire.pair import EVERYTHING, frames_of

DATA = int(FrameType.DATA)


def parse(data: bytes, bounds: dict[int, tuple[int, int]] = EVERYTHING) -> Frame | None:
    parser = FrameParser(bounds)
    parser.feed(data)
    return parser.next_frame()


def test_every_field_lies_where_the_specification_says() -> None:
    data = encode_frame(0x14, channel=2, stream=0x01020304, position=0x1122334455667788, header=b"{}", body_bytes=5)
    assert data.hex(" ") == (
        "f5 14 02 00 00 00 00 02 00 00 00 05 01 02 03 04 11 22 33 44 55 66 77 88 7b 7d"
    )  # fmt: skip


def test_a_frame_comes_back_as_it_was_sent() -> None:
    data = encode_frame(0x20, channel=1, stream=7, position=2**64 - 1, header=b"{}", body_bytes=3) + b"abc"
    assert frames_of(data) == [Frame(0x20, 1, 7, 2**64 - 1, b"{}", b"abc")]


def test_several_frames_in_one_chunk_come_in_order() -> None:
    data = b"".join(encode_frame(DATA, stream=n, body_bytes=n) + bytes(n) for n in range(50))
    assert [(f.stream, len(f.body)) for f in frames_of(data)] == [(n, n) for n in range(50)]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 23, 24, 25, 4095, 4096, 4097, 65_536, 1 << 20])
@pytest.mark.parametrize("mutable", [False, True])
def test_a_large_frame_survives_any_chunk_size(chunk_bytes: int, mutable: bool) -> None:
    body = bytes(range(256)) * 300
    wire = (encode_frame(DATA, header=b"{}" * 9, body_bytes=len(body)) + body) * 3
    parser, found = FrameParser(EVERYTHING), []
    buffer = bytearray(chunk_bytes)
    for start in range(0, len(wire), chunk_bytes):
        piece = wire[start : start + chunk_bytes]
        if mutable:  # the driver's own buffer, overwritten by the next read
            buffer[: len(piece)] = piece
            parser.feed(memoryview(buffer)[: len(piece)])
        else:
            parser.feed(piece)
        while (frame := parser.next_frame()) is not None:
            found.append(frame)
    assert [(f.header, f.body) for f in found] == [(b"{}" * 9, body)] * 3
    assert parser.buffered_bytes == 0


def test_a_body_that_arrives_as_one_piece_is_not_copied() -> None:
    body = bytes(100_000)
    parser = FrameParser(EVERYTHING)
    parser.feed(encode_frame(DATA, body_bytes=len(body)))
    assert parser.next_frame() is None
    parser.feed(body)
    frame = parser.next_frame()
    assert frame is not None
    assert frame.body is body


def together(frames: list[Frame]) -> list[Frame]:
    """Parts of one channel, joined where one goes on where the other ends."""
    joined: list[Frame] = []
    for frame in frames:
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.type, last.stream, last.channel) == (DATA, frame.stream, frame.channel)
            and frame.type == DATA
            and last.position + len(last.body) == frame.position
        ):
            joined[-1] = Frame(DATA, last.channel, last.stream, last.position, b"", last.body + frame.body)
        else:
            joined.append(frame)
    return joined


@pytest.mark.parametrize("mutable", [False, True])
@pytest.mark.parametrize("size", [100, 32 * 1024, 50_000, 256 * 1024])
def test_large_parts_of_data_are_told_as_they_come(size: int, mutable: bool) -> None:
    """Nothing is held of what was told, every byte has its place, and little waits for its end."""
    body = bytes(range(256)) * 1024
    wire = encode_frame(DATA, channel=1, stream=7, position=1000, body_bytes=len(body)) + body
    wire += encode_frame(0x22, channel=1, stream=7, position=1000 + len(body))
    parser, found = FrameParser(EVERYTHING), []
    for start in range(0, len(wire), size):
        chunk = bytearray(wire[start : start + size])
        parser.feed(chunk if mutable else bytes(chunk))
        while (frame := parser.next_frame()) is not None:
            found.append(frame)
        chunk[:] = bytes(len(chunk))
        assert parser.buffered_bytes < 24 + 32 * 1024
    data, end = together(found)
    assert (data.position, data.body) == (1000, body)
    assert end.type == 0x22
    assert 2 < len(found) <= 2 + len(body) // (32 * 1024)


def test_the_beginning_of_a_frame_is_told_before_its_end_is_here() -> None:
    parser = FrameParser(EVERYTHING)
    parser.feed(encode_frame(DATA, stream=1, body_bytes=100_000) + bytes(40_000))
    first = parser.next_frame()
    assert first is not None
    assert (first.position, len(first.body)) == (0, 40_000)
    assert parser.next_frame() is None
    parser.feed(bytes(60_000) + encode_frame(DATA, stream=1, position=100_000, body_bytes=1) + b"x")
    second, third = parser.next_frame(), parser.next_frame()
    assert second is not None
    assert (second.position, len(second.body)) == (40_000, 60_000)
    assert third is not None
    assert (third.position, third.body) == (100_000, b"x")
    assert parser.next_frame() is None


def test_held_bytes_are_counted() -> None:
    parser = FrameParser(EVERYTHING)
    parser.feed(encode_frame(DATA, body_bytes=10)[:9])
    assert parser.next_frame() is None
    assert parser.buffered_bytes == 9
    parser.feed(encode_frame(DATA, body_bytes=10)[9:] + b"abc")
    assert parser.next_frame() is None
    assert parser.buffered_bytes == 27


@pytest.mark.parametrize("bad", [0x00, MAGIC ^ 0x01, 0x16, 0x47, 0xFF])
def test_a_wrong_first_byte_is_refused(bad: int) -> None:
    with pytest.raises(RemoteProtocolError, match="bad magic") as caught:
        parse(bytes([bad]) + encode_frame(DATA)[1:])
    assert caught.value.code == 100


@pytest.mark.parametrize("bit", range(8))
def test_every_flag_bit_is_undefined_and_refused(bit: int) -> None:
    data = bytearray(encode_frame(DATA))
    data[3] = 1 << bit
    with pytest.raises(RemoteProtocolError, match="undefined flag bits"):
        parse(bytes(data))


def test_a_type_outside_the_bounds_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="not allowed in this phase"):
        parse(encode_frame(0x21), {0x20: (0, 0)})


@pytest.mark.parametrize(("header", "body", "legal"), [(4, 8, True), (5, 8, False), (4, 9, False), (0, 0, True)])
def test_lengths_are_checked_from_the_prefix_alone(header: int, body: int, legal: bool) -> None:
    prefix = encode_frame(DATA, header=bytes(header), body_bytes=body)[:24]
    if legal:
        parse(prefix, {DATA: (4, 8)})
        return
    with pytest.raises(RemoteProtocolError) as caught:
        parse(prefix, {DATA: (4, 8)})
    assert caught.value.code == 101
