"""Recovery: every action of the table on files made by hand; what the last agent left half done is done."""

from __future__ import annotations

import os
from typing import Any

import pytest

from holdfast.agent.board import LAZY_S
from holdfast.agent.unattended import ASK_AGAIN_S, ASK_TIMES
from holdfast.jobs.recovery import Action
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import Cause, JobId, JobState, Receipt
from holdfast.wire import messages as m
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.fake_shims import FakeKeeper, FakeShim
from tests.unit.agent.world import EPOCH, Client, World


def receipt_of(world: World, job: str) -> Receipt:
    row = world.journal.job(JobId(job))
    assert row is not None
    assert row.receipt is not None, row.state
    return row.receipt


def running(world: World, client: Client, **options: Any) -> tuple[str, FakeShim]:
    stream, shim = world.start(client, **options)
    world.advance(2 * LAZY_S)
    return client.accepted(stream).job, shim


def starting(world: World, client: Client, **options: Any) -> tuple[str, FakeShim]:
    stream = client.run("cmd", **options)
    job = client.accepted(stream).job
    return job, world.shim_of(job)


def test_a_running_job_is_attached_and_read_on(world: World, client: Client) -> None:
    job, shim = running(world, client)
    shim.write(1, b"before ")
    assert world.restart() == {Action.ATTACH.value: 1}
    back = world.client()
    stream = back.read(job)
    shim.write(1, b"after")
    world.finish(shim, 4)
    assert back.data(stream) == b"before after"
    assert back.answer(stream, m.ReadAnswer).receipt == receipt_of(world, job)
    assert receipt_of(world, job).returncode == 4


def test_a_start_that_nobody_has_seen_is_seen_from_the_shim(world: World, client: Client) -> None:
    job, shim = starting(world, client)
    world.crash()
    shim.start(told=False)
    world.recover()
    assert world.board.jobs[JobId(job)].job.state is JobState.RUNNING
    world.finish(shim, 2)
    assert receipt_of(world, job).returncode == 2


def test_an_order_that_was_lost_with_its_agent_is_given_again(world: World, client: Client) -> None:
    job, shim = starting(world, client)
    world.crash()
    shim.run, shim.stage = None, messages.IDLE
    assert world.recover() == {Action.ATTACH.value: 1}
    assert world.shim_of(job).run is not None
    assert world.board.jobs[JobId(job)].job.attempt == 2


def test_a_result_is_taken_from_a_shim_that_waits_with_it(world: World, client: Client) -> None:
    job, shim = running(world, client)
    shim.write(1, b"out", told=False)
    world.crash()
    shim.exit(5)
    assert world.recover() == {Action.TAKE_RESULT.value: 1}
    assert receipt_of(world, job).returncode == 5
    world.advance(0.3)
    assert messages.Release(job, 1, 0) in shim.heard


def test_a_result_is_taken_from_the_file_of_a_dead_shim(world: World, client: Client) -> None:
    job, shim = running(world, client)
    shim.write(2, b"e" * 70_000, told=False)
    world.crash()
    shim.exit(6)
    shim.die()
    assert world.recover()[Action.TAKE_RESULT.value] == 1
    receipt = receipt_of(world, job)
    assert (receipt.returncode, receipt.stderr.bytes) == (6, 70_000)
    assert (world.state_dir / "jobs" / job / "err").stat().st_size == 70_000
    assert not shim.directory.exists()


def test_a_shim_whose_job_was_recorded_is_released_and_keeps_no_claim_on_the_next(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"k" * 70_000, told=False)
    shim.obeys_release = False
    world.finish(shim)
    first = client.receipt(stream).job
    next_stream = client.run("next")
    job = client.accepted(next_stream).job
    shim.run, shim.stage = messages.Run(first, 1, (b"x",), ()), messages.DONE  # neither RELEASE nor RUN has arrived
    shim.obeys_release = True
    world.crash()
    world.recover()
    assert any(isinstance(heard, messages.Release) and heard.taken == messages.TAKEN_OUT for heard in shim.heard)
    again = world.shim_of(job)
    again.start()
    world.finish(again, 3)
    assert receipt_of(world, job).returncode == 3
    assert (world.state_dir / "jobs" / first / "out").stat().st_size == 70_000


