"""A job whose shim and keeper were both killed while its command runs on: the agent watches it, as far as it can.

It is not the command's parent and holds no end of its pipes. So it sees the end by a pidfd, learns the status only if
the kernel still tells (``agent.kernel``), and cannot vouch for the output: what was in the pipes is gone, and a command
that writes on gets SIGPIPE. The receipt says so (``supervisor`` is ``agent``). Who belongs to the job is told by the
marks in the environment, which is less than the proof that a sub-reaper has.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.agent import kernel, leftovers
from holdfast.jobs.stimuli import Exited, ExitRecord, Lost, Stimulus, TakenOutput
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import Cause, ExitStatus, ShimId

if TYPE_CHECKING:
    from holdfast.agent.board import Board
    from holdfast.agent.live import LiveJob

ASK_AGAIN_S: Final = 0.02
ASK_TIMES: Final = 25
"""The end is seen before the reaping, and the status may be told only after it: half a second is plenty for init."""


class Unattended:
    """The watch over one such job, from ``begin`` to its end."""

    def __init__(self, board: Board, live: LiveJob, shim_id: ShimId, slots: control.Slots) -> None:
        self._board = board
        self._live = live
        self._shim_id = shim_id
        self._slots = slots
        self._pidfd = -1
        self._pid = 0
        self._cause = control.NO_CAUSE
        self._by = ""
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self) -> bool:
        """Watch its main process; False if that is not there any more, or never was."""
        started, claim = self._slots.started, self._slots.claim
        if not isinstance(started, control.Started) or not isinstance(claim, control.Claim):
            return False
        try:
            self._pidfd = os.pidfd_open(started.pid)
        except OSError:
            return False
        if not kernel.same_process(started, claim):  # asked after the opening: the descriptor cannot change its meaning
            os.close(self._pidfd)
            return False
        self._pid = started.pid
        self._board.loop.add_reader(self._pidfd, self._ended)
        if claim.timeout_ms:
            left_s = claim.timeout_ms / 1e3 - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - started.boot_ns) / 1e9
            self._later(max(0.0, left_s), partial(self._stop, control.TIMEOUT, "", claim.grace_ms / 1e3))
        return True

    def obey(self, message: messages.ToShim) -> None:
        """Stops and signals, which its supervisor would have carried out; anything else has nobody to do it."""
        if isinstance(message, messages.Stop):
            self._stop(message.cause, message.by, message.grace_ms / 1e3)
        elif isinstance(message, messages.Signal) and message.scope == messages.TREE:
            self._signal_all(message.signum)
        elif isinstance(message, messages.Signal):
            try:
                if message.scope == messages.GROUP:
                    os.killpg(self._pid, message.signum)  # its leader is not reaped: the number is still its own
                else:
                    signal.pidfd_send_signal(self._pidfd, message.signum)
            except (ProcessLookupError, PermissionError) as error:
                self._board.log(f"job {self._live.job.id}: signal {message.signum}: {error.strerror}")

    def close(self) -> None:
        """End the watch; the next agent begins another."""
        for timer in self._timers:
            timer.cancel()
        if self._pidfd >= 0:
            self._board.loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _later(self, seconds: float, act: partial[None]) -> None:
        self._timers.append(self._board.loop.call_later(seconds, act))

    def _stop(self, cause: int, by: str, grace_s: float) -> None:
        """TERM to all that carry the mark, and KILL after the grace. The first cause stays."""
        if self._cause == control.NO_CAUSE:
            self._cause, self._by = cause, by
            if grace_s > 0:
                self._signal_all(signal.SIGTERM)
        self._later(grace_s, partial(self._signal_all, signal.SIGKILL))

    def _signal_all(self, signum: int) -> None:
        board = self._board
        board.loop.run_in_executor(None, leftovers.signal_job, board.agent_id, self._live.job.id, signum)

    def _ended(self, asked: int = 1) -> None:
        """The main process has ended: ask for its status, then end the rest."""
        self._board.loop.remove_reader(self._pidfd)
        status = kernel.exit_status(self._pidfd, self._pid)
        if status is None and asked < ASK_TIMES:
            self._later(ASK_AGAIN_S, partial(self._ended, asked + 1))
            return
        self.close()
        work = self._board.loop.run_in_executor(None, self._end_rest)
        work.add_done_callback(lambda done: self._finish(status, () if done.exception() else done.result()))

    def _end_rest(self) -> tuple[int, ...]:
        """What outlived the main process is ended, unless it may stay; who is there afterwards. In a thread."""
        agent_id, job = self._board.agent_id, self._live.job
        rest = leftovers.of_job(agent_id, job.id)
        if rest and not job.spec.leave:
            leftovers.end(agent_id, rest)
            rest = leftovers.of_job(agent_id, job.id)
        return tuple(process.pid for process in rest)

    def _finish(self, status: int | None, left: tuple[int, ...]) -> None:
        end = partial(self._end, status, left, self._board.unix_s())
        self._board.endings.with_output(self._live, self._shim_id, self._slots, end)

    def _end(
        self, status: int | None, left: tuple[int, ...], ended_unix_s: float, out: TakenOutput, err: TakenOutput
    ) -> Stimulus:
        started = self._slots.started
        assert isinstance(started, control.Started)
        if status is None:
            return Lost("supervisor", out, err)
        exit_ = ExitStatus.from_wait_status(status)
        cause = Cause.SIGNALED if exit_.signal is not None else Cause.EXITED
        record = ExitRecord(
            cause=Cause(control.CAUSES[self._cause]) if self._cause else cause,
            status=exit_,
            by=self._by,
            started_unix_s=started.wall_ns / 1e9,
            ended_unix_s=ended_unix_s,
            tree="gone" if not left else "left" if self._live.job.spec.leave else "stuck",
            left=left,
            supervisor="agent",
        )
        return Exited(record, out, err)
