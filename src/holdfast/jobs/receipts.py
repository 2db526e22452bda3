"""The receipt of a job, built from what was asked, what its supervisor recorded and what was taken over. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import ExitRecord, TakenOutput
from holdfast.types import Cause, ChannelRecord, JobId, Receipt

NO_OUTPUT = TakenOutput()

_ENDED_BY = {
    Cause.TIMEOUT: "time-limit",
    Cause.CLIENT_LOST: "lost-client",
    Cause.OUTPUT_LIMIT: "output-limit",
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent knows of a job when it ends, whatever its supervisor says."""

    job: JobId
    spec: JobSpec
    accepted_unix_s: float
    attempt: int
    started_unix_s: float | None = None
    host: str = ""
    boot_id: str = ""


def ended_by(cause: Cause, by: str = "", reason: str = "") -> str:
    """Who ended a job: itself, time-limit, lost-client, lost-host, output-limit, agent or person:NAME.

    Args:
        cause: Why it is DONE.
        by: Who asked for the stop or sent the signal, "" where nobody did.
        reason: For LOST and DAMAGED: ``host_restart`` is the host's doing, anything else the agent's verdict.
    """
    if cause is Cause.LOST or cause is Cause.DAMAGED:
        return "lost-host" if reason == "host_restart" else "agent"
    if cause is Cause.EXITED:
        return "itself"
    if cause is Cause.START_FAILED or cause is Cause.EXPIRED:
        return "agent"
    return _ENDED_BY.get(cause) or by or "itself"


def from_exit(
    facts: Facts, record: ExitRecord, stdout: TakenOutput, stderr: TakenOutput, *, signalled_by: str = ""
) -> Receipt:
    """The receipt of a job whose end was recorded by its shim or keeper.

    Args:
        facts: What the agent knows.
        record: The EXIT record, taken at its word.
        stdout: The output that was taken over.
        stderr: The same for channel 2.
        signalled_by: Who had asked for the signal that ended it, if it was asked for.
    """
    cause = record.cause
    spec = facts.spec
    started = None if cause is Cause.START_FAILED else (record.started_unix_s or facts.started_unix_s)
    return Receipt(
        job=facts.job,
        cause=cause,
        exit=record.status,
        ended_by=ended_by(cause, record.by or signalled_by),
        stdout=_channel(stdout),
        stderr=_channel(stderr),
        stdin_bytes=record.stdin_bytes,
        attempt=facts.attempt,
        accepted_unix_s=facts.accepted_unix_s,
        started_unix_s=started,
        ended_unix_s=record.ended_unix_s,
        usage=record.usage,
        tree=record.tree,
        left=record.left,
        errno=record.errno,
        stage=record.stage,
        supervisor=record.supervisor,
        retry_of=spec.retry_of,
        timeout_s=spec.timeout_s,
        host=facts.host,
        boot_id=facts.boot_id,
    )


def without_exit(
    facts: Facts,
    cause: Cause,
    *,
    now: float,
    by: str = "",
    reason: str = "",
    errno: int | None = None,
    stage: str = "",
    stdout: TakenOutput = NO_OUTPUT,
    stderr: TakenOutput = NO_OUTPUT,
    supervisor: Literal["shim", "keeper", "agent"] = "agent",
) -> Receipt:
    """The receipt of a job that has no wait status: it never ran, or its end cannot be known.

    The status is left out, never made up (``Receipt.returncode`` is None).
    """
    spec = facts.spec
    return Receipt(
        job=facts.job,
        cause=cause,
        ended_by=ended_by(cause, by, reason),
        stdout=_channel(stdout),
        stderr=_channel(stderr),
        attempt=facts.attempt,
        accepted_unix_s=facts.accepted_unix_s,
        started_unix_s=facts.started_unix_s if cause in (Cause.LOST, Cause.DAMAGED) else None,
        ended_unix_s=now,
        reason=reason,
        errno=errno,
        stage=stage,
        supervisor=supervisor,
        retry_of=spec.retry_of,
        timeout_s=spec.timeout_s,
        host=facts.host,
        boot_id=facts.boot_id,
    )


def _channel(taken: TakenOutput) -> ChannelRecord:
    return ChannelRecord(bytes=taken.length, first=taken.first, xxh3=taken.xxh3)
