"""Jobs in every state, and one stimulus of every kind, for the tests of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from holdfast.jobs.instructions import Instruction, Notify, Record
from holdfast.jobs.machine import Acceptance, Job
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import (
    Adopted,
    Attached,
    Exited,
    ExitRecord,
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
    TakenOutput,
)
from holdfast.types import Cause, ExitStatus, JobId, JobState, ShimId, Usage

JOB = JobId("0123456789ab")
SHIM = ShimId("s1")
NOW = 1000.0

ENDED = ExitRecord(
    cause=Cause.EXITED,
    status=ExitStatus(code=3),
    started_unix_s=1000.5,
    ended_unix_s=1002.0,
    usage=Usage(0.25, 0.5, 4096),
    stdin_bytes=7,
)

EXAMPLES: Mapping[type[Stimulus], Stimulus] = {
    SlotFreed: SlotFreed(ShimId("s2")),
    Spawned: Spawned(77, 123456, 1000.5),
    SpawnFailed: SpawnFailed(2, "executable", "no such file"),
    MainExited: MainExited(),
    Exited: Exited(ENDED, TakenOutput(5, 0, "ab" * 16, b"hello"), TakenOutput(100_000, 20_000, "cd" * 16)),
    StopAsked: StopAsked("person:eve", 10.0),
    LeaseExpired: LeaseExpired(10.0),
    OutputLimit: OutputLimit(1),
    SignalAsked: SignalAsked(15, "tree", "person:eve"),
    NotAfterPassed: NotAfterPassed(),
    LeftOnPurpose: LeftOnPurpose(),
    Adopted: Adopted(),
    NothingInherited: NothingInherited(),
    Attached: Attached(ShimId("s3"), 1),
    Lost: Lost("supervisor"),
    FoundDamaged: FoundDamaged("the EXIT slot fails its checksum"),
}
STIMULI: tuple[type[Stimulus], ...] = get_args(Stimulus)
assert set(EXAMPLES) == set(STIMULI), "one example of each kind"


def acceptance(**values: Any) -> Acceptance:
    defaults: dict[str, Any] = {
        "job": JOB,
        "principal": "ada",
        "body": b"=true\0\0\0\0",
        "body_hash": b"b" * 32,
        "key_hash": b"k" * 32,
    }
    return Acceptance(**defaults | values)


def job_in(state: JobState, **spec: Any) -> Job:
    """A job that has come to this state by an ordinary life."""
    shim = None if state is JobState.QUEUED else SHIM
    job, _ = Job.accept(acceptance(), JobSpec(**spec), now=NOW, shim=shim, host="h", boot_id="boot")
    if state in (JobState.RUNNING, JobState.ENDING):
        job.step(EXAMPLES[Spawned], NOW)
    if state is JobState.ENDING:
        job.step(MainExited(), NOW)
    if state is JobState.DONE:
        job.step(EXAMPLES[Exited], NOW)
    assert job.state is state
    job.validate()
    return job


def kinds(instructions: list[Instruction]) -> list[str]:
    """What was ordered, in short: ``Record(MarkDone, AppendEvent)`` or ``Record?`` (lazy), ``Notify:done``."""
    return [_kind(instruction) for instruction in instructions]


def _kind(instruction: Instruction) -> str:
    match instruction:
        case Record(writes, power, lazy):
            names = ", ".join(type(write).__name__ for write in writes)
            return f"Record{'?' if lazy else ''}{'!' if power else ''}({names})"
        case Notify(kind):
            return f"Notify:{kind}"
        case _:
            return type(instruction).__name__
