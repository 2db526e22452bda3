"""Chores: retention, the disk's marks, SHA-256 and verification, leftovers."""

from __future__ import annotations

import hashlib
import os

import pytest

from holdfast.agent import housekeeping, leftovers
from holdfast.keeper import messages
from holdfast.types import JobId
from holdfast.wire import messages as m
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import Client, World

GIB = 1 << 30


def kept(world: World) -> list[str]:
    return [row.job for row in world.journal.jobs()]


# --- retention ------------------------------------------------------------------------------------------------------


def test_old_jobs_go_with_their_files_and_young_ones_stay(make_world: MakeWorld) -> None:
    world = make_world(retention_s=100.0)
    client = world.client()
    old = world.job_done(client, out=b"o" * 70_000)
    world.unix_shift = 200.0
    stream, shim = world.start(client)
    shim.exit(0, ended=world.unix_s())
    world.settle()
    young = client.receipt(stream).job
    world.housekeeping.start()
    world.advance(6)
    assert kept(world) == [young]
    assert not (world.state_dir / "jobs" / old).exists()
    assert any("past their retention" in line for line in world.log)


def test_pruning_tells_how_much_went(world: World, client: Client) -> None:
    world.job_done(client, out=b"o" * 70_000)
    world.job_done(client, out=b"small")
    stream, _ = world.start(client)
    answer = client.answer(client.ask(m.Prune(older_than_s=0.0)), m.PruneAnswer)
    assert (answer.jobs, answer.freed_bytes) == (2, 70_000)
    assert kept(world) == [client.accepted(stream).job]


def test_a_reader_reads_on_while_its_job_is_removed(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"r" * 200_000)
    stream = client.read(job, credit=70_000)
    client.ask(m.Forget(job))
    client.link.grant(stream, 1, 400_000)
    world.settle()
    assert client.data(stream) == b"r" * 200_000


