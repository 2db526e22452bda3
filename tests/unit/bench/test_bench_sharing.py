"""What is made of results and stamps: wrong sums and two holders of a lock are failures, however fast."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest

from bench import calling
from bench.calling import check
from bench.cases import shared
from bench.contestant import Answer, Order
from bench.samples import ContestantFailed
from bench.sharing import Objects, Sharing, waits


def test_results_that_do_not_add_up_are_no_results() -> None:
    check(1, 1)
    check([1, 2, 3], 3)
    for results, count in ((0, 1), ([1, 2], 3), ([0, 1, 2], 3)):
        with pytest.raises(ArithmeticError, match=f"results of {count} calls"):
            check(results, count)


class Wrong(Executor):
    """Answers each call with its argument."""

    def submit(self, fn: object, /, *args: int, **_: object) -> Future[int]:  # type: ignore[override]
        future: Future[int] = Future()
        future.set_result(args[0])
        return future


@pytest.mark.parametrize("what", ["call", "submit", "map"])
def test_a_pool_is_timed_and_its_results_are_looked_at(what: str) -> None:
    order = Order(what, 5)  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        answer = calling.through(pool, order)
    assert answer.wall_s > 0
    assert len(answer.each_s) == (5 if what == "call" else 0)
    with pytest.raises(ArithmeticError):
        calling.through(Wrong(), order)


def test_what_a_pool_cannot_do_is_said() -> None:
    with pytest.raises(NotImplementedError, match="lock"):
        calling.through(Wrong(), Order("lock", 1))


def test_a_wait_goes_from_a_release_to_the_acquire_of_the_other() -> None:
    first = [(0.0, 1.0), (3.0, 4.0), (4.5, 5.0)]
    second = [(1.25, 2.0)]
    assert waits(first, second) == [0.25, 1.0]  # from 4.0 to 4.5 it stayed with the first


@pytest.mark.parametrize("second", [(0.5, 0.75), (0.9, 2.0), (-1.0, 0.1), (0.0, 1.0)])
def test_two_holders_at_the_same_time_are_a_failure(second: tuple[float, float]) -> None:
    with pytest.raises(ArithmeticError, match="at the same time"):
        waits([(0.0, 1.0)], [second])


def test_a_lock_that_never_changed_hands_tells_nothing() -> None:
    with pytest.raises(ArithmeticError, match="never changed hands"):
        waits([(0.0, 1.0), (2.0, 3.0)], [])


@pytest.fixture
def own() -> Iterator[Sharing]:
    """The standard library's objects, of this process."""
    lock, semaphore = threading.Lock(), threading.Semaphore(3)
    line: queue.Queue[int] = queue.Queue()
    objects = Objects(
        lock.acquire, lock.release, semaphore.acquire, semaphore.release, lock.acquire, lock.release, line.put, line.get
    )  # fmt: skip
    with closing(Sharing(objects)) as made:
        yield made


@pytest.mark.parametrize("what", ["lock", "semaphore", "queue"])
def test_each_use_is_timed(own: Sharing, what: str) -> None:
    assert len(own.obey(Order(what, 4)).each_s) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [1, 3])
def test_both_ends_of_a_queue_tell_what_went_through(own: Sharing, width: int) -> None:
    put, got = own.obey(Order("put", 10, width)), own.obey(Order("get", 10, width))
    assert put.total == got.total == sum(range(10))
    assert put.spans[0][1] <= got.spans[0][0]


def test_a_holder_tells_from_when_to_when(own: Sharing) -> None:
    spans = own.obey(Order("handover", 3)).spans
    assert len(spans) == 3
    assert all(begin < end for begin, end in spans)
    assert all(one[1] < other[0] for one, other in pairwise(spans))


class Told:
    """A contestant whose answer is known."""

    name = "told"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def tell(self, order: Order) -> None:
        pass

    def answer(self) -> Answer:
        return self._answer


def test_a_queue_that_loses_an_item_has_no_rate() -> None:
    put, got = Answer(spans=((1.0, 2.0),), total=6), Answer(spans=((0.5, 3.0),), total=6)
    assert shared._flow(Told(put), Told(got), count=4, width=1) == 2.0  # type: ignore[arg-type]
    lost = Answer(spans=((0.5, 3.0),), total=5)
    with pytest.raises(ContestantFailed, match="told: of 4 items, which add up to 6, 5 came"):
        shared._flow(Told(put), Told(lost), count=4, width=1)  # type: ignore[arg-type]


def test_two_holders_put_the_contestant_out() -> None:
    both = Told(Answer(spans=((1.0, 2.0),)))
    with pytest.raises(ContestantFailed, match="told: two held the lock"):
        shared._hand_over_ms(both, both, order=Order("handover", 1))  # type: ignore[arg-type]
