"""Stream numbers, their limits, late frames."""

from __future__ import annotations

import pytest

from holdfast.errors import LocalProtocolError, RemoteProtocolError
from holdfast.wire import streams as module
from holdfast.wire.flow import Inflow
from holdfast.wire.limits import STREAMS_OPEN, STREAMS_PER_S
from holdfast.wire.streams import Streams


def test_a_client_counts_in_odd_numbers() -> None:
    streams = Streams(now=0.0)
    assert [streams.begin()[0] for _ in range(3)] == [1, 3, 5]


def test_numbers_are_never_used_again() -> None:
    streams = Streams(now=0.0)
    first, _ = streams.begin()
    streams.finish(first)
    assert streams.begin()[0] == 3


def test_no_number_is_beyond_four_bytes() -> None:
    streams = Streams(now=0.0)
    streams.newest = 2**32 - 5
    assert streams.begin()[0] == 2**32 - 3
    assert not streams.used_up
    assert streams.begin()[0] == 2**32 - 1
    assert streams.used_up
    with pytest.raises(LocalProtocolError, match="used up"):
        streams.begin()


@pytest.mark.parametrize("number", [0, 2, 4, 5, 3])
def test_an_agent_takes_odd_growing_numbers_only(number: int) -> None:
    streams = Streams(now=0.0)
    streams.accept(5, 0.0)
    with pytest.raises(RemoteProtocolError, match="odd and grow"):
        streams.accept(number, 0.0)


def test_open_streams_are_limited_on_both_sides() -> None:
    client, agent = Streams(now=0.0), Streams(now=0.0)
    for _ in range(STREAMS_OPEN):
        number, _ = client.begin()
        agent.accept(number, 0.0)
    with pytest.raises(LocalProtocolError, match="1024 streams"):
        client.begin()
    with pytest.raises(RemoteProtocolError) as caught:
        agent.accept(number + 2, 0.0)
    assert caught.value.code == 105


def test_new_streams_a_second_are_limited_and_ending_them_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert STREAMS_PER_S == 20_000
    monkeypatch.setattr(module, "STREAMS_PER_S", 100)
    streams = Streams(now=0.0)
    for number in range(1, 201, 2):
        streams.accept(number, 0.0)
        streams.finish(number)
    with pytest.raises(RemoteProtocolError) as caught:
        streams.accept(201, 0.001)
    assert caught.value.code == 106
    streams.accept(203, 0.5)


@pytest.mark.parametrize("number", [0, 2, 7, 9])
def test_a_number_that_was_never_used_is_an_error(number: int) -> None:
    streams = Streams(now=0.0)
    streams.accept(5, 0.0)
    for ask in (streams.known, streams.finish_received):
        with pytest.raises(RemoteProtocolError, match="never opened"):
            ask(number)
    with pytest.raises(RemoteProtocolError, match="never opened"):
        streams.inflow(number, 1)


def test_a_number_that_is_over_is_known_to_be_over() -> None:
    streams = Streams(now=0.0)
    number, _ = streams.begin()
    assert streams.known(number)
    assert streams.finish(number)
    assert not streams.finish(number)
    assert not streams.known(number)
    assert not streams.finish_received(number)
    assert streams.inflow(number, 1) is None


def test_a_channel_that_is_not_open_is_an_error() -> None:
    streams = Streams(now=0.0)
    number, stream = streams.begin()
    stream.inflows[1] = Inflow(offset=0, limit=1)
    assert streams.inflow(number, 1) is not None
    with pytest.raises(RemoteProtocolError, match="channel 2 is not open"):
        streams.inflow(number, 2)


def test_a_channel_is_opened_and_ended_once() -> None:
    streams = Streams(now=0.0)
    number, _ = streams.begin()
    streams.open_out(number, 1, offset=0, limit=10)
    with pytest.raises(LocalProtocolError, match="opened before"):
        streams.open_out(number, 1, offset=0, limit=10)
    streams.end_out(number, 1, 0)
    streams.end_out(number, 2, 0)
    for channel in (1, 2):
        with pytest.raises(LocalProtocolError, match="ended already"):
            streams.end_out(number, channel, 0)
        with pytest.raises(LocalProtocolError, match="opened before"):
            streams.open_out(number, channel, offset=0, limit=10)


def test_ending_a_stream_ends_its_turns() -> None:
    streams = Streams(now=0.0)
    number, _ = streams.begin()
    streams.open_out(number, 200, offset=0, limit=10)
    flow = streams.turns.get(number, 200)
    assert flow is not None
    streams.turns.offer(flow, 10)
    assert streams.turns.next_turn() is not None
    streams.finish(number)
    assert streams.turns.next_turn() is None
    streams.clear()
    assert len(streams) == 0
