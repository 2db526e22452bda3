"""Queues of several clients: no item is lost that nobody has seen, and everything is bounded."""

from __future__ import annotations

import pytest

from holdfast.coordination import core, queueing
from holdfast.coordination.queues import ITEM_BYTES, Queue
from holdfast.wire import coordination as c
from holdfast.wire import limits
from holdfast.wire.codes import ErrorCode
from tests.unit.coordination.space_world import OVER_S, Client, World

PLAIN = c.ObjectAsked("queue")
KEEPS = c.ObjectAsked("queue", visible_s=10.0, most_deliveries=2)


def test_a_full_queue_makes_producers_wait_in_order(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", maxsize=1))
    anna.put("q", b"1")
    assert anna.answer(anna.put("q", b"x", wait=False), c.PutAnswer).why == "full"
    second, late = anna.put("q", b"2"), bert.put("q", b"x", timeout_s=1.0)
    world.wait(1.0)
    assert bert.answer(late, c.PutAnswer).why == "full"
    assert bert.got(bert.take("q")) == b"1"
    assert anna.answer(second, c.PutAnswer).item == 2
    assert bert.got(bert.take("q")) == b"2"
    assert bert.answer(bert.take("q", wait=False), c.TakeAnswer).why == "empty"
    waiting, late = bert.take("q"), anna.take("q", timeout_s=1.0)
    world.wait(1.0)
    assert anna.answer(late, c.TakeAnswer).why == "empty"
    anna.put("q", b"3")
    assert bert.got(waiting) == b"3"


def test_the_lowest_priority_comes_first(anna: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", order="priority"))
    for priority in (2.0, 1.0, 3.0):
        anna.put("q", b"%d" % priority, priority=priority)
    assert [anna.got(anna.take("q")) for _ in range(3)] == [b"1", b"2", b"3"]


def test_join_waits_until_all_is_done(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", PLAIN)
    assert anna.answer(anna.send(c.Join, "q"), c.NumberedAnswer).ok
    anna.put("q", b"1")
    joined, late = bert.send(c.Join, "q"), bert.send(c.Join, "q", 1.0)
    world.wait(1.0)
    assert not bert.answer(late, c.NumberedAnswer).ok
    anna.take("q")
    assert bert.waits(joined)
    anna.send(c.Settle, "q", "task_done")
    assert bert.answer(joined, c.NumberedAnswer).ok
    assert anna.failure(anna.send(c.Settle, "q", "task_done"))[0] == ErrorCode.NOT_HOLDER


def test_shutting_down_ends_waits_and_drops_what_comes_back_later(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", maxsize=2, visible_s=10.0))
    for value in (b"1", b"2"):
        anna.put("q", value)
    anna.take("q")
    putter, joined = bert.put("q", b"3"), bert.send(c.Join, "q")
    anna.send(c.ShutQueue, "q", immediate=True)
    assert bert.answer(putter, c.PutAnswer).why == "shut"
    assert bert.waits(joined), "one is out still"
    world.wait(10.0)
    assert bert.answer(joined, c.NumberedAnswer).ok
    assert bert.answer(bert.take("q"), c.TakeAnswer).why == "shut"
    assert (world.state("q").size, world.state("q").out, world.space.counts["queue_bytes"]) == (0, 0, 0)


# --- at least once ---------------------------------------------------------------------------------------------------


def test_an_item_comes_back_until_it_is_acknowledged_by_anybody(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", KEEPS)
    anna.put("q", b"1")
    joined = anna.send(c.Join, "q")
    assert anna.answer(anna.take("q"), c.TakeAnswer).delivery == 1
    world.wait(10.0)
    second = bert.take("q")
    assert (bert.got(second), bert.answer(second, c.TakeAnswer).delivery) == (b"1", 2)
    late = anna.send(c.Settle, "q", "ack", 1, 1)
    assert anna.failure(late) == (ErrorCode.NOT_HOLDER, "delivery 1 of item 1 is not out")
    assert anna.answer(anna.send(c.Settle, "q", "ack", 1, 2), c.NumberedAnswer).ok
    assert anna.answer(joined, c.NumberedAnswer).ok


def test_an_item_that_fails_too_often_is_a_dead_letter(world: World, anna: Client) -> None:
    anna.open("q", KEEPS)
    anna.put("q", b"1")
    joined = anna.send(c.Join, "q")
    for delivery in (1, 2):
        anna.take("q")
        anna.send(c.Settle, "q", "fail", 1, delivery)
    assert (world.state("q").dead, world.state("q").size) == (1, 0)
    assert anna.answer(joined, c.NumberedAnswer).ok, "nobody waits for what will not come"


def test_what_a_client_has_comes_back_at_once_when_it_is_gone(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", visible_s=1000.0))
    anna.put("q", b"1")
    anna.saw(anna.take("q"))
    waiting = bert.take("q")
    world.wait(OVER_S, bert)
    assert bert.got(waiting) == b"1"
    assert bert.answer(waiting, c.TakeAnswer).delivery == 2


def test_what_came_back_and_went_to_somebody_else_is_left_to_them(world: World, anna: Client, bert: Client) -> None:
    """The end of the first taker, and the withdrawal of its request, do nothing to the second delivery."""
    anna.open("q", c.ObjectAsked("queue", visible_s=4.0))
    anna.put("q", b"1")
    first = anna.take("q")
    world.wait(4.0)
    bert.take("q")
    assert not anna.withdraw(first)
    world.wait(OVER_S - 4.5, bert)
    assert world.state("q").size == 1, "it has come back by its own time"
    second = bert.take("q")
    world.wait(1.0)
    assert (world.state("q").out, bert.answer(second, c.TakeAnswer).delivery) == (1, 3)


@pytest.mark.parametrize("what", [PLAIN, KEEPS])
def test_an_item_that_nobody_has_seen_goes_back_to_its_place(
    world: World, anna: Client, bert: Client, what: c.ObjectAsked
) -> None:
    anna.open("q", what)
    for value in (b"1", b"2"):
        anna.put("q", value)
    for _ in range(3):
        number = bert.take("q")
        assert bert.got(number) == b"1"
        assert bert.withdraw(number)
        assert not bert.withdraw(number)
    assert world.state("q").dead == 0, "it is not the item's fault"
    assert [anna.got(anna.take("q")) for _ in range(2)] == [b"1", b"2"]
    world.wait(OVER_S, bert)
    assert [bert.got(bert.take("q")) for _ in range(2)] == [b"1", b"2"]


def test_no_two_deliveries_have_one_number(anna: Client) -> None:
    anna.open("q", KEEPS)
    anna.put("q", b"1")
    first = anna.take("q")
    anna.withdraw(first)
    anna.take("q")
    assert anna.failure(anna.send(c.Settle, "q", "ack", 1, 1))[0] == ErrorCode.NOT_HOLDER


def test_an_item_that_was_seen_is_the_taker_s(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", PLAIN)
    anna.put("q", b"1")
    number = bert.take("q")
    bert.saw(number)
    assert not bert.withdraw(number)
    world.wait(OVER_S, anna)
    assert world.state("q").size == 0


def test_an_acknowledged_item_does_not_come_back(anna: Client) -> None:
    anna.open("q", KEEPS)
    anna.put("q", b"1")
    number = anna.take("q")
    anna.send(c.Settle, "q", "ack", 1, 1)
    assert not anna.withdraw(number)


def test_an_item_does_not_go_back_to_another_queue_of_that_name(world: World, anna: Client, bert: Client) -> None:
    anna.open("q", PLAIN)
    anna.put("q", b"1")
    number = bert.take("q")
    anna.send(c.Drop, "q", forget=True)
    anna.open("q", PLAIN)
    anna.put("q", b"2")
    assert not bert.withdraw(number)
    assert world.state("q").size == 1


def test_a_put_that_is_in_stays_and_one_that_waits_does_not(world: World, anna: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", maxsize=1))
    first, second = anna.put("q", b"1"), anna.put("q", b"2")
    assert not anna.withdraw(first)
    assert anna.withdraw(second)
    anna.take("q")
    assert (world.state("q").size, world.state("q").unfinished) == (0, 1)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_values_are_bounded_those_that_were_taken_and_not_seen_among_them(
    world: World, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "QUEUE_BYTES", 2 * (10 + ITEM_BYTES))
    anna.open("q", PLAIN)
    for _ in range(2):
        anna.put("q", bytes(10))
    refused = anna.put("q", b"")
    assert anna.failure(refused) == (
        ErrorCode.QUOTA,
        "the queues of this agent hold 220 bytes; the limit (QUEUE_BYTES) is 220",
    )
    number = anna.take("q")
    assert anna.failure(anna.put("q", b""))[0] == ErrorCode.QUOTA
    anna.saw(number)
    anna.put("q", b"", number=refused)
    assert anna.answer(refused, c.PutAnswer).item == 3
    assert world.space.counts["queue_bytes"] == 210
    anna.send(c.Drop, "q", forget=True)
    assert world.space.counts["queue_bytes"] == 0


def test_ranks_count_like_values(world: World, anna: Client) -> None:
    anna.open("q", c.ObjectAsked("queue", order="priority", maxsize=2))
    for rank in ("bb", "a", "ccc"):
        anna.put("q", b"1", rank=rank)
    assert world.space.counts["queue_bytes"] == 3 * (1 + ITEM_BYTES) + 4 * 6
    anna.saw(anna.take("q"))
    assert world.space.counts["queue_bytes"] == 2 * (1 + ITEM_BYTES) + 4 * 5


def test_an_item_must_be_out_for_some_time(anna: Client) -> None:
    asked = c.ObjectAsked("queue", visible_s=0.0)
    assert anna.failure(anna.send(c.Open, "q", asked)) == (ErrorCode.INVALID, "items that are out for 0 s")


def test_items_are_bounded(anna: Client) -> None:
    anna.open("q", PLAIN)
    assert anna.answer(anna.put("q", bytes(limits.ITEM_BYTES)), c.PutAnswer).item == 1
    assert anna.failure(anna.put("q", bytes(limits.ITEM_BYTES + 1)))[0] == ErrorCode.TOO_LARGE


def test_waits_are_bounded_and_what_ends_them_is_not(
    anna: Client, bert: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "PENDING", 1)
    anna.open("q", c.ObjectAsked("queue", maxsize=1))
    waiting = anna.take("q")
    assert bert.failure(bert.take("q"))[0] == ErrorCode.QUOTA
    bert.put("q", b"1")
    assert anna.got(waiting) == b"1"
    bert.put("q", b"2")
    waiting = anna.send(c.Join, "q")
    assert bert.failure(bert.send(c.Join, "q"))[0] == ErrorCode.QUOTA
    assert bert.failure(bert.put("q", b"3"))[0] == ErrorCode.QUOTA
    assert bert.got(bert.take("q")) == b"2"


def test_a_long_limit_leaves_nothing_behind_for_long(world: World, anna: Client) -> None:
    """Items that are acknowledged long before their time do not pile up until then."""
    world.checks = False
    anna.open("q", c.ObjectAsked("queue", visible_s=100_000.0))
    anna.put("q", b"stays")
    anna.take("q")
    anna.send(c.Join, "q", 100_000.0)
    for _ in range(300):
        number = anna.take("q", timeout_s=100_000.0)
        assert anna.waits(number)
        anna.put("q", b"x")
        header = anna.answer(number, c.TakeAnswer)
        anna.send(c.Settle, "q", "ack", header.item, header.delivery, seen=(number,))
    found = world.space._core.objects["q"].thing
    assert isinstance(found, Queue)
    assert len(found._returns) < 200
    assert len(world.space._core._due) < 10
