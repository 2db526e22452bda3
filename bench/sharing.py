"""Timing of objects that programs share, for every contestant whose face blocks.

``lock`` and ``semaphore``: acquire and release, nobody else wants it. ``queue``: put a number and get it again.
``handover``: hold a lock for a moment and give it back, while another contestant does the same. ``put`` and ``get``:
the two ends of a queue, in two contestants; the second one is told first.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from bench.contestant import Answer, Order, one_at_a_time

HOLD_S: Final = 0.001
"""A holder's work. The other one asks again after half of that, so it waits when the lock is given back."""
UNITS: Final = 3
"""Of the semaphore."""
LOCK, UNITS_NAME, ITEMS = "bench lock", "bench units", "bench items"
"""What the objects are called where they have names."""
ORDERS: Final = frozenset(("lock", "semaphore", "handover", "queue", "put", "get"))


class Objects(NamedTuple):
    """What is done with the shared objects; each call has its effect before it returns.

    Attributes:
        take: As ``acquire``, of the lock that is handed over.
        give: Its ``release``.
    """

    acquire: Callable[[], object]
    release: Callable[[], object]
    enter: Callable[[], object]
    leave: Callable[[], object]
    take: Callable[[], object]
    give: Callable[[], object]
    put: Callable[[int], object]
    get: Callable[[], int]


class Sharing:
    """Does orders with them; in flight means threads."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._threads: ThreadPoolExecutor | None = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        do = self._objects
        match order.what:
            case "lock":
                return one_at_a_time(lambda: (do.acquire(), do.release()), order.count)
            case "semaphore":
                return one_at_a_time(lambda: (do.enter(), do.leave()), order.count)
            case "handover":
                return _hand_over(do.take, do.give, order.count)
            case "queue":
                return one_at_a_time(lambda: (do.put(1), do.get()), order.count)
            case "put":
                return self._all(lambda numbers: _sum(do.put, numbers), order)
            case "get":
                return self._all(lambda numbers: sum(do.get() for _ in numbers), order)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()

    def _all(self, work: Callable[[Iterator[int]], int], order: Order) -> Answer:
        """The numbers 0 to ``count`` - 1 through ``width`` callers; each takes the next one when it is free."""
        numbers = iter(range(order.count))
        begin = time.perf_counter()
        if order.width == 1:
            total = work(numbers)
        else:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(order.width)
            total = sum(self._threads.map(work, itertools.repeat(numbers, order.width)))
        return span(begin, time.perf_counter(), total)


def span(begin: float, end: float, total: int) -> Answer:
    """The answer to ``put`` and ``get``."""
    return Answer(wall_s=end - begin, spans=((begin, end),), total=total)


def _sum(put: Callable[[int], object], numbers: Iterator[int]) -> int:
    total = 0
    for number in numbers:
        put(number)
        total += number
    return total


def _hand_over(take: Callable[[], object], give: Callable[[], object], count: int) -> Answer:
    """Told from the moment at which it was held to the one just before it was given back."""
    clock, held = time.perf_counter, []
    for _ in range(count):
        take()
        begin = clock()
        time.sleep(HOLD_S)
        held.append((begin, clock()))
        give()
        time.sleep(HOLD_S / 2)
    return Answer(wall_s=held[-1][1] - held[0][0], spans=tuple(held))


def waits(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> list[float]:
    """Seconds from each release of one contestant to the acquire of the other that came next.

    Args:
        first: When the one held the lock: begin and end.
        second: When the other one did.

    Raises:
        ArithmeticError: both held it at some time, or it never went from one to the other.
    """
    held = sorted([(*one, 0) for one in first] + [(*one, 1) for one in second])
    found = []
    for (_, ended, before), (begun, _, after) in itertools.pairwise(held):
        if begun < ended:
            raise ArithmeticError(f"two held the lock at the same time, for {ended - begun:.6f} s")
        if before != after:
            found.append(begun - ended)
    if not found:
        raise ArithmeticError("the lock never changed hands")
    return found
