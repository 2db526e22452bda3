"""Events and barriers of several clients."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.coordination import core
from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode
from tests.unit.coordination.space_world import OVER_S, Client, World

EVENT = c.ObjectAsked("event")


def test_an_event_lets_all_go_and_stays_set(world: World, anna: Client, bert: Client) -> None:
    anna.open("go", EVENT)
    first, late = anna.send(c.Flag, "go", "wait"), bert.send(c.Flag, "go", "wait", 1.0)
    world.wait(1.0)
    assert not bert.answer(late, c.FlagAnswer).is_set
    bert.send(c.Flag, "go", "set")
    assert anna.answer(first, c.FlagAnswer).is_set
    assert world.state("go").is_set
    assert anna.answer(anna.send(c.Flag, "go", "wait"), c.FlagAnswer).is_set
    assert not anna.answer(anna.send(c.Flag, "go", "clear"), c.FlagAnswer).is_set


def test_a_withdrawn_wait_for_an_event_is_over(world: World, anna: Client) -> None:
    anna.open("go", EVENT)
    number = anna.send(c.Flag, "go", "wait")
    assert anna.withdraw(number)
    anna.send(c.Flag, "go", "set")
    assert not anna.said(number)


def meet(client: Client, name: str = "m", do: str = "wait", **options: Any) -> int:
    return client.send(c.Meet, name, do, **options)


def test_a_barrier_tells_who_came_when(anna: Client, bert: Client) -> None:
    anna.open("m", c.ObjectAsked("barrier", 3))
    numbers = [meet(anna), meet(anna), meet(bert)]
    answers = [anna.answer(numbers[0], c.MeetAnswer), anna.answer(numbers[1], c.MeetAnswer)]
    assert [*answers, bert.answer(numbers[2], c.MeetAnswer)] == [c.MeetAnswer(index) for index in range(3)]


def test_the_last_one_acts_before_the_others_go_on(anna: Client, bert: Client) -> None:
    anna.open("m", c.ObjectAsked("barrier", 2, acts=True))
    first, last = meet(anna), meet(bert)
    assert bert.answer(last, c.MeetAnswer) == c.MeetAnswer(1, act=True)
    assert anna.waits(first)
    assert anna.answer(meet(anna, do="acted", of=last), c.MeetAnswer).broken, "it was not told to"
    assert bert.answer(meet(bert, do="acted", of=last + 50), c.MeetAnswer).broken, "nor was this"
    assert anna.waits(first)
    assert bert.answer(meet(bert, do="acted", of=last), c.MeetAnswer) == c.MeetAnswer(1)
    assert anna.answer(first, c.MeetAnswer) == c.MeetAnswer(0)


@pytest.mark.parametrize("how", ["failed", "abort", "reset", "gone", "withdrawn"])
def test_an_act_that_does_not_come_breaks_it(world: World, anna: Client, bert: Client, how: str) -> None:
    anna.open("m", c.ObjectAsked("barrier", 2, acts=True))
    first, last = meet(anna), meet(bert)
    if how == "gone":
        world.wait(OVER_S, anna)
    elif how == "withdrawn":
        assert bert.withdraw(last)
        assert not bert.withdraw(last)
    else:
        meet(bert, do=how, of=last)
    assert anna.answer(first, c.MeetAnswer).broken
    assert world.state("m").broken == (how != "reset")
    assert bert.answer(meet(bert, do="acted", of=last), c.MeetAnswer).broken, "too late"


def test_an_act_that_has_been_seen_is_not_withdrawn(world: World, anna: Client, bert: Client) -> None:
    anna.open("m", c.ObjectAsked("barrier", 2, acts=True))
    first, last = meet(anna), meet(bert)
    bert.saw(last)
    assert not bert.withdraw(last)
    assert anna.waits(first)
    assert not world.state("m").broken


def test_one_who_gives_up_breaks_it_for_all_until_it_is_reset(world: World, anna: Client, bert: Client) -> None:
    anna.open("m", c.ObjectAsked("barrier", 3))
    first, second = meet(anna), meet(bert)
    assert bert.withdraw(second)
    assert anna.answer(first, c.MeetAnswer).broken
    assert anna.answer(meet(anna), c.MeetAnswer).broken
    assert not anna.answer(meet(anna, do="reset"), c.MeetAnswer).broken
    assert anna.waits(meet(anna, timeout_s=1.0))
    world.wait(1.0)
    assert world.state("m").broken


def test_all_threads_of_a_client_that_is_gone_leave_the_barrier(world: World, anna: Client, bert: Client) -> None:
    anna.open("m", c.ObjectAsked("barrier", 4))
    meet(anna)
    meet(anna)
    first = meet(bert)
    world.wait(OVER_S, bert)
    assert bert.answer(first, c.MeetAnswer).broken


def test_waits_are_bounded_but_for_who_completes_a_meeting(
    anna: Client, bert: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "PENDING", 1)
    anna.open("m", c.ObjectAsked("barrier", 2))
    anna.open("n", c.ObjectAsked("barrier", 2))
    anna.open("go", EVENT)
    meet(anna)
    assert bert.failure(meet(bert, "n"))[0] == ErrorCode.QUOTA
    assert bert.failure(bert.send(c.Flag, "go", "wait"))[0] == ErrorCode.QUOTA
    assert bert.answer(meet(bert), c.MeetAnswer) == c.MeetAnswer(1)


def test_a_barrier_for_nobody_is_none(anna: Client) -> None:
    assert anna.failure(anna.send(c.Open, "m", c.ObjectAsked("barrier", 0)))[0] == ErrorCode.INVALID
