"""Starts that wait: for a time, for a turn in a group, for the good end of others. Pure and deterministic.

Rules:

* A plan starts when its time has come, all that it waits for has ended well, and its group has room. Of a group, those
  with a lower priority number come first, among equals those who came to the line first. A plan that failed comes to
  the end of the line when it is retried.
* A firing is named by its plan and a number that only grows. ``Start`` is ordered once for each; whoever carries it out
  starts one job for each name. A plan has one firing at a time: what of a series came due meanwhile fires afterwards,
  as one, with what else was missed.
* A plan without repetition ends with its job: ``done``, or ``failed``. A series goes on, whatever becomes of its jobs;
  it fails when a start is refused.
* If something that a plan waits for ends otherwise than well, the plan has failed, too, and so on.
* A paused group starts nothing. A draining one takes no plans; what stands in its line still starts, but no series
  comes to the line.
* Plans that are over are known for ``KEEP_S``, and so long as there are no more than ``MOST_OVER``.

The recorded clock counts delays; the one that people read counts everything else. It may be set: what is due is decided
anew by each look at it, and a number that has fired does not fire again when it is set back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from typing import Final, TypeVar, assert_never

import msgspec

from holdfast.coordination.plan_records import (
    KEEP_S,
    MOST,
    MOST_BYTES,
    MOST_GROUPS,
    MOST_OVER,
    Added,
    Answer,
    AnyHappened,
    Arm,
    Asked,
    Cancelled,
    GiveUp,
    GroupChanged,
    GroupSettings,
    JobEnded,
    NotStarted,
    Order,
    Phase,
    Planned,
    Retried,
    Start,
    Started,
    TimePassed,
    Watch,
    Why,
)
from holdfast.coordination.timers import Firing, Timer, Timers
from holdfast.coordination.turns import Group, Turns

_WORDS: Final = {"failed": "has failed", "cancelled": "was cancelled", "skipped": "was skipped"}
_K = TypeVar("_K", bound=Hashable)


class _Kept(msgspec.Struct):
    """A snapshot. ``over``: in the order of their end."""

    last: int
    plans: list[Planned]
    groups: list[GroupSettings]
    over: list[int]


class Plans:
    """The plans of one agent.

    Attributes (read-only for others):
        plans: By number, in the order of arrival.
        active: How many are not over.
    """

    def __init__(self) -> None:
        self.plans: dict[int, Planned] = {}
        self.active = 0
        self._turns = Turns()
        self._wall = Timers()
        self._delays = Timers()
        self._names: dict[tuple[str, str], int] = {}
        self._runs: dict[str, int] = {}
        self._for_plans: dict[int, set[int]] = {}
        self._for_jobs: dict[str, set[int]] = {}
        self._over: OrderedDict[int, None] = OrderedDict()
        self._bytes = 0
        self._last = 0
        self._orders: list[Order] = []
        self._armed = Arm(None, None)
        self._now = 0.0
        self._unix_s = 0.0

    # --- the machine -------------------------------------------------------------------------------------------------

    def apply(self, event: bytes, now: float) -> list[Order]:
        """Let this happen (see ``encode``); what is to be done. ``now``: of the recorded clock."""
        happened = _decode(event)
        self._now, self._unix_s, self._orders = now, happened.unix_s, []
        self._happen(happened)
        for firing in self._wall.handle_timeout(self._unix_s):
            self._fires(firing)
        for firing in self._delays.handle_timeout(now):
            self._delayed(firing)
        self._forget_old()
        for number in self._turns.served():
            self._start(self.plans[number])
        self._arm()
        return self._orders

    def snapshot(self) -> bytes:
        """All of it, for ``restore``."""
        groups = [group.settings for group in self.groups.values()]
        return _encode(_Kept(self._last, list(self.plans.values()), groups, list(self._over)))

    def restore(self, snapshot: bytes) -> None:
        """Be what ``snapshot`` was taken of; for a machine that nothing has happened to."""
        kept = _decode_kept(snapshot)
        self._last = kept.last
        self._over = OrderedDict.fromkeys(kept.over)
        self._turns.restore(kept.groups, kept.plans)
        for plan in kept.plans:
            self._know(plan)
            self.active += not plan.over
            if plan.phase == "waiting":
                self._wait(plan)
            elif plan.phase == "running" and plan.job is not None:
                self._runs[plan.job] = plan.number
        self._armed = self.deadlines()

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> dict[str, Group]:
        """By name."""
        return self._turns.groups

    def named(self, principal: str, id_: str) -> Planned | None:
        """The plan of this id that this principal made."""
        number = self._names.get((principal, id_))
        return None if number is None else self.plans[number]

    def deadlines(self) -> Arm:
        """When something is due next."""
        return Arm(self._delays.next_deadline(), self._wall.next_deadline())

    def watches(self, job: str) -> bool:
        """Whether ``JobEnded`` of this job is awaited."""
        return job in self._runs or job in self._for_jobs

    def watched(self) -> list[str]:
        """All such jobs."""
        return sorted({*self._runs, *self._for_jobs})

    def open_starts(self) -> list[Planned]:
        """Plans whose ``Started`` or ``NotStarted`` is awaited, in the order of arrival."""
        return [plan for plan in self.plans.values() if plan.phase == "starting"]

    # --- events ------------------------------------------------------------------------------------------------------

    def _happen(self, happened: AnyHappened) -> None:
        match happened:
            case Added():
                self._add(happened.ticket, happened.asked)
            case Cancelled():
                self._cancel(happened.ticket, happened.plan)
            case Retried():
                self._retry(happened.ticket, happened.plans)
            case GroupChanged():
                self._change(happened)
            case Started():
                self._started(happened)
            case NotStarted():
                self._not_started(happened)
            case JobEnded():
                self._job_ended(happened.job, happened.why)
            case TimePassed():
                self._answer(happened.ticket)
            case _:
                assert_never(happened)

    def _add(self, ticket: int, asked: Asked) -> None:
        known = self.named(asked.principal, asked.id)
        if known is not None and known.asked.digest == asked.digest:
            self._answer(ticket, known)
        elif known is not None:
            self._refuse(ticket, "taken", f"there is a plan {asked.id!r} already, which is another one")
        elif (objection := self._objection(asked)) is not None:
            self._refuse(ticket, *objection)
        else:
            self._last += 1
            plan = Planned(number=self._last, asked=asked, plans=set(asked.plans), jobs=set(asked.jobs))
            plan.at_unix_s = asked.at_unix_s
            if asked.every_s is not None and plan.at_unix_s is None:
                plan.at_unix_s = self._unix_s + (asked.delay_s or 0.0)
            elif asked.delay_s:
                plan.until = self._now + asked.delay_s
            plan.waits_at = plan.at_unix_s is not None
            self._know(plan)
            self._begin(plan)
            self._answer(ticket, plan)

    def _objection(self, asked: Asked) -> tuple[Why, str] | None:
        if self._turns.draining(asked.group):
            return "draining", f"group {asked.group!r} is draining and takes no more plans"
        if self.active >= MOST:
            return "full", f"{MOST} plans wait, which is the limit"
        if self._turns.full(asked.group):
            return "full", f"there are {MOST_GROUPS} groups, which is the limit"
        if not self._make_room(asked.size):
            return "full", f"all plans together have {MOST_BYTES >> 20} MiB, which is the limit"
        for number in asked.plans:
            plan = self.plans.get(number)
            if plan is None:
                return "gone", "a plan that it is to come after is not known any more"
            if plan.asked.every_s is not None:
                return "repeats", f"plan {plan.asked.id!r} repeats, so nothing can come after it"
        return None

    def _cancel(self, ticket: int, number: int) -> None:
        plan = self.plans.get(number)
        if plan is None:
            self._refuse(ticket, "gone", "this plan is not known any more")
            return
        if plan.phase == "failed":
            self._leave(plan, "cancelled")
        elif plan.phase == "starting":
            plan.last = True
            self._orders.append(GiveUp(number, plan.firing))
        elif plan.phase == "running":
            plan.last = True
        elif not plan.over:
            self._end(plan, "cancelled", "")
        self._answer(ticket, plan)

    def _retry(self, ticket: int, numbers: Iterable[int]) -> None:
        found = [plan for number in sorted(set(numbers)) if (plan := self.plans.get(number)) is not None]
        failed = [plan for plan in found if plan.phase == "failed"]
        if self.active + len(failed) > MOST:
            self._refuse(ticket, "full", f"with them more than {MOST} plans would wait, which is the limit")
            return
        for plan in failed:
            plan.phase, plan.why, plan.ended_unix_s, plan.last = "waiting", "", None, False
            plan.waits_at = plan.waits_at or plan.asked.every_s is not None
            del self._over[plan.number]
        for plan in failed:
            self._begin(plan)
        self._answer(ticket, *found)

    def _change(self, change: GroupChanged) -> None:
        if self._turns.full(change.name):
            self._refuse(change.ticket, "full", f"there are {MOST_GROUPS} groups, which is the limit")
            return
        for number in self._turns.change(change):
            if self.plans[number].phase == "held" and not self._turns.draining(change.name):
                self._turns.stand(self.plans[number])
        self._answer(change.ticket)

    def _started(self, started: Started) -> None:
        plan = self._starting(started.plan, started.firing)
        if plan is not None:
            plan.phase, plan.job = "running", started.job
            self._runs[started.job] = plan.number
            self._orders.append(Watch(started.job))

    def _not_started(self, refusal: NotStarted) -> None:
        plan = self._starting(refusal.plan, refusal.firing)
        if plan is not None:
            self._end(plan, "failed" if refusal.why else "cancelled", refusal.why)

    def _starting(self, number: int, firing: int) -> Planned | None:
        plan = self.plans.get(number)
        return plan if plan is not None and plan.phase == "starting" and plan.firing == firing else None

    def _job_ended(self, job: str, why: str) -> None:
        if (number := self._runs.pop(job, None)) is not None:
            plan = self.plans[number]
            if plan.asked.every_s is None:
                self._end(plan, "failed" if why else "done", why)
            elif plan.last:
                self._end(plan, "cancelled", why)
            else:
                self._turns.step_out(plan)
                plan.phase, plan.why, plan.waits_at = "waiting", why, True
                self._wait(plan)
        for number in sorted(self._for_jobs.pop(job, ())):
            plan = self.plans[number]
            if not why:
                plan.jobs.discard(job)
                self._perhaps(plan)
            elif not plan.over:  # it may have waited for another one of them, too
                self._end(plan, "failed", why)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _begin(self, plan: Planned) -> None:
        """A new plan, or one that is retried, waits for what it has to wait for."""
        self.active += 1
        self._turns.join(plan)
        for number in sorted(plan.plans):
            other = self.plans.get(number)
            if other is not None and other.phase == "done":
                plan.plans.discard(number)
            elif other is None or other.over:
                self._end(plan, "failed", _unwell(other))
                return
        self._orders += [Watch(job) for job in sorted(plan.jobs)]
        self._wait(plan)
        self._perhaps(plan)

    def _wait(self, plan: Planned) -> None:
        """Set its timers, and hear of the ends that it waits for."""
        asked, id_ = plan.asked, _timer_id(plan)
        for number in plan.plans:
            self._for_plans.setdefault(number, set()).add(plan.number)
        for job in plan.jobs:
            self._for_jobs.setdefault(job, set()).add(plan.number)
        if plan.waits_at and plan.at_unix_s is not None:
            self._wall.add(Timer(id_, plan.at_unix_s, asked.every_s, next=plan.next, skip_missed=asked.skip_missed))
        if plan.until is not None:
            self._delays.add(Timer(id_, plan.until, skip_missed=asked.skip_missed))

    def _fires(self, firing: Firing) -> None:
        plan = self.plans[int(firing.id)]
        if plan.over:  # with another one, which was skipped a moment ago
            return
        plan.missed += firing.missed + firing.skipped
        if plan.asked.every_s is not None:
            plan.next = firing.number + firing.skipped
            if firing.skipped:
                return
            self._wall.cancel(firing.id)
        elif firing.skipped:
            self._end(plan, "skipped", "its time had passed")
            return
        plan.waits_at = False
        self._perhaps(plan)

    def _delayed(self, firing: Firing) -> None:
        plan = self.plans[int(firing.id)]
        if plan.over:
            return
        plan.until = None
        if firing.skipped:
            plan.missed += 1
            self._end(plan, "skipped", "its time had passed")
        else:
            self._perhaps(plan)

    def _perhaps(self, plan: Planned) -> None:
        """It goes on if there is nothing left that it waits for."""
        if plan.waits_at or plan.until is not None or plan.plans or plan.jobs:
            return
        if plan.asked.group is None:
            self._start(plan)
        elif plan.asked.every_s is not None and self._turns.draining(plan.asked.group):
            plan.phase = "held"
        else:
            self._turns.stand(plan)

    def _start(self, plan: Planned) -> None:
        plan.phase, plan.job = "starting", None
        plan.firing, plan.next = plan.next, plan.next + 1
        plan.fired += 1
        self._orders.append(Start(plan.number, plan.firing))

    # --- ends --------------------------------------------------------------------------------------------------------

    def _end(self, plan: Planned, phase: Phase, why: str) -> None:
        """It is over, and so are those that it must have ended well for."""
        ending = [(plan, phase, why)]
        while ending:
            plan, phase, why = ending.pop()
            if plan.over:
                continue
            self._wall.cancel(_timer_id(plan))
            self._delays.cancel(_timer_id(plan))
            for number in plan.plans:
                _discard(self._for_plans, number, plan.number)
            for job in plan.jobs:
                _discard(self._for_jobs, job, plan.number)
            self._turns.step_out(plan)
            plan.phase, plan.why, plan.ended_unix_s = phase, why, self._unix_s
            self.active -= 1
            self._over[plan.number] = None
            if phase != "failed":
                self._leave(plan, phase)
            for number in sorted(self._for_plans.pop(plan.number, ())):
                other = self.plans[number]
                if phase != "done":
                    ending.append((other, "failed", _unwell(plan)))
                else:
                    other.plans.discard(plan.number)
                    self._perhaps(other)

    def _leave(self, plan: Planned, phase: Phase) -> None:
        """It is over for good: its command is needed no more."""
        plan.phase = phase
        self._turns.leave(plan)
        self._bytes -= len(plan.asked.cargo)
        plan.asked = msgspec.structs.replace(plan.asked, cargo=b"")

    def _forget_old(self) -> None:
        while self._over:
            oldest = self.plans[next(iter(self._over))]
            if len(self._over) <= MOST_OVER and (oldest.ended_unix_s or 0.0) >= self._unix_s - KEEP_S:
                return
            self._forget(oldest.number)

    def _make_room(self, size: int) -> bool:
        """Forget as many of those that are over, oldest first, as a new one of so many bytes needs."""
        while self._bytes + size > MOST_BYTES and self._over:
            self._forget(next(iter(self._over)))
        return self._bytes + size <= MOST_BYTES

    def _forget(self, number: int) -> None:
        plan = self.plans.pop(number)
        self._turns.leave(plan)
        del self._over[number], self._names[plan.asked.principal, plan.asked.id]
        self._bytes -= plan.asked.size

    # --- inside ------------------------------------------------------------------------------------------------------

    def _know(self, plan: Planned) -> None:
        self.plans[plan.number] = plan
        self._names[plan.asked.principal, plan.asked.id] = plan.number
        self._bytes += plan.asked.size

    def _arm(self) -> None:
        deadlines = self.deadlines()
        if deadlines != self._armed:
            self._armed = deadlines
            self._orders.append(deadlines)

    def _answer(self, ticket: int, *plans: Planned) -> None:
        self._orders.append(Answer(ticket, tuple(plan.number for plan in plans)))

    def _refuse(self, ticket: int, why: Why, text: str) -> None:
        self._orders.append(Answer(ticket, (), why, text))

    def validate(self) -> None:
        """Checks every invariant.

        Raises:
            AssertionError: names the broken one.
        """
        for problem in (*self._problems(), *self._turns.problems(self.plans)):
            raise AssertionError(problem)

    def _problems(self) -> Iterator[str]:
        plans = self.plans.values()
        if self.active != sum(not plan.over for plan in plans):
            yield f"{self.active} are counted as active, and that is wrong"
        if sorted(self._over) != [plan.number for plan in plans if plan.over]:
            yield "others are over than are remembered to be"
        if self._bytes != sum(plan.asked.size for plan in plans):
            yield f"{self._bytes} bytes are counted, and that is wrong"
        for plan in plans:
            timed = (self._wall.get(_timer_id(plan)) is not None, self._delays.get(_timer_id(plan)) is not None)
            waits = (plan.waits_at, plan.until is not None) if plan.phase == "waiting" else (False, False)
            if timed != waits:
                yield f"plan {plan.number} is {plan.phase}, and its timers are {timed}"
            if plan.phase == "waiting" and not (any(waits) or plan.plans or plan.jobs):
                yield f"plan {plan.number} waits for nothing"
        for table in (self._for_plans, self._for_jobs):
            for numbers in table.values():
                if any(self.plans[number].phase != "waiting" for number in numbers):
                    yield f"{numbers} are told of an end, and some do not wait"


def _timer_id(plan: Planned) -> str:
    """Of the same length for all: what is due at one time fires in the order of arrival."""
    return f"{plan.number:016d}"


def _unwell(plan: Planned | None) -> str:
    if plan is None:
        return "what it was to come after is not known any more"
    return f"{plan.asked.id}, which it was to come after, {_WORDS[plan.phase]}"


def _discard(table: dict[_K, set[int]], key: _K, number: int) -> None:
    numbers = table.get(key)
    if numbers is not None:
        numbers.discard(number)
        if not numbers:
            del table[key]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(AnyHappened).decode
_decode_kept: Final = msgspec.msgpack.Decoder(_Kept).decode


def encode(happened: AnyHappened) -> bytes:
    """An event as ``apply`` takes it."""
    return _encode(happened)
