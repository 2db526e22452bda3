"""Credit by absolute offsets, fair turns, and the token bucket."""

from __future__ import annotations

import pytest

from holdfast.errors import RemoteProtocolError
from holdfast.wire.flow import Inflow, Outflow, TokenBucket, Turns
from holdfast.wire.limits import CHUNK_BYTES, CREDIT_STEP_BYTES, TURN_BYTES


def serve(turns: Turns, rounds: int) -> dict[int, int]:
    """Bytes each channel got to send in so many turns, everybody sending all that it may."""
    sent: dict[int, int] = {}
    for _ in range(rounds):
        turn = turns.next_turn()
        if turn is None:
            break
        flow = turns.get(turn.stream, turn.channel)
        assert flow is not None
        assert turn.size > 0
        turns.sent(flow, turn.size)
        sent[turn.stream] = sent.get(turn.stream, 0) + turn.size
    return sent


def jain(shares: list[int]) -> float:
    """Jain's fairness index: 1 when all are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))


@pytest.mark.parametrize("limit", [0, 999, 1000, 1000 + CREDIT_STEP_BYTES - 1])
def test_a_credit_that_does_not_rise_by_a_step_is_refused(limit: int) -> None:
    flow = Outflow(1, 1, offset=0, limit=1000)
    with pytest.raises(RemoteProtocolError, match="must rise") as caught:
        flow.credit(limit)
    assert caught.value.code == 104
    assert flow.limit == 1000


def test_a_credit_of_just_one_step_is_taken() -> None:
    flow = Outflow(1, 1, offset=0, limit=1000)
    flow.credit(1000 + CREDIT_STEP_BYTES)
    assert flow.limit == 1000 + CREDIT_STEP_BYTES


@pytest.mark.parametrize(("position", "size", "code"), [(99, 1, 100), (101, 1, 100), (100, 0, 100), (100, 51, 104)])
def test_data_must_start_at_the_next_byte_and_stay_within_the_credit(position: int, size: int, code: int) -> None:
    flow = Inflow(offset=100, limit=150)
    with pytest.raises(RemoteProtocolError) as caught:
        flow.received(position, size)
    assert caught.value.code == code
    assert flow.offset == 100


def test_data_may_fill_the_credit_to_the_last_byte() -> None:
    flow = Inflow(offset=100, limit=150)
    flow.received(100, 50)
    assert flow.offset == 150


def test_nothing_comes_after_the_end() -> None:
    flow = Inflow(offset=5, limit=10)
    flow.end(5)
    with pytest.raises(RemoteProtocolError):
        flow.received(5, 1)
    with pytest.raises(RemoteProtocolError):
        flow.end(5)
    with pytest.raises(RemoteProtocolError):
        flow.skipped(6)


@pytest.mark.parametrize("length", [4, 6])
def test_the_end_must_be_where_the_bytes_ended(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="END at"):
        Inflow(offset=5, limit=10).end(length)


@pytest.mark.parametrize("position", [0, 5])
def test_a_gap_goes_forward(position: int) -> None:
    with pytest.raises(RemoteProtocolError, match="GAP to"):
        Inflow(offset=5, limit=10).skipped(position)


def test_a_gap_beyond_the_credit_raises_it_on_both_sides_alike() -> None:
    inflow, turns = Inflow(offset=5, limit=10), Turns()
    outflow = turns.open(1, 1, offset=5, limit=10)
    inflow.skipped(100)
    turns.skip(outflow, 100)
    assert (inflow.offset, inflow.limit) == (outflow.offset, outflow.limit) == (100, 100)


@pytest.mark.parametrize(("gap", "limit"), [(1, 4096), (4000, 4096), (50_000, 50_000)])
def test_a_credit_that_crosses_a_gap_is_taken(gap: int, limit: int) -> None:
    turns = Turns()
    outflow = turns.open(1, 1, offset=0, limit=0)
    turns.skip(outflow, gap)
    turns.credit(outflow, CREDIT_STEP_BYTES)
    assert outflow.limit == limit
    with pytest.raises(RemoteProtocolError, match="from 4096"):
        turns.credit(outflow, CREDIT_STEP_BYTES)


def test_a_gap_takes_a_channel_without_credit_out_of_the_turns() -> None:
    turns = Turns()
    flow = turns.open(1, 1, offset=0, limit=10)
    turns.offer(flow, 5000)
    assert turns.next_turn() is not None
    turns.skip(flow, 100)
    assert turns.next_turn() is None
    turns.credit(flow, 100 + CREDIT_STEP_BYTES)
    turn = turns.next_turn()
    assert turn is not None
    assert (turn.offset, turn.size) == (100, CREDIT_STEP_BYTES)


def test_a_grant_below_the_step_is_held_back() -> None:
    flow = Inflow(offset=0, limit=1000)
    assert not flow.grant(1000 + CREDIT_STEP_BYTES - 1)
    assert flow.limit == 1000
    assert flow.grant(1000 + CREDIT_STEP_BYTES)
    assert flow.limit == 1000 + CREDIT_STEP_BYTES


def test_a_channel_alone_gets_whole_frames() -> None:
    turns = Turns()
    turns.offer(turns.open(1, 1, offset=0, limit=1 << 30), 1 << 30)
    turn = turns.next_turn()
    assert turn is not None
    assert turn.size == CHUNK_BYTES


def test_channels_together_get_a_quantum_each() -> None:
    turns = Turns()
    for stream in (1, 3):
        turns.offer(turns.open(stream, 1, offset=0, limit=1 << 30), 1 << 30)
    turn = turns.next_turn()
    assert turn is not None
    assert turn.size == TURN_BYTES


def test_64_busy_channels_share_within_jain_095() -> None:
    turns = Turns()
    for stream in range(1, 129, 2):
        turns.offer(turns.open(stream, 1, offset=0, limit=1 << 40), 1 << 40)
    shares = serve(turns, 1000)
    assert len(shares) == 64
    assert jain(list(shares.values())) >= 0.95


def test_a_stalled_channel_costs_the_others_nothing() -> None:
    alone, beside = Turns(), Turns()
    for turns in (alone, beside):
        for stream in (1, 3, 5):
            turns.offer(turns.open(stream, 1, offset=0, limit=1 << 40), 1 << 40)
    stalled = beside.open(7, 1, offset=0, limit=0)
    beside.offer(stalled, 1 << 40)
    assert serve(beside, 300) == serve(alone, 300)


def test_many_channels_that_stall_in_turn_leave_no_empty_turns() -> None:
    turns = Turns()
    for stream in range(1, 21, 2):
        turns.offer(turns.open(stream, 1, offset=0, limit=stream * TURN_BYTES), 1 << 40)
    shares = serve(turns, 10_000)
    assert shares == {stream: stream * TURN_BYTES for stream in range(1, 21, 2)}
    assert turns.next_turn() is None


def test_closing_a_channel_takes_it_out_of_the_turns() -> None:
    turns = Turns()
    turns.offer(turns.open(1, 1, offset=0, limit=100), 100)
    turns.close(1, 1)
    turns.close(1, 1)
    assert turns.next_turn() is None
    assert turns.get(1, 1) is None


def test_the_bucket_gives_a_burst_then_a_rate() -> None:
    bucket = TokenBucket(burst=3, per_s=2, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