def test_a_stop_is_given_again(world: World, client: Client) -> None:
    job, shim = running(world, client)
    client.ask(m.Stop(job, grace_s=4))
    shim.heard.clear()
    world.restart()
    assert messages.Stop(control.STOPPED, "person:eve", 4000) in shim.heard


def test_a_stop_of_a_starting_job_is_given_after_its_start(world: World, client: Client) -> None:
    job, shim = starting(world, client)
    client.ask(m.Stop(job, grace_s=4))
    world.crash()
    shim.start(told=False)
    world.recover()
    assert messages.Stop(control.STOPPED, "person:eve", 4000) in shim.heard


def test_a_pause_of_the_last_agent_is_lifted(world: World, client: Client) -> None:
    _, shim = running(world, client)
    world.restart()
    assert messages.Resume() in shim.heard


def test_the_keepers_word_about_a_dead_shim_is_waited_for(world: World, client: Client) -> None:
    job, shim = running(world, client)
    world.crash()
    shim.die()
    assert world.recover() == {Action.AWAIT_KEEPER.value: 1}
    world.keeper.bury(shim, adopted=True)
    world.settle()
    world.finish(shim, 8)
    assert (receipt_of(world, job).returncode, receipt_of(world, job).supervisor) == (8, "keeper")


def test_the_keepers_word_may_be_that_nothing_was_inherited(world: World, client: Client) -> None:
    job, shim = starting(world, client)
    shim.claim()
    world.crash()
    shim.die()
    assert world.recover() == {Action.AWAIT_KEEPER.value: 1}
    world.keeper.bury(shim, adopted=False)
    world.settle()
    assert world.shim_of(job) is not shim


def test_an_adoption_told_before_is_attached(world: World, client: Client) -> None:
    job, shim = running(world, client)
    world.crash()
    shim.die()
    shim.be_adopted()
    assert world.recover() == {Action.ATTACH.value: 1}
    world.finish(shim, 1)
    assert receipt_of(world, job).supervisor == "keeper"


@pytest.mark.parametrize("claimed", [True, False])
def test_without_keeper_only_what_was_never_claimed_starts_again(world: World, client: Client, claimed: bool) -> None:
    job, shim = starting(world, client)
    if claimed:
        shim.claim()
    world.crash()
    shim.die()
    counts = world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF))
    if claimed:
        assert counts[Action.LOST_SUPERVISOR.value] == 1
        assert receipt_of(world, job).cause is Cause.LOST
    else:
        assert counts[Action.REQUEUE.value] == 1
        assert world.shim_of(job) is not shim


def test_a_jobs_recorded_status_is_taken_without_keeper(world: World, client: Client) -> None:
    job, shim = running(world, client)
    shim.write(1, b"out", told=False)
    world.crash()
    control.write(shim.ctl, control.Main(job, 1, 3 << 8, int((EPOCH + 9) * 1e9)))
    shim.die()
    assert world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF))[Action.TAKE_MAIN.value] == 1
    receipt = receipt_of(world, job)
    assert (receipt.returncode, receipt.supervisor, receipt.stdout.bytes) == (3, "agent", 3)
    assert receipt.ended_unix_s == EPOCH + 9


@pytest.mark.parametrize("status", [None, 3 << 8])
def test_a_process_without_supervisor_is_watched_and_its_end_is_what_the_kernel_tells(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    job, shim = running(world, client)
    world.crash()
    shim.die()
    monkeypatch.setattr("holdfast.agent.kernel.same_process", lambda started, claim: True)
    monkeypatch.setattr("holdfast.agent.kernel.exit_status", lambda pidfd, pid: status)
    read, write = os.pipe()
    monkeypatch.setattr(os, "pidfd_open", lambda pid, flags=0: read)
    assert world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF))[Action.WATCH_PID.value] == 1
    assert world.row_state(job) == "running"
    os.close(write)
    for _ in range(ASK_TIMES + 1):
        world.advance(ASK_AGAIN_S)
    receipt = receipt_of(world, job)
    if status is None:
        assert (receipt.cause, receipt.exit) == (Cause.LOST, None)
    else:
        assert (receipt.cause, receipt.returncode, receipt.supervisor) == (Cause.EXITED, 3, "agent")
        assert not receipt.output_is_whole


