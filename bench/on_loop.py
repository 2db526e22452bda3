"""Timing of function calls and of shared objects on an event loop: ``calling`` and ``sharing`` for its faces."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import holdfast.aio as aio
from bench.async_timing import in_flight, one_at_a_time
from bench.calling import check
from bench.contestant import Answer, Order
from bench.sharing import ITEMS, LOCK, UNITS, UNITS_NAME, span
from bench.work import successor
from holdfast.client.functions.aio_executor import Executor


async def calls(pool: Executor, order: Order) -> Answer:
    """Call through the executor as the order says; ``submit``: all are submitted, then all results are awaited."""

    async def call() -> None:
        check(await pool.submit(successor, 0), 1)

    if order.what == "call":
        return await one_at_a_time(order.count, call)
    begin = time.perf_counter()
    if order.what == "submit":
        futures = [pool.submit(successor, number) for number in range(order.count)]
        check([await future for future in futures], order.count)
    elif order.what == "map":
        check([result async for result in pool.map(successor, range(order.count))], order.count)
    else:
        raise NotImplementedError(order.what)
    return Answer(wall_s=time.perf_counter() - begin)


class Shared:
    """The lock, the semaphore and the queue of ``sharing``; in flight means tasks."""

    def __init__(self, host: aio.Host) -> None:
        self._lock = host.lock(LOCK)
        self._semaphore = host.semaphore(UNITS_NAME, UNITS)
        self._queue = host.queue(ITEMS)

    async def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        match order.what:
            case "lock":
                return await one_at_a_time(order.count, _both(self._lock.acquire, self._lock.release))
            case "semaphore":
                return await one_at_a_time(order.count, _both(self._semaphore.acquire, self._semaphore.release))
            case "queue":
                return await one_at_a_time(order.count, _both(lambda: self._queue.put(1), self._queue.get))
            case "put":
                return await self._put(order)
            case "get":
                return await self._get(order)
        raise NotImplementedError(order.what)

    async def _put(self, order: Order) -> Answer:
        numbers = iter(range(order.count))
        begin = time.perf_counter()
        await in_flight(order.count, order.width, lambda: self._queue.put(next(numbers)))
        return span(begin, time.perf_counter(), sum(range(order.count)))

    async def _get(self, order: Order) -> Answer:
        got: list[int] = []

        async def get() -> None:
            got.append(await self._queue.get())

        begin = time.perf_counter()
        await in_flight(order.count, order.width, get)
        return span(begin, time.perf_counter(), sum(got))


def _both(
    first: Callable[[], Awaitable[object]], second: Callable[[], Awaitable[object]]
) -> Callable[[], Awaitable[None]]:
    async def both() -> None:
        await first()
        await second()

    return both
