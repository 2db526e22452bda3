"""Timing of trivial function calls, for every contestant that has ``concurrent.futures.Executor`` as its face.

``call``: one at a time. ``submit``: all are submitted, then all results are fetched; everything may be in flight.
``map``: ``Executor.map`` with chunks of one call. The results are looked at: a fast wrong one is no result.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Final

from bench.contestant import Answer, Order, one_at_a_time
from bench.work import successor

ORDERS: Final = frozenset(("call", "submit", "map"))


def through(pool: Executor, order: Order) -> Answer:
    """Call through the executor as the order says."""
    if order.what == "call":
        return one_at_a_time(lambda: check(pool.submit(successor, 0).result(), 1), order.count)
    begin = time.perf_counter()
    if order.what == "submit":
        futures = [pool.submit(successor, number) for number in range(order.count)]
        check((future.result() for future in futures), order.count)
    elif order.what == "map":
        check(pool.map(successor, range(order.count), chunksize=1), order.count)
    else:
        raise NotImplementedError(order.what)
    return Answer(wall_s=time.perf_counter() - begin)


def check(results: int | Iterable[int], count: int) -> None:
    """See that these are the successors of 0 to ``count`` - 1, or at least add up to the same.

    Args:
        results: One result, or all of them; of those the last is taken from the iterator here.
        count: Calls that were made.

    Raises:
        ArithmeticError: they are not.
    """
    found = results if isinstance(results, int) else sum(results)
    if found != count * (count + 1) // 2:
        raise ArithmeticError(f"the results of {count} calls add up to {found}")
