"""Plans against a plain model that looks at everything anew in each step, with restarts at any moment.

Each firing starts at most once, never more run of a group than may, in the order of priority and arrival, and no plan
is lost: the model says what starts in each step, and what each plan has come to.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import pytest

from holdfast.coordination.plan_records import (
    Added,
    Answer,
    AnyHappened,
    Arm,
    Asked,
    Cancelled,
    GiveUp,
    GroupChanged,
    JobEnded,
    NotStarted,
    Order,
    Retried,
    Start,
    Started,
    TimePassed,
    Watch,
    in_order,
)
from holdfast.coordination.plans import Plans, encode

STEPS: Final = 4_000
LATE_S: Final = 60.0
GROUPS: Final = (None, None, "a", "a", "b")


class Entry(msgspec.Struct):
    """One plan of the model. ``line``: when it came to the line; ``due``: of the next firing, by the wall clock."""

    number: int
    asked: Asked
    state: str = "waiting"
    due: float = -math.inf
    until: float = -math.inf
    plans: set[int] = set()
    jobs: set[str] = set()
    line: int = 0
    next: int = 0
    missed: int = 0
    job: str | None = None
    last: bool = False

    @property
    def series(self) -> bool:
        return self.asked.every_s is not None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled", "skipped")


class Model:
    """What is to come of plans; everything is searched for in plain lists."""

    def __init__(self) -> None:
        self.plans: dict[int, Entry] = {}
        self.parallel = {"a": 1, "b": 1}
        self.paused = {"a": False, "b": False}
        self.draining = {"a": False, "b": False}
        self.clock = 0
        self.started: list[tuple[int, int]] = []

    def happen(self, event: AnyHappened, now: float) -> None:
        """Let this happen; what it starts is in ``started``."""
        self.now, self.unix_s, self.started = now, event.unix_s, []
        getattr(self, type(event).__name__.lower())(event)
        self.time()
        for name in ("a", "b"):
            while (first := self.first(name)) is not None:
                self.start(first)

    def first(self, name: str) -> Entry | None:
        mine = [entry for entry in self.plans.values() if entry.asked.group == name]
        busy = sum(entry.state in ("starting", "running") for entry in mine)
        line = [entry for entry in mine if entry.state == "standing"]
        if self.paused[name] or busy >= self.parallel[name] or not line:
            return None
        return min(line, key=lambda entry: (entry.asked.priority, entry.line))

    def start(self, entry: Entry) -> None:
        entry.state, entry.job = "starting", None
        self.started.append((entry.number, entry.next))
        entry.next += 1

    def ready(self, entry: Entry) -> None:
        if entry.due > -math.inf or entry.until > -math.inf or entry.plans or entry.jobs:
            return
        self.clock += 1
        entry.line = self.clock
        if entry.asked.group is None:
            self.start(entry)
        else:
            entry.state = "held" if entry.series and self.draining[entry.asked.group] else "standing"

    def end(self, entry: Entry, state: str) -> None:
        entry.state = state
        for other in self.plans.values():
            if other.state == "waiting" and entry.number in other.plans:
                if state != "done":
                    self.end(other, "failed")
                else:
                    other.plans.discard(entry.number)
                    self.ready(other)

    def time(self) -> None:
        waiting = [entry for entry in self.plans.values() if entry.state == "waiting"]
        for entry in sorted(waiting, key=lambda entry: (entry.due, entry.number)):
            if -math.inf < entry.due <= self.unix_s and entry.state == "waiting":
                every = entry.asked.every_s
                if every is not None:
                    while entry.asked.at_unix_s is not None and self.due(entry, entry.next + 1) <= self.unix_s:
                        entry.next += 1
                        entry.missed += 1
                late = self.unix_s - self.due(entry, entry.next) > LATE_S
                if late and entry.asked.skip_missed:
                    entry.missed += 1
                    if every is None:
                        self.end(entry, "skipped")
                    else:
                        entry.next += 1
                        entry.due = self.due(entry, entry.next)
                    continue
                entry.due = -math.inf
                self.ready(entry)
        waiting = [entry for entry in self.plans.values() if entry.state == "waiting"]
        for entry in sorted(waiting, key=lambda entry: (entry.until, entry.number)):
            if -math.inf < entry.until <= self.now and entry.state == "waiting":
                late = self.now - entry.until > LATE_S and entry.asked.skip_missed
                entry.until = -math.inf
                if late:
                    entry.missed += 1
                    self.end(entry, "skipped")
                else:
                    self.ready(entry)

    def due(self, entry: Entry, number: int) -> float:
        first = entry.asked.at_unix_s
        assert first is not None
        return first + (entry.asked.every_s or 0.0) * number

    def begin(self, entry: Entry) -> None:
        for number in sorted(entry.plans):
            other = self.plans.get(number)
            if other is not None and other.state == "done":
                entry.plans.discard(number)
            elif other is None or other.over:
                self.end(entry, "failed")
                return
        self.ready(entry)

    def added(self, event: Added) -> None:
        asked = event.asked
        if asked.group is not None and self.draining[asked.group]:
            return
        if any(self.plans[number].series for number in asked.plans):
            return
        entry = Entry(len(self.plans) + 1, asked, plans=set(asked.plans), jobs=set(asked.jobs))
        if asked.every_s is not None and asked.at_unix_s is None:
            entry.asked = msgspec.structs.replace(asked, at_unix_s=self.unix_s + (asked.delay_s or 0.0))
        elif asked.delay_s:
            entry.until = self.now + asked.delay_s
        if entry.asked.at_unix_s is not None:
            entry.due = entry.asked.at_unix_s
        self.plans[entry.number] = entry
        self.begin(entry)

    def cancelled(self, event: Cancelled) -> None:
        entry = self.plans[event.plan]
        if entry.state in ("starting", "running"):
            entry.last = True
        elif entry.state == "failed":
            entry.state = "cancelled"
        elif not entry.over:
            self.end(entry, "cancelled")

    def retried(self, event: Retried) -> None:
        failed = [self.plans[number] for number in sorted(set(event.plans)) if self.plans[number].state == "failed"]
        for entry in failed:
            entry.state, entry.last = "waiting", False
            if entry.series:
                entry.due = self.due(entry, entry.next)
        for entry in failed:
            self.begin(entry)

    def groupchanged(self, event: GroupChanged) -> None:
        if event.parallel is not None:
            self.parallel[event.name] = event.parallel
        if event.paused is not None:
            self.paused[event.name] = event.paused
        if event.draining is not None:
            self.draining[event.name] = event.draining
        if not self.draining[event.name]:
            for entry in self.plans.values():
                if entry.asked.group == event.name and entry.state == "held":
                    self.ready(entry)

    def started_(self, event: Started) -> None:
        entry = self.plans[event.plan]
        entry.state, entry.job = "running", event.job

    def notstarted(self, event: NotStarted) -> None:
        self.end(self.plans[event.plan], "failed" if event.why else "cancelled")

    def jobended(self, event: JobEnded) -> None:
        for entry in self.plans.values():
            if entry.state == "running" and entry.job == event.job:
                if not entry.series:
                    self.end(entry, "failed" if event.why else "done")
                elif entry.last:
                    self.end(entry, "cancelled")
                else:
                    entry.state, entry.due = "waiting", self.due(entry, entry.next)
        for entry in self.plans.values():
            if entry.state == "waiting" and event.job in entry.jobs:
                if event.why:
                    self.end(entry, "failed")
                else:
                    entry.jobs.discard(event.job)
                    self.ready(entry)

    def timepassed(self, event: TimePassed) -> None:
        """Only that."""


class Run:
    """A machine, its model, and whoever carries its orders out; the jobs are numbered."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.machine, self.model = Plans(), Model()
        self.snapshot = self.machine.snapshot()
        self.since: list[tuple[bytes, float]] = []
        self.now, self.unix_s = 1000.0, 1.7e9
        self.jobs: dict[tuple[int, int], str] = {}
        self.running: set[str] = set()
        self.wanted: list[Start] = []
        self.given_up: set[tuple[int, int]] = set()
        self.all_started: set[tuple[int, int]] = set()
        self.seen: set[str] = set()
        self.armed = Arm(None, None)

    def happen(self, event: AnyHappened) -> list[Order]:
        """The same in machine and model; they must agree."""
        data = encode(event)
        self.since.append((data, self.now))
        orders = self.machine.apply(data, self.now)
        if isinstance(event, Started):
            self.model.started_(event)
            self.model.happen(TimePassed(unix_s=self.unix_s, ticket=2), self.now)
        else:
            self.model.happen(event, self.now)
        self.armed = ([self.armed] + [order for order in orders if isinstance(order, Arm)])[-1]
        assert self.armed == self.machine.deadlines()
        starts = [order for order in orders if isinstance(order, Start)]
        found = [(start.plan, start.firing) for start in starts]
        by_group = {name: [each for each in found if self.group(each) == name] for name in (None, "a", "b")}
        wanted = {name: [each for each in self.model.started if self.group(each) == name] for name in (None, "a", "b")}
        assert by_group == wanted
        assert not self.all_started & set(found)
        self.all_started.update(found)
        self.wanted += starts
        self.given_up |= {(order.plan, order.firing) for order in orders if isinstance(order, GiveUp)}
        self.compare()
        self.tell_ended(order.job for order in orders if isinstance(order, Watch))
        return orders

    def tell_ended(self, watched: Iterable[str]) -> None:
        """Jobs that are to be watched may have ended before."""
        for job in watched:
            if job not in self.running:
                self.happen(JobEnded(unix_s=self.unix_s, job=job))

    def group(self, firing: tuple[int, int]) -> str | None:
        return self.model.plans[firing[0]].asked.group

    def compare(self) -> None:
        self.machine.validate()
        assert {n: (p.phase, p.next, p.missed) for n, p in self.machine.plans.items()} == {
            n: (e.state, e.next, e.missed) for n, e in self.model.plans.items()
        }

    def restart(self) -> None:
        """The orders that were not carried out are lost; what is kept tells them."""
        if self.rng.random() < 0.5:
            self.snapshot, self.since = self.machine.snapshot(), []
        fresh = Plans()
        fresh.restore(self.snapshot)
        for data, now in self.since:
            fresh.apply(data, now)
        starting = [(plan.number, plan.firing) for plan in fresh.open_starts()]
        assert sorted(starting) == sorted((start.plan, start.firing) for start in self.wanted)
        assert {job for job in self.running if fresh.watches(job)} == {
            job for job in self.running if self.machine.watches(job)
        }
        assert [plan.number for plan in in_order(fresh.plans.values())] == [
            plan.number for plan in in_order(self.machine.plans.values())
        ]
        assert fresh.deadlines() == self.machine.deadlines()
        self.machine = fresh
        self.wanted = [Start(*each) for each in starting]
        self.compare()
        self.tell_ended(self.machine.watched())

    # --- what may happen ---------------------------------------------------------------------------------------------

    def add(self) -> None:
        rng, plans = self.rng, list(self.model.plans)
        every = rng.choice([None, None, None, rng.uniform(1, 200)])
        after = tuple(sorted({rng.choice(plans) for _ in range(rng.choice([0, 0, 1, 3]))})) if plans else ()
        jobs = (rng.choice(list(self.jobs.values())),) if self.jobs and rng.random() < 0.2 else ()
        asked = Asked(
            id=f"p{len(self.since)}-{rng.random()}", principal="eve", cargo=b"c" * rng.randrange(9), digest=b"",
            group=rng.choice(GROUPS), priority=float(rng.randrange(3)), every_s=every, skip_missed=rng.random() < 0.3,
            at_unix_s=rng.choice([None, None, self.unix_s + rng.uniform(-100, 300)]),
            delay_s=rng.choice([None, None, rng.uniform(0, 300)]), plans=after, jobs=jobs,
        )  # fmt: skip
        orders = self.happen(Added(unix_s=self.unix_s, ticket=7, asked=asked))
        (answer,) = [order for order in orders if isinstance(order, Answer)]
        assert answer.ticket == 7
        self.seen.add(answer.refused or "added")

    def carry_out(self) -> None:
        """One of the starts: accepted, refused, or kept back."""
        if not self.wanted:
            return
        start = self.wanted.pop(self.rng.randrange(len(self.wanted)))
        name = (start.plan, start.firing)
        if name in self.given_up and name not in self.jobs and self.rng.random() < 0.7:
            self.happen(NotStarted(unix_s=self.unix_s, plan=start.plan, firing=start.firing))
        elif self.rng.random() < 0.1 and name not in self.jobs:
            self.happen(NotStarted(unix_s=self.unix_s, plan=start.plan, firing=start.firing, why="not allowed"))
        else:
            job = self.jobs.setdefault(name, f"job{len(self.jobs)}")
            self.running.add(job)
            self.happen(Started(unix_s=self.unix_s, plan=start.plan, firing=start.firing, job=job))

    def end_job(self) -> None:
        if self.running:
            job = self.rng.choice(sorted(self.running))
            self.running.discard(job)
            why = "it failed" if self.rng.random() < 0.3 else ""
            self.happen(JobEnded(unix_s=self.unix_s, job=job, why=why))

    def pass_time(self) -> None:
        step = self.rng.choice([0.0, 1.0, 30.0, 400.0])
        self.now += step
        self.unix_s += step
        if self.rng.random() < 0.05:
            self.unix_s += self.rng.uniform(-500, 500)  # somebody sets the clock
        self.happen(TimePassed(unix_s=self.unix_s, ticket=2))

    def change_group(self) -> None:
        rng = self.rng
        self.happen(
            GroupChanged(
                unix_s=self.unix_s, ticket=7, name=rng.choice("ab"), parallel=rng.choice([None, 1, 2, 4]),
                paused=rng.choice([None, False, True]), draining=rng.choice([None, False, False, True]),
            )
        )  # fmt: skip

    def cancel(self) -> None:
        if self.model.plans:
            self.happen(Cancelled(unix_s=self.unix_s, ticket=7, plan=self.rng.choice(list(self.model.plans))))

    def retry(self) -> None:
        if self.model.plans:
            numbers = tuple(self.rng.choice(list(self.model.plans)) for _ in range(10))
            self.happen(Retried(unix_s=self.unix_s, ticket=7, plans=numbers))

    def finish(self) -> None:
        """Nothing hinders anybody any more: every plan comes to an end, or goes on as a series."""
        for name in "ab":
            self.happen(GroupChanged(unix_s=self.unix_s, ticket=7, name=name, parallel=9, paused=False, draining=False))
        for plan in list(self.model.plans.values()):
            if plan.series:
                self.happen(Cancelled(unix_s=self.unix_s, ticket=7, plan=plan.number))
        for _ in range(1000):
            self.now += 1000.0
            self.unix_s += 1000.0
            self.happen(TimePassed(unix_s=self.unix_s, ticket=2))
            while self.wanted:
                self.carry_out()
            while self.running:
                self.end_job()
        assert self.machine.active == 0
        assert self.machine.deadlines() == Arm(None, None)
        assert self.machine.watched() == []


@pytest.mark.parametrize("part", range(3))
def test_what_starts_and_what_comes_of_it_is_as_in_the_model(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.coordination.plans.KEEP_S", math.inf)  # the model forgets nothing
    seed = int(os.environ.get("HOLDFAST_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    run = Run(random.Random(seed + part))
    acts: list[Any] = [
        run.add, run.add, run.carry_out, run.carry_out, run.carry_out, run.end_job, run.end_job, run.end_job,
        run.pass_time, run.pass_time, run.change_group, run.cancel, run.retry,
    ]  # fmt: skip
    for _ in range(STEPS):
        run.rng.choice(acts)()
        if run.rng.random() < 0.05:
            run.restart()
    run.restart()
    states = {plan.phase for plan in run.machine.plans.values()}
    assert {"done", "failed", "cancelled", "skipped"} <= states
    assert {"added", "draining", "repeats"} <= run.seen
    run.finish()
