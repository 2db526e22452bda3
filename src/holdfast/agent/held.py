"""Jobs that hold: what a client held becomes the job's when it is accepted, and is given back when its tree is dead.

Rules of this module:

* Acceptance and handing over are one transaction: there is no job that was to hold and does not, and no lock that
  belongs to a job which never was.
* A job that is to hold starts only while it does. Its command finds the fencing token in HOLDFAST_FENCE.
* Nobody gets what a job held while a process of it may be alive. It is given back when the tree is proved dead; where
  nobody can prove that (``lost``, or processes that cannot be killed), marks of the job are looked for until none is
  left. What it left behind on purpose (``--leave``) does not count.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.agent import leftovers
from holdfast.coordination.records import Ended, Handed, encode
from holdfast.errors import Refused
from holdfast.jobs.instructions import Instruction, Record
from holdfast.types import Cause, JobId, Receipt
from holdfast.wire.codes import ErrorCode

if TYPE_CHECKING:
    from holdfast.agent.board import Board
    from holdfast.agent.live import LiveJob
    from holdfast.agent.shared import Shared
    from holdfast.errors import StorageError
    from holdfast.jobs.spec import JobSpec
    from holdfast.wire.coordination import Hold
    from holdfast.wire.messages import Leftover

LOOK_S: Final = 0.25
"""The processes of a job that nobody could prove dead are looked for again so soon, then after longer and longer."""
LOOK_MOST_S: Final = 5.0
AGAIN_S: Final = 1.0
"""What the journal did not take is offered again so soon."""


class Held:
    """What jobs hold."""

    def __init__(self, board: Board, shared: Shared) -> None:
        self.shared = shared
        self._board = board
        self._space = shared.space
        self._timers: dict[str, asyncio.TimerHandle] = {}
        board.before_spawn = self._may_start

    # --- beginning ---------------------------------------------------------------------------------------------------

    def claim(self, instance: str, hold: Hold, spec: JobSpec) -> JobSpec:
        """The spec of a job that is to hold what this client has; its fencing token is in it.

        Raises:
            Refused: the client does not hold all of it.
        """
        token = self._space.holds(instance, hold.owner, hold.names)
        if token is None:
            names = ", ".join(map(repr, hold.names))
            raise Refused(
                f"the job cannot hold {names}: not held by who starts it", code=ErrorCode.NOT_HOLDER, ran="no"
            )
        return msgspec.structs.replace(spec, hold=hold.names, fence=token)

    def hand(self, live: LiveJob, instructions: list[Instruction], instance: str, hold: Hold) -> None:
        """Let a new job have it, in the transaction of its acceptance: the first of its instructions."""
        accept = instructions[0]
        assert isinstance(accept, Record)
        self.shared.reserve()
        event = encode(Handed(instance, hold.owner, hold.names, live.job.id))
        write, live.joined = self.shared.recorded.joined(event, refused=lambda error: None)
        instructions[0] = msgspec.structs.replace(accept, writes=(*accept.writes, write))

    def _may_start(self, live: LiveJob) -> None:
        spec = live.job.spec
        if spec.hold and self._space.job_holds(live.job.id, spec.hold) != spec.fence:
            names = ", ".join(map(repr, spec.hold))
            raise Refused(f"it was to hold {names}, which was lost before it started", code=ErrorCode.LEASE_LOST)

    # --- end ---------------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """After a start of the agent: jobs may have ended while there was none."""
        for name in self._space.jobs():
            live = self._board.jobs.get(JobId(name))
            if live is not None:
                if live.published is not None:
                    self.job_done(live, live.published)
                continue
            row = self._board.journal.job(JobId(name))
            self._ended(name, None if row is None else row.receipt, "" if row is None else row.boot_id)

    def job_done(self, live: LiveJob, receipt: Receipt) -> None:
        """A job has ended."""
        if live.job.spec.hold:
            self._ended(live.job.id, receipt, live.job.boot_id)

    def close(self) -> None:
        """The agent ends; the next one looks on."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ended(self, job: str, receipt: Receipt | None, boot_id: str) -> None:
        """``receipt`` None: nobody knows any more how it ended."""
        unproved = receipt is None or receipt.cause in (Cause.LOST, Cause.DAMAGED) or receipt.tree == "stuck"
        if unproved and boot_id in ("", self._board.boot_id):
            self._look(job, LOOK_S)
        else:
            self._give_back(job)

    def _give_back(self, job: str) -> None:
        self._timers.pop(job, None)
        self.shared.record(Ended(job), refused=partial(self._not_written, job))

    def _not_written(self, job: str, error: StorageError) -> None:
        self._board.log(f"what job {job} held is not given back yet: {error}")
        self._timers[job] = self._board.loop.call_later(AGAIN_S, self._give_back, job)

    def _look(self, job: str, again_s: float) -> None:
        """Look for processes of a job in a thread, until there is none."""
        board = self._board
        self._timers.pop(job, None)
        found = board.loop.run_in_executor(None, leftovers.of_job, board.agent_id, job)

        def done(found: asyncio.Future[list[Leftover]]) -> None:
            error = found.exception()
            if error is not None:
                board.log(f"job {job}: its processes cannot be looked for: {error!r}")
            elif not found.result():
                self._give_back(job)
                return
            later_s = min(LOOK_MOST_S, again_s * 2)
            self._timers[job] = board.loop.call_later(again_s, self._look, job, later_s)

        found.add_done_callback(done)
