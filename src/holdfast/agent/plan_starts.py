"""Carries out what the machine of plans orders: starts jobs, hears of their ends, looks at the clocks.

Rules of this module:

* A firing has a start key of its own, ``plan:ID:NUMBER``, so it starts one job however often its start is ordered: a
  start that the agent before may have carried out is looked up before it is tried.
* Whoever made the plan must be allowed to start this now. A refusal is recorded in the audit and fails the plan.
* Where the agent has no room, or its journal takes nothing, the start waits; they are tried in the order of the orders.
* A job may end before the machine knows that it was started. So its end is looked up when it is to be watched, and told
  from then on.
"""

from __future__ import annotations

import os
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from holdfast.agent import plan as plans_of_runs
from holdfast.agent.access import Decision, Principal
from holdfast.agent.starts import new_job_id
from holdfast.coordination.plan_records import (
    AnyHappened,
    Arm,
    GiveUp,
    JobEnded,
    NotStarted,
    Planned,
    Start,
    Started,
    TimePassed,
    Watch,
)
from holdfast.coordination.plans import Plans, encode
from holdfast.errors import HoldfastError, Refused, StorageError
from holdfast.jobs import admission, keys
from holdfast.jobs.body import body_hash, pack
from holdfast.jobs.instructions import Notify
from holdfast.jobs.lease import Lease
from holdfast.jobs.machine import Acceptance
from holdfast.types import Cause, JobId, JobState, Receipt
from holdfast.wire.run import Run

if TYPE_CHECKING:
    import asyncio

    from holdfast.agent.live import LiveJob
    from holdfast.agent.service import Service

NAME: Final = "plans"
"""The machine in the journal."""
ACTION: Final = "plan.fired"
"""What the audit calls a start on behalf of whoever made the plan."""
LOOK_S: Final = 1.0
"""The clock that people read may be set at any time: it is looked at so often while something waits for it."""
AGAIN_S: Final = 1.0
"""What the journal did not take is offered again so soon."""
LONGEST_S: Final = 10.0
"""Where there is no room for a job, it is looked for again at least so often."""
LOOKING: Final = 0
"""The ticket of ``TimePassed``; those of requests are greater."""

Name = tuple[int, int]
"""A firing: the plan's number and its own."""


class Cargo(msgspec.Struct, frozen=True):
    """What a plan starts, and for whom."""

    who: Principal
    run: Run
    body: bytes


class Clock(Protocol):
    """Seconds that never go back."""

    def now(self) -> float: ...


class Recorder(Protocol):
    """Writes events of the machine before they are applied (``agent.recorded``)."""

    @property
    def clock(self) -> Clock: ...

    def record(self, event: bytes, *, power: bool = False, refused: Callable[[StorageError], None]) -> None: ...


