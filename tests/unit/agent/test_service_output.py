"""Output to readers: from any offset, live or stored, one or many; gaps, partial ends, digests."""

from __future__ import annotations

import pytest
import xxhash

from holdfast.jobs.output import EMPTY_DIGEST
from holdfast.keeper import messages
from holdfast.types import JobId, Retention
from holdfast.wire import messages as m
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.world import Client, World


def digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def test_a_reader_begins_anywhere_and_follows_to_the_end(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"0123456789")
    world.settle()
    job = client.accepted(stream).job
    other = world.client("j" * 16)
    late = other.read(job, offsets={"1": 4})
    assert other.told(late)[0].lengths == {"1": 10}
    assert other.data(late) == b"456789"
    shim.write(1, b"ab")
    world.finish(shim)
    assert other.data(late) == b"456789ab"
    end = other.end(late)
    assert end is not None
    assert (end.length, end.end.xxh3) == (12, digest(b"0123456789ab"))
    assert client.data(stream) == b"0123456789ab"
    assert other.answer(late, m.ReadAnswer).receipt == client.receipt(stream)


def test_a_reader_that_does_not_follow_gets_what_is_there(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"so far", told=False)
    there = client.read(client.accepted(stream).job, follow=False)
    assert client.data(there) == b"so far"
    end = client.end(there)
    assert end is not None
    assert end.end.partial
    answer = client.answer(there, m.ReadAnswer)
    assert answer.receipt is None
    assert answer.state == "running"


def test_the_last_lines_are_found(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"one\ntwo\nthree\nfour", err=b"e\n")
    stream = client.read(job, tail_lines=2, offsets={"1": 0, "2": 0})
    assert client.told(stream)[0].offsets == {"1": 8, "2": 0}


