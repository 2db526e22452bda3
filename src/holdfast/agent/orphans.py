"""Jobs that nobody tends any more: what their records say, in the words of the table and of the job's machine.

The table of ``jobs.recovery`` decides while the agent runs, too, so that a job's fate does not depend on whether the
agent was there when its shim died.
"""

from __future__ import annotations

from holdfast.agent import kernel
from holdfast.jobs.machine import Job
from holdfast.jobs.recovery import Finding, KeeperSays
from holdfast.jobs.stimuli import Exited, ExitRecord, FoundDamaged, Stimulus, TakenOutput
from holdfast.store import control
from holdfast.types import Cause, ExitStatus


def about(slots: control.Slots, job: str) -> control.Slots:
    """The slots that tell of this job. Those of the shim's job before, not yet released, tell nothing of it.

    A damaged slot may be anybody's: it counts, unless the others name another job.
    """
    named = {slot.job for slot in slots if slot is not None and not isinstance(slot, control.Damaged)}
    return slots if not named or job in named else control.Slots()


def finding(job: Job, slots: control.Slots, says: KeeperSays) -> Finding:
    """What is known of a job whose supervisor has gone while we were here."""
    return Finding(
        claim=slots.claim is not None,
        started=slots.started is not None or job.started_unix_s is not None,
        main=slots.main is not None,
        exit=slots.exit is not None,
        damaged=bool(slots.damage()),
        keeper=says,
        tree_alive=tree_alive(slots),
        power=job.spec.durability == "power",
    )


def tree_alive(slots: control.Slots) -> bool:
    """Whether the recorded main process runs."""
    return isinstance(slots.started, control.Started) and kernel.same_process(slots.started, slots.claim)


def end_of(slots: control.Slots, stdout: TakenOutput, stderr: TakenOutput) -> Stimulus:
    """The end of a job without an EXIT record: its status from MAIN, or that a record is broken."""
    damage = slots.damage()
    if damage or not isinstance(slots.main, control.Main):
        reason = "; ".join(f"{control.SLOT_NAMES[slot.slot]}: {slot.reason}" for slot in damage)
        return FoundDamaged(reason, stdout, stderr)
    status = ExitStatus.from_wait_status(slots.main.wait_status)
    started = slots.started
    record = ExitRecord(
        cause=Cause.SIGNALED if status.signal is not None else Cause.EXITED,
        status=status,
        started_unix_s=started.wall_ns / 1e9 if isinstance(started, control.Started) else None,
        ended_unix_s=slots.main.wall_ns / 1e9,
        supervisor="agent",
    )
    return Exited(record, stdout, stderr)
