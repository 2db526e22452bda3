"""What an agent does beside its jobs: retention, the disk's marks, slower digests, verification, leftovers, leaving.

Files and digests are handled in threads; the loop only starts and hears of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.agent import leftovers, shelf
from holdfast.errors import HoldfastError, StorageError
from holdfast.functions.record import remove as remove_record
from holdfast.jobs.keys import droppable_before
from holdfast.keeper import messages
from holdfast.store.disk import DiskLevel, disk_level, disk_space
from holdfast.store.spool import ByteSource, ChannelDigest
from holdfast.store.writes import AppendEvent, DeleteJob, DropEvents, DropKeys, UpdateReceipt
from holdfast.types import STDERR, STDOUT, ChannelRecord, JobId, Receipt
from holdfast.wire.messages import LeftoversAnswer

if TYPE_CHECKING:
    from holdfast.agent.board import Board
    from holdfast.agent.live import LiveJob
    from holdfast.config import Settings

RETENTION_EVERY_S: Final = 600.0
DISK_EVERY_S: Final = 2.0
KEEP_EVENTS: Final = 1_000_000
"""Events kept, whatever their age; about 100 MiB."""
_BATCH: Final = 500
_MOST: Final = 1_000_000


class Housekeeping:
    """The chores of one agent.

    Args:
        board: Its jobs.
        settings: Retention, spool share.
    """

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._settings = settings
        self._level = DiskLevel.OK
        self._disk_timer: asyncio.TimerHandle | None = None
        self._retention_timer: asyncio.TimerHandle | None = None
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="holdfast-chores")

    def start(self) -> None:
        """Begin the rounds."""
        self._check_disk()
        self._retention_timer = self._board.loop.call_later(5.0, self._retain)

    def close(self) -> None:
        """End the rounds; what runs in a thread is waited for."""
        for timer in (self._disk_timer, self._retention_timer):
            if timer is not None:
                timer.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    # --- retention ---------------------------------------------------------------------------------------------------

    def prune(
        self,
        older_than_s: float | None,
        done: Callable[[int, int], None],
        *,
        principals: Collection[str] | None = None,
    ) -> None:
        """Drop finished jobs that ended longer ago than this (None: the retention of the settings).

        ``principals``: only jobs of these; None: everybody's.

        ``done`` gets, once they are gone, how many jobs that were and how many bytes of kept output files they had.
        """
        board = self._board
        before = board.unix_s() - (self._settings.retention_s if older_than_s is None else older_than_s)
        found = board.journal.prunable(ended_before_unix_s=before, limit=_MOST, principals=principals)
        jobs = [job for job in found if job not in board.jobs]
        spooled = board.journal.spool_bytes()

        def gone(error: StorageError | None) -> None:
            done(0 if error else len(jobs), max(0, spooled - board.journal.spool_bytes()))

        self.forget(jobs, done=gone)

    def forget(
        self, jobs: list[JobId], *, forget_key: bool = False, done: Callable[[StorageError | None], None] | None = None
    ) -> None:
        """Drop finished jobs and their files; readers that have them open read on. ``done``: all are gone."""
        board = self._board
        batches = [jobs[start : start + _BATCH] for start in range(0, len(jobs), _BATCH)] or [[]]
        for batch in batches:
            last = done if batch is batches[-1] else None
            board.journal.submit(tuple(DeleteJob(job, forget_key) for job in batch), done=last)
        for job in jobs:
            try:
                board.files.remove(job)
                remove_record(board.worker_socket, job)
            except StorageError as error:
                board.log(str(error))

    def _retain(self) -> None:
        board = self._board
        self._retention_timer = board.loop.call_later(RETENTION_EVERY_S, self._retain)
        try:
            self.prune(None, self._log_pruned)
            self._keep_share()
            board.journal.submit((DropKeys(droppable_before(board.unix_s())),))
            last = board.journal.last_event()
            if last > KEEP_EVENTS:
                board.journal.submit((DropEvents(last - KEEP_EVENTS),))
        except HoldfastError as error:
            board.log(f"retention: {error}")

    def _log_pruned(self, jobs: int, freed: int) -> None:
        if jobs:
            self._board.log(f"dropped {jobs} finished jobs and {freed} bytes of output past their retention")

    def _keep_share(self) -> None:
        """Kept outputs are at most a share of the disk: the oldest go first."""
        board = self._board
        _, total = disk_space(board.state_dir)
        excess = board.journal.spool_bytes() - int(total * self._settings.spool_share)
        if excess <= 0:
            return
        going: list[JobId] = []
        for job in board.journal.prunable(ended_before_unix_s=board.unix_s(), limit=10 * _BATCH):
            row = board.journal.job(job)
            if row is not None and row.spool_bytes and job not in board.jobs:
                going.append(job)
                excess -= row.spool_bytes
                if excess <= 0:
                    break
        if going:
            board.log(f"kept outputs fill more than their share of the disk: dropping the oldest {len(going)} jobs")
            self.forget(going)

    # --- the disk ----------------------------------------------------------------------------------------------------

    def _check_disk(self) -> None:
        board = self._board
        self._disk_timer = board.loop.call_later(DISK_EVERY_S, self._check_disk)
        try:
            free, total = disk_space(board.state_dir)
        except OSError as error:
            board.log(f"cannot examine the disk: {error.strerror}")
            return
        level = disk_level(free, total, before=self._level)
        if level is self._level:
            return
        board.log(f"disk: {free >> 20} of {total >> 20} MiB free, level {level.name}")
        was_full, self._level = self._level is DiskLevel.FULL, level
        board.admission.disk_low = level is not DiskLevel.OK
        if (level is DiskLevel.FULL) is not was_full:
            message = messages.Pause() if level is DiskLevel.FULL else messages.Resume()
            board.paused = level is DiskLevel.FULL
            for live in board.jobs.values():
                if live.shim is not None:
                    live.shim.send(message)

    # --- digests -----------------------------------------------------------------------------------------------------

    def job_done(self, live: LiveJob) -> None:
        """A job ended. Its slower digests are added when somebody asks for them first."""

    def add_sha256(self, live: LiveJob, done: Callable[[Receipt | None], None]) -> None:
        """Add SHA-256 to a finished job's receipt; ``done`` gets it on the loop, or None where the output is gone."""

        def finished(digests: dict[int, ChannelRecord] | None) -> None:
            receipt = live.published
            done(None if digests is None or receipt is None else self._keep_sha256(live, receipt, digests))

        self._digest(live, finished)

    def verify(self, live: LiveJob, done: Callable[[Receipt, tuple[str, ...]], None]) -> None:
        """Read the kept output again and compare it with the receipt; ``done`` gets the differences on the loop."""
        receipt = live.published
        assert receipt is not None

        def finished(digests: dict[int, ChannelRecord] | None) -> None:
            if digests is None:
                done(receipt, ("the kept output cannot be read whole",))
                return
            mismatches = []
            for name, number, record in (("stdout", STDOUT, receipt.stdout), ("stderr", STDERR, receipt.stderr)):
                found = digests[number]
                if record.xxh3 is None:
                    mismatches.append(f"{name}: its digest was never known")
                elif found.xxh3 != record.xxh3:
                    mismatches.append(f"{name}: XXH3-128 is {found.xxh3}, the receipt says {record.xxh3}")
                if record.sha256 is not None and found.sha256 != record.sha256:
                    mismatches.append(f"{name}: SHA-256 is {found.sha256}, the receipt says {record.sha256}")
            if not mismatches and shelf.lacks_sha256(receipt):
                done(self._keep_sha256(live, receipt, digests), ())
            else:
                done(receipt, tuple(mismatches))

        self._digest(live, finished)

    def _keep_sha256(self, live: LiveJob, receipt: Receipt, digests: dict[int, ChannelRecord]) -> Receipt:
        stdout, stderr = (
            msgspec.structs.replace(record, sha256=digests[number].sha256)
            for number, record in ((STDOUT, receipt.stdout), (STDERR, receipt.stderr))
        )
        live.published = msgspec.structs.replace(receipt, stdout=stdout, stderr=stderr)
        self._board.journal.submit((UpdateReceipt(live.job.id, live.published),))
        return live.published

    def _digest(self, live: LiveJob, finished: Callable[[dict[int, ChannelRecord] | None], None]) -> None:
        work = {number: (channel.source, channel.first, channel.length) for number, channel in live.out.items()}
        live.pins += 1
        future = self._board.loop.run_in_executor(self._threads, _digests, work)

        def done(future: asyncio.Future[dict[int, ChannelRecord]]) -> None:
            live.pins -= 1
            self._board.close_unused(live)
            finished(None if future.cancelled() or future.exception() is not None else future.result())

        future.add_done_callback(done)

    # --- leftovers ---------------------------------------------------------------------------------------------------

    def leftovers(self, *, end: bool, done: Callable[[LeftoversAnswer | None], None]) -> None:
        """Find (and end) processes of finished jobs, in a thread; ``done`` is called on the loop (None: it failed)."""
        board = self._board
        live = set(board.jobs)
        own = {state.shim_pid for shim in board.crew.shims.values() if (state := shim.state) is not None}

        def work() -> LeftoversAnswer:
            found = leftovers.find(board.agent_id, live, own=own)
            return LeftoversAnswer(tuple(leftovers.end(board.agent_id, found) if end and found else found))

        future = board.loop.run_in_executor(self._threads, work)

        def ready(future: asyncio.Future[LeftoversAnswer]) -> None:
            error = future.exception()
            if error is not None:
                board.log(f"leftovers: {error!r}")
            done(None if error is not None else future.result())

        future.add_done_callback(ready)

    def record(self, kind: str) -> None:
        """One line of the event log about the agent itself."""
        self._board.journal.submit((AppendEvent(None, kind, self._board.unix_s()),))


def _digests(work: dict[int, tuple[ByteSource | None, int, int]]) -> dict[int, ChannelRecord]:
    found = {}
    for number, (source, first, length) in work.items():
        digest = ChannelDigest(first=first, sha256=True)
        if length > first:
            if source is None:
                raise StorageError("the kept output is gone", path="")
            digest.advance(source, length)
        found[number] = ChannelRecord(length, first, digest.xxh3, digest.sha256)
    return found