class PlanStarts:
    """The starts of one agent's plans.

    Args:
        service: Jobs, and who may start them.
        machine: The plans.
        recorder: Where what happens to them is recorded.
        identify: Somebody who has made a plan, as they are known now; None: their key was revoked.
    """

    def __init__(
        self,
        service: Service,
        machine: Plans,
        recorder: Recorder,
        identify: Callable[[Principal], Principal | None],
    ) -> None:
        self._service = service
        self._board = service.board
        self._machine = machine
        self._recorder = recorder
        self._identify = identify
        self._waiting: OrderedDict[Name, None] = OrderedDict()
        self._accepting: dict[JobId, Name] = {}
        self._room_timer: asyncio.TimerHandle | None = None
        self._clock_timer: asyncio.TimerHandle | None = None
        self._looking = False
        self._told, self._failed = self._board.on_notify, self._board.on_journal_error
        self._board.on_notify, self._board.on_journal_error = self._heard, self._not_accepted

    def recover(self) -> None:
        """After a start of the agent: jobs may have ended, starts may have been carried out, times may have come."""
        for job in self._machine.watched():
            self._look_at(job)
        for each in self._machine.open_starts():
            self._wait(each)
        self._serve()
        self._arm()

    def close(self) -> None:
        """Nothing is tried any more."""
        for timer in (self._room_timer, self._clock_timer):
            if timer is not None:
                timer.cancel()

    def carry_out(self, order: Start | GiveUp | Watch | Arm) -> None:
        """Do what the machine orders."""
        if isinstance(order, Watch):
            self._look_at(order.job)
        elif isinstance(order, Arm):
            self._arm()
        elif isinstance(order, Start):
            self._wait(self._machine.plans[order.plan])
            if self._room_timer is None:
                self._serve()
        elif (order.plan, order.firing) in self._waiting:
            del self._waiting[order.plan, order.firing]
            self._attempt(self._machine.plans[order.plan])

    # --- starting ----------------------------------------------------------------------------------------------------

    def _wait(self, each: Planned) -> None:
        self._waiting[each.number, each.firing] = None

    def _serve(self) -> None:
        """Try the starts that wait, in order, until one has to go on waiting."""
        self._room_timer = None
        while self._waiting and self._room_timer is None:
            name, _ = self._waiting.popitem(last=False)
            each = self._machine.plans.get(name[0])
            if each is None or each.phase != "starting" or each.firing != name[1]:
                continue
            wait_s = self._attempt(each)
            if wait_s is not None:
                self._waiting[name] = None
                self._waiting.move_to_end(name, last=False)
                self._room_timer = self._board.loop.call_later(wait_s, self._serve)
                return

    def _attempt(self, each: Planned) -> float | None:
        """Start it, or find that it was started, or why it never will be; a number: try again in so many seconds."""
        try:
            return self._start(each)
        except StorageError as error:
            self._board.log(f"plan {each.asked.id} waits: {error}")
            return AGAIN_S
        except HoldfastError as error:
            self.record(self._not_started(each, str(error) or "refused"))
        except Exception as error:  # one plan's trouble must not keep the others from starting
            self._board.log("".join(traceback.format_exception(error)))
            self.record(self._not_started(each, f"a mistake of the agent: {error!r}"))
        return None

    def _start(self, each: Planned) -> float | None:
        board, asked = self._board, each.asked
        cargo = decode_cargo(asked.cargo)
        spec, body = plans_of_runs.read_request(cargo.run, cargo.body)
        text = f"plan:{asked.id}:{each.firing}"
        spec = msgspec.structs.replace(spec, key=text, on_disconnect="keep", durability="power")
        digest = body_hash(body, spec)
        key = keys.remembered(text, generated=False, now_unix_s=board.unix_s())
        known = self._started_before(asked.principal, key.hash, digest)
        if known is not None:
            self.record(Started(unix_s=board.unix_s(), plan=each.number, firing=each.firing, job=known))
            return None
        if each.last:
            self.record(self._not_started(each, ""))
            return None
        who = self._identify(cargo.who)
        caller = self._service.guard.on_behalf(who or cargo.who, ACTION)
        if who is None:
            caller.does(Decision(False, "revoked", f"the key of {asked.principal} was revoked here"), asked.id)
        decision = caller.start(spec, body)
        if not decision.allowed:
            raise caller.refuse_start(decision, spec, body)
        if decision.profile is not None:
            spec, body = decision.profile.impose(spec, body)
        plans_of_runs.account(spec.user, spec.groups)
        if self._service.read_only is not None:
            return LONGEST_S
        job = new_job_id(os.urandom(8))
        place = board.admission.offer(job, board.loop.time())
        if isinstance(place, admission.Refused):
            return min(place.retry_after_s or LONGEST_S, LONGEST_S)
        caller.starts(decision, job, spec, body)
        acceptance = Acceptance(
            job=job,
            principal=asked.principal,
            body=pack(body),
            body_hash=digest,
            key_hash=key.hash,
            key_kind="generated",  # a firing is over when its job is, so its key need not be remembered for ever
            key_born_unix_s=key.born_unix_s,
        )
        queued = isinstance(place, admission.Queued)
        self._accepting[job] = each.number, each.firing
        live, instructions = board.accept(acceptance, spec, body, Lease("keep"), queued=queued)
        live.body_hash = digest
        board.begin(live, instructions)
        return None

    def _started_before(self, principal: str, key_hash: bytes, digest: bytes) -> str | None:
        """The job of this key, whoever has started it."""
        live = self._board.by_key.get((principal, key_hash))
        row = None if live is not None else self._board.journal.key(principal, key_hash)
        found = (live.job.id, live.body_hash) if live is not None else None if row is None else (row.job, row.body_hash)
        if found is None:
            return None
        if found[1] != digest:
            raise Refused(f"its start key belongs to job {found[0]}, which is another command")
        return found[0]

    def _not_started(self, each: Planned, why: str) -> NotStarted:
        return NotStarted(unix_s=self._board.unix_s(), plan=each.number, firing=each.firing, why=why)

    # --- what the board tells ----------------------------------------------------------------------------------------

    def _heard(self, live: LiveJob, notify: Notify) -> None:
        self._told(live, notify)
        job = live.job.id
        if notify.kind == "accepted" and (name := self._accepting.pop(job, None)) is not None:
            self.record(Started(unix_s=self._board.unix_s(), plan=name[0], firing=name[1], job=job))
        elif notify.kind == "done" and self._machine.watches(job):
            assert notify.receipt is not None
            self._ended(job, notify.receipt)

    def _not_accepted(self, live: LiveJob, error: StorageError) -> None:
        self._failed(live, error)
        name = self._accepting.pop(live.job.id, None)
        if name is not None:
            self._waiting[name] = None
            if self._room_timer is None:
                self._room_timer = self._board.loop.call_later(AGAIN_S, self._serve)

    def _look_at(self, job: str) -> None:
        """Tell the end of a job that has ended already."""
        live = self._board.jobs.get(JobId(job))
        if live is not None:
            if live.published is not None:
                self._ended(job, live.published)
            return
        row = self._board.journal.job(JobId(job))
        if row is None:
            self.record(JobEnded(unix_s=self._board.unix_s(), job=job, why=f"job {job} was removed"))
        elif row.state is JobState.DONE and row.receipt is not None:
            self._ended(job, row.receipt)

    def _ended(self, job: str, receipt: Receipt) -> None:
        self.record(JobEnded(unix_s=self._board.unix_s(), job=job, why=ending(receipt)))

    # --- time --------------------------------------------------------------------------------------------------------

    def looked(self) -> None:
        """``TimePassed`` was applied."""
        self._looking = False
        self._arm()

    def _arm(self) -> None:
        """Look again when something is due, or may be, should somebody set the clock."""
        if self._clock_timer is not None:
            self._clock_timer.cancel()
            self._clock_timer = None
        wait_s = self._wait_s()
        if wait_s is not None and not self._looking:
            self._clock_timer = self._board.loop.call_later(min(max(0.0, wait_s), LOOK_S), self._look)

    def _look(self) -> None:
        self._clock_timer = None
        wait_s = self._wait_s()
        if wait_s is not None and wait_s <= 0:
            self._looking = True
            self.record(TimePassed(unix_s=self._board.unix_s(), ticket=LOOKING))
        else:
            self._arm()

    def _wait_s(self) -> float | None:
        arm, waits = self._machine.deadlines(), []
        if arm.until is not None:
            waits.append(arm.until - self._recorder.clock.now())
        if arm.unix_s is not None:
            waits.append(arm.unix_s - self._board.unix_s())
        return min(waits, default=None)

    def record(self, happened: AnyHappened) -> None:
        """Something has happened, whether the journal takes it now or later."""

        def refused(error: StorageError) -> None:
            if error.path == NAME:  # the machine failed at it, and would again
                return
            self._board.log(f"plans wait for the journal: {error}")
            self._board.loop.call_later(AGAIN_S, self.record, happened)

        self._recorder.record(encode(happened), refused=refused)


