"""When an agent comes back: look at everything, let the table decide, do what it says.

What is looked at: the journal's unfinished jobs, every shim's control file and lock, what the keeper has said, and
whether the processes are there. The decision is ``jobs.recovery``; nothing is started that may have run before.
"""

from __future__ import annotations

import os
from typing import Final

from holdfast.agent import orphans
from holdfast.agent.board import Board
from holdfast.agent.live import LiveJob, Stdin
from holdfast.errors import StorageError
from holdfast.jobs.body import unpack
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Job
from holdfast.jobs.recovery import Action, Finding, KeeperSays, decide
from holdfast.jobs.stimuli import Attached, NothingInherited, Spawned
from holdfast.jobs.supervise import shim_directories, tended
from holdfast.store import control
from holdfast.store.files import move_aside
from holdfast.store.rows import JobRow
from holdfast.types import JobId, JobState, ShimId

_ACTIVE: Final = (JobState.STARTING, JobState.RUNNING, JobState.ENDING)


class Recovery:
    """One pass over what the last agent left. Done before the first client is served."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._slots: dict[ShimId, control.Slots] = {}
        self._tended: set[ShimId] = set()
        self._said: dict[ShimId, KeeperSays] = {}

    def keeper_said(self, shim: ShimId, *, adopted: bool) -> None:
        """The keeper's word about a dead shim, heard before or while recovery runs."""
        self._said[shim] = "adopted" if adopted else "nothing_inherited"

    def run(self) -> dict[str, int]:
        """Bring the board up to date; counts of what was done, by action."""
        self._look()
        counts: dict[str, int] = {}
        by_job = self._by_job()
        for row in self._board.journal.unfinished():
            shim = by_job.get(row.job, row.shim)
            slots = self._slots.get(shim, control.Slots()) if shim is not None else control.Slots()
            slots = orphans.about(slots, row.job)
            live = self._restore(row, slots)
            action = decide(self._finding(row, shim, slots))
            counts[action.value] = counts.get(action.value, 0) + 1
            self._act(action, live, shim, slots)
        self._tidy(by_job, counts)
        for job in self._board.admission.startable():
            self._board.start_waiting(self._board.jobs[job])
        return counts

    # --- looking -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for shim in shim_directories(self._board.state_dir):
            try:
                self._slots[shim], is_tended = tended(self._board.state_dir, shim)
            except OSError:
                self._slots[shim] = control.Slots()
                continue
            if is_tended:
                self._tended.add(shim)

    def _by_job(self) -> dict[JobId, ShimId]:
        found: dict[JobId, ShimId] = {}
        for shim, slots in self._slots.items():
            for slot in slots:
                if slot is not None and not isinstance(slot, control.Damaged):
                    found[JobId(slot.job)] = shim
                    break
        return found

    def _finding(self, row: JobRow, shim: ShimId | None, slots: control.Slots) -> Finding:
        says: KeeperSays = "gone"
        if shim is not None and shim in self._said:
            says = self._said[shim]
        elif shim is not None and self._board.crew.keeps(shim):
            says = "unknown"
        return Finding(
            claim=slots.claim is not None,
            started=slots.started is not None or row.started_unix_s is not None,
            main=slots.main is not None,
            exit=slots.exit is not None,
            damaged=bool(slots.damage()),
            shim_alive=shim in self._tended,
            keeper=says,
            tree_alive=orphans.tree_alive(slots),
            same_boot=row.boot_id == self._board.boot_id,
            power=row.durability == "power",
        )

    def _restore(self, row: JobRow, slots: control.Slots) -> LiveJob:
        board = self._board
        job = Job.from_row(row, host=board.host)
        live = LiveJob(job, row.principal, Lease(job.spec.on_disconnect))
        live.body_hash = row.body_hash
        packed = board.journal.body(row.job)
        live.body = None if packed is None else unpack(packed)
        if job.spec.stdin:
            live.stdin = Stdin()
            note = slots.note
            live.stdin.ended = isinstance(note, control.Note) and note.stdin_ended
        board.restore(live, (row.principal, row.key_hash))
        board.admission.restore(row.job, running=row.state in _ACTIVE)
        live.lease.recovered(board.loop.time())
        board.touch_lease(live)
        return live

    # --- acting ------------------------------------------------------------------------------------------------------

    def _act(self, action: Action, live: LiveJob, shim: ShimId | None, slots: control.Slots) -> None:
        board, job = self._board, live.job
        if action is Action.TAKE_RESULT:
            assert isinstance(slots.exit, control.Exit)
            assert shim is not None
            board.step(live, Attached(shim, slots.exit.attempt))
            if shim not in self._tended or not board.crew.connect(shim, keeperless=not board.crew.keeps(shim)):
                board.endings.finish(live, slots.exit, shim)
        elif action is Action.ATTACH:
            assert shim is not None
            self._attach(live, shim, slots)
        elif action is Action.AWAIT_KEEPER:
            assert shim is not None
            self._attach(live, shim, slots, adopted=self._said.get(shim) == "adopted")
        elif action in (Action.REQUEUE, Action.START_AGAIN):
            if job.state is not JobState.QUEUED:
                board.step(live, NothingInherited())
        elif action in (Action.TAKE_MAIN, Action.DAMAGED):
            board.endings.take_end(live, shim or ShimId(""), slots)
        elif action is Action.WATCH_PID:
            assert shim is not None
            self._attach(live, shim, slots, adopted=True)
            if not board.endings.watch(live, shim, slots):
                board.endings.lose(live, shim, slots, "supervisor")
        elif action is Action.LOST_SUPERVISOR:
            board.endings.lose(live, shim or ShimId(""), slots, "supervisor")
        elif action is Action.LOST_HOST_RESTART:
            board.endings.lose(live, shim or ShimId(""), slots, "host_restart")

    def _attach(self, live: LiveJob, shim: ShimId, slots: control.Slots, *, adopted: bool = False) -> None:
        board = self._board
        attempt = slots.claim.attempt if isinstance(slots.claim, control.Claim) else max(1, live.job.attempt)
        board.step(live, Attached(shim, attempt, adopted))
        started = slots.started
        if isinstance(started, control.Started) and live.job.pid is None and live.job.allows(Spawned):
            board.step(live, Spawned(started.pid, 0, started.wall_ns / 1e9))
        known = board.crew.shims.get(shim)
        if known is not None:
            board.adopt_shim(live, known)
            return
        ours = board.crew.keeps(shim)
        if not board.crew.connect(shim, keeperless=not ours) and not ours and not adopted:
            # It ended between the look and now, and no keeper will tell.
            board.loop.call_soon(board.endings.settle_orphan, live, shim)

    def _tidy(self, by_job: dict[JobId, ShimId], counts: dict[str, int]) -> None:
        """What belongs to no unfinished job: idle shims serve again, dead ones' files go, strangers are set aside."""
        board = self._board
        busy = {live.job.shim for live in board.jobs.values() if live.job.shim is not None}
        for shim, slots in self._slots.items():
            if shim in busy:
                continue
            jobs = [job for job, where in by_job.items() if where == shim]
            if shim in self._tended:
                if shim not in board.crew.shims:
                    board.crew.connect(shim, keeperless=not board.crew.keeps(shim))
                continue
            if jobs and board.journal.job(jobs[0]) is None and jobs[0] not in board.jobs:
                self._set_aside(board.endings.shim_directory(shim), counts)
            elif not slots.damage():
                board.endings.discard(shim)
        for name in board.files.names():
            if board.journal.job(JobId(name)) is None and JobId(name) not in board.jobs:
                try:
                    board.files.quarantine(name)
                except StorageError as error:
                    board.log(str(error))
                counts[Action.QUARANTINE.value] = counts.get(Action.QUARANTINE.value, 0) + 1

    def _set_aside(self, directory: str, counts: dict[str, int]) -> None:
        try:
            move_aside(directory, os.path.join(self._board.state_dir, "quarantine"))
            counts[Action.QUARANTINE.value] = counts.get(Action.QUARANTINE.value, 0) + 1
        except StorageError as error:
            self._board.log(str(error))
