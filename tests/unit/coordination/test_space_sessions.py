"""Sessions: each request once, leases and what is lost with them, giving up, restarts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.coordination import sessions
from holdfast.coordination.records import Answer, LeaseOver, Renewed, Reserved, Restored
from holdfast.coordination.sessions import Numbers
from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode
from tests.unit.coordination.space_world import LOCK, OVER_S, RLOCK, Client, World

# --- once ------------------------------------------------------------------------------------------------------------


def test_a_request_whose_number_is_known_is_not_carried_out_again(world: World, anna: Client) -> None:
    anna.open("r", RLOCK)
    number = anna.acquire("r")
    known = world.space.known(anna.instance, number)
    assert isinstance(known, Answer)
    assert anna.send(c.Acquire, 1, {"r": 1}, number=number) == number
    assert world.effects == []
    assert list(world.state("r").held.values()) == [1]
    assert world.space.known(anna.instance, number) == known
    waiting = anna.acquire("r", owner=2)
    anna.send(c.Acquire, 2, {"r": 1}, number=waiting)
    assert world.state("r").waiting == 1


def test_an_answer_is_kept_until_it_has_been_seen_and_the_number_is_not_used_again(world: World, anna: Client) -> None:
    """A request may be late: asked on a connection that was cut, asked again on the next one, answered, seen."""
    anna.open("db")
    number = anna.acquire("db")
    anna.release("db")
    anna.saw(number)
    assert world.space.known(anna.instance, number) is None
    anna.send(c.Acquire, 1, {"db": 1}, number=number)
    assert world.effects == [
        Answer(
            anna.instance,
            number,
            code=ErrorCode.LEASE_LOST,
            text=f"request {number} is over, and its answer is not kept",
            ran="unknown",
        )
    ]
    assert world.state("db").free == 1


def test_a_refusal_is_an_answer_like_others(world: World, anna: Client, bert: Client) -> None:
    number = anna.acquire("db")
    bert.open("db")
    anna.send(c.Acquire, 1, {"db": 1}, number=number)
    assert world.effects == []


def test_numbers_are_kept_as_ranges() -> None:
    numbers, plain = Numbers(), set[int]()
    for number in (5, 3, 4, 9, 10, 8, 1, 4, 7, 20):
        numbers.add(number)
        plain.add(number)
        assert {each for each in range(30) if each in numbers} == plain
    assert numbers.ranges() == [(1, 1), (3, 5), (7, 10), (20, 20)]
    assert Numbers(numbers.ranges()).ranges() == numbers.ranges()


def test_the_lowest_numbers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RANGES", 3)
    numbers = Numbers()
    for number in (2, 4, 6, 8, 9):
        numbers.add(number)
    assert numbers.ranges() == [(4, 4), (6, 6), (8, 9)]


# --- leases ----------------------------------------------------------------------------------------------------------


def test_who_is_not_heard_of_gives_everything_back(world: World, anna: Client, bert: Client) -> None:
    for name in ("a", "b"):
        anna.open(name)
    anna.hold("a")
    anna.hold("b", owner=2)
    waiting = bert.acquire("a", "b")
    assert world.wait(16.4, bert) == []
    world.wait(0.2, bert)
    assert bert.token(waiting)
    assert world.over == [(anna.instance, ("a", "b"))]
    assert not world.space.is_here(anna.instance)


def test_any_request_renews(world: World, anna: Client) -> None:
    anna.open("db")
    anna.hold("db")
    for _ in range(3):
        world.wait(10.0)
        anna.send(c.Drop, "nothing of that name")
    assert world.state("db").free == 0


def test_a_lease_lasts_as_long_as_was_asked(world: World, anna: Client) -> None:
    anna.open("db")
    anna.hold("db")
    world.record(Renewed(anna.instance, "eve", 3.0))
    world.wait(3.2)
    assert world.space.is_here(anna.instance)
    world.wait(0.2)
    assert world.over == [(anna.instance, ("db",))]


def test_a_renewal_begins_no_session(world: World, anna: Client) -> None:
    assert world.record(Renewed(anna.instance, "eve", 3.0)) == []
    assert not world.space.has_clients


def test_two_threads_in_line_for_one_lock_go_with_their_client(world: World, anna: Client, bert: Client) -> None:
    """The first one that leaves would let the second one to the front."""
    for name in ("a", "b"):
        bert.open(name)
    bert.hold("a")
    anna.acquire("a", "b", owner=1)
    anna.acquire("b", owner=2)
    effects = world.wait(OVER_S, bert)
    assert effects == []
    assert world.state("b").free == 1


def test_nothing_goes_from_one_client_that_is_gone_to_another(world: World, anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.hold("db")
    waiting = bert.acquire("db")
    world.wait(OVER_S)
    assert [type(effect) for effect in world.effects] == [LeaseOver]
    assert not bert.said(waiting)


def test_what_was_lost_is_told_when_it_is_given_back(world: World, anna: Client, bert: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("db")
    anna.open("word", c.ObjectAsked("condition", lock="db"))
    anna.hold("r")
    anna.hold("r")
    anna.hold("db")
    world.wait(OVER_S)
    bert.open("r", RLOCK)
    bert.open("db")
    bert.open("word", c.ObjectAsked("condition", lock="db"))
    world.restart()
    lost = (ErrorCode.LEASE_LOST, "'r' was lost: this client was not heard of for longer than its lease")
    assert [anna.failure(anna.release("r")) for _ in range(2)] == [lost, lost]
    assert anna.failure(anna.release("r")) == (ErrorCode.NOT_HOLDER, "cannot release un-acquired lock")
    assert anna.failure(anna.release("db", owner=2))[0] == ErrorCode.LEASE_LOST, "any thread could have done it"
    assert anna.failure(anna.release("db"))[0] == ErrorCode.NOT_HOLDER
    anna.hold("r")
    anna.answer(anna.release("r"), c.NumberedAnswer)


def test_a_wait_for_a_condition_without_its_lost_lock_says_so(world: World, anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.hold("db")
    world.wait(OVER_S)
    bert.open("db")
    bert.open("word", c.ObjectAsked("condition", lock="db"))
    assert anna.failure(anna.send(c.Await, 1, "word"))[0] == ErrorCode.LEASE_LOST


def test_what_was_done_before_the_end_is_not_done_again(world: World, anna: Client, bert: Client) -> None:
    """A client that slept asks again what it does not know the answer of: the item is in the queue once."""
    anna.open("q", c.ObjectAsked("queue"))
    number = anna.put("q", b"1")
    bert.open("q", c.ObjectAsked("queue"))
    world.wait(OVER_S, bert)
    anna.put("q", b"1", number=number)
    assert anna.failure(number)[0] == ErrorCode.LEASE_LOST
    assert world.state("q").size == 1


def test_what_came_back_with_the_end_may_be_asked_again(world: World, anna: Client, bert: Client) -> None:
    for name, what in (("db", LOCK), ("other", LOCK), ("q", c.ObjectAsked("queue"))):
        bert.open(name, what)
    bert.hold("other")
    bert.put("q", b"1")
    granted, taken, waiting = anna.acquire("db"), anna.take("q"), anna.acquire("other", owner=2)
    world.wait(OVER_S, bert)
    anna.acquire("db", number=granted)
    anna.take("q", number=taken)
    assert anna.waits(anna.acquire("other", owner=2, number=waiting))
    assert anna.token(granted)
    assert anna.got(taken) == b"1"


def test_after_a_reboot_every_lease_counts_as_renewed(world: World, anna: Client) -> None:
    anna.open("db")
    anna.hold("db")
    world.now += 1000.0
    assert world.record(Restored()) == []
    world.wait(16.0)
    assert world.state("db").free == 0


# --- giving up -------------------------------------------------------------------------------------------------------


def test_a_request_that_is_withdrawn_leaves_its_line(world: World, anna: Client, bert: Client) -> None:
    for name in ("a", "b"):
        anna.open(name)
    anna.hold("a")
    both, one = bert.acquire("a", "b"), bert.acquire("b", owner=2)
    assert bert.withdraw(both)
    assert not bert.said(both)
    assert bert.token(one)
    assert world.space.known(bert.instance, both) is None
    bert.acquire("a", "b", number=both)
    assert bert.failure(both)[0] == ErrorCode.LEASE_LOST, "it is not begun again by a late copy"


def test_a_grant_that_nobody_has_seen_is_given_back(world: World, anna: Client, bert: Client) -> None:
    anna.open("db")
    anna.open("s", c.ObjectAsked("bounded", 3))
    number = anna.send(c.Acquire, 1, {"db": 1, "s": 2})
    waiting = bert.acquire("db")
    anna.release("s")
    assert anna.withdraw(number)
    assert bert.token(waiting)
    assert world.state("s").free == 3, "no more than was left of it"
    assert not anna.withdraw(number)


def test_a_grant_that_was_seen_stays(world: World, anna: Client) -> None:
    anna.open("db")
    number = anna.acquire("db")
    anna.saw(number)
    assert not anna.withdraw(number)
    assert world.state("db").free == 0


def test_a_request_does_not_withdraw_itself(anna: Client) -> None:
    assert anna.failure(anna.send(c.Withdraw, 1))[0] == ErrorCode.INVALID


def test_a_request_that_comes_after_its_withdrawal_is_not_carried_out(world: World, anna: Client) -> None:
    anna.open("db")
    assert not anna.withdraw(77)
    anna.acquire("db", number=77)
    assert world.state("db").free == 1


def test_a_withdrawn_wait_for_a_condition_ends_with_its_lock_and_withdrawn_again_without(
    world: World, anna: Client, bert: Client
) -> None:
    anna.open("r", RLOCK)
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    for again in (False, True):
        anna.hold("r")
        waiting = anna.send(c.Await, 1, "word")
        bert.hold("r")
        assert not anna.withdraw(waiting)
        assert anna.waits(waiting)
        assert anna.withdraw(waiting) if again else True
        bert.release("r")
        if not again:
            assert not anna.answer(waiting, c.AwaitAnswer).notified
            anna.release("r")
    assert not anna.said(waiting)
    assert world.state("r").free == 1


def test_a_wait_that_ended_meanwhile_keeps_its_lock_unless_it_is_withdrawn_twice(world: World, anna: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    anna.hold("r")
    anna.hold("r")
    waiting = anna.send(c.Await, 1, "word", timeout_s=0.0)
    assert not anna.withdraw(waiting)
    assert list(world.state("r").held.values()) == [2]
    assert anna.withdraw(waiting)
    assert world.state("r").free == 1


def test_a_notified_wait_that_is_given_up_wakes_the_next_one(anna: Client, bert: Client) -> None:
    anna.open("r", RLOCK)
    anna.open("word", c.ObjectAsked("condition", lock="r"))
    waiting = []
    for owner in (1, 2):
        anna.hold("r", owner=owner)
        waiting.append(anna.send(c.Await, owner, "word"))
    bert.hold("r")
    bert.send(c.Notify, 1, "word")
    anna.withdraw(waiting[0])
    assert anna.withdraw(waiting[0])
    bert.release("r")
    assert anna.answer(waiting[1], c.AwaitAnswer).notified


# --- tokens, restarts ------------------------------------------------------------------------------------------------


def test_after_a_power_failure_tokens_begin_above_all_that_were_reserved(world: World, anna: Client) -> None:
    anna.open("db")
    first = anna.hold("db")
    world.record(Reserved(1000))
    world.record(Reserved(500))
    anna.release("db")
    assert anna.hold("db") == first + 1
    world.restart()
    world.record(Restored())
    anna.release("db")
    assert anna.hold("db") == 1001
    assert world.space.last_token == 1001


def test_what_is_kept_is_all_that_there_is(world: World, anna: Client, bert: Client) -> None:
    """A restart in the middle of everything: places in line, limits, answers and items are as they were."""
    anna.open("db")
    anna.open("q", c.ObjectAsked("queue", order="priority", visible_s=9.0, durable=True))
    anna.hold("db", label="main")
    anna.put("q", b"1", priority=2.0)
    anna.put("q", b"2", priority=1.0)
    taken = anna.take("q")
    waiting, late = bert.acquire("db", label="next"), bert.acquire("db", owner=2, timeout_s=3.0)
    world.restart()
    assert world.space.is_durable("q")
    assert world.space.client_of(anna.instance) == "eve"
    assert {lease.owner for lease in world.leases("db")} == {
        "main of eve (anna__)",
        "next of eve (bert__)",
        "owner 2 of eve (bert__)",
    }
    known = world.space.known(anna.instance, taken)
    assert isinstance(known, Answer)
    assert known.body == b"2"
    assert world.space.next_deadline() == world.now + 3.0
    world.wait(3.0)
    assert not bert.answer(late, c.AcquireAnswer).granted
    world.wait(6.0)
    assert world.state("q").size == 2
    anna.release("db")
    assert bert.token(waiting)


def test_a_replay_gives_the_same_in_every_process(tmp_path: Path) -> None:
    """Sets of names have another order in every process; nothing may hang on it."""
    root = Path(__file__).resolve().parents[3]
    code = (
        "import random, hashlib; from tests.property.test_space_model import Pair; pair = Pair(random.Random(7))\n"
        "for _ in range(1500): pair.step()\n"
        "print(hashlib.sha256(pair.space.snapshot()).hexdigest())"
    )
    found = set()
    for seed in ("1", "2"):
        environment = {"PYTHONPATH": f"{root}:{root / 'src'}", "PYTHONHASHSEED": seed, "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
