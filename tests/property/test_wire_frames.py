"""Frames split at any byte, links cut after any byte: only whole frames, in order, never a wrong one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import RemoteProtocolError
from holdfast.wire.frames import Frame, FrameParser, encode_frame
from holdfast.wire.limits import PREFIX_BYTES
from holdfast.wire.link import (
    END_OF_STREAM,
    CreditReceived,
    DataReceived,
    HelloReceived,
    Link,
    LinkClosed,
    LinkEvent,
    RequestReceived,
    Welcomed,
)
from holdfast.wire.messages import End, Run, encode
from holdfast.wire.phases import Role
from holdfast.wire.run import pack_items, unpack_items
from tests.unit.wire.pair import ACCEPTED, EVERYTHING, HELLO, RESULT, RUN_BODY, STARTED, WELCOME, Pair, drain, frames_of
from tests.unit.wire.test_frames import together

FRAMES = st.builds(
    Frame,
    type=st.integers(0, 255),
    channel=st.integers(0, 255),
    stream=st.integers(0, 2**32 - 1),
    position=st.integers(0, 2**64 - 1),
    header=st.binary(max_size=40),
    body=st.one_of(st.binary(max_size=60), st.integers(0, 20_000).map(lambda n: bytes(i & 0xFF for i in range(n)))),
)


def encoded(frames: Sequence[Frame]) -> bytes:
    return b"".join(
        encode_frame(
            f.type, channel=f.channel, stream=f.stream, position=f.position, header=f.header, body_bytes=len(f.body)
        )
        + f.body
        for f in frames
    )


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(FRAMES, max_size=6), cuts=st.lists(st.integers(0, 60_000), max_size=30), mutable=st.booleans())
def test_frames_split_anywhere_come_back_whole(frames: list[Frame], cuts: list[int], mutable: bool) -> None:
    wire = encoded(frames)
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    parser, found = FrameParser(EVERYTHING), []
    for start, end in itertools.pairwise(places):
        parser.feed(bytearray(wire[start:end]) if mutable else wire[start:end])
        while (frame := parser.next_frame()) is not None:
            found.append(frame)
    assert together(found) == together(frames)
    assert parser.buffered_bytes == 0


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_any_bytes_give_frames_or_one_kind_of_error(data: bytes, cut: int) -> None:
    def read(*chunks: bytes) -> tuple[list[Frame], str]:
        parser, found = FrameParser({0x20: (4, 100), 0x10: (100, 4)}), []
        try:
            for chunk in chunks:
                parser.feed(chunk)
                while (frame := parser.next_frame()) is not None:
                    found.append(frame)
        except RemoteProtocolError as error:
            return found, str(error)
        return found, ""

    data = b"\xf5" + data
    assert read(data) == read(data[:cut], data[cut:])


def exchange() -> tuple[bytes, bytes]:
    """All bytes of a small session: what the client says, and what the agent says."""
    pair, up, down = Pair(opened=False), [], []

    def carry() -> None:
        for _ in range(4):
            up.append(pair.client.data_to_send())
            down.append(pair.agent.data_to_send())
            for link, data in ((pair.agent, up[-1]), (pair.client, down[-1])):
                if data:
                    link.receive_data(data, now=0.0)

    carry()
    pair.agent.welcome(WELCOME)
    carry()
    stream = pair.client.request(Run(key="k", argc=1, stdin=True), RUN_BODY, reads={1: (0, 9000), 2: (0, 9000)})
    carry()
    pair.agent.expect(stream, 0, offset=0, limit=0)
    pair.client.open_out(stream, 0, offset=0, limit=0)
    for channel in (1, 2):
        pair.agent.open_out(stream, channel, offset=0, limit=9000)
    pair.agent.event(stream, 1, ACCEPTED)
    pair.agent.event(stream, 2, STARTED)
    pair.agent.grant(stream, 0, 5000)
    carry()
    pair.client.send_data(stream, 0, b"standard input")
    pair.client.send_end(stream, 0, 14)
    carry()
    pair.agent.ack(stream, 0, 14)
    pair.agent.send_data(stream, 1, b"out" * 100)
    pair.client.grant(stream, 1, 20_000)
    pair.agent.send_gap(stream, 2, 50)
    pair.agent.send_data(stream, 2, b"err")
    carry()
    pair.agent.send_end(stream, 1, 300, End(xxh3="0" * 32))
    pair.agent.send_end(stream, 2, 53)
    pair.agent.respond(stream, RESULT)
    pair.agent.goaway(108, "restarting")
    carry()
    pair.client.close(0, "bye")
    carry()
    assert pair.agent.closed
    return b"".join(up), b"".join(down)


UP, DOWN = exchange()


def receiver(role: Role) -> Link:
    """A link that takes the recorded bytes: the agent welcomes and expects by itself, the client has asked already."""
    link = Link(role, now=0.0, hello=HELLO if role is Role.CLIENT else None)
    link.data_to_send()
    return link


def receive(role: Role, chunks: Sequence[bytes]) -> list[LinkEvent]:
    link, found = receiver(role), []
    for chunk in chunks:
        link.receive_data(chunk, now=0.0)
        for event in drain(link):
            found.append(event)
            if role is Role.AGENT and isinstance(event, HelloReceived):
                link.welcome(WELCOME)
            elif isinstance(event, RequestReceived):
                link.expect(event.stream, 0, offset=0, limit=5000)
                for channel in (1, 2):
                    link.open_out(event.stream, channel, offset=0, limit=9000)
            elif isinstance(event, Welcomed):
                link.request(Run(key="k", argc=1, stdin=True), RUN_BODY, reads={1: (0, 9000), 2: (0, 9000)})
                link.open_out(1, 0, offset=0, limit=0)
            elif isinstance(event, CreditReceived) and role is Role.CLIENT:
                link.send_data(1, 0, b"standard input")
                link.send_end(1, 0, 14)
    return found


def by_frames(data: bytes) -> list[bytes]:
    """The bytes cut between frames, as a peer that waits for answers would send them."""
    return [encoded([frame]) for frame in frames_of(data)]


@pytest.mark.parametrize(("role", "data"), [(Role.AGENT, UP), (Role.CLIENT, DOWN)], ids=["agent", "client"])
def test_a_link_cut_after_any_byte_has_told_all_that_came_in_order(role: Role, data: bytes) -> None:
    """Whole frames, and of a DATA frame that was cut the bytes that came: else frequent cuts would stop a stream."""
    pieces = by_frames(data)
    whole = receive(role, pieces)
    assert len(whole) >= 5
    told = [len(receive(role, pieces[:count])) for count in range(len(pieces) + 1)]
    complete = start = rescued = 0
    for count, piece in enumerate(pieces):
        for cut in range(len(piece)):
            found = receive(role, [*pieces[:count], *([piece[:cut]] if cut else []), b""])
            *before, end = found
            following = whole[told[count]] if told[count] < len(whole) else None
            if isinstance(following, DataReceived) and cut > PREFIX_BYTES:
                rest = before.pop()
                came = piece[PREFIX_BYTES:cut]
                assert rest == DataReceived(following.stream, following.channel, following.offset, came)
                rescued += len(came)
            assert before == whole[: told[count]]
            assert isinstance(end, LinkClosed)
            assert end.code == END_OF_STREAM
            complete += 1
        start += len(piece)
    assert complete == start == len(data)
    assert rescued


@pytest.mark.parametrize(("role", "data"), [(Role.AGENT, UP), (Role.CLIENT, DOWN)], ids=["agent", "client"])
def test_single_bytes_tell_the_same_as_whole_frames(role: Role, data: bytes) -> None:
    assert receive(role, [bytes([byte]) for byte in data]) == receive(role, by_frames(data))


ITEMS = st.binary(max_size=20).map(lambda item: item.replace(b"\0", b""))


@given(argv=st.lists(ITEMS, min_size=1), env=st.lists(ITEMS), cwd=st.none() | ITEMS)
def test_the_body_of_run_comes_back(argv: list[bytes], env: list[bytes], cwd: bytes | None) -> None:
    run = Run(key="k", argc=len(argv), envc=len(env), has_cwd=cwd is not None)
    assert unpack_items(run, pack_items(tuple(argv), tuple(env), cwd)) == (argv, env, cwd)


@given(header=st.binary(max_size=100))
def test_any_request_header_is_a_request_or_an_error_on_its_stream(header: bytes) -> None:
    pair = Pair()
    pair.agent.receive_data(encode_frame(0x10, stream=1, header=header), now=0.0)
    assert not pair.agent.closed
    assert len(drain(pair.agent)) + len(frames_of(pair.agent.data_to_send())) == 1


def test_the_recorded_exchange_has_every_kind_of_frame() -> None:
    kinds = {frame.type for frame in frames_of(UP + DOWN)}
    assert kinds >= {0x01, 0x02, 0x03, 0x06, 0x10, 0x11, 0x14, 0x20, 0x21, 0x22, 0x23, 0x24}
    assert encode(HELLO) in UP
