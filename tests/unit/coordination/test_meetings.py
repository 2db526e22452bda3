"""Events, conditions and barriers, step by step; what ``threading`` does is the measure."""

from __future__ import annotations

import random
import threading

import pytest

from holdfast.coordination.meetings import Act, Barrier, Broken, Condition, Event, Passed


def test_an_event_lets_all_go_and_stays_set() -> None:
    event = Event()
    assert not event.wait(1)
    assert not event.wait(2, until=5.0)
    assert event.set() == [1, 2]
    assert event.wait(3)
    event.clear()
    assert not event.wait(4)
    assert event.handle_timeout(100.0) == []


def test_waits_for_an_event_end_at_their_limit_or_by_will() -> None:
    event = Event()
    for ticket, until in ((1, 5.0), (2, 3.0), (3, None), (4, 4.0)):
        event.wait(ticket, until)
    event.withdraw(4)
    assert event.next_deadline() == 3.0
    assert event.handle_timeout(2.9) == []
    assert event.handle_timeout(5.0) == [2, 1]
    assert event.next_deadline() is None
    assert event.set() == [3]


def test_a_condition_notifies_who_has_waited_longest() -> None:
    condition = Condition()
    for ticket in range(1, 6):
        condition.wait(ticket, until=9.0 if ticket == 2 else None)
    condition.withdraw(1)
    assert condition.notify(2) == [2, 3]
    assert condition.next_deadline() is None
    assert condition.notify() == [4]
    condition.wait(6, until=9.0)
    assert condition.handle_timeout(9.0) == [6]
    assert condition.notify(7) == [5]
    assert condition.notify_all() == []


def test_a_barrier_opens_for_so_many_again_and_again() -> None:
    barrier = Barrier(3)
    for first in (1, 4):
        assert barrier.wait(first) == []
        assert barrier.wait(first + 1) == []
        assert barrier.waiting == 2
        assert barrier.wait(first + 2) == [Passed(first, 0), Passed(first + 1, 1), Passed(first + 2, 2)]
        assert barrier.waiting == 0


def test_the_last_one_acts_before_the_others_go_on() -> None:
    barrier = Barrier(2, acts=True)
    barrier.wait(1)
    assert barrier.wait(2) == [Act(2, 1)]
    assert [barrier.wait(ticket) for ticket in (3, 4, 5)] == [[], [], []]
    assert barrier.acted(1) == []
    assert barrier.acted(2) == [Passed(1, 0), Passed(2, 1), Act(4, 1)]
    assert barrier.acted(4) == [Passed(3, 0), Passed(4, 1)]
    assert barrier.acted(4) == []
    assert barrier.waiting == 1


def test_an_action_that_fails_breaks_it() -> None:
    barrier = Barrier(2, acts=True)
    barrier.wait(1)
    barrier.wait(2)
    barrier.wait(3)
    assert barrier.acted(2, failed=True) == [Broken(1), Broken(2), Broken(3)]
    assert barrier.broken
    assert barrier.wait(4) == [Broken(4)]
    assert barrier.reset() == []
    assert barrier.wait(5) == []


def test_one_who_gives_up_breaks_it_for_all() -> None:
    barrier = Barrier(3)
    barrier.wait(1, until=5.0)
    barrier.wait(2)
    assert barrier.handle_timeout(4.9) == []
    assert barrier.handle_timeout(5.0) == [Broken(1), Broken(2)]
    barrier.reset()
    barrier.wait(3)
    barrier.wait(4)
    assert barrier.withdraw(9) == []
    assert barrier.withdraw(3) == [Broken(4)]
    acting = Barrier(2, acts=True)
    acting.wait(1)
    acting.wait(2)
    assert acting.withdraw(1) == []  # it is through, and will be told
    assert acting.withdraw(2) == [Broken(1)]


def test_reset_turns_away_who_waits() -> None:
    barrier = Barrier(2)
    barrier.wait(1)
    assert barrier.reset() == [Broken(1)]
    assert not barrier.broken


def test_a_barrier_for_nobody_is_none() -> None:
    with pytest.raises(ValueError, match="barrier for 0"):
        Barrier(0)


def test_indices_are_those_of_threading() -> None:
    """Oracle: as many threads as parties; each index once, in every meeting."""
    theirs, found = threading.Barrier(4), list[int]()
    threads = [threading.Thread(target=lambda: found.append(theirs.wait(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    barrier = Barrier(4)
    told = [word for ticket in random.sample(range(4), 4) for word in barrier.wait(ticket)]
    assert sorted(word.index for word in told if isinstance(word, Passed)) == sorted(found) == [0, 1, 2, 3]