def test_the_oldest_outputs_go_when_all_fill_more_than_their_share(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(spool_share=0.10)
    client = world.client()
    jobs = [world.job_done(client, out=b"s" * 100_000) for _ in range(4)]
    inline = world.job_done(client, out=b"inline")
    monkeypatch.setattr(housekeeping, "disk_space", lambda path: (GIB, 2_500_000))
    world.housekeeping.start()
    world.advance(6)
    assert kept(world) == [inline, jobs[3], jobs[2]]


# --- the disk -------------------------------------------------------------------------------------------------------


def test_the_marks_of_the_disk_refuse_jobs_pause_them_and_let_them_go_on(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [100 * GIB]
    monkeypatch.setattr(housekeeping, "disk_space", lambda path: (free[0], 200 * GIB))
    stream, shim = world.start(client)
    world.housekeeping.start()
    free[0] = 8 * GIB
    world.advance(2.1)
    assert client.failure(client.run("cmd")).code == ErrorCode.DISK_FULL
    assert messages.Pause() not in shim.heard
    free[0] = GIB
    world.advance(2.1)
    assert isinstance(shim.heard[-1], messages.Pause)
    free[0] = 3 * GIB
    world.advance(2.1)
    assert isinstance(shim.heard[-1], messages.Pause), "a little room is not enough"
    free[0] = 100 * GIB
    world.advance(2.1)
    assert isinstance(shim.heard[-1], messages.Resume)
    assert client.accepted(client.run("cmd"))
    assert client.is_open(stream)


def test_a_job_adopted_on_a_full_disk_waits_too(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _, shim = world.start(client)
    monkeypatch.setattr(housekeeping, "disk_space", lambda path: (GIB, 200 * GIB))
    world.housekeeping.start()
    shim.die()
    world.settle()
    shim.heard.clear()
    world.keeper.bury(shim, adopted=True)
    world.settle()
    assert messages.Pause() in shim.heard


def test_a_disk_that_cannot_be_examined_is_said_and_nothing_else(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> tuple[int, int]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(housekeeping, "disk_space", broken)
    world.housekeeping.start()
    assert any("cannot examine the disk" in line for line in world.log)
    assert client.accepted(client.run("cmd"))


# --- digests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 100_000])
def test_sha256_is_added_when_somebody_asks(world: World, client: Client, size: int) -> None:
    data = b"d" * size
    job = world.job_done(client, out=data)
    info = client.answer(client.ask(m.Get(job)), m.JobAnswer).job
    assert info.receipt is not None
    assert info.receipt.stdout.sha256 == hashlib.sha256(data).hexdigest()
    row = world.journal.job(JobId(job))
    assert row is not None
    assert row.receipt == info.receipt


@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_verification_of_untouched_output_finds_nothing(world: World, client: Client, size: int) -> None:
    job = world.job_done(client, out=b"v" * size, err=b"w" * size)
    answer = client.answer(client.ask(m.Verify(job)), m.VerifyAnswer)
    assert answer.mismatches == ()
    assert answer.receipt.stderr.sha256 == hashlib.sha256(b"w" * size).hexdigest()


def test_verification_finds_a_changed_byte_and_missing_bytes(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"v" * 100_000)
    path = world.state_dir / "jobs" / job / "out"
    with path.open("r+b") as file:
        file.seek(50_000)
        file.write(b"V")
    answer = client.answer(client.ask(m.Verify(job)), m.VerifyAnswer)
    assert [line.partition(":")[0] for line in answer.mismatches] == ["stdout"]
    assert "XXH3-128" in answer.mismatches[0]
    os.truncate(path, 10)
    assert client.answer(client.ask(m.Verify(job)), m.VerifyAnswer).mismatches
    path.unlink()
    assert client.answer(client.ask(m.Verify(job)), m.VerifyAnswer).mismatches


def test_a_running_job_has_nothing_to_verify(world: World, client: Client) -> None:
    stream, _ = world.start(client)
    assert client.failure(client.ask(m.Verify(client.accepted(stream).job))).code == ErrorCode.STATE


def test_files_stay_open_while_a_thread_reads_them(world: World, client: Client) -> None:
    """The receipt is told before its record is committed; who asks for digests at once must not lose the file."""
    stream, shim = world.start(client)
    shim.write(1, b"d" * 100_000, told=False)
    world.hold_journal = True
    world.finish(shim)
    job = client.receipt(stream).job
    world.loop.hold_threads = True
    asked = client.ask(m.Verify(job))
    world.hold_journal = False
    world.commit()
    assert not world.board.jobs
    world.loop.run_threads()
    world.settle()
    assert client.answer(asked, m.VerifyAnswer).mismatches == ()


# --- leftovers ------------------------------------------------------------------------------------------------------


def test_leftovers_are_looked_for_without_the_live_jobs(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, set[str]]] = []
    found = [m.Leftover(7, "gone", name="sleep")]

    def find(agent_id: str, live: set[str], *, own: set[int]) -> list[m.Leftover]:
        seen.append((agent_id, live))
        return found

    monkeypatch.setattr(leftovers, "find", find)
    monkeypatch.setattr(leftovers, "end", lambda agent_id, processes: [m.Leftover(7, "gone", ended=True)])
    stream, _ = world.start(client)
    answer = client.answer(client.ask(m.Leftovers()), m.LeftoversAnswer)
    assert answer.processes == tuple(found)
    assert seen == [("a" * 16, {client.accepted(stream).job})]
    assert client.answer(client.ask(m.Leftovers(end=True)), m.LeftoversAnswer).processes[0].ended


def test_leftovers_that_cannot_be_listed_are_a_failure_and_not_silence(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> list[m.Leftover]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(leftovers, "find", broken)
    assert client.failure(client.ask(m.Leftovers())).code == ErrorCode.INTERNAL


def test_old_keys_and_events_are_dropped(world: World, client: Client) -> None:
    key = world.fresh_key()
    job = world.job_done(client, key=key, user_key=False)
    client.ask(m.Forget(job))
    world.unix_shift = 9 * 86_400.0
    world.housekeeping.start()
    world.advance(6)
    assert client.failure(client.run("cmd", key=key, user_key=False)).code == ErrorCode.KEY_EXPIRED
    assert not world.journal._tables.keys
