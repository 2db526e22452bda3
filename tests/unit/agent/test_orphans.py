"""What the records of a job without supervisor say."""

from __future__ import annotations

from holdfast.agent import orphans
from holdfast.jobs.machine import Job
from holdfast.jobs.recovery import Action, decide
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import Exited, FoundDamaged, TakenOutput
from holdfast.store import control
from holdfast.types import Cause, JobId

JOB = JobId("0123456789ab")
CLAIM = control.Claim(JOB, 1)
STARTED = control.Started(JOB, 1, 77, wall_ns=10**9)
MAIN = control.Main(JOB, 1, 15, wall_ns=2 * 10**9)
NONE = TakenOutput()


def test_slots_are_believed_of_the_job_that_they_name() -> None:
    other = control.Slots(claim=control.Claim("ba9876543210", 1), exit=control.Exit("ba9876543210", 1, 0, 1))
    assert orphans.about(other, JOB) == control.Slots()
    mine = control.Slots(claim=CLAIM)
    assert orphans.about(mine, JOB) is mine
    broken = control.Slots(claim=control.Damaged(0, "checksum"))
    assert orphans.about(broken, JOB) is broken
    both = control.Slots(claim=control.Claim("ba9876543210", 1), started=control.Damaged(1, "checksum"))
    assert orphans.about(both, JOB) == control.Slots()


def test_the_table_decides_as_it_does_at_recovery() -> None:
    job = Job(JOB, JobSpec(), accepted_unix_s=0.0)
    cases = (
        (control.Slots(), "gone", Action.REQUEUE),
        (control.Slots(claim=CLAIM), "nothing_inherited", Action.START_AGAIN),
        (control.Slots(claim=CLAIM), "gone", Action.LOST_SUPERVISOR),
        (control.Slots(claim=CLAIM, started=STARTED), "nothing_inherited", Action.LOST_SUPERVISOR),
        (control.Slots(claim=CLAIM, started=STARTED, main=MAIN), "gone", Action.TAKE_MAIN),
        (control.Slots(claim=control.Damaged(0, "x")), "nothing_inherited", Action.DAMAGED),
        (control.Slots(claim=CLAIM, exit=control.Exit(JOB, 1, 0, 1)), "gone", Action.TAKE_RESULT),
    )
    for slots, says, action in cases:
        assert decide(orphans.finding(job, slots, says)) is action  # type: ignore[arg-type]
    job.started_unix_s = 5.0
    assert decide(orphans.finding(job, control.Slots(), "nothing_inherited")) is Action.LOST_SUPERVISOR


def test_an_end_from_the_main_record_has_its_true_status() -> None:
    end = orphans.end_of(control.Slots(CLAIM, STARTED, MAIN), NONE, NONE)
    assert isinstance(end, Exited)
    record = end.record
    assert (record.cause, record.started_unix_s, record.ended_unix_s) == (Cause.SIGNALED, 1.0, 2.0)
    assert record.status is not None
    assert record.status.signal == 15
    assert record.supervisor == "agent"


def test_damage_is_named_slot_by_slot() -> None:
    end = orphans.end_of(control.Slots(claim=CLAIM, main=control.Damaged(control.MAIN, "checksum")), NONE, NONE)
    assert end == FoundDamaged("MAIN: checksum", NONE, NONE)
