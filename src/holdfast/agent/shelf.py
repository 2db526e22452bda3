"""Jobs that are not in memory: finished ones, read from the journal and the kept files when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.agent.live import LiveJob
from holdfast.errors import StorageError
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Job
from holdfast.store.rows import JobRow
from holdfast.store.spool import InlineSpool
from holdfast.types import STDERR, STDOUT, ChannelRecord, JobId, JobInfo, JobState, Receipt
from holdfast.wire.messages import List

if TYPE_CHECKING:
    from holdfast.agent.board import Board
    from holdfast.agent.guard import Caller

_UNFINISHED = frozenset(state for state in JobState if state is not JobState.DONE)


def stored_job(board: Board, row: JobRow, *, output: bool) -> LiveJob:
    """A finished job; with ``output`` ready to be read. Files that are missing show when they are read."""
    job = Job.from_row(row, host=board.host)
    live = LiveJob(job, row.principal, Lease("keep"))
    live.body_hash = row.body_hash
    live.published = row.receipt
    if row.receipt is None:
        return live
    for number, record in ((STDOUT, row.receipt.stdout), (STDERR, row.receipt.stderr)):
        _fill(board, live, row, number, record, output=output)
    return live


def _fill(board: Board, live: LiveJob, row: JobRow, number: int, record: ChannelRecord, *, output: bool) -> None:
    channel = live.out[number]
    channel.length, channel.first, channel.digest, channel.final = record.bytes, record.first, record.xxh3, True
    if not output or record.bytes == record.first:
        return
    if not row.is_spooled(number):
        data = board.journal.output(row.job, number)
        if data is not None:
            channel.use(InlineSpool(data, first=record.first), owned=False)
        return
    try:
        channel.use(board.files.open(row.job, number, first=record.first), owned=True)
    except StorageError as error:
        board.log(f"job {row.job}: {error}")


def listing(board: Board, caller: Caller, request: List, now: float) -> tuple[tuple[JobInfo, ...], bool]:
    """A page of the jobs that the caller may see, newest first, and whether older ones follow."""
    before = None
    if request.before is not None:
        row = board.journal.job(JobId(request.before))
        before = row.seq if row is not None and caller.finds(row.principal) else None
    infos: list[JobInfo] = []
    states = None if request.all else _UNFINISHED
    while True:
        rows = board.journal.jobs(
            states=states, principals=caller.rights.visible, before=before, limit=request.limit + 1
        )
        for row in rows:
            live = board.jobs.get(row.job)
            if live is not None:
                board.output.measure(live)
            info = live.info(now) if live is not None else stored_info(row)
            if not request.all and info.state is JobState.DONE:
                continue
            if request.label is not None and info.label != request.label:
                continue
            if request.prefix is not None and not info.job.startswith(request.prefix):
                continue
            if len(infos) == request.limit:
                return tuple(infos), True
            infos.append(info)
        if len(rows) <= request.limit:
            return tuple(infos), False
        before = rows[-1].seq


def stored_info(row: JobRow) -> JobInfo:
    """A job's line as the journal has it."""
    job = Job.from_row(row)
    spec, receipt = job.spec, row.receipt
    return JobInfo(
        job=row.job,
        state=row.state,
        argv=spec.argv,
        shell=spec.shell,
        label=row.label,
        principal=row.principal,
        accepted_unix_s=row.accepted_unix_s,
        started_unix_s=row.started_unix_s if receipt is None else receipt.started_unix_s,
        ended_unix_s=row.ended_unix_s,
        pid=row.pid,
        attempt=row.attempt,
        on_disconnect=spec.on_disconnect,
        stdout_bytes=receipt.stdout.bytes if receipt else 0,
        stderr_bytes=receipt.stderr.bytes if receipt else 0,
        cwd=spec.cwd,
        retry_of=row.retry_of,
        receipt=receipt,
    )


def lacks_sha256(receipt: Receipt | None) -> bool:
    """Whether the slower digests are still to be added."""
    if receipt is None:
        return False
    return any(record.sha256 is None and record.xxh3 is not None for record in (receipt.stdout, receipt.stderr))
