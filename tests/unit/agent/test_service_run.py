"""RUN: accepted, queued, refused; keys that are asked again; what is told, and in which order."""

from __future__ import annotations

import pytest

from holdfast.agent.board import LAZY_S
from holdfast.client.calls import uuid7
from holdfast.errors import StorageError
from holdfast.keeper import messages
from holdfast.types import Cause, JobId, JobState
from holdfast.wire import messages as m
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import EPOCH, Client, World


def test_a_job_is_accepted_started_and_ended_with_its_receipt(world: World, client: Client) -> None:
    stream, shim = world.start(client, "echo", "hi")
    shim.write(1, b"hi\n")
    world.settle()
    assert client.data(stream) == b"hi\n"
    world.finish(shim, 3)
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.returncode, receipt.stdout.bytes) == (Cause.EXITED, 3, 3)
    assert world.row_state(receipt.job) == "done"
    assert client.order(stream) == [
        "EventReceived", "EventReceived", "DataReceived", "EndReceived", "EndReceived", "Answered",
    ]  # fmt: skip
    assert not world.board.jobs


def test_nothing_is_told_before_the_acceptance_is_committed(world: World, client: Client) -> None:
    world.hold_journal = True
    stream = client.run("cmd")
    assert client.told(stream) == []
    assert world.keeper.shims
    assert all(shim.run is None for shim in world.keeper.shims)
    world.hold_journal = False
    world.commit()
    world.advance(0.01)
    assert client.accepted(stream).deduplicated is False


def test_a_detached_start_is_answered_at_once_and_keeps_its_job(world: World, client: Client) -> None:
    stream = client.run("cmd", attach=False)
    accepted = client.answer(stream, m.AcceptedAnswer)
    client.cut()
    world.advance(100_000)
    live = world.board.jobs[JobId(accepted.job)]
    assert live.job.state is JobState.STARTING
    assert live.job.spec.on_disconnect == "keep"


def test_what_has_no_slot_waits_and_what_has_no_place_is_refused_with_a_time(make_world: MakeWorld) -> None:
    world = make_world(slots=1, queue=1)
    client = world.client()
    first, shim = world.start(client)
    second = client.run("second")
    third = client.run("third")
    assert client.accepted(second).state is JobState.QUEUED
    failure = client.failure(third)
    assert (failure.code, failure.ran) == (ErrorCode.QUEUE_FULL, "no")
    assert failure.retry_after_s is not None
    assert failure.retry_after_s > 0
    world.finish(shim)
    assert client.receipt(first).cause is Cause.EXITED
    assert world.shim_of(client.accepted(second).job).run is not None


def test_a_low_disk_and_an_end_refuse_new_jobs(world: World, client: Client) -> None:
    world.board.admission.disk_low = True
    assert client.failure(client.run("cmd")).code == ErrorCode.DISK_FULL
    world.board.admission.disk_low = False
    world.board.admission.draining = True
    assert client.failure(client.run("cmd")).code == ErrorCode.SHUTTING_DOWN
    assert not world.board.jobs


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_key_that_is_asked_again_gives_the_running_job_from_its_first_byte(world: World, client: Client) -> None:
    stream, shim = world.start(client, "cmd", key="build")
    shim.write(1, b"one")
    world.settle()
    other = world.client("j" * 16)
    again = other.run("cmd", key="build")
    assert other.accepted(again).deduplicated
    assert other.accepted(again).job == client.accepted(stream).job
    assert [event.pid for event in other.told(again) if isinstance(event, m.Started)] == [77]
    assert other.data(again) == b"one"
    world.finish(shim, 4)
    assert other.receipt(again) == client.receipt(stream)
    assert len(world.journal.jobs()) == 1


def test_a_key_of_a_finished_job_gives_its_output_and_receipt(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"done\n", key="build")
    again = client.run("cmd", key="build")
    assert client.receipt(again).job == job
    assert client.data(again) == b"done\n"
    detached = client.run("cmd", key="build", attach=False)
    assert client.answer(detached, m.AcceptedAnswer).deduplicated


