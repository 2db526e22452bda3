"""The table of a job's moves; ``jobs.machine`` says what each one means (docs/spec/job-states.md is drawn from it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.errors import LocalProtocolError
from holdfast.jobs.stimuli import (
    Adopted,
    Attached,
    Exited,
    FoundDamaged,
    LeaseExpired,
    LeftOnPurpose,
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
)
from holdfast.types import JobId, JobState

QUEUED, STARTING, RUNNING, ENDING, DONE = JobState

JOB_MOVES: Final[Mapping[tuple[JobState, type[Stimulus]], JobState]] = {
    (QUEUED, SlotFreed): STARTING,
    (QUEUED, StopAsked): DONE,
    (QUEUED, LeaseExpired): DONE,
    (QUEUED, NotAfterPassed): DONE,
    (QUEUED, LeftOnPurpose): QUEUED,
    (QUEUED, SpawnFailed): DONE,
    (QUEUED, NothingInherited): QUEUED,
    (QUEUED, Attached): STARTING,
    (QUEUED, Exited): DONE,
    (QUEUED, Lost): DONE,
    (QUEUED, FoundDamaged): DONE,
    (STARTING, Spawned): RUNNING,
    (STARTING, SpawnFailed): DONE,
    (STARTING, Exited): DONE,
    (STARTING, StopAsked): STARTING,
    (STARTING, LeaseExpired): STARTING,
    (STARTING, SignalAsked): STARTING,
    (STARTING, NotAfterPassed): STARTING,
    (STARTING, LeftOnPurpose): STARTING,
    (STARTING, Adopted): STARTING,
    (STARTING, NothingInherited): QUEUED,
    (STARTING, Attached): STARTING,
    (STARTING, Lost): DONE,
    (STARTING, FoundDamaged): DONE,
    (RUNNING, Spawned): RUNNING,
    (RUNNING, MainExited): ENDING,
    (RUNNING, Exited): DONE,
    (RUNNING, StopAsked): ENDING,
    (RUNNING, LeaseExpired): ENDING,
    (RUNNING, OutputLimit): ENDING,
    (RUNNING, SignalAsked): RUNNING,
    (RUNNING, NotAfterPassed): RUNNING,
    (RUNNING, LeftOnPurpose): RUNNING,
    (RUNNING, Adopted): RUNNING,
    (RUNNING, NothingInherited): DONE,
    (RUNNING, Attached): RUNNING,
    (RUNNING, Lost): DONE,
    (RUNNING, FoundDamaged): DONE,
    (ENDING, Spawned): ENDING,
    (ENDING, MainExited): ENDING,
    (ENDING, Exited): DONE,
    (ENDING, StopAsked): ENDING,
    (ENDING, LeaseExpired): ENDING,
    (ENDING, OutputLimit): ENDING,
    (ENDING, SignalAsked): ENDING,
    (ENDING, NotAfterPassed): ENDING,
    (ENDING, LeftOnPurpose): ENDING,
    (ENDING, Adopted): ENDING,
    (ENDING, NothingInherited): DONE,
    (ENDING, Attached): ENDING,
    (ENDING, Lost): DONE,
    (ENDING, FoundDamaged): DONE,
    (DONE, MainExited): DONE,
    (DONE, Exited): DONE,
    (DONE, StopAsked): DONE,
    (DONE, LeaseExpired): DONE,
    (DONE, OutputLimit): DONE,
    (DONE, NotAfterPassed): DONE,
    (DONE, LeftOnPurpose): DONE,
}


class IllegalMove(LocalProtocolError):
    """A stimulus that cannot happen in this state; the job is unchanged.

    Attributes:
        job: The job.
        trail: Its last moves, oldest first.
    """

    def __init__(self, message: str, *, job: JobId, trail: list[str]) -> None:
        super().__init__(f"{message}; last moves: {', '.join(trail) or 'none'}")
        self.job = job
        self.trail = trail