def test_an_offset_beyond_the_end_is_refused(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"abc")
    failure = client.failure(client.read(job, offsets={"1": 4}))
    assert (failure.code, failure.ran) == (ErrorCode.OFFSET_AHEAD, "yes")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_finished_output_of_any_size_is_read_back_whole(world: World, client: Client, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    job = world.job_done(client, out=data)
    assert (world.state_dir / "jobs" / job / "out").exists() is (size > 65_536)
    stream = client.read(job)
    assert client.data(stream) == data
    end = client.end(stream)
    assert end is not None
    assert end.end.xxh3 == digest(data)


def test_credit_bounds_what_is_sent(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"z" * 200_000)
    stream = client.read(job, credit=70_000)
    assert len(client.data(stream)) == 70_000
    client.link.grant(stream, 1, 200_000)
    world.settle()
    assert client.data(stream) == b"z" * 200_000
    assert client.answer(stream, m.ReadAnswer)


def test_a_stalled_transport_is_not_filled(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"z" * 2_000_000)
    client.peer.pause_writing()
    stream = client.read(job)
    assert len(client.data(stream)) == 0
    client.peer.resume_writing()
    world.settle()
    assert len(client.data(stream)) == 2_000_000


@pytest.mark.parametrize("readers", [0, 1, 2])
def test_the_digest_is_right_for_any_number_of_readers(world: World, client: Client, readers: int) -> None:
    started = client.run("cmd", attach=False)
    job = client.answer(started, m.AcceptedAnswer).job
    shim = world.shim_of(job)
    shim.start()
    world.settle()
    streams = [world.client(f"{n}" * 16) for n in range(readers)]
    pieces = [bytes([65 + n]) * (50_000 + n) for n in range(30)]
    opened: list[tuple[Client, int]] = []
    for number, piece in enumerate(pieces):
        if number % 7 == 3 and streams:
            reader = streams.pop()
            opened.append((reader, reader.read(job, offsets={"1": 100_000 if len(opened) else 0})))
        shim.write(1, piece)
        world.settle()
    world.finish(shim)
    whole = b"".join(pieces)
    row = world.journal.job(JobId(job))
    assert row is not None
    assert row.receipt is not None
    assert row.receipt.stdout.xxh3 == digest(whole)
    for number, (reader, stream) in enumerate(opened):
        assert reader.data(stream) == whole[100_000 if number else 0 :]


def test_the_end_comes_when_the_digest_is_there_and_the_answer_after_all_ends(world: World, client: Client) -> None:
    stream, shim = world.start(client, credit=1000)
    shim.write(1, b"q" * 3_000_000, told=False)
    world.loop.hold_threads = True
    world.finish(shim)
    assert client.is_open(stream)
    assert client.end(stream) is None
    assert world.loop.run_threads() == 1
    world.settle()
    assert client.is_open(stream), "its reader has not taken everything"
    client.link.grant(stream, 1, 3_000_000)
    world.settle()
    assert client.data(stream) == b"q" * 3_000_000
    order = client.order(stream)
    assert order[-1] == "Answered"
    assert order.count("EndReceived") == 2
    assert client.receipt(stream).stdout.xxh3 == digest(b"q" * 3_000_000)


def test_empty_channels_end_with_the_digest_of_nothing(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    world.finish(shim)
    for channel in (1, 2):
        end = client.end(stream, channel)
        assert end is not None
        assert (end.length, end.end.xxh3) == (0, EMPTY_DIGEST)


def test_dropped_output_is_an_explicit_gap(world: World, client: Client) -> None:
    stream, shim = world.start(client, retention=Retention("keep-tail", 10), credit=5)
    shim.write(1, b"0123456789")
    world.settle()
    assert client.data(stream) == b"01234"
    shim.note(out_first=8)
    shim.write(1, b"abcdef")
    client.link.grant(stream, 1, 100_000)
    world.settle()
    assert client.gap(stream) == 8
    assert client.data(stream) == b"01234" + b"89abcdef"
    shim.exit(0, out_first=8)
    world.settle()
    receipt = client.receipt(stream)
    assert (receipt.stdout.bytes, receipt.stdout.first) == (16, 8)
    assert receipt.stdout.xxh3 == digest(b"89abcdef")
    again = client.read(receipt.job)
    assert client.gap(again) == 8
    assert client.data(again) == b"89abcdef"


def test_a_bounded_spool_makes_room_as_its_reader_takes(world: World, client: Client) -> None:
    mib = 1 << 20
    stream, shim = world.start(client, retention=Retention("block", mib))
    limits = [heard.offset for heard in shim.heard if isinstance(heard, messages.Limit) and heard.channel == 1]
    assert limits
    first = limits[-1]
    shim.write(1, b"w" * 5 * mib)
    world.settle()
    taken = len(client.data(stream))
    client.link.grant(stream, 1, taken + 16 * mib)
    world.settle()
    limits = [heard.offset for heard in shim.heard if isinstance(heard, messages.Limit) and heard.channel == 1]
    assert limits[-1] > first
    assert any(isinstance(heard, messages.DropBelow) for heard in shim.heard)


def test_a_bounded_spool_is_given_room_again_by_its_adopter(world: World, client: Client) -> None:
    stream, shim = world.start(client, retention=Retention("block", 1 << 20))
    limits = [heard for heard in shim.heard if isinstance(heard, messages.Limit)]
    shim.heard.clear()
    shim.die()
    world.settle()
    world.keeper.bury(shim, adopted=True)
    world.settle()
    assert [heard for heard in shim.heard if isinstance(heard, messages.Limit)] == limits
    assert client.is_open(stream)


def test_a_lost_reader_disturbs_nobody(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    other = world.client("j" * 16)
    other.read(client.accepted(stream).job)
    shim.write(1, b"one ")
    world.settle()
    other.cut()
    shim.write(1, b"two")
    world.finish(shim)
    assert client.data(stream) == b"one two"
    assert client.receipt(stream)


def test_output_that_is_gone_fails_its_readers_with_a_reason(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"p" * 100_000)
    (world.state_dir / "jobs" / job / "out").unlink()
    failure = client.failure(client.read(job))
    assert (failure.code, failure.ran) == (ErrorCode.INTERNAL, "yes")
    lines = client.failure(client.read(job, tail_lines=3))
    assert (lines.code, lines.ran) == (ErrorCode.INTERNAL, "yes")
