"""The job machine, move by move: what is ordered, in which order, and what the receipt says."""

from __future__ import annotations

import pytest

from holdfast.errors import LocalProtocolError
from holdfast.jobs.instructions import Notify, Record, Release, Requeue, Signal, Spawn, Stop
from holdfast.jobs.machine import MAX_ATTEMPTS, Job
from holdfast.jobs.moves import IllegalMove
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import (
    Adopted,
    Attached,
    Exited,
    ExitRecord,
    LeaseExpired,
    Lost,
    MainExited,
    NotAfterPassed,
    NothingInherited,
    OutputLimit,
    SignalAsked,
    SlotFreed,
    Spawned,
    SpawnFailed,
    Stimulus,
    StopAsked,
    TakenOutput,
)
from holdfast.store.memory import MemoryJournal
from holdfast.store.writes import InsertJob, MarkDone, MarkEnding, MarkStarting
from holdfast.types import Cause, ExitStatus, JobState, ShimId
from tests.unit.jobs.machine_builders import ENDED, EXAMPLES, JOB, NOW, SHIM, acceptance, job_in, kinds

QUEUED, STARTING, RUNNING, ENDING, DONE = JobState


def test_a_short_life_costs_two_writes_that_anybody_waits_for() -> None:
    job, accepted = Job.accept(acceptance(), JobSpec(), now=NOW, shim=SHIM)
    assert kinds(accepted) == ["Record(InsertJob, AppendEvent)", "Notify:accepted", "Spawn"]
    assert kinds(job.step(Spawned(77, 123456, 1000.5), NOW)) == ["Record?(MarkStarted, AppendEvent)", "Notify:started"]
    assert kinds(job.step(EXAMPLES[Exited], NOW)) == ["Notify:done", "Record(MarkDone, AppendEvent)", "Release"]


def test_a_flushed_job_is_flushed_when_it_is_accepted_and_when_it_is_done() -> None:
    job, accepted = Job.accept(acceptance(), JobSpec(durability="power"), now=NOW)
    assert kinds(accepted) == ["Record!(InsertJob, AppendEvent)", "Notify:accepted"]
    assert kinds(job.step(SlotFreed(SHIM), NOW)) == ["Record(MarkStarting)", "Notify:starting", "Spawn"]
    job.step(EXAMPLES[Spawned], NOW)
    assert kinds(job.step(EXAMPLES[Exited], NOW))[0] == "Record!(MarkDone, AppendEvent)"


def test_what_is_inserted_says_where_the_job_stands() -> None:
    job, (record, *_) = Job.accept(acceptance(), JobSpec(label="x", retry_of="aaaaaaaaaaaa"), now=NOW, shim=SHIM)
    assert isinstance(record, Record)
    insert = record.writes[0]
    assert isinstance(insert, InsertJob)
    assert (insert.state, insert.attempt, insert.shim) == (STARTING, 1, SHIM)
    assert (insert.label, insert.retry_of, JobSpec.decode(insert.spec).label) == ("x", "aaaaaaaaaaaa", "x")
    assert (job.state, job.attempt, job.shim) == (STARTING, 1, SHIM)


def test_the_receipt_says_what_was_recorded() -> None:
    job = job_in(RUNNING, timeout_s=5.0)
    notify, record, release = job.step(EXAMPLES[Exited], NOW)
    receipt = job.receipt
    assert receipt is not None
    assert (receipt.cause, receipt.exit, receipt.ended_by) == (Cause.EXITED, ExitStatus(code=3), "itself")
    assert (receipt.stdout.bytes, receipt.stderr.bytes, receipt.stderr.first) == (5, 100_000, 20_000)
    assert (receipt.accepted_unix_s, receipt.started_unix_s, receipt.ended_unix_s) == (1000.0, 1000.5, 1002.0)
    assert (receipt.usage, receipt.stdin_bytes, receipt.timeout_s) == (ENDED.usage, 7, 5.0)
    assert (receipt.host, receipt.boot_id, receipt.tree, receipt.supervisor) == ("h", "boot", "gone", "shim")
    assert isinstance(record, Record)
    done = record.writes[0]
    assert isinstance(done, MarkDone)
    assert (done.stdout, done.stderr, done.spooled, done.spool_bytes) == (b"hello", None, 0b100, 80_000)
    assert notify == Notify("done", receipt)
    assert release == Release(SHIM)


@pytest.mark.parametrize(
    ("cause", "by", "ended_by"),
    [
        (Cause.EXITED, "", "itself"),
        (Cause.SIGNALED, "", "itself"),
        (Cause.TIMEOUT, "", "time-limit"),
        (Cause.STOPPED, "person:eve", "person:eve"),
        (Cause.STOPPED, "agent", "agent"),
        (Cause.CLIENT_LOST, "", "lost-client"),
        (Cause.OUTPUT_LIMIT, "", "output-limit"),
    ],
)
def test_who_ended_it(cause: Cause, by: str, ended_by: str) -> None:
    job = job_in(RUNNING)
    job.step(Exited(ExitRecord(cause=cause, by=by, status=ExitStatus(signal=15), ended_unix_s=5.0)), NOW)
    assert job.receipt is not None
    assert (job.receipt.ended_by, job.receipt.cause) == (ended_by, cause)