def test_a_repeat_that_comes_before_the_commit_waits_for_it(world: World, client: Client) -> None:
    world.hold_journal = True
    first = client.run("cmd", key="build")
    second = client.run("cmd", key="build", attach=False)
    assert client.is_open(second)
    world.hold_journal = False
    world.commit()
    world.advance(0.01)
    assert client.answer(second, m.AcceptedAnswer).job == client.accepted(first).job


@pytest.mark.parametrize("finished", [False, True])
def test_a_key_of_another_command_is_refused(world: World, client: Client, finished: bool) -> None:
    _, shim = world.start(client, "cmd", key="build")
    if finished:
        world.finish(shim)
    failure = client.failure(client.run("other", key="build"))
    assert (failure.code, failure.ran) == (ErrorCode.KEY_REUSED, "no")
    assert len(world.journal.jobs()) == 1


def test_keys_belong_to_their_principal(world: World, client: Client) -> None:
    mine = world.job_done(client, key="build")
    other = world.client("j" * 16, principal="mallory")
    assert other.accepted(other.run("cmd", key="build")).job != mine


def test_a_generated_key_that_is_known_to_the_journal_alone_is_served_too(world: World, client: Client) -> None:
    key = world.fresh_key()
    job = world.job_done(client, out=b"x", key=key, user_key=False)
    again = client.run("cmd", key=key, user_key=False)
    assert client.receipt(again).job == job
    assert client.data(again) == b"x"
    refused = client.failure(client.run("other", key=key, user_key=False))
    assert refused.code == ErrorCode.KEY_REUSED
    assert not world.board.jobs
    assert world.board.admission.running == 0


@pytest.mark.parametrize(
    ("age_s", "code", "ran"),
    [(8 * 86400.0, ErrorCode.KEY_EXPIRED, "unknown"), (-3600.0, ErrorCode.KEY_EXPIRED, "no")],
)
def test_a_key_past_its_horizon_or_from_the_future_is_refused(
    world: World, client: Client, age_s: float, code: int, ran: str
) -> None:
    failure = client.failure(client.run("cmd", key=uuid7(int((EPOCH - age_s) * 1000), bytes(10)), user_key=False))
    assert (failure.code, failure.ran) == (code, ran)
    assert not world.journal.jobs()


def test_a_generated_key_that_is_none_is_invalid(client: Client) -> None:
    assert client.failure(client.run("cmd", key="no-uuid", user_key=False)).code == ErrorCode.INVALID


def test_the_key_of_a_removed_job_is_never_new_unless_it_was_forgotten(world: World, client: Client) -> None:
    job = world.job_done(client, key="build")
    assert client.answer(client.ask(m.Forget(job)), m.DoneAnswer).state is JobState.DONE
    failure = client.failure(client.run("cmd", key="build"))
    assert (failure.code, failure.ran) == (ErrorCode.EXPIRED, "yes")
    second = world.job_done(client, key="other")
    client.ask(m.Forget(second, forget_key=True))
    assert client.accepted(client.run("cmd", key="other")).deduplicated is False


def test_another_incarnation_of_the_journal_is_not_asked_to_run_again(world: World, client: Client) -> None:
    failure = client.failure(client.run("cmd", incarnation="0" * 32))
    assert (failure.code, failure.ran) == (ErrorCode.INCARNATION, "unknown")


# --- the journal ----------------------------------------------------------------------------------------------------


def test_a_full_journal_accepts_nothing_and_gives_slot_and_shim_back(world: World, client: Client) -> None:
    world.journal.fail = StorageError("no room", path="journal.db", full=True)
    idle = world.board.crew.idle_count
    failure = client.failure(client.run("cmd"))
    assert (failure.code, failure.ran, failure.retry_after_s) == (ErrorCode.DISK_FULL, "no", 10.0)
    assert not world.board.jobs
    assert world.board.admission.running == 0
    assert world.board.crew.idle_count >= idle
    world.journal.fail = None
    assert client.accepted(client.run("cmd"))


def test_a_journal_that_will_never_write_again_makes_the_agent_read_only(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"kept")
    world.journal.fail = StorageError("broken", path="journal.db", read_only=True)
    assert client.failure(client.run("cmd")).code == ErrorCode.JOURNAL_FAILED
    world.journal.fail = None
    assert client.failure(client.run("cmd")).code == ErrorCode.JOURNAL_FAILED
    status = client.answer(client.ask(m.Status()), m.StatusAnswer)
    assert "cannot be written" in status.agent["read_only"]
    stream = client.read(job)
    assert client.data(stream) == b"kept"


