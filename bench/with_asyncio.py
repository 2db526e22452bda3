"""Holdfast through its asyncio client, on asyncio's own loop or on uvloop, over whatever the address names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import uvloop
import xxhash

import holdfast.aio as aio
from bench import calling, on_loop, procfs
from bench.async_timing import in_flight, one_at_a_time
from bench.contestant import TRUE, Answer, Order, head_command
from holdfast.client.functions.aio_executor import Executor
from holdfast.types import Durability


class Asyncio:
    """One connection; in flight means tasks. Workers and shared objects are there when they are first used."""

    def __init__(self, kind: str, address: str, state_dir: str | None = None) -> None:
        self._where = (address, state_dir)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop if kind == "uvloop" else None)
        self._host = self._runner.run(self._connect())
        self._jobs: list[aio.Job] = []
        self._held: list[aio.Host] = []
        self._workers: Executor | None = None
        self._shared: on_loop.Shared | None = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        return self._runner.run(self._obey(order))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._release(64))
        if self._workers is not None:
            self._runner.run(self._workers.shutdown())
        self._runner.run(self._host.close())
        self._runner.close()

    async def _obey(self, order: Order) -> Answer:
        match order.what:
            case "serial":
                return await one_at_a_time(order.count, self._run)
            case "burst":
                durability: Durability | None = "power" if order.durable else None
                return await in_flight(
                    order.count, order.width, lambda: self._host.run([TRUE], check=True, durability=durability)
                )
            case "fresh":
                return await one_at_a_time(order.count, self._fresh)
            case "hosts":
                return await in_flight(order.count, order.width, self._fresh)
            case "trivial":
                return await one_at_a_time(order.count, self._host.status)
            case "stream":
                return await self._stream(order.count, own_digest=order.own_digest)
            case "start_jobs":
                return await in_flight(order.count, order.width, self._start_job)
            case "stop_jobs":
                return await self._stop_jobs(order.width)
            case "hold":
                return await in_flight(order.count, order.width, self._hold)
            case "release":
                return await self._release(order.width)
        if order.what in calling.ORDERS:
            if self._workers is None:
                self._workers = self._host.executor(order.workers)
            return await on_loop.calls(self._workers, order)
        if self._shared is None:
            self._shared = on_loop.Shared(self._host)
        return await self._shared.obey(order)

    async def _connect(self) -> aio.Host:
        address, state_dir = self._where
        return await aio.connect(address, state_dir=state_dir, start=False)

    async def _run(self) -> None:
        await self._host.run([TRUE], check=True)

    async def _fresh(self) -> None:
        async with await self._connect() as host:
            await host.run([TRUE], check=True)

    async def _stream(self, count: int, *, own_digest: bool) -> Answer:
        """As the blocking client's: the client compares the digests by itself, the receipt tells it."""
        digest = xxhash.xxh3_128()
        procfs.reset_peak_rss("self")
        begin = time.perf_counter()
        job = await self._host.start(head_command(count))
        total = 0
        async for _, chunk in job.output():  # stderr is empty
            total += len(chunk)
            if own_digest:
                digest.update(chunk)
        wall_s = time.perf_counter() - begin
        peak = procfs.peak_rss("self")
        receipt = await job.wait_receipt()
        await job.forget()
        told = digest.hexdigest() if own_digest else receipt.stdout.xxh3 or ""
        return Answer(wall_s=wall_s, bytes=total, digest=told, peak_rss_bytes=peak)

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

    async def _hold(self) -> None:
        self._held.append(await self._connect())

    async def _release(self, width: int) -> Answer:
        held, self._held = self._held, []
        each = iter(held)
        return await in_flight(len(held), width, lambda: next(each).close())


def contestant(kind: str, args: Sequence[str]) -> Asyncio:
    """Made by ``bench.contestant``; ``args``: the address, and for ``local`` the state directory."""
    return Asyncio(kind, *args)