def test_a_signal_that_somebody_sent_is_theirs_and_another_is_not() -> None:
    died = Exited(ExitRecord(cause=Cause.SIGNALED, status=ExitStatus(signal=15)))
    for sent, ended_by in ((15, "person:eve"), (10, "itself")):
        job = job_in(RUNNING)
        assert job.step(SignalAsked(sent, "tree", "person:eve"), NOW) == [Signal(sent, "tree")]
        orders = kinds(job.step(died, NOW))
        assert job.receipt is not None
        assert job.receipt.ended_by == ended_by
        recorded_first = orders.index("Record(MarkDone, AppendEvent)") < orders.index("Notify:done")
        assert recorded_first == (ended_by == "person:eve"), "the EXIT record does not know who sent the signal"


def test_a_waiting_job_that_is_stopped_never_starts() -> None:
    job = job_in(QUEUED)
    assert kinds(job.step(StopAsked("person:eve"), NOW)) == ["Record(MarkDone, AppendEvent)", "Notify:done", "Release"]
    assert job.receipt is not None
    assert (job.receipt.cause, job.receipt.ended_by, job.receipt.started) == (Cause.CANCELLED, "person:eve", False)
    assert job.receipt.exit is None


def test_a_waiting_job_whose_client_is_lost_never_starts() -> None:
    job = job_in(QUEUED)
    job.step(LeaseExpired(), NOW)
    assert job.receipt is not None
    assert (job.receipt.cause, job.receipt.ended_by) == (Cause.CANCELLED, "lost-client")


def test_a_stop_during_the_start_is_remembered_and_delivered() -> None:
    job = job_in(STARTING)
    orders = job.step(StopAsked("person:eve", 3.0), NOW)
    assert kinds(orders) == ["Record(MarkEnding, AppendEvent)"]
    assert isinstance(orders[0], Record)
    assert orders[0].writes[0] == MarkEnding(JOB, STARTING, Cause.STOPPED, "person:eve", 3.0)
    assert job.state is STARTING
    job.validate()
    orders = job.step(EXAMPLES[Spawned], NOW)
    assert orders[-1] == Stop(Cause.STOPPED, "person:eve", 3.0)
    assert job.state is ENDING
    job.validate()


def test_a_stop_during_a_start_that_never_was_cancels() -> None:
    job = job_in(STARTING)
    job.step(StopAsked("person:eve"), NOW)
    job.step(NothingInherited(), NOW)
    assert job.receipt is not None
    assert (job.state, job.receipt.cause, job.receipt.ended_by) == (DONE, Cause.CANCELLED, "person:eve")
    job.validate()


def test_signals_during_the_start_are_delivered_in_order() -> None:
    job = job_in(STARTING)
    for signum in (1, 10):
        assert job.step(SignalAsked(signum), NOW) == []
    orders = job.step(EXAMPLES[Spawned], NOW)
    assert [order for order in orders if isinstance(order, Signal)] == [Signal(1, "main"), Signal(10, "main")]
    job.validate()


def test_the_first_stop_gives_the_cause_and_a_shorter_patience_counts() -> None:
    job = job_in(RUNNING)
    assert job.step(LeaseExpired(10.0), NOW)[-1] == Stop(Cause.CLIENT_LOST, "lost-client", 10.0)
    assert job.step(StopAsked("person:eve", 20.0), NOW) == []
    assert job.step(StopAsked("person:eve", 0.0), NOW)[-1] == Stop(Cause.CLIENT_LOST, "lost-client", 0.0)
    assert job.step(OutputLimit(1), NOW) == []


def test_a_start_that_failed_says_where() -> None:
    job = job_in(STARTING)
    job.step(SpawnFailed(2, "directory", "no such directory"), NOW)
    receipt = job.receipt
    assert receipt is not None
    assert (receipt.cause, receipt.errno, receipt.stage) == (Cause.START_FAILED, 2, "directory")
    assert (receipt.exit, receipt.started, receipt.started_unix_s) == (None, False, None)


def test_a_start_failure_recorded_by_the_shim_is_the_same() -> None:
    job = job_in(STARTING)
    job.step(Exited(ExitRecord(cause=Cause.START_FAILED, errno=13, stage="executable", ended_unix_s=1001.0)), NOW)
    assert job.receipt is not None
    assert (job.receipt.cause, job.receipt.errno, job.receipt.started) == (Cause.START_FAILED, 13, False)
    job.validate()


def test_a_start_that_provably_never_was_begins_again_with_the_next_attempt() -> None:
    job = job_in(STARTING)
    orders = job.step(NothingInherited(), NOW)
    assert kinds(orders) == ["Record(MarkQueued, AppendEvent)", "Notify:requeued", "Requeue"]
    assert (job.state, job.shim) == (QUEUED, None)
    job.validate()
    record, _, spawn = job.step(SlotFreed(ShimId("s2")), NOW)
    assert isinstance(record, Record)
    assert record.writes == (MarkStarting(JOB, 2, ShimId("s2")),)
    assert spawn == Spawn(ShimId("s2"), 2)


