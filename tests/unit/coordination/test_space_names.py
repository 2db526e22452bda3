"""Names: what they stand for, when they are forgotten, what can be seen of them, how many of all there may be."""

from __future__ import annotations

import pytest

from holdfast.coordination import core, looking, space
from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode
from tests.unit.coordination.space_world import LOCK, OVER_S, RLOCK, Client, World

# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "asked", "text"),
    [
        (LOCK, c.ObjectAsked("semaphore", 3), "'x' is a lock, not a semaphore of 3"),
        (RLOCK, c.ObjectAsked("bounded", 2), "'x' is a reentrant lock, not a bounded semaphore of 2"),
        (c.ObjectAsked("barrier", 2), c.ObjectAsked("event"), "'x' is a barrier for 2, not an event"),
        (
            c.ObjectAsked("queue", maxsize=3),
            c.ObjectAsked("queue", order="lifo", durable=True, visible_s=5.0),
            "'x' is a fifo queue, of 3 items, "
            "not a lifo queue, without limit, kept through power failures, with 5 s to acknowledge",
        ),
    ],
)
def test_a_name_stands_for_one_thing(
    anna: Client, bert: Client, found: c.ObjectAsked, asked: c.ObjectAsked, text: str
) -> None:
    assert anna.open("x", found)
    assert not bert.open("x", found)
    assert bert.failure(bert.send(c.Open, "x", asked)) == (ErrorCode.STATE, text)


def test_an_object_is_forgotten_when_nobody_needs_it_and_it_is_as_new(world: World, anna: Client, bert: Client) -> None:
    made = {"db": LOCK, "go": c.ObjectAsked("event"), "q": c.ObjectAsked("queue"), "m": c.ObjectAsked("barrier", 2)}
    for name, what in made.items():
        anna.open(name, what)
    anna.hold("db")
    anna.send(c.Flag, "go", "set")
    anna.put("q", b"1")
    anna.send(c.Meet, "m", "abort")
    for name in made:
        anna.send(c.Drop, name)
        assert world.space.principal_of(name) == "eve"
    anna.release("db")
    bert.send(c.Flag, "go", "clear")
    bert.saw(bert.take("q"))
    bert.send(c.Settle, "q", "task_done")
    bert.send(c.Meet, "m", "reset")
    for name in made:
        assert (world.space.principal_of(name) is None) == (name == "db"), "the others are open again"
        bert.send(c.Drop, name)
        assert world.space.principal_of(name) is None
    assert not anna.answer(anna.send(c.Drop, "db"), c.NumberedAnswer).ok


def test_a_passing_object_goes_with_the_last_one_who_has_it_open(world: World, anna: Client, bert: Client) -> None:
    for client in (anna, bert):
        client.open("go", c.ObjectAsked("event", passing=True))
    anna.send(c.Flag, "go", "set")
    anna.send(c.Drop, "go")
    assert world.state("go").is_set
    bert.send(c.Flag, "go", "clear")
    waiting = bert.send(c.Flag, "go", "wait")
    bert.send(c.Drop, "go")
    assert bert.failure(waiting) == (ErrorCode.NOT_FOUND, "'go' was forgotten")
    assert world.space.principal_of("go") is None
    assert anna.open("go", c.ObjectAsked("lock", passing=True))
    world.wait(OVER_S)
    assert world.space.counts["objects"] == 0


def test_a_forgotten_object_goes_with_all_that_it_holds(world: World, anna: Client, bert: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("b")
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    anna.hold("r", owner=3)
    first = anna.send(c.Await, 3, "word")
    anna.hold("r", owner=1)
    anna.hold("b", owner=2)
    reentered = anna.acquire("r", "b", owner=1)
    both, one = bert.acquire("r", "b"), bert.acquire("b", owner=2)
    assert anna.answer(anna.send(c.Drop, "r", forget=True), c.NumberedAnswer).ok
    for client, number in ((anna, first), (bert, both), (anna, reentered)):
        assert client.failure(number)[0] == ErrorCode.NOT_FOUND
    anna.release("b", owner=2)
    assert bert.token(one)
    assert world.space.principal_of("word") is None
    assert anna.failure(anna.release("r"))[0] == ErrorCode.NOT_FOUND
    assert world.space.holds(anna.instance, 1, ("r",)) is None


def test_a_forgotten_condition_leaves_who_takes_the_lock_again_in_line(anna: Client, bert: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    anna.hold("r")
    waiting = anna.send(c.Await, 1, "word")
    bert.hold("r")
    bert.send(c.Notify, 1, "word")
    bert.send(c.Drop, "word", forget=True)
    bert.release("r")
    assert anna.answer(waiting, c.AwaitAnswer).notified


# --- looking ---------------------------------------------------------------------------------------------------------


def test_leases_are_listed_with_who_waits(world: World, anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.open("q", c.ObjectAsked("queue"))
    token = anna.hold("db", label="main")
    bert.acquire("db", label="second")
    bert.take("q")
    held, waits, takes = world.leases()
    assert held == c.LeaseInfo("db", "lock", "main of eve (anna__)", "eve", token=token, left_s=16.5)
    assert (waits.owner, waits.waiting, waits.units) == ("second of eve (bert__)", True, 1)
    assert (takes.name, takes.owner) == ("q", "eve (bert__)")
    assert world.leases("q") == (takes,)
    assert world.space.counts == {
        "objects": 2,
        "sessions": 2,
        "waiting": 2,
        "held": 1,
        "items": 0,
        "queue_bytes": 0,
    }


def test_a_list_that_is_too_long_is_cut(world: World, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "ANSWER_BYTES", 500)
    anna.open("s", c.ObjectAsked("semaphore", 100))
    for owner in range(50):
        anna.hold("s", owner=owner)
    assert 0 < len(world.leases()) < 10
    assert 0 < len(world.state("s").held) < 30


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_objects_are_bounded(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "OBJECTS", 2)
    for name in ("a", "b"):
        anna.open(name)
    number = anna.send(c.Open, "c", LOCK)
    assert anna.failure(number) == (ErrorCode.QUOTA, "there are 2 shared objects, which is the limit (OBJECTS)")
    anna.send(c.Drop, "a")
    anna.send(c.Open, "c", LOCK, number=number)
    assert anna.answer(number, c.OpenAnswer).made


def test_sessions_are_bounded(world: World, anna: Client, bert: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SESSIONS", 1)
    anna.open("a")
    assert bert.failure(bert.send(c.Open, "a", LOCK))[0] == ErrorCode.QUOTA
    assert not world.space.is_here(bert.instance)


@pytest.mark.parametrize("bound", ["UNSEEN", "ANSWERS"])
def test_answers_are_bounded(anna: Client, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(space, bound, 3)
    for name in ("a", "b", "c"):
        anna.open(name)
    refused = [anna.send(c.Open, "d", LOCK) for _ in range(3)]
    assert {anna.failure(number)[0] for number in refused} == {ErrorCode.QUOTA}
    anna.saw(1)
    assert anna.world.space.counts["objects"] == 3


def test_clients_that_are_gone_are_remembered_up_to_a_bound(
    world: World, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "LOST", 2)
    for index in range(4):
        client = Client(world, f"other__________{index}")
        client.open("db")
        client.hold("db")
        world.wait(OVER_S)
    assert list(world.space._core.lost) == ["other__________2", "other__________3"]
