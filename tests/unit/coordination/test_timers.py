"""Timers: once, in series, late, and through restarts."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from holdfast.coordination.timers import Firing, Timer, Timers


def test_one_fires_once() -> None:
    timers = Timers()
    timers.add(Timer("tea", 100.0))
    assert timers.next_deadline() == 100.0
    assert timers.handle_timeout(99.9) == []
    assert timers.handle_timeout(100.0) == [Firing("tea", 0, 100.0, 0)]
    assert timers.handle_timeout(1e9) == []
    assert timers.get("tea") is None
    assert timers.next_deadline() is None


def test_late_is_not_lost() -> None:
    timers = Timers()
    timers.add(Timer("tea", 100.0))
    assert timers.handle_timeout(100_000.0) == [Firing("tea", 0, 100.0, 0)]


def test_of_a_series_the_missed_ones_fire_as_one() -> None:
    timers = Timers()
    timers.add(Timer("log", 100.0, every_s=10.0))
    assert timers.handle_timeout(100.0) == [Firing("log", 0, 100.0, 0)]
    assert timers.next_deadline() == 110.0
    assert timers.handle_timeout(145.0) == [Firing("log", 4, 140.0, 3)]
    assert timers.next_deadline() == 150.0


def test_what_may_be_skipped_is_skipped_when_it_is_late() -> None:
    timers = Timers(late_after_s=5.0)
    timers.add(Timer("once", 100.0, skip_missed=True))
    timers.add(Timer("log", 100.0, every_s=50.0, skip_missed=True))
    fired, late = timers.handle_timeout(155.0)
    assert late == Firing("once", 0, 100.0, 0, skipped=True)
    assert fired == Firing("log", 1, 150.0, 1)
    assert timers.handle_timeout(210.0) == [Firing("log", 2, 200.0, 0, skipped=True)]
    assert timers.next_deadline() == 250.0
    assert len(timers) == 1


def test_a_cancelled_one_does_not_fire_and_its_name_is_free() -> None:
    timers = Timers()
    timers.add(Timer("tea", 100.0))
    with pytest.raises(ValueError, match="there is a timer 'tea'"):
        timers.add(Timer("tea", 5.0))
    assert timers.cancel("tea")
    assert not timers.cancel("tea")
    timers.add(Timer("tea", 200.0))
    assert timers.handle_timeout(150.0) == []
    assert timers.next_deadline() == 200.0


@pytest.mark.parametrize(
    "timer",
    [
        Timer("x", math.nan), Timer("x", math.inf), Timer("x", 0.0, every_s=0.5), Timer("x", 0.0, every_s=math.inf),
        Timer("x", 0.0, every_s=math.nan), Timer("x", 0.0, next=-1),
    ],
)  # fmt: skip
def test_what_is_no_timer_is_refused(timer: Timer) -> None:
    with pytest.raises(ValueError, match=r"not a time|is the least"):
        Timers().add(timer)


def test_each_number_fires_or_is_told_as_missed_exactly_once_through_restarts() -> None:
    """Oracle: the plain list of all times that were due; the table is written down and begun anew at any moment."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        first, every = 1.7e9 + rng.random(), rng.choice([1.0, 1.1, 3.3, 60.0, rng.uniform(1, 9)])
        timers, now, covered = Timers(), first - 5.0, list[int]()
        timers.add(Timer("t", first, every_s=every))
        for _ in range(100):
            now += rng.choice([0.1, every, every * rng.random(), 20 * every])
            for firing in timers.handle_timeout(now):
                assert firing.planned_unix_s <= now < firing.planned_unix_s + every + 1e-6
                covered += range(firing.number - firing.missed, firing.number + 1)
            kept = timers.get("t")
            assert kept is not None
            assert timers.next_deadline() == kept.due(kept.next) > now
            if rng.random() < 0.3:
                timers = Timers()
                timers.add(msgspec.json.decode(msgspec.json.encode(kept), type=Timer))
        due = 0
        while first + every * due <= now:
            due += 1
        assert covered == list(range(due)), (seed, first, every, now)


def test_many_fire_in_the_order_of_the_plan() -> None:
    timers = Timers()
    times = random.sample(range(1000), 100)
    for each in times:
        timers.add(Timer(f"t{each}", float(each)))
    assert [firing.planned_unix_s for firing in timers.handle_timeout(500.0)] == sorted(t for t in times if t <= 500)
