"""Queues: orders and counts against the standard library's, waits and deliveries against a plain model."""

from __future__ import annotations

import os
import queue as standard
import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from holdfast.coordination.queues import (
    Delivered,
    Item,
    Joined,
    Order,
    Queue,
    QueueMisuse,
    Refused,
    Taken,
    Told,
    Waiting,
)

STEPS: Final = 30_000


def drawn_seed() -> int:
    seed = int(os.environ.get("HOLDFAST_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return seed


@pytest.mark.parametrize(
    ("order", "oracle"),
    [("fifo", standard.Queue), ("lifo", standard.LifoQueue), ("priority", standard.PriorityQueue)],
)
@pytest.mark.parametrize("maxsize", [0, 1, 5])
def test_orders_and_counts_are_those_of_the_standard_library(
    order: Order, oracle: Callable[[int], standard.Queue[Any]], maxsize: int
) -> None:
    rng = random.Random(drawn_seed())
    ours, theirs, put = Queue(maxsize=maxsize, order=order), oracle(maxsize), 0
    for _ in range(5_000):
        assert (ours.qsize(), ours.full, ours.unfinished) == (theirs.qsize(), theirs.full(), theirs.unfinished_tasks)
        match rng.randrange(5):
            case 0 | 1:
                put += 1
                priority, rank = float(rng.randrange(3)), rng.choice(["", "a", "a\0", "b"])
                got = ours.put(str(put).encode(), now=0.0, priority=priority, rank=rank, wait=False)
                try:
                    theirs.put_nowait((priority, rank, put) if order == "priority" else put)
                    assert isinstance(got[0], Taken)
                except standard.Full:
                    assert got == (Refused(got[0].ticket, "full"), [])
            case 2 | 3:
                taken = ours.get(now=0.0, wait=False)[0]
                try:
                    value = theirs.get_nowait()
                    assert isinstance(taken, Delivered)
                    assert int(taken.item.value) == (value[2] if order == "priority" else value)
                except standard.Empty:
                    assert isinstance(taken, Refused)
                    assert taken.why == "empty"
            case _:
                try:
                    theirs.task_done()
                    assert ours.task_done() == []
                except ValueError:
                    with pytest.raises(QueueMisuse, match="too many times"):
                        ours.task_done()
    joined = ours.join()
    assert isinstance(joined, Waiting if theirs.unfinished_tasks else Joined)


class Model:
    """Plain lists, sorted anew each time."""

    def __init__(self, maxsize: int, order: Order, visible_after_s: float | None, most: int) -> None:
        self.maxsize, self.order, self.visible_after_s, self.most = maxsize, order, visible_after_s, most
        self.ready: list[Item] = []
        self.out: list[tuple[float, Item]] = []
        self.dead: list[int] = []
        self.putters: list[tuple[int, bytes, float, float | None]] = []
        self.getters: list[tuple[int, float | None]] = []
        self.last_id = 0

    def key(self, item: Item) -> tuple[float, int]:
        first = item.priority if self.order == "priority" else 0.0
        return first, -item.id if self.order == "lifo" else item.id

    def full(self) -> bool:
        return self.maxsize > 0 and len(self.ready) + len(self.out) >= self.maxsize

    def settle(self, now: float) -> list[tuple[str, int, int]]:
        """Getters first, one at a time, as long as anything moves: (what, ticket, item)."""
        moved = []
        while True:
            if self.getters and self.ready:
                item = min(self.ready, key=self.key)
                self.ready.remove(item)
                item = Item(item.id, item.value, item.priority, item.deliveries + 1)
                if self.visible_after_s is not None:
                    self.out.append((now + self.visible_after_s, item))
                moved.append(("delivered", self.getters.pop(0)[0], item.id))
            elif self.putters and not self.full():
                ticket, value, priority, _ = self.putters.pop(0)
                self.last_id += 1
                self.ready.append(Item(self.last_id, value, priority))
                moved.append(("taken", ticket, self.last_id))
            else:
                return moved

    def back(self, item: Item) -> None:
        if item.deliveries >= self.most:
            self.dead.append(item.id)
        else:
            self.ready.append(item)


def plain(told: list[Told]) -> list[tuple[str, int, int]]:
    found = []
    for each in told:
        if isinstance(each, Delivered):
            found.append(("delivered", each.ticket, each.item.id))
        elif isinstance(each, Taken):
            found.append(("taken", each.ticket, each.id))
    return found


@pytest.mark.parametrize("order", ["fifo", "lifo", "priority"])
@pytest.mark.parametrize("visible_after_s", [None, 3.0])
def test_waits_and_deliveries_are_those_of_the_model(order: Order, visible_after_s: float | None) -> None:
    rng = random.Random(drawn_seed())
    ours = Queue(maxsize=4, order=order, visible_after_s=visible_after_s, most_deliveries=3)
    model = Model(4, order, visible_after_s, 3)
    now, seen = 0.0, set[str]()
    for _ in range(STEPS):
        now += rng.random() / 2
        until = now + 2 * rng.random() if rng.random() < 0.5 else None
        act = rng.choice(["put", "put", "get", "get", "ack", "fail", "time", "withdraw", "remove"])
        if act == "put":
            priority = float(rng.randrange(3))
            outcome, told = ours.put(b"x", now=now, priority=priority, until=until)
            model.putters.append((outcome.ticket, b"x", priority, until))
            check(outcome, told, model.settle(now), seen)
        elif act == "get":
            result, told = ours.get(now=now, until=until)
            model.getters.append((result.ticket, until))
            check(result, told, model.settle(now), seen)
        elif act in ("ack", "fail") and model.out:
            entry = rng.choice(model.out)
            model.out.remove(entry)
            if act == "fail":
                model.back(entry[1])
            step = ours.acknowledge if act == "ack" else ours.fail
            told = step(entry[1].id, entry[1].deliveries, now=now)
            assert plain(told) == model.settle(now)
            seen.update("told" for _ in told)
            with pytest.raises(QueueMisuse):
                ours.acknowledge(entry[1].id, entry[1].deliveries, now=now)
        elif act == "time":
            limits = [(limit, ticket) for ticket, _, _, limit in model.putters if limit is not None]
            limits += [(limit, ticket) for ticket, limit in model.getters if limit is not None]
            over = {ticket for limit, ticket in limits if limit <= now}
            assert ours.next_deadline() == min(
                [limit for limit, _ in limits] + [when for when, _ in model.out], default=None
            )
            told = ours.handle_timeout(now)
            assert {each.ticket for each in told if isinstance(each, Refused)} == over
            model.putters = [each for each in model.putters if each[0] not in over]
            model.getters = [each for each in model.getters if each[0] not in over]
            for entry in [each for each in model.out if each[0] <= now]:
                model.out.remove(entry)
                model.back(entry[1])
                seen.add("came back")
            assert plain(told) == model.settle(now)
            seen.update("timed out" for _ in over)
        elif act == "withdraw" and model.getters and rng.random() < 0.3:
            entry_ = rng.choice(model.getters)
            model.getters.remove(entry_)
            ours.withdraw(entry_[0])
        elif act == "remove" and rng.random() < 0.3:
            item = rng.choice([*model.ready, Item(10**9, b"")])
            there, told = ours.remove(item.id, now=now)
            assert there == (item in model.ready)
            model.ready = [each for each in model.ready if each is not item]
            assert plain(told) == model.settle(now)
            seen.update("removed" for _ in range(there))
        assert ours.qsize() == len(model.ready)
        assert ours.full == model.full()
        assert sorted(ours.dead) == sorted(model.dead)
    expected = {"Taken", "Delivered", "Waiting", "told", "timed out", "removed"}
    expected |= {"came back"} if visible_after_s else set()
    assert seen == expected
    assert bool(model.dead) == (visible_after_s is not None)


def check(outcome: object, told: list[Told], moved: list[tuple[str, int, int]], seen: set[str]) -> None:
    """What came of a call, and what others were told, is together what moved in the model."""
    seen.add(type(outcome).__name__)
    if told:
        seen.add("told")
    own = [] if isinstance(outcome, Waiting) else plain([outcome])  # type: ignore[list-item]
    assert own + plain(told) == moved


def test_shutting_down_is_as_in_the_standard_library() -> None:
    ours = Queue(maxsize=2)
    for value in (b"1", b"2"):
        ours.put(value, now=0.0)
    putter, joiner = ours.put(b"3", now=0.0)[0], ours.join()
    assert ours.shutdown() == [Refused(putter.ticket, "shut")]
    assert isinstance(ours.put(b"4", now=0.0)[0], Refused)
    assert isinstance(ours.get(now=0.0)[0], Delivered)
    assert ours.task_done() == []
    assert ours.shutdown(immediate=True) == [Joined(joiner.ticket)]
    got, told = ours.get(now=0.0)
    assert (got, told) == (Refused(got.ticket, "shut"), [])


def test_shutting_down_ends_the_wait_of_getters() -> None:
    ours = Queue()
    waiting = ours.get(now=0.0)[0]
    assert ours.shutdown() == [Refused(waiting.ticket, "shut")]
