"""What shims and keeper say, as stimuli for their jobs (see ``jobs.supervise.Watcher``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.agent.live import LiveJob
from holdfast.agent.takeover import TAKEN_FLAGS
from holdfast.jobs.stimuli import (
    Adopted,
    NothingInherited,
    Spawned,
)
from holdfast.jobs.supervise import Shim, keeper_lives, tended
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import JobId, JobState, ShimId

if TYPE_CHECKING:
    from holdfast.agent.board import Board

LOOK_AGAIN_S: Final = 0.05
"""How often a job is looked at whose shim died under a keeper that does not speak to us."""
_RUN_TYPE: Final = 0x01


class Supervisors:
    """Hears every shim of the board's crew, and its keeper."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def shim_ready(self, shim: Shim, state: messages.State) -> None:
        """A shim is connected. Idle: somebody may be waiting for it. Busy: its job is known from the journal."""
        live = self._board.jobs.get(JobId(state.job)) if state.stage != messages.IDLE else None
        if live is not None:
            self._tended_by(live, shim, state)
            return
        if state.stage != messages.IDLE and not self._release_again(shim, state):
            self._board.log(f"shim {shim.id} tends job {state.job}, which the journal does not know as unfinished")
            return
        stranded = next((live for live in self._board.jobs.values() if live.job.shim == shim.id), None)
        if stranded is not None:  # its order was lost with the agent that gave it
            self._board.endings.settle_orphan(stranded, shim.id)
        self._board.serve_waiting()

    def _tended_by(self, live: LiveJob, shim: Shim, state: messages.State) -> None:
        """A supervisor that we were not connected to: it is told what was missed, and asked for what we have missed."""
        self._board.adopt_shim(live, shim)
        live.spawned = True
        shim.send(messages.Pause() if self._board.paused else messages.Resume())
        self._board.output.reopen(live)
        self._board.output.set_lengths(live, state.out_bytes, state.err_bytes)
        live.room.clear()
        for number in live.out:
            self._board.output.make_room(live, number)
        if live.job.state is JobState.STARTING and state.main_pid:
            started = self._board.endings.slots(shim.id).started
            wall_s = started.wall_ns / 1e9 if isinstance(started, control.Started) else self._board.unix_s()
            self._board.step(live, Spawned(state.main_pid, 0, wall_s))
        untold, live.untold = live.untold, []
        for message in untold:
            shim.send(message)
        if live.stdin is not None and live.stdin.spool is not None:
            shim.send(messages.Stdin(live.stdin.committed, live.stdin.ended))
        self._board.on_growth(live)

    def _release_again(self, shim: Shim, state: messages.State) -> bool:
        """The last agent recorded the end of this shim's job and did not live to say so."""
        if state.stage != messages.DONE:
            return False
        row = self._board.journal.job(JobId(state.job))
        if row is None:  # pruned since: nobody knows whether its spools were taken, so the shim is not used again
            self._board.crew.release(shim, state.job, state.attempt, last=True)
            return True
        if row.state is not JobState.DONE:
            return False
        taken = sum(flag for number, flag in TAKEN_FLAGS.items() if row.is_spooled(number))
        self._board.crew.release(shim, state.job, state.attempt, taken=taken)
        return True

    def shim_said(self, shim: Shim, message: messages.FromShim) -> None:
        """Turn a shim's message into a stimulus for its job."""
        live = shim.job
        if not isinstance(live, LiveJob):
            return
        if isinstance(message, messages.Grew):
            live.armed = None
            self._board.output.set_lengths(live, message.out_bytes, message.err_bytes)
            self._board.on_growth(live)
        elif isinstance(message, messages.Exited):
            self._ended(live, shim, message)
        elif isinstance(message, messages.Started):
            if message.job == live.job.id and live.job.allows(Spawned):
                self._board.step(live, Spawned(message.pid, 0, message.wall_ns / 1e9))
        elif isinstance(message, messages.Stuck):
            self._board.log(
                f"job {live.job.id}: {message.number} processes do not die: {', '.join(map(str, message.pids))}"
            )
        elif isinstance(message, messages.Rejected):
            self._board.log(f"job {live.job.id}: its shim refused message {message.type}: {message.reason}")
            if message.type == _RUN_TYPE and live.job.state is JobState.STARTING:
                shim.job = live.shim = None
                self._board.step(live, NothingInherited())

    def shim_closed(self, shim: Shim) -> None:
        """Its socket closed. With a keeper, its word decides; without one, nobody can tell any more."""
        live = shim.job
        if isinstance(live, LiveJob) and live.shim is shim:
            live.shim = None
            for number, channel in live.out.items():  # whoever reads reads on; an adopter writes to the same file
                spool = shim.give_up_spool(number)
                if spool is not None and not channel.keep(spool):
                    spool.close()
            live.armed = None
            if shim.keeperless or live.job.adopted:
                self._join_adopter(live, shim.id)
        elif shim.state is None and (waiting := self._job_of(shim.id)) is not None:
            # An adopter that was over before it took our connection from its queue.
            self._board.loop.call_later(LOOK_AGAIN_S, self._join_adopter, waiting, shim.id)
        elif shim.keeperless or (shim.state is not None and shim.state.supervisor == control.BY_KEEPER):
            self._board.endings.discard(shim.id)  # nobody else does, and no job needs it any more

    def _job_of(self, shim_id: ShimId) -> LiveJob | None:
        return next((live for live in self._board.jobs.values() if live.job.shim == shim_id), None)

    def shim_died(self, shim_id: ShimId, *, adopted: bool) -> None:
        """The keeper's word about a shim's end."""
        if self._board.on_keeper_word is not None:  # recovery is under way, and decides with this word
            self._board.on_keeper_word(shim_id, adopted=adopted)
            return
        self._board.counters["shims_died"] += 1
        live = self._job_of(shim_id)
        if live is None:
            if not adopted:
                self._board.endings.discard(shim_id)
            self._board.serve_waiting()  # the shim may have been on its way to somebody
            return
        if adopted:
            if live.job.allows(Adopted):
                self._board.step(live, Adopted())
            self._join_adopter(live, shim_id)
            return
        self._board.endings.settle_orphan(live, shim_id)

    def keeper_closed(self) -> None:
        """The keeper is gone; the app gets another one."""
        self._board.counters["keepers_lost"] += 1
        for live in list(self._board.jobs.values()):
            if (
                live.shim is None and live.job.shim is not None
            ):  # its shim went first, and this keeper's word was awaited
                self._board.loop.call_soon(self._join_adopter, live, live.job.shim)
        self._board.on_keeper_closed()

    def _join_adopter(self, live: LiveJob, shim_id: ShimId) -> None:
        """A keeper has adopted this job, or will: look until it serves us, there is an EXIT record, or no such keeper.

        A short job may be over, and its adopter's socket closed, before we are there. An earlier keeper adopts and
        serves the same socket, but it does not speak to us.
        """
        if live.shim is not None or live.job.shim != shim_id or live.job.state is JobState.DONE:
            return
        try:
            slots, is_tended = tended(self._board.state_dir, shim_id)
        except OSError:
            slots, is_tended = control.Slots(), False
        if isinstance(slots.exit, control.Exit) or (slots.claim is None and not is_tended):
            self._board.endings.settle_orphan(live, shim_id)
        elif is_tended and self._board.crew.connect(shim_id, keeperless=not self._board.crew.keeps(shim_id)):
            return
        elif is_tended or keeper_lives(shim_id):
            self._board.loop.call_later(LOOK_AGAIN_S, self._join_adopter, live, shim_id)
        else:
            self._board.endings.settle_orphan(live, shim_id)

    def keeper_came(self) -> None:
        """There is a keeper again: whoever waits for a shim gets one."""
        self._board.serve_waiting()

    def _ended(self, live: LiveJob, shim: Shim, message: messages.Exited) -> None:
        try:
            record = message.record
        except ValueError as error:
            self._board.log(f"job {live.job.id}: {error}")
            return
        if record.job == live.job.id:
            self._board.endings.finish(live, record, shim.id)