def test_a_process_that_is_another_one_by_now_is_not_watched(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, shim = running(world, client)
    world.crash()
    shim.die()
    told = iter([True, False])  # it ends, and its number is given away, between the look and the opening
    monkeypatch.setattr("holdfast.agent.kernel.same_process", lambda started, claim: next(told))
    read, write = os.pipe()
    monkeypatch.setattr(os, "pidfd_open", lambda pid, flags=0: read)
    world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF))
    os.close(write)
    assert receipt_of(world, job).cause is Cause.LOST


def test_a_reboot_loses_what_ran_and_starts_what_provably_did_not(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    client = world.client()
    ran, shim = running(world, client)
    shim.write(1, b"partial", told=False)
    flushed = client.accepted(client.run("waits", durability="power")).job
    unflushed = client.accepted(client.run("waits")).job
    world.crash()
    world.keeper.close()
    counts = world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF), boot_id="another")
    assert counts[Action.LOST_HOST_RESTART.value] == 2
    lost = receipt_of(world, ran)
    assert (lost.cause, lost.ended_by, lost.reason, lost.stdout.bytes) == (Cause.LOST, "lost-host", "host_restart", 7)
    assert receipt_of(world, unflushed).cause is Cause.LOST
    assert world.shim_of(flushed).run is not None


def test_a_broken_record_starts_nothing_and_its_files_are_kept(world: World, client: Client) -> None:
    job, shim = starting(world, client)
    shim.claim()
    world.crash()
    os.pwrite(shim.ctl, b"??", control.CLAIM * control.SLOT_BYTES + 100)
    shim.die()
    assert world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF))[Action.DAMAGED.value] == 1
    receipt = receipt_of(world, job)
    assert receipt.cause is Cause.DAMAGED
    assert "CLAIM" in receipt.reason
    assert (shim.directory / "ctl").exists()


def test_records_and_files_of_jobs_that_the_journal_does_not_know_are_set_aside(world: World) -> None:
    world.crash()
    stranger = FakeShim(world.state_dir / "shims", "1-2-3")
    control.write(stranger.ctl, control.Claim("zzzzzzzzzzzz", 1))
    stranger.die()
    (world.state_dir / "jobs" / "yyyyyyyyyyyy").mkdir(parents=True)
    (world.state_dir / "jobs" / "not-a-job").mkdir(parents=True)
    counts = world.recover()
    assert counts[Action.QUARANTINE.value] == 3
    assert sorted(os.listdir(world.state_dir / "quarantine")) == ["1-2-3", "not-a-job", "yyyyyyyyyyyy"]


def test_the_queue_keeps_its_order_and_gets_its_slots(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    client = world.client()
    _, shim = running(world, client)
    waiting = [client.accepted(client.run(f"n{n}")).job for n in range(3)]
    world.restart()
    assert world.board.admission.waiting == 3
    world.finish(shim)
    assert world.shim_of(waiting[0]).run is not None
    assert [world.row_state(job) for job in waiting] == ["starting", "queued", "queued"]


# --- leases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "patience"), [("kill", 15.0), (30.0, 30.0)])
def test_clients_have_their_time_again_after_a_restart(
    world: World, client: Client, policy: Any, patience: float
) -> None:
    _, shim = running(world, client, on_disconnect=policy)
    world.restart()
    world.advance(patience - 0.5)
    assert not any(isinstance(heard, messages.Stop) for heard in shim.heard)
    world.advance(1)
    assert any(isinstance(heard, messages.Stop) for heard in shim.heard)


def test_a_client_that_resumes_after_a_restart_saves_its_job(world: World, client: Client) -> None:
    job, shim = running(world, client, on_disconnect="kill")
    world.restart()
    world.advance(5)
    world.client().read(job, lease=True)
    world.advance(100)
    assert not any(isinstance(heard, messages.Stop) for heard in shim.heard)


def test_what_is_kept_is_kept_after_a_restart(world: World, client: Client) -> None:
    _, shim = running(world, client, on_disconnect="keep")
    world.restart()
    world.advance(100_000)
    assert not any(isinstance(heard, messages.Stop) for heard in shim.heard)


def test_a_repeat_of_a_key_finds_its_job_after_a_restart(world: World, client: Client) -> None:
    stream, shim = world.start(client, "cmd", key="build")
    job = client.accepted(stream).job
    world.restart()
    back = world.client()
    again = back.run("cmd", key="build")
    assert back.accepted(again).job == job
    world.finish(shim, 1)
    assert back.receipt(again).returncode == 1