def test_shims_that_die_again_and_again_end_it() -> None:
    job = job_in(STARTING)
    for _ in range(MAX_ATTEMPTS - 1):
        assert job.step(NothingInherited(), NOW)[-1] == Requeue(JOB)
        job.step(SlotFreed(SHIM), NOW)
    job.step(NothingInherited(), NOW)
    assert job.receipt is not None
    assert (job.state, job.receipt.cause, job.receipt.attempt) == (DONE, Cause.START_FAILED, MAX_ATTEMPTS)
    job.validate()


@pytest.mark.parametrize("state", [RUNNING, ENDING])
def test_what_ran_is_never_started_again(state: JobState) -> None:
    job = job_in(state)
    job.step(NothingInherited(), NOW)
    assert job.receipt is not None
    assert (job.state, job.receipt.cause, job.receipt.reason) == (DONE, Cause.LOST, "supervisor")
    assert (job.receipt.exit, job.receipt.returncode, job.receipt.started) == (None, None, True)


def test_a_host_that_went_down_is_named() -> None:
    job = job_in(RUNNING)
    job.step(Lost("host_restart", TakenOutput(70_000)), NOW)
    assert job.receipt is not None
    assert (job.receipt.cause, job.receipt.ended_by, job.receipt.stdout.bytes) == (Cause.LOST, "lost-host", 70_000)


def test_the_stop_of_an_adopted_tree_goes_to_the_keeper() -> None:
    job = job_in(RUNNING)
    assert job.step(Adopted(), NOW) == []
    assert job.step(StopAsked("person:eve"), NOW)[-1] == Stop(Cause.STOPPED, "person:eve", 10.0, adopted=True)
    assert job.step(SignalAsked(9), NOW) == [Signal(9, "main", adopted=True)]


@pytest.mark.parametrize("first", [True, False])
def test_the_stop_of_a_tree_that_is_adopted_during_its_start_is_not_forgotten(first: bool) -> None:
    job = job_in(STARTING)
    steps: list[Stimulus] = [StopAsked("person:eve"), Adopted()]
    orders = [order for step in (steps if first else steps[::-1]) for order in job.step(step, NOW)]
    assert orders[-1] == Stop(Cause.STOPPED, "person:eve", 10.0, adopted=True)


def test_a_stop_is_told_again_when_the_agent_comes_back() -> None:
    journal = MemoryJournal()
    job, orders = Job.accept(acceptance(), JobSpec(), now=NOW, shim=SHIM)
    orders += job.step(EXAMPLES[Spawned], NOW)
    orders += job.step(StopAsked("person:eve", 4.0), NOW)
    for order in orders:
        if isinstance(order, Record):
            journal.submit(order.writes)
    row = journal.job(JOB)
    assert row is not None
    back = Job.from_row(row, host="h")
    back.validate()
    assert back.state is ENDING
    assert back.step(Attached(SHIM, 1), NOW) == [Stop(Cause.STOPPED, "person:eve", 4.0)]
    back.step(EXAMPLES[Exited], NOW)
    assert back.receipt is not None


def test_a_job_whose_journal_lags_behind_its_shim_is_taken_as_the_shim_has_it() -> None:
    job = job_in(QUEUED)
    orders = job.step(Attached(ShimId("s9"), 2), NOW)
    assert orders == [Record((MarkStarting(JOB, 2, ShimId("s9")),))]
    job.step(EXAMPLES[Spawned], NOW)
    assert (job.state, job.attempt, job.shim) == (RUNNING, 2, "s9")
    job.validate()


def test_not_after_counts_only_before_the_start() -> None:
    job = job_in(QUEUED)
    job.step(NotAfterPassed(), NOW)
    assert job.receipt is not None
    assert job.receipt.cause is Cause.EXPIRED
    assert job_in(RUNNING).step(NotAfterPassed(), NOW) == []


def test_a_main_process_that_is_gone_is_told() -> None:
    job = job_in(RUNNING)
    assert kinds(job.step(MainExited(), NOW)) == ["Record?(MarkEnding)", "Notify:ending"]
    assert job.step(StopAsked("person:eve"), NOW)[-1] == Stop(Cause.STOPPED, "person:eve", 10.0)


def test_an_illegal_move_changes_nothing_and_names_the_last_moves() -> None:
    job = job_in(RUNNING)
    with pytest.raises(IllegalMove, match=r"SlotFreed in state running .* starting\+Spawned") as caught:
        job.step(SlotFreed(SHIM), NOW)
    assert isinstance(caught.value, LocalProtocolError)
    assert caught.value.trail == ["starting+Spawned"]
    assert job.state is RUNNING
    assert not job.allows(SlotFreed)
    assert job.allows(StopAsked)


def test_the_first_end_counts() -> None:
    job = job_in(RUNNING)
    job.step(Lost("supervisor"), NOW)
    receipt = job.receipt
    assert job.step(EXAMPLES[Exited], NOW) == []
    assert job.receipt is receipt
