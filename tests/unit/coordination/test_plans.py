"""Plans: times, turns, what they come after, ends, retries, limits; and what is kept through a restart."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.coordination import plans as rules
from holdfast.coordination import turns
from holdfast.coordination.plan_records import (
    KEEP_S,
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
    Planned,
    Retried,
    Start,
    Started,
    TimePassed,
    Watch,
    in_order,
)
from holdfast.coordination.plans import Plans, encode

UNIX_S = 1.7e9


class World:
    """A machine whose orders are looked at; jobs are named after the firing: ``job 3.0``."""

    def __init__(self) -> None:
        self.machine = Plans()
        self.now = 100.0
        self.unix_s = UNIX_S
        self.orders: list[Order] = []

    def happen(self, event: AnyHappened) -> list[Order]:
        self.orders = self.machine.apply(encode(event), self.now)
        self.machine.validate()
        return self.orders

    def add(self, id_: str = "", **asked: Any) -> Planned:
        """A plan that is taken."""
        answer = self.ask(id_, **asked)
        assert answer.refused is None, answer
        return self.machine.plans[answer.plans[0]]

    def ask(self, id_: str = "", **asked: Any) -> Answer:
        id_ = id_ or f"p{self.machine._last + 1}"
        fields = {"id": id_, "principal": "eve", "cargo": b"cargo", "digest": id_.encode(), **asked}
        self.happen(Added(unix_s=self.unix_s, ticket=1, asked=Asked(**fields)))
        return self.answer()

    def answer(self) -> Answer:
        (answer,) = [order for order in self.orders if isinstance(order, Answer)]
        return answer

    def starts(self) -> list[tuple[int, int]]:
        """What was ordered in the latest step."""
        return [(order.plan, order.firing) for order in self.orders if isinstance(order, Start)]

    def begin(self, *plans: Planned) -> None:
        """Their jobs are accepted."""
        for plan in plans:
            job = f"job {plan.number}.{plan.firing}"
            self.happen(Started(unix_s=self.unix_s, plan=plan.number, firing=plan.firing, job=job))

    def end(self, plan: Planned, why: str = "") -> list[tuple[int, int]]:
        """Its job ends; what starts then."""
        if plan.phase == "starting":
            self.begin(plan)
        assert plan.job is not None
        self.happen(JobEnded(unix_s=self.unix_s, job=plan.job, why=why))
        return self.starts()

    def later(self, seconds: float) -> list[tuple[int, int]]:
        """Time passes; what starts then."""
        self.now += seconds
        self.unix_s += seconds
        self.happen(TimePassed(unix_s=self.unix_s, ticket=2))
        return self.starts()

    def cancel(self, plan: Planned) -> None:
        self.happen(Cancelled(unix_s=self.unix_s, ticket=1, plan=plan.number))

    def retry(self, *plans: Planned) -> list[tuple[int, int]]:
        self.happen(Retried(unix_s=self.unix_s, ticket=1, plans=tuple(plan.number for plan in plans)))
        return self.starts()

    def group(self, name: str = "g", **changes: Any) -> list[tuple[int, int]]:
        self.happen(GroupChanged(unix_s=self.unix_s, ticket=1, name=name, **changes))
        return self.starts()

    def again(self, plan: Planned) -> Planned:
        """The same plan in a machine that was written down and begun anew."""
        snapshot = self.machine.snapshot()
        self.machine = Plans()
        self.machine.restore(snapshot)
        self.machine.validate()
        return self.machine.plans[plan.number]


@pytest.fixture
def world() -> World:
    return World()


# --- time ------------------------------------------------------------------------------------------------------------


def test_without_conditions_it_starts_at_once_and_ends_with_its_job(world: World) -> None:
    plan = world.add()
    assert world.starts() == [(1, 0)]
    world.begin(plan)
    assert world.orders == [Watch("job 1.0")]
    assert world.machine.watches("job 1.0")
    world.end(plan)
    assert (plan.phase, plan.job, plan.asked.cargo) == ("done", "job 1.0", b"")
    assert not world.machine.watches("job 1.0")


def test_at_a_time_of_the_wall_clock_once(world: World) -> None:
    plan = world.add(at_unix_s=UNIX_S + 50)
    assert world.machine.deadlines() == Arm(None, UNIX_S + 50)
    assert world.later(49) == []
    world.unix_s += 1  # the clock is set: what is due is decided by what it says now
    assert world.later(0) == [(1, 0)]
    world.unix_s -= 3600
    assert world.later(1) == []
    world.end(plan)
    assert world.later(7200) == []


def test_a_delay_is_counted_by_the_recorded_clock(world: World) -> None:
    world.add(delay_s=50.0)
    assert world.machine.deadlines() == Arm(150.0, None)
    world.unix_s += 1e6
    assert world.later(49) == []
    assert world.later(1) == [(1, 0)]


def test_a_late_one_starts_all_the_same(world: World) -> None:
    world.add(at_unix_s=UNIX_S + 50)
    assert world.later(1e6) == [(1, 0)]


def test_a_late_one_that_may_be_skipped_is_skipped(world: World) -> None:
    plan, delayed = world.add(at_unix_s=UNIX_S + 50, skip_missed=True), world.add(delay_s=50.0, skip_missed=True)
    assert world.later(111) == []
    assert (plan.phase, plan.missed) == (delayed.phase, delayed.missed) == ("skipped", 1)


def test_a_series_goes_on_whatever_becomes_of_its_jobs(world: World) -> None:
    plan = world.add(every_s=10.0)
    assert world.starts() == [(1, 0)]
    world.end(plan, "exit 3")
    assert (plan.phase, plan.why, plan.due_unix_s) == ("waiting", "exit 3", UNIX_S + 10)
    assert world.later(10) == [(1, 1)]
    world.end(plan)
    assert (plan.why, plan.fired, plan.missed) == ("", 2, 0)
    assert world.later(35) == [(1, 4)]
    assert (plan.fired, plan.missed) == (3, 2)


def test_a_series_does_not_overtake_itself(world: World) -> None:
    plan = world.add(every_s=10.0)
    world.begin(plan)
    assert world.later(35) == []
    assert world.end(plan) == [(1, 3)]
    assert (plan.fired, plan.missed) == (2, 2)


def test_a_series_that_may_skip(world: World) -> None:
    plan = world.add(every_s=1000.0, skip_missed=True)
    world.end(plan)
    assert world.later(1061) == []
    assert (plan.missed, plan.due_unix_s) == (1, UNIX_S + 2000)


def test_the_first_time_of_a_series(world: World) -> None:
    assert world.add(every_s=10.0, at_unix_s=UNIX_S + 5).due_unix_s == UNIX_S + 5
    assert world.add(every_s=10.0, delay_s=7.0).due_unix_s == UNIX_S + 7


# --- turns -----------------------------------------------------------------------------------------------------------


def test_one_at_a_time_by_priority_and_arrival(world: World) -> None:
    first, second, urgent, third = (world.add(group="g", priority=p) for p in (0.0, 0.0, -1.0, 0.0))
    assert first.busy
    assert [plan.number for plan in in_order(world.machine.plans.values())] == [1, 3, 2, 4]
    assert world.end(first, "exit 1") == [(urgent.number, 0)]
    assert world.end(urgent) == [(second.number, 0)]
    assert world.end(second) == [(third.number, 0)]
    assert first.phase == "failed"


def test_parallel(world: World) -> None:
    plans = [world.add(group="g") for _ in range(5)]
    assert world.group(parallel=3) == [(2, 0), (3, 0)]
    assert world.group(parallel=1) == []
    world.end(plans[0])
    world.end(plans[1])
    assert world.starts() == []
    assert world.end(plans[2]) == [(4, 0)]


def test_other_groups_do_not_wait(world: World) -> None:
    world.add(group="g")
    world.add(group="other")
    assert world.starts() == [(2, 0)]
    world.add()
    assert world.starts() == [(3, 0)]


def test_a_paused_group_starts_nothing(world: World) -> None:
    running = world.add(group="g")
    world.add(group="g")
    world.group(paused=True)
    assert world.end(running) == []
    assert world.group(paused=False) == [(2, 0)]


def test_a_draining_group_takes_no_more_and_empties(world: World) -> None:
    running, waiting = world.add(group="g"), world.add(group="g")
    series = world.add(group="g", every_s=10.0, at_unix_s=UNIX_S + 10)
    world.group(draining=True)
    assert world.ask(group="g").refused == "draining"
    assert world.end(running) == [(waiting.number, 0)]
    world.end(waiting)
    assert world.later(25) == []
    assert series.phase == "held"
    assert world.again(series).phase == "held"
    assert world.group(draining=False) == [(series.number, 1)]


def test_a_group_without_members_and_settings_is_forgotten(world: World) -> None:
    plan = world.add(group="g")
    assert list(world.machine.groups) == ["g"]
    world.end(plan)
    assert world.machine.groups == {}
    world.group(parallel=2)
    assert list(world.machine.groups) == ["g"]
    world.group(parallel=1)
    assert world.machine.groups == {}


# --- what it comes after ---------------------------------------------------------------------------------------------


def test_after_plans_and_jobs(world: World) -> None:
    first = world.add()
    plan = world.add(plans=(first.number,), jobs=("abc",), after=("p1", "abc"))
    assert Watch("abc") in world.orders
    assert world.end(first) == []
    world.happen(JobEnded(unix_s=world.unix_s, job="abc"))
    assert world.starts() == [(plan.number, 0)]
    later = world.add(plans=(first.number,))
    assert world.starts() == [(later.number, 0)]


def test_what_comes_after_a_failure_fails_and_so_on(world: World) -> None:
    first = world.add("build", group="g")
    second = world.add("test", plans=(1,), delay_s=500.0)
    third = world.add("deploy", plans=(1, 2), group="g")
    world.end(first, "exit 2")
    assert (second.phase, second.why) == ("failed", "build, which it was to come after, has failed")
    assert third.phase == "failed"
    late = world.add("report", plans=(3,))
    assert (late.phase, late.why) == ("failed", "deploy, which it was to come after, has failed")
    assert world.machine.deadlines() == Arm(None, None)


@pytest.mark.parametrize("how", ["cancelled", "skipped"])
def test_not_starting_is_not_ending_well(world: World, how: str) -> None:
    first = world.add("build", at_unix_s=UNIX_S + 5, skip_missed=True)
    second = world.add(plans=(1,))
    if how == "cancelled":
        world.cancel(first)
    else:
        world.later(1000)
    assert (second.phase, second.why) == ("failed", f"build, which it was to come after, was {how}")


def test_what_failed_a_moment_ago_does_not_fire(world: World) -> None:
    world.add("build", at_unix_s=UNIX_S + 5, skip_missed=True)
    series = world.add(plans=(1,), every_s=10.0, at_unix_s=UNIX_S + 5)
    delayed = world.add(plans=(1,), at_unix_s=UNIX_S + 5, delay_s=7.0)
    assert world.later(1000) == []
    assert (series.phase, series.next, series.missed) == ("failed", 0, 0)
    assert (delayed.phase, delayed.waits_at, delayed.until) == ("failed", True, 107.0)


def test_a_job_that_failed(world: World) -> None:
    plan, both = world.add(jobs=("abc",)), world.add(jobs=("abc",), plans=(1,))
    world.happen(JobEnded(unix_s=world.unix_s, job="abc", why="job abc failed"))
    assert (plan.phase, plan.why) == ("failed", "job abc failed")
    assert both.phase == "failed"


def test_nothing_comes_after_a_series_or_after_what_is_not_there(world: World) -> None:
    world.add(every_s=10.0)
    assert world.ask(plans=(1,)).refused == "repeats"
    assert world.ask(plans=(77,)).refused == "gone"


# --- cancelling and retrying -----------------------------------------------------------------------------------------


def test_cancelled_ones_do_not_start(world: World) -> None:
    running, standing, delayed = world.add(group="g"), world.add(group="g"), world.add(delay_s=5.0)
    world.cancel(standing)
    world.cancel(delayed)
    assert (standing.phase, delayed.phase) == ("cancelled", "cancelled")
    assert world.end(running) == []
    assert world.later(10) == []


def test_a_start_that_was_ordered_may_still_be_kept_back(world: World) -> None:
    plan, next_one = world.add(group="g"), world.add(group="g")
    world.cancel(plan)
    assert GiveUp(1, 0) in world.orders
    world.happen(NotStarted(unix_s=world.unix_s, plan=1, firing=0))
    assert plan.phase == "cancelled"
    assert world.starts() == [(next_one.number, 0)]


def test_a_job_that_runs_is_not_touched(world: World) -> None:
    plan, series = world.add(), world.add(every_s=10.0)
    world.begin(plan, series)
    world.cancel(plan)
    world.cancel(series)
    world.end(plan)
    world.end(series)
    assert (plan.phase, series.phase) == ("done", "cancelled")
    assert world.later(100) == []


def test_a_retried_one_is_a_new_firing_at_the_end_of_the_line(world: World) -> None:
    plan, other = world.add(group="g"), world.add(group="g")
    world.end(plan, "exit 1")
    assert world.retry(plan) == []
    assert plan.phase == "standing"
    assert world.end(other) == [(plan.number, 1)]
    world.end(plan)
    assert (plan.phase, plan.fired) == ("done", 2)
    assert world.retry(plan, other) == []


def test_retried_together_they_wait_for_each_other_again(world: World) -> None:
    first, second = world.add(), world.add(plans=(1,))
    world.end(first, "exit 1")
    world.retry(second)
    assert second.phase == "failed"
    assert world.retry(first, second) == [(1, 1)]
    assert world.end(first) == [(2, 0)]


def test_a_retried_one_still_waits_for_its_time(world: World) -> None:
    first, second = world.add(), world.add(plans=(1,), at_unix_s=UNIX_S + 50, delay_s=70.0)
    world.end(first, "exit 1")
    world.retry(first, second)
    world.end(first)
    assert world.later(50) == []
    assert world.later(20) == [(second.number, 0)]


def test_a_refused_start_fails_the_plan(world: World) -> None:
    plan, series = world.add(), world.add(every_s=10.0)
    for each in (plan, series):
        world.happen(NotStarted(unix_s=world.unix_s, plan=each.number, firing=0, why="revoked"))
        assert (each.phase, each.why) == ("failed", "revoked")
    assert world.later(15) == []
    assert world.retry(plan, series) == [(1, 1), (2, 1)]


def test_a_failed_one_can_be_given_up_for_good(world: World) -> None:
    plan = world.add(group="g")
    world.end(plan, "exit 1")
    world.cancel(plan)
    assert plan.phase == "cancelled"
    assert world.retry(plan) == []
    assert world.machine.groups == {}


def test_words_about_another_firing_change_nothing(world: World) -> None:
    plan = world.add()
    world.end(plan, "exit 1")
    world.retry(plan)
    world.happen(Started(unix_s=world.unix_s, plan=1, firing=0, job="old"))
    world.happen(NotStarted(unix_s=world.unix_s, plan=1, firing=0, why="old"))
    world.happen(JobEnded(unix_s=world.unix_s, job="old"))
    assert (plan.phase, plan.firing) == ("starting", 1)


# --- ids and limits --------------------------------------------------------------------------------------------------


def test_asking_again_is_harmless_and_another_one_is_refused(world: World) -> None:
    plan = world.add("nightly", digest=b"1")
    assert world.add("nightly", digest=b"1") is plan
    assert world.starts() == []
    assert world.ask("nightly", digest=b"2").refused == "taken"
    assert world.add("nightly", digest=b"2", principal="bob") is not plan
    assert world.machine.named("bob", "nightly") is not plan
    assert world.machine.named("ann", "nightly") is None


def test_cancelling_what_is_not_there(world: World) -> None:
    world.happen(Cancelled(unix_s=world.unix_s, ticket=9, plan=5))
    assert world.answer() == Answer(9, (), "gone", "this plan is not known any more")


def test_so_many_wait_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST", 2)
    failed = world.add()
    world.end(failed, "exit 1")
    plan, _ = world.add(), world.add()
    assert world.ask().refused == "full"
    world.retry(failed)
    assert (world.answer().refused, failed.phase) == ("full", "failed")
    world.end(plan)
    assert world.ask().refused is None


def test_so_many_groups_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_GROUPS", 1)
    world.add(group="g")
    assert world.ask(group="h").refused == "full"
    world.group("h", parallel=2)
    assert world.answer().refused == "full"


def test_so_many_bytes_and_those_that_are_over_make_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_BYTES", 3000)
    failed = world.add(cargo=b"x" * 2000)
    world.end(failed, "exit 1")
    waiting = world.add(cargo=b"x" * 2000, delay_s=1.0)
    assert world.machine.named("eve", "p1") is None
    assert world.ask(cargo=b"x" * 2000).refused == "full"
    world.cancel(waiting)
    assert world.ask(cargo=b"x" * 2000).refused is None


def test_those_that_are_over_are_known_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        world.end(world.add())
        world.later(10)
    world.later(KEEP_S - 25)
    assert list(world.machine.plans) == [2, 3]
    monkeypatch.setattr(rules, "MOST_OVER", 1)
    world.later(0)
    assert list(world.machine.plans) == [3]


def test_a_restart_keeps_turns_times_and_what_is_awaited(world: World) -> None:
    running = world.add(group="g")
    world.begin(running)
    low, high = world.add(group="g", priority=5.0), world.add(group="g", priority=1.0)
    after, delayed, series = world.add(plans=(running.number,)), world.add(delay_s=30.0), world.add(every_s=10.0)
    running = world.again(running)
    assert [plan.number for plan in world.machine.open_starts()] == [series.number]
    assert world.machine.watched() == [running.job]
    assert world.machine.deadlines() == Arm(130.0, None)
    assert world.end(running) == [(after.number, 0), (high.number, 0)]
    assert world.end(world.again(high)) == [(low.number, 0)]
    assert world.later(30) == [(delayed.number, 0)]
