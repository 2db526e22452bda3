"""How jobs end: their output is taken over first, and then their machine hears of it.

An end that nobody recorded is decided by the table of ``jobs.recovery``, whether the agent was there or not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.agent import orphans
from holdfast.agent.live import LiveJob
from holdfast.agent.takeover import exit_record, found_ends, recorded_ends, take_output
from holdfast.agent.unattended import Unattended
from holdfast.errors import StorageError
from holdfast.jobs.output import OutputChannel
from holdfast.jobs.recovery import STARTS, Action, KeeperSays, decide
from holdfast.jobs.stimuli import (
    Adopted,
    Exited,
    Lost,
    NothingInherited,
    Spawned,
    Stimulus,
    TakenOutput,
)
from holdfast.store import control
from holdfast.types import STDERR, STDOUT, JobState, ShimId

if TYPE_CHECKING:
    from holdfast.agent.board import Board

TAKE_AGAIN_S: Final = 1.0
"""The same for output that could not be taken over: the disk may be full for a while."""


class Endings:
    """Ends of jobs, with a supervisor's record or without one."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def settle_orphan(self, live: LiveJob, shim_id: ShimId) -> None:
        """Nobody tends this job: take its recorded end, start it again if it provably never ran, or call it lost."""
        job = live.job
        if job.shim != shim_id or job.state in (JobState.QUEUED, JobState.DONE) or live.ending is not None:
            return
        if live.unattended is not None:
            return
        known = self._board.crew.shims.get(shim_id)
        if known is not None and not known.idle:  # connected again meanwhile
            return
        slots = orphans.about(self.slots(shim_id), job.id)
        says: KeeperSays = "nothing_inherited" if self._board.crew.keeps(shim_id) else "gone"
        action = decide(orphans.finding(job, slots, says))
        if action in STARTS:
            self._board.step(live, NothingInherited())
        elif action is Action.WATCH_PID and self.watch(live, shim_id, slots):
            self._board.step(live, Adopted())
        elif action in (Action.WATCH_PID, Action.LOST_SUPERVISOR):
            self.lose(live, shim_id, slots, "supervisor")
        else:
            self.take_end(live, shim_id, slots)

    def watch(self, live: LiveJob, shim_id: ShimId, slots: control.Slots) -> bool:
        """Its command runs on with nobody to tend it: see its end by pidfd. False if it is gone already."""
        unattended = Unattended(self._board, live, shim_id, slots)
        if not unattended.begin():
            return False
        live.unattended = unattended
        if live.job.pid is None and isinstance(slots.started, control.Started):
            self._board.step(live, Spawned(slots.started.pid, 0, slots.started.wall_ns / 1e9))
        untold, live.untold = live.untold, []
        for message in untold:
            unattended.obey(message)
        return True

    def take_end(self, live: LiveJob, shim_id: ShimId, slots: control.Slots) -> None:
        """The end of a job that nobody tends, from what is recorded: EXIT, MAIN, or that the records are broken."""
        if isinstance(slots.exit, control.Exit):
            self.finish(live, slots.exit, shim_id)
            return
        self.with_output(live, shim_id, slots, partial(orphans.end_of, slots))

    def lose(self, live: LiveJob, shim_id: ShimId, slots: control.Slots, reason: str) -> None:
        """Nobody can tell the end of this job any more; its output is kept as far as it is there."""
        self.with_output(live, shim_id, slots, partial(Lost, reason))

    def with_output(
        self,
        live: LiveJob,
        shim_id: ShimId,
        slots: control.Slots,
        end: Callable[[TakenOutput, TakenOutput], Stimulus],
    ) -> None:
        """End a job without a supervisor: first its output, and when all of it has a digest, the stimulus."""
        if live.job.state is JobState.DONE:
            return
        try:
            _, _, live.taken = take_output(
                self._board.files, None, self.shim_directory(shim_id), live, found_ends(slots)
            )
        except StorageError as error:
            self._take_later(live, error, partial(self.with_output, live, shim_id, slots, end))
            return
        self._when_digested(live, end)

    def _take_later(self, live: LiveJob, error: StorageError, again: Callable[[], None]) -> None:
        self._board.log(f"job {live.job.id}: its output waits where it is: {error}")
        self._board.loop.call_later(TAKE_AGAIN_S, again)

    def shim_directory(self, shim_id: ShimId) -> str:
        """Where a shim's files are."""
        return os.path.join(self._board.state_dir, "shims", shim_id)

    def slots(self, shim_id: ShimId) -> control.Slots:
        try:
            return control.read_path(os.path.join(self.shim_directory(shim_id), "ctl"))
        except OSError:
            return control.Slots()

    def finish(self, live: LiveJob, record: control.Exit, shim_id: ShimId) -> None:
        """The end of a job is recorded: take over its output, then let its machine draw up the receipt."""
        if live.ending is not None or live.job.state is JobState.DONE:
            return
        live.ending = record
        self._take_recorded(live, record, shim_id)

    def _take_recorded(self, live: LiveJob, record: control.Exit, shim_id: ShimId) -> None:
        slots = control.Slots() if not record.left_count else self.slots(shim_id)
        directory, ends = self.shim_directory(shim_id), recorded_ends(record)
        try:
            _, _, live.taken = take_output(self._board.files, live.shim, directory, live, ends)
        except StorageError as error:
            self._take_later(live, error, partial(self._take_recorded, live, record, shim_id))
            return
        self._when_digested(live, partial(Exited, exit_record(record, slots)))

    def _when_digested(self, live: LiveJob, end: Callable[[TakenOutput, TakenOutput], Stimulus]) -> None:
        big = [channel for channel in live.out.values() if channel.digest is None and channel.source is not None]
        if not big:
            self._board.step(live, end(live.out[STDOUT].as_taken(), live.out[STDERR].as_taken()))
            return
        waiting = [self._board.loop.run_in_executor(None, channel.rest_of_digest()) for channel in big]
        asyncio.gather(*waiting, return_exceptions=True).add_done_callback(
            lambda done: self._digested(live, end, big, done.result())
        )

    def _digested(
        self,
        live: LiveJob,
        end: Callable[[TakenOutput, TakenOutput], Stimulus],
        channels: list[OutputChannel],
        digests: list[str | BaseException],
    ) -> None:
        for channel, digest in zip(channels, digests, strict=True):
            if isinstance(digest, str):
                channel.digest = digest
            else:
                self._board.log(f"job {live.job.id}: {digest}")
        self._board.step(live, end(live.out[STDOUT].as_taken(), live.out[STDERR].as_taken()))

    def discard(self, shim_id: ShimId) -> None:
        """Remove what a dead shim without a job has left."""
        directory = self.shim_directory(shim_id)
        for name in ("ctl", "out", "err", "in", "sock"):
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                continue
        try:
            os.rmdir(directory)
        except OSError:
            return
