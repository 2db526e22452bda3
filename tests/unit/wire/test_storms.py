"""S16: storms of cheap frames end their own connection; an honest client with a thousand streams never comes near."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.wire import limits
from holdfast.wire.flow import TokenBucket
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.link import LinkClosed
from holdfast.wire.messages import Close, Failure, Get, decode, encode
from tests.unit.wire.pair import Pair, drain, frames_of, last

Storm = Callable[[int, int], bytes]


def credit(stream: int, number: int) -> bytes:
    return encode_frame(FrameType.CREDIT, channel=1, stream=stream, position=(1 << 20) + (number + 1) * 4096)


def one_byte(stream: int, number: int) -> bytes:
    return encode_frame(FrameType.DATA, channel=0, stream=stream, position=number, body_bytes=1) + b"x"


def open_and_cancel(_stream: int, number: int) -> bytes:
    stream = 1001 + 2 * number
    asked = encode_frame(FrameType.REQ, stream=stream, header=encode(Get("j")))
    return asked + encode_frame(FrameType.CANCEL, stream=stream)


def pong(_stream: int, number: int) -> bytes:
    return encode_frame(FrameType.PONG, position=number)


def ping(_stream: int, number: int) -> bytes:
    return encode_frame(FrameType.PING, position=number)


def late(_stream: int, number: int) -> bytes:
    """CREDIT for a stream that is over, which is dropped."""
    return encode_frame(FrameType.CREDIT, channel=1, stream=1, position=number)


def first_blow(storm: Storm, *, frames_a_s: int, seconds: float) -> int | None:
    """Frames after which the agent closed, in virtual time; None: it did not."""
    pair = Pair()
    pair.agent.fail(pair.run(stdin=True), Failure(302, "no such job"))
    stream = pair.run(stdin=True, credit=1 << 20)
    pair.agent.grant(stream, 0, 1 << 40)
    pair.agent.data_to_send()
    sent, batch = 0, 500
    while sent < frames_a_s * seconds:
        chunk = b"".join(storm(stream, sent + number) for number in range(batch))
        pair.agent.receive_data(chunk, now=sent / frames_a_s)
        sent += batch
        if pair.agent.closed:
            closed = last(drain(pair.agent), LinkClosed)
            assert closed.code == 106
            frame = frames_of(pair.agent.data_to_send())[-1]
            assert decode(frame.header, Close).code == 106
            return sent
        drain(pair.agent)
        pair.agent.data_to_send()
    return None


@pytest.mark.parametrize(
    ("storm", "most"),
    [
        (credit, limits.CREDITS_BURST),
        (late, limits.CREDITS_BURST),
        (one_byte, limits.FRAMES_BURST),
        (pong, limits.FRAMES_BURST),
        (open_and_cancel, limits.STREAMS_PER_S),
        (ping, limits.PINGS_BURST),
    ],
)
def test_a_storm_ends_its_connection(storm: Storm, most: int) -> None:
    blow = first_blow(storm, frames_a_s=100_000_000, seconds=0.01)
    assert blow is not None
    assert most * 0.9 <= blow <= most * 1.1 + 500


@pytest.mark.parametrize(
    ("storm", "per_s", "burst"),
    [
        (credit, limits.CREDITS_PER_S, limits.CREDITS_BURST),
        (one_byte, limits.FRAMES_PER_S, limits.FRAMES_BURST),
    ],
)
def test_what_is_allowed_goes_on_and_half_as_much_again_does_not(storm: Storm, per_s: int, burst: int) -> None:
    assert first_blow(storm, frames_a_s=per_s, seconds=4) is None
    assert first_blow(storm, frames_a_s=int(per_s * 1.5), seconds=2 * burst / per_s + 1) is not None


def test_the_limits_are_those_that_the_specification_names() -> None:
    assert (limits.FRAMES_PER_S, limits.FRAMES_BURST) == (100_000, 200_000)
    assert (limits.CREDITS_PER_S, limits.CREDITS_BURST) == (20_000, 40_000)


def test_a_client_with_a_thousand_streams_reads_two_gibibytes_a_second_undisturbed() -> None:
    """It opens all streams at once and grants a window of 256 KiB again whenever half of it was taken."""
    streams, window, rate, now = 1000, limits.INITIAL_WINDOW_BYTES, 2 << 30, 0.0
    pair = Pair()
    for _ in range(streams):
        stream = pair.client.request(Get("j"))
        for channel in (1, 2):
            pair.client.expect(stream, channel, offset=0, limit=window)
    pair.pump()
    for number in range(streams):
        for channel in (1, 2):
            pair.agent.open_out(1 + 2 * number, channel, offset=0, limit=window)
    limit = dict.fromkeys((1 + 2 * n for n in range(streams)), window)
    credits_sent = 0
    while now < 3.0:  # each round every stream has taken half a window of channel 1
        now += streams * (window // 2) / rate
        pair.now = now
        for stream in limit:
            limit[stream] += window // 2
            pair.client.grant(stream, 1, limit[stream])
            credits_sent += 1
        pair.pump()
        assert not pair.agent.closed
        pair.at_agent.clear()
    assert credits_sent >= 3 * 16_000


def test_a_client_is_not_counted_since_it_reads_what_it_asked_for() -> None:
    pair = Pair()
    stream = pair.run(credit=1 << 40)
    chunk = b"".join(
        encode_frame(FrameType.DATA, channel=1, stream=stream, position=n, body_bytes=1) + b"x" for n in range(300_000)
    )
    pair.client.receive_data(chunk, now=0.0)
    assert not pair.client.closed


def test_a_storm_on_one_connection_leaves_another_alone() -> None:
    stormy, calm = Pair().agent, Pair()
    stormy.receive_data(b"".join(pong(0, n) for n in range(limits.FRAMES_BURST + 1)), now=0.0)
    assert stormy.closed
    calm.run()
    assert not calm.agent.closed


def test_a_bucket_gives_all_or_nothing() -> None:
    bucket = TokenBucket(burst=10, per_s=1, now=0.0)
    assert bucket.take(0.0, 0)
    assert not bucket.take(0.0, 11)
    assert bucket.take(0.0, 10)
    assert bucket.take(0.0, 0)
    assert not bucket.take(0.5)
    assert not bucket.take(1.5, 2)
    assert bucket.take(1.5)