def ending(receipt: Receipt) -> str:
    """How a job has ended, where it has not ended well; empty: it has."""
    job, status = f"job {receipt.job}", receipt.exit
    if receipt.cause is Cause.EXITED and status is not None:
        return "" if status.returncode == 0 else f"{job} returned {status.code}"
    if receipt.cause is Cause.SIGNALED and status is not None:
        return f"{job} was ended by {status.signal_name}"
    if receipt.cause is Cause.START_FAILED:
        return f"{job} could not be started: {receipt.reason or receipt.stage}"
    return f"{job}: {_CAUSES[receipt.cause]}"


_CAUSES: Final = {
    Cause.EXITED: "how it ended is not known",
    Cause.SIGNALED: "how it ended is not known",
    Cause.TIMEOUT: "its time limit was reached",
    Cause.STOPPED: "it was stopped",
    Cause.CLIENT_LOST: "its client was lost",
    Cause.OUTPUT_LIMIT: "it wrote more than it may",
    Cause.CANCELLED: "it was cancelled before it started",
    Cause.EXPIRED: "it was not started in time",
    Cause.START_FAILED: "it could not be started",
    Cause.LOST: "it is lost, so how it ended is not known",
    Cause.DAMAGED: "its records are damaged, so how it ended is not known",
}

encode_cargo: Final = msgspec.msgpack.Encoder().encode
decode_cargo: Final = msgspec.msgpack.Decoder(Cargo).decode
