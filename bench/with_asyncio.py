"""Holdfast through its asyncio client, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import uvloop

import holdfast.aio as aio
from bench.contestant import TRUE, Answer, Order
from holdfast.types import Durability


class Asyncio:
    """One connection; in flight means tasks."""

    def __init__(self, kind: str, state_dir: str) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop if kind == "uvloop" else None)
        self._host = self._runner.run(_connect(state_dir))
        self._jobs: list[aio.Job] = []

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        return self._runner.run(self._obey(order))

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._host.close())
        self._runner.close()

    async def _obey(self, order: Order) -> Answer:
        if order.what == "serial":
            return await self._serial(order.count)
        if order.what == "burst":
            durability: Durability | None = "power" if order.durable else None
            return await in_flight(
                order.count, order.width, lambda: self._host.run([TRUE], check=True, durability=durability)
            )
        if order.what == "start_jobs":
            return await in_flight(order.count, order.width, self._start_job)
        if order.what == "stop_jobs":
            return await self._stop_jobs(order.width)
        raise NotImplementedError(order.what)

    async def _serial(self, count: int) -> Answer:
        clock = time.perf_counter
        each = []
        begin = before = clock()
        for _ in range(count):
            await self._host.run([TRUE], check=True)
            after = clock()
            each.append(after - before)
            before = after
        return Answer(wall_s=before - begin, each_s=tuple(each))

    async def _start_job(self) -> None:
        self._jobs.append(await self._host.start(["sleep", "100000"], detach=True, durability="process"))

    async def _stop_jobs(self, width: int) -> Answer:
        """TERM to every job, then wait for each receipt."""
        jobs, self._jobs = self._jobs, []
        begin = time.perf_counter()
        stops, ends = iter(jobs), iter(jobs)
        await in_flight(len(jobs), width, lambda: next(stops).stop())
        await in_flight(len(jobs), width, lambda: next(ends).wait_receipt())
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> Asyncio:
    """Made by ``bench.contestant``; ``args``: the state directory."""
    return Asyncio(kind, *args)


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


async def _connect(state_dir: str) -> aio.Host:
    return await aio.connect(state_dir=state_dir, start=False)
