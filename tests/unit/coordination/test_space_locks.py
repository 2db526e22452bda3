"""Locks, semaphores and conditions of several clients: what ``threading`` does, and what others have to do with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from holdfast.coordination import core
from holdfast.coordination.records import Ended, Handed
from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode
from tests.unit.coordination.space_world import LOCK, OVER_S, RLOCK, Client, World


def words(misuse: Callable[[], object]) -> str:
    """What ``threading`` says to that."""
    with pytest.raises((RuntimeError, ValueError)) as error:
        misuse()
    return str(error.value)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_any_thread_of_the_client_gives_a_plain_lock_back_and_nobody_else(anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.hold("db", owner=1)
    code, text = bert.failure(bert.release("db"))
    assert (code, text) == (ErrorCode.NOT_HOLDER, "'db' is held by owner 1 of eve (anna__)")
    assert anna.answer(anna.release("db", owner=2), c.NumberedAnswer).ok
    bert.hold("db")


def test_a_reentrant_lock_is_given_back_by_its_owner_as_often_as_it_was_taken(anna: Client, bert: Client) -> None:
    anna.open("db", RLOCK)
    first = anna.hold("db")
    assert anna.hold("db") > first
    waiting = bert.acquire("db")
    assert anna.failure(anna.release("db", owner=2))[0] == ErrorCode.NOT_HOLDER
    anna.release("db")
    assert bert.waits(waiting)
    anna.release("db")
    bert.token(waiting)


def test_what_is_not_held_is_refused_in_the_words_of_threading(anna: Client) -> None:
    anna.open("lock", LOCK)
    anna.open("rlock", RLOCK)
    anna.open("bounded", c.ObjectAsked("bounded", 2))
    anna.open("condition", c.ObjectAsked("condition", lock="rlock"))
    condition = threading.Condition()
    expected = {
        "lock": words(threading.Lock().release),
        "rlock": words(threading.RLock().release),
        "bounded": words(threading.BoundedSemaphore(2).release),
    }
    for name, text in expected.items():
        assert anna.failure(anna.release(name)) == (ErrorCode.NOT_HOLDER, text)
    wait, notify = anna.send(c.Await, 1, "condition"), anna.send(c.Notify, 1, "condition")
    assert anna.failure(wait) == (ErrorCode.NOT_HOLDER, words(condition.wait))
    assert anna.failure(notify) == (ErrorCode.NOT_HOLDER, words(condition.notify))


def test_a_request_without_a_wait_or_beyond_its_limit_gets_nothing(world: World, anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.hold("db")
    at_once, none, later = (
        bert.acquire("db", wait=False),
        bert.acquire("db", timeout_s=0.0),
        bert.acquire("db", timeout_s=2.0),
    )
    assert not bert.answer(at_once, c.AcquireAnswer).granted
    assert not bert.answer(none, c.AcquireAnswer).granted
    assert world.space.next_deadline() == world.now + 2.0
    world.wait(2.0)
    assert not bert.answer(later, c.AcquireAnswer).granted
    anna.release("db")
    assert world.state("db").free == 1


def test_several_are_taken_in_one_step(anna: Client, bert: Client) -> None:
    for name in ("a", "b"):
        anna.open(name)
    anna.hold("b")
    both, one = bert.acquire("a", "b"), bert.acquire("a", owner=2)
    assert bert.waits(both)
    assert bert.waits(one), "nobody overtakes"
    anna.release("b")
    assert bert.token(both)
    bert.release("a")
    assert bert.token(one) > bert.token(both)


def test_impossible_requests_are_refused(anna: Client) -> None:
    anna.open("s", c.ObjectAsked("bounded", 2))
    anna.open("e", c.ObjectAsked("event"))
    anna.open("db")
    number = anna.send(c.Acquire, 1, {"s": 3})
    assert anna.failure(number) == (ErrorCode.INVALID, "3 of 's', which has 2")
    assert anna.failure(anna.acquire("e")) == (ErrorCode.STATE, "'e' is an event")
    assert anna.failure(anna.acquire("nothing")) == (ErrorCode.NOT_FOUND, "'nothing' is not open")
    anna.hold("db")
    anna.acquire("db", owner=2)
    assert anna.failure(anna.acquire("s", owner=2)) == (ErrorCode.STATE, "anna___________1/2 is waiting")


def test_a_circle_is_told_with_the_names_that_owners_gave(anna: Client, bert: Client) -> None:
    anna.open("a")
    anna.open("b")
    anna.hold("a", label="worker-1")
    bert.hold("b")
    waiting = anna.acquire("b", label="worker-1")
    answer = bert.answer(bert.acquire("a", label="main"), c.AcquireAnswer)
    assert not answer.granted
    assert sorted(answer.circle, key=lambda step: step.name) == [
        c.Step("main of eve (bert__)", "a", "worker-1 of eve (anna__)"),
        c.Step("worker-1 of eve (anna__)", "b", "main of eve (bert__)"),
    ]
    bert.release("b")
    anna.token(waiting)


def test_units_given_back_for_others_are_theirs_no_more(world: World, anna: Client, bert: Client) -> None:
    anna.open("s", c.ObjectAsked("semaphore", 2))
    anna.hold("s")
    bert.release("s")
    assert (world.state("s").free, world.state("s").held) == (2, {})
    bert.release("s")
    assert world.state("s").free == 3
    world.wait(OVER_S)
    assert world.over == []


# --- conditions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def word(anna: Client) -> str:
    """A condition; its lock is ``r``, a reentrant one."""
    anna.open("r", RLOCK)
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    return "word"


def test_a_wait_gives_the_lock_back_fully_and_takes_it_again_as_deep(
    world: World, anna: Client, bert: Client, word: str
) -> None:
    first = anna.hold("r")
    anna.hold("r")
    waiting = anna.send(c.Await, 1, word)
    assert world.state("r").free == 1
    bert.hold("r")
    bert.send(c.Notify, 1, word)
    assert anna.waits(waiting), "the lock is not free yet"
    bert.release("r")
    answer = anna.answer(waiting, c.AwaitAnswer)
    assert answer.notified
    assert answer.token > first
    assert list(world.state("r").held.values()) == [2]


def test_a_wait_that_is_over_ends_with_the_lock_held_all_the_same(
    world: World, anna: Client, bert: Client, word: str
) -> None:
    anna.hold("r")
    waiting = anna.send(c.Await, 1, word, timeout_s=2.0)
    bert.hold("r")
    world.wait(2.0)
    assert anna.waits(waiting)
    bert.release("r")
    assert not anna.answer(waiting, c.AwaitAnswer).notified
    assert world.state("r").free == 0
    at_once = anna.send(c.Await, 1, word, timeout_s=0.0)
    assert not anna.answer(at_once, c.AwaitAnswer).notified


def test_notifications_go_in_the_order_of_arrival(anna: Client, bert: Client, word: str) -> None:
    waiting = []
    for owner in (1, 2, 3):
        anna.hold("r", owner=owner)
        waiting.append(anna.send(c.Await, owner, word))
    bert.hold("r")
    bert.send(c.Notify, 1, word)
    bert.send(c.Notify, 1, word, None)
    bert.release("r")
    for owner, number in zip((1, 2, 3), waiting, strict=True):
        assert anna.answer(number, c.AwaitAnswer).notified
        assert owner == 3 or anna.waits(waiting[owner])
        anna.release("r", owner=owner)


def test_several_conditions_share_a_lock(anna: Client, bert: Client, word: str) -> None:
    anna.open("other", c.ObjectAsked("condition", lock="r"))
    anna.hold("r")
    waiting = anna.send(c.Await, 1, "other")
    bert.hold("r")
    bert.send(c.Notify, 1, word)
    assert anna.waits(waiting)
    bert.send(c.Notify, 1, "other")
    bert.release("r")
    assert anna.answer(waiting, c.AwaitAnswer).notified


def test_a_plain_lock_of_a_condition_is_any_thread_s_of_its_client(anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.open("word", c.ObjectAsked("condition", lock="db"))
    anna.hold("db", owner=1)
    waiting = anna.send(c.Await, 2, "word", timeout_s=1.0)
    assert bert.failure(bert.send(c.Notify, 1, "word"))[0] == ErrorCode.NOT_HOLDER
    bert.hold("db")
    assert anna.failure(anna.send(c.Notify, 1, "word"))[0] == ErrorCode.NOT_HOLDER
    assert anna.waits(waiting)


def test_who_waits_for_a_condition_asks_for_nothing_else(anna: Client, word: str) -> None:
    anna.open("db")
    anna.hold("r")
    anna.send(c.Await, 1, word)
    assert anna.failure(anna.acquire("db"))[0] == ErrorCode.STATE


def test_taking_the_lock_again_is_not_refused_so_another_one_gives_way(
    world: World, anna: Client, bert: Client, word: str
) -> None:
    anna.open("db")
    anna.hold("db", label="first")
    anna.hold("r", label="first")
    waiting = anna.send(c.Await, 1, word, timeout_s=2.0, label="first")
    bert.hold("r", label="second")
    victim = bert.acquire("db", label="second")
    assert bert.waits(victim), "until then the other one holds nothing that it waits for"
    world.wait(2.0)
    assert {(step.owner[:6], step.name) for step in bert.answer(victim, c.AcquireAnswer).circle} == {
        ("first ", "r"),
        ("second", "db"),
    }
    assert anna.waits(waiting)
    bert.release("r")
    assert not anna.answer(waiting, c.AwaitAnswer).notified


def test_the_youngest_gives_way(world: World, anna: Client, bert: Client, word: str) -> None:
    third = Client(world, "carl___________1")
    for name in ("a", "b"):
        anna.open(name)
    anna.hold("a")
    anna.hold("r")
    anna.send(c.Await, 1, word, timeout_s=2.0)
    bert.hold("r")
    third.hold("b")
    older, younger = bert.acquire("b"), third.acquire("a")
    world.wait(2.0)
    assert len(third.answer(younger, c.AcquireAnswer).circle) == 3
    assert bert.waits(older)
    third.release("b")
    assert bert.token(older)


def test_a_notification_that_comes_to_nobody_goes_to_the_next_one(
    world: World, anna: Client, bert: Client, word: str
) -> None:
    other = Client(world, "carl___________1")
    for client in (bert, other):
        client.hold("r")
        client.send(c.Await, 1, word)
    anna.hold("r")
    anna.send(c.Notify, 1, word)
    world.wait(OVER_S, anna, other)
    anna.release("r")
    assert other.answer(2, c.AwaitAnswer).notified


def test_the_lock_of_a_condition_stays_as_long_as_the_condition(world: World, anna: Client, word: str) -> None:
    anna.send(c.Drop, "r")
    assert world.space.principal_of("r") == "eve"
    anna.send(c.Drop, word)
    assert world.space.principal_of("r") is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (c.ObjectAsked("condition"), ErrorCode.INVALID),
        (c.ObjectAsked("condition", lock="nothing"), ErrorCode.NOT_FOUND),
        (c.ObjectAsked("condition", lock="s"), ErrorCode.STATE),
    ],
)
def test_a_condition_needs_a_lock(anna: Client, what: c.ObjectAsked, code: int) -> None:
    anna.open("s", c.ObjectAsked("semaphore", 1))
    assert anna.failure(anna.send(c.Open, "word", what))[0] == code


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_what_is_handed_to_a_job_outlives_its_client_and_ends_with_the_job(
    world: World, anna: Client, bert: Client
) -> None:
    anna.open("db")
    anna.open("s", c.ObjectAsked("semaphore", 3, passing=True))
    token = anna.hold("db")
    anna.send(c.Acquire, 1, {"s": 2})
    assert world.space.holds(anna.instance, 1, ("db",)) == token
    assert (world.space.holds(anna.instance, 1, ("db", "s")) or 0) > token
    assert world.space.holds(anna.instance, 2, ("db",)) is None
    world.record(Handed(anna.instance, 1, ("db", "s", "nothing"), "7"))
    assert world.space.jobs() == ["7"]
    assert world.space.job_holds("7", ("db",)) == token
    assert world.space.holds(anna.instance, 1, ("db",)) is None
    assert anna.failure(anna.release("db"))[1] == "'db' is held by job 7"
    waiting = bert.acquire("db")
    world.wait(OVER_S, bert)
    assert world.over == []
    assert bert.waits(waiting)
    assert world.state("s").held == {"job 7": 2}
    world.record(Ended("7"))
    assert bert.token(waiting) > token
    assert world.space.jobs() == []
    assert world.space.principal_of("s") is None, "the job was the last one who needed it"


def test_who_waits_hands_nothing_on(world: World, anna: Client, bert: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("db")
    anna.hold("r")
    bert.hold("db")
    both = anna.acquire("r", "db")
    assert world.space.holds(anna.instance, 1, ("r",)) is None
    world.record(Handed(anna.instance, 1, ("r",), "7"))
    assert world.space.jobs() == []
    bert.release("db")
    assert anna.token(both)
    assert list(world.state("r").held.values()) == [2]


def test_an_unknown_job_ends_without_effect(world: World) -> None:
    assert world.record(Ended("7")) == []


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_what_is_held_is_bounded(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.coordination.holding.HELD", 3)
    anna.open("s", c.ObjectAsked("semaphore", 100))
    anna.open("r", RLOCK)
    for owner in (1, 2):
        anna.hold("s", owner=owner)
    assert anna.failure(anna.acquire("s", "r", owner=3)) == (
        ErrorCode.QUOTA,
        "3 things are held, which is the limit (HELD)",
    )
    anna.release("s", owner=2)
    anna.hold("s", "r", owner=3)


def test_a_long_limit_leaves_nothing_behind_for_long(world: World, anna: Client, bert: Client) -> None:
    """Waits that are served long before their time do not pile up until then."""
    world.checks = False
    for name in ("db", "other"):
        anna.open(name)
        anna.hold(name)
    bert.acquire("other", timeout_s=1_000.0)
    for _ in range(300):
        number = bert.acquire("db", owner=2, timeout_s=100_000.0)
        anna.release("db")
        bert.token(number)
        again = anna.acquire("db", seen=(anna.number - 1,))
        bert.release("db", owner=2)
        anna.token(again)
    assert len(world.space._core.locks._requests._limits) < 200


def test_waits_are_bounded_and_what_ends_them_is_not(
    world: World, anna: Client, bert: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "PENDING", 2)
    for name in ("db", "other"):
        anna.open(name)
    anna.open("word", c.ObjectAsked("condition", lock="other"))
    anna.hold("db")
    waiting = [bert.acquire("db", owner=owner) for owner in (1, 2, 3)]
    assert bert.failure(waiting[2]) == (
        ErrorCode.QUOTA,
        "2 requests wait at this agent, which is the limit (PENDING)",
    )
    assert not bert.answer(bert.acquire("db", owner=3, wait=False), c.AcquireAnswer).granted
    anna.hold("other")
    assert anna.failure(anna.send(c.Await, 1, "word"))[0] == ErrorCode.QUOTA
    assert list(world.state("other").held.values()) == [1], "and holds its lock still"
    anna.release("db")
    bert.token(waiting[0])
    assert bert.waits(bert.send(c.Acquire, 3, {"db": 1}, number=waiting[2])), "asked again there is room"