def test_two_starts_of_one_generated_key_at_once_are_one_job(world: World, client: Client) -> None:
    world.hold_journal = True
    key = world.fresh_key()
    first = client.run("cmd", key=key, user_key=False)
    other = world.client("j" * 16)
    second = other.run("cmd", key=key, user_key=False)
    world.hold_journal = False
    world.commit()
    world.advance(0.01)
    assert client.accepted(first).job == other.accepted(second).job


@pytest.mark.parametrize("full", [True, False])
def test_an_end_that_the_journal_does_not_take_is_written_when_it_can_be(
    world: World, client: Client, full: bool
) -> None:
    stream, shim = world.start(client)
    world.journal.fail = StorageError("no room", path="journal.db", full=full)
    world.finish(shim, 5)
    job = client.accepted(stream).job
    assert world.row_state(job) != "done"
    assert not any(isinstance(message, messages.Release) for message in shim.heard)
    world.journal.fail = None
    for _ in range(10):
        world.advance(10.0)
    assert client.receipt(stream).returncode == 5
    assert world.row_state(job) == "done"
    assert not world.board.jobs
    assert world.board.admission.running == 0


def test_a_flushed_end_is_told_only_after_its_record(world: World, client: Client) -> None:
    stream, shim = world.start(client, durability="power")
    world.hold_journal = True
    world.finish(shim)
    assert client.is_open(stream)
    world.hold_journal = False
    world.commit()
    assert client.receipt(stream).cause is Cause.EXITED


def test_a_start_that_is_late_expires_in_the_queue(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    client = world.client()
    world.start(client)
    late = client.run("late", not_after_unix_s=world.unix_s() + 5)
    world.advance(4)
    assert client.is_open(late)
    world.unix_shift = -3
    world.advance(3)
    assert client.is_open(late), "the wall clock was set back"
    world.advance(10)
    assert client.receipt(late).cause is Cause.EXPIRED


def test_a_command_that_cannot_be_started_says_why(world: World, client: Client) -> None:
    stream = client.run("nowhere")
    shim = world.shim_of(client.accepted(stream).job)
    shim.fail_start()
    world.settle()
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.errno, receipt.stage, receipt.started) == (
        Cause.START_FAILED,
        2,
        "executable",
        False,
    )


def test_short_jobs_cost_two_writes_and_long_ones_are_recorded_as_running(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    job = client.accepted(stream).job
    assert world.row_state(job) == "starting"
    world.advance(2 * LAZY_S)
    assert world.row_state(job) == "running"
    world.finish(shim)
    short, shim = world.start(client)
    world.finish(shim)
    kinds = [event.kind for event in world.journal.events(0) if event.job == client.receipt(short).job]
    assert kinds == ["accepted", "done"]


def test_release_travels_with_the_next_run(world: World, client: Client) -> None:
    _, shim = world.start(client)
    world.finish(shim)
    assert not any(isinstance(message, messages.Release) for message in shim.heard)
    second, other = world.start(client)
    assert other is shim
    names = [type(message).__name__ for message in shim.heard]
    assert names.index("Release") < len(names) - 1 - names[::-1].index("Run")
    world.finish(shim)
    world.advance(0.3)
    assert isinstance(shim.heard[-1], messages.Release)
    assert client.receipt(second)


def test_a_retry_is_a_new_job_of_the_same_body(world: World, client: Client) -> None:
    job = world.job_done(client, code=1)
    answer = client.answer(client.ask(m.Retry(job, key="again", user_key=True)), m.AcceptedAnswer)
    assert answer.job != job
    assert world.board.jobs[JobId(answer.job)].job.spec.retry_of == job
    assert world.shim_of(answer.job).run.argv == (b"cmd",)  # type: ignore[union-attr]
    running = client.failure(client.ask(m.Retry(answer.job, key="third", user_key=True)))
    assert running.code == ErrorCode.STATE
