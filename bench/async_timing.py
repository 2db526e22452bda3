"""Timing of calls on an event loop, for every contestant that has one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.contestant import Answer


async def one_at_a_time(count: int, call: Callable[[], Awaitable[object]]) -> Answer:
    """Time ``count`` calls, each by itself."""
    clock = time.perf_counter
    each = []
    begin = before = clock()
    for _ in range(count):
        await call()
        after = clock()
        each.append(after - before)
        before = after
    return Answer(wall_s=before - begin, each_s=tuple(each))


async def in_flight(count: int, width: int, call: Callable[[], Awaitable[object]]) -> Answer:
    """Time ``count`` calls with ``width`` of them in flight all the time."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await call()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as callers:
        for _ in range(min(width, count)):
            callers.create_task(caller())
    return Answer(wall_s=time.perf_counter() - begin)
