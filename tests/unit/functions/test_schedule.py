"""The schedule of a pool: who gets which call, how many ahead, what comes back, what a dead worker leaves."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from holdfast.functions.schedule import AHEAD_BYTES, AHEAD_MOST, AHEAD_S, Lane, Schedule


@dataclass(eq=False)
class Call:
    name: int
    size: int = 10
    given_up: bool = False
    claimed: bool = False

    def claim(self) -> bool:
        assert not self.claimed
        self.claimed = not self.given_up
        return self.claimed

    def unclaim(self) -> None:
        assert self.claimed
        self.claimed = False

    def __repr__(self) -> str:
        return f"<{self.name}>"


def calls(count: int, *, size: int = 10, first: int = 0) -> list[Call]:
    return [Call(first + n, size) for n in range(count)]


def pool(
    *, workers: int = 1, slots: int = 1, most_calls: int | None = None, ready: int | None = None
) -> Schedule[Call]:
    """A schedule with some workers that are there (None: all)."""
    schedule: Schedule[Call] = Schedule(workers=workers, slots=slots, most_calls=most_calls)
    for n in range(workers if ready is None else ready):
        schedule.ready(schedule.enter(f"w{n}"))
    return schedule


def names(given: list[tuple[Lane[Call], list[tuple[int, Call]]]]) -> dict[str, list[int]]:
    """Worker to the calls that it was given, over several turns."""
    found: dict[str, list[int]] = {}
    for lane, taken in given:
        found.setdefault(lane.name, []).extend(call.name for _, call in taken)
    return found


def only(schedule: Schedule[Call]) -> Lane[Call]:
    (lane,) = schedule.lanes
    return lane


def test_a_free_worker_gets_one_call_and_the_rest_waits() -> None:
    schedule = pool()
    schedule.add(calls(3))
    assert names(schedule.dispatch()) == {"w0": [0]}
    assert schedule.waiting == 2
    assert schedule.dispatch() == []


def test_numbers_count_up_from_one_and_are_never_used_again() -> None:
    schedule = pool(slots=2)
    schedule.add(calls(2))
    ((lane, first),) = schedule.dispatch()
    schedule.returned(lane, [2])
    ((_, again),) = schedule.dispatch()
    assert [number for number, _ in first] == [1, 2]
    assert [(number, call.name) for number, call in again] == [(3, 1)]


def test_workers_are_started_while_calls_wait_and_more_are_allowed() -> None:
    schedule = pool(workers=3, ready=0)
    assert schedule.starts_wanted() == 0
    schedule.add(calls(1))
    assert schedule.starts_wanted() == 1
    schedule.enter("a")
    assert schedule.starts_wanted() == 0, "the one that is coming will take it"
    schedule.add(calls(9))
    assert schedule.starts_wanted() == 2, "three at the most"


def test_a_worker_with_many_slots_is_one_worker() -> None:
    schedule = pool(workers=1, slots=5, ready=0)
    schedule.add(calls(12))
    assert schedule.starts_wanted() == 1
    schedule.ready(schedule.enter("a"))
    assert names(schedule.dispatch()) == {"a": [0, 1, 2, 3, 4]}


def test_no_worker_is_started_for_a_call_that_an_idle_one_can_take() -> None:
    schedule = pool(workers=2, ready=1)
    schedule.add(calls(1))
    schedule.dispatch()
    assert schedule.starts_wanted() == 0


def test_nothing_is_sent_ahead_before_it_is_known_how_long_calls_take() -> None:
    schedule = pool()
    schedule.add(calls(10))
    assert names(schedule.dispatch()) == {"w0": [0]}
    schedule.answered(only(schedule), [1])
    assert names(schedule.dispatch()) == {"w0": [1]}


@pytest.mark.parametrize(
    ("seconds", "ahead"), [(1e-6, AHEAD_MOST), (1e-4, 50), (1e-3, 5), (AHEAD_S, 1), (0.02, 0), (3.0, 0)]
)
def test_short_calls_are_sent_ahead_and_long_ones_are_not(seconds: float, ahead: int) -> None:
    schedule = pool()
    schedule.add(calls(2000))
    schedule.dispatch()
    schedule.answered(only(schedule), [1], per_call_s=seconds)
    assert len(names(schedule.dispatch())["w0"]) == 1 + ahead


def test_calls_that_become_long_count_at_once_and_short_ones_by_and_by() -> None:
    lane: Lane[Call] = Lane("a", 1, None)
    lane.took(1e-5)
    lane.took(1.0)
    assert lane.ahead == 0
    lane.took(1e-5)
    assert lane.per_call_s == 0.5
    for _ in range(20):
        lane.took(1e-5)
    assert lane.ahead > 400


def test_ahead_of_need_each_worker_takes_its_share_only() -> None:
    schedule = pool(workers=4)
    for lane in schedule.lanes:
        lane.took(1e-6)
    schedule.add(calls(40))
    schedule.dispatch()
    held = [len(lane.calls) for lane in schedule.lanes]
    assert sum(held) == 40
    assert max(held) - min(held) <= 10, held


def test_idle_workers_come_before_those_that_have_room_ahead() -> None:
    schedule = pool(workers=2)
    for lane in schedule.lanes:
        lane.took(1e-6)
    schedule.add(calls(1))
    schedule.dispatch()
    schedule.add(calls(1, first=1))
    schedule.dispatch()
    assert [len(lane.calls) for lane in schedule.lanes] == [1, 1]


def test_large_arguments_are_not_sent_ahead_in_heaps() -> None:
    schedule = pool()
    only(schedule).took(1e-6)
    schedule.add(calls(100, size=AHEAD_BYTES // 4))
    schedule.dispatch()
    assert len(only(schedule).calls) == 4
    schedule.validate()


def test_one_argument_larger_than_all_that_goes_ahead_still_goes() -> None:
    schedule = pool(slots=2)
    schedule.add(calls(3, size=10 * AHEAD_BYTES))
    schedule.dispatch()
    assert len(only(schedule).calls) == 2
    schedule.validate()


def test_calls_that_come_back_unbegun_go_to_the_front_in_their_order() -> None:
    schedule = pool()
    lane = only(schedule)
    lane.took(1e-3)
    schedule.add(calls(9))
    schedule.dispatch()
    assert len(lane.calls) == 6
    schedule.returned(lane, [4, 3, 2, 5, 6], slow=True)
    assert lane.ahead == 0
    schedule.ready(schedule.enter("other"))
    schedule.answered(lane, [1])
    order = []
    while schedule.waiting or any(each.calls for each in schedule.lanes):
        for each, taken in schedule.dispatch():
            order += [call.name for _, call in taken]
            schedule.answered(each, [number for number, _ in taken])
    assert order == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_worker_whose_calls_were_slow_is_sent_nothing_ahead() -> None:
    schedule = pool(slots=3)
    lane = only(schedule)
    lane.took(1e-6)
    schedule.add(calls(20))
    schedule.dispatch()
    schedule.returned(lane, [4, 5, 6], slow=True)
    assert lane.ahead == 0
    assert lane.room == 0


def test_given_up_calls_are_dropped_when_their_turn_comes() -> None:
    schedule = pool()
    first, second, third, last = calls(4)
    schedule.add([first, second, third, last])
    schedule.dispatch()
    second.given_up = third.given_up = True
    schedule.answered(only(schedule), [1])
    assert names(schedule.dispatch()) == {"w0": [3]}
    last.given_up = True
    assert schedule.waiting == 0


def test_a_pool_of_given_up_calls_wants_no_worker() -> None:
    schedule = pool(ready=0)
    given_up = calls(3)
    schedule.add(given_up)
    for call in given_up:
        call.given_up = True
    assert schedule.starts_wanted() == 0
    assert schedule.idle


def test_a_worker_is_used_up_after_its_calls_and_replaced() -> None:
    schedule = pool(workers=1, most_calls=3)
    lane = only(schedule)
    lane.took(1e-6)
    schedule.add(calls(5))
    schedule.dispatch()
    assert len(lane.calls) == 3, "never more than it may begin, however short they are"
    schedule.answered(lane, [1, 2])
    assert schedule.dispatch() == []
    assert not lane.used_up
    schedule.answered(lane, [3])
    assert lane.used_up
    schedule.retire(lane)
    assert schedule.starts_wanted() == 1


def test_what_a_worker_gives_back_does_not_count_as_begun() -> None:
    schedule = pool(most_calls=2)
    lane = only(schedule)
    lane.took(1e-6)
    schedule.add(calls(2))
    schedule.dispatch()
    schedule.returned(lane, [2])
    assert lane.left == 1


def test_a_retired_worker_stays_so_when_calls_come_back() -> None:
    schedule = pool(workers=2, ready=1)
    lane = only(schedule)
    lane.took(1e-6)
    schedule.add(calls(3))
    schedule.dispatch()
    schedule.retire(lane)
    schedule.returned(lane, [2, 3])
    assert schedule.dispatch() == []
    assert schedule.starts_wanted() == 2


def test_what_a_dead_worker_has_not_begun_goes_to_another_one() -> None:
    schedule = pool()
    lane = only(schedule)
    lane.took(1e-3)
    schedule.add(calls(8))
    schedule.dispatch()
    schedule.answered(lane, [1])
    left = schedule.leave(lane, unbegun=[5, 6])
    assert {number: call.name for number, call in left.items()} == {2: 1, 3: 2, 4: 3}
    assert schedule.waiting == 4
    schedule.ready(schedule.enter("other"))
    assert names(schedule.dispatch()) == {"other": [4]}


def test_a_call_can_be_given_up_again_after_it_came_back() -> None:
    schedule = pool()
    (call,) = calls(1)
    schedule.add([call])
    schedule.dispatch()
    assert call.claimed
    schedule.leave(only(schedule), unbegun=[1])
    assert not call.claimed
    call.given_up = True
    assert schedule.idle


def test_everything_can_be_taken_out_at_once() -> None:
    schedule = pool(workers=2)
    schedule.add(calls(5))
    schedule.dispatch()
    assert sorted(call.name for call in schedule.clear()) == [0, 1, 2, 3, 4]
    assert schedule.idle
    schedule.validate()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_call_is_in_one_place_and_ends_once(seed: int) -> None:
    rng = random.Random(seed)
    workers, slots = rng.randint(1, 4), rng.choice((1, 1, 3))
    schedule: Schedule[Call] = Schedule(workers=workers, slots=slots, most_calls=rng.choice((None, None, 7)))
    made, ended, born = 0, [], 0
    for _ in range(3000):
        lanes = schedule.lanes
        match rng.randrange(8):
            case 0 | 1 if made < 500:
                count = rng.randint(1, 12)
                schedule.add(calls(count, first=made, size=rng.choice((1, 1000, AHEAD_BYTES // 2))))
                made += count
            case 2:
                for _ in range(schedule.starts_wanted()):
                    born += 1
                    schedule.enter(f"w{born}")
            case 3:
                for lane in lanes:
                    if not lane.ready:
                        schedule.ready(lane)
            case 4 | 5 if lanes:
                lane = rng.choice(lanes)
                numbers = list(lane.calls)[: rng.randint(0, 5)]
                done = schedule.answered(lane, numbers, per_call_s=10 ** rng.uniform(-6, 0))
                ended += [call.name for call in done if call is not None]
                if lane.used_up:
                    assert schedule.leave(lane) == {}
            case 6 if lanes:
                lane = rng.choice(lanes)
                schedule.returned(lane, list(lane.calls)[lane.slots :], slow=rng.random() < 0.5)
            case 7 if lanes and rng.random() < 0.1:
                lane = rng.choice(lanes)
                unbegun = list(lane.calls)[rng.randint(0, slots) :]
                ended += [call.name for call in schedule.leave(lane, unbegun=unbegun).values()]
        schedule.dispatch()
        schedule.validate()
    ended += [call.name for call in schedule.clear()]
    assert sorted(ended) == list(range(made))


def test_what_coming_workers_are_started_for_is_not_dropped() -> None:
    schedule = pool(workers=3, ready=1)
    schedule.add(calls(9))
    schedule.dispatch()
    for _ in range(schedule.starts_wanted()):
        schedule.enter(f"coming{schedule.waiting}")
        break
    assert [call.name for call in schedule.drop_waiting()] == [2, 3, 4, 5, 6, 7, 8]
    assert schedule.waiting == 1
