"""Holdfast through its blocking client, over whatever the address names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import xxhash

import holdfast
from bench import calling, procfs, sharing
from bench.contestant import TRUE, Answer, Order, head_command, one_at_a_time


class Blocking:
    """One connection; in flight means threads. Workers and shared objects are there when they are first used."""

    def __init__(self, address: str, state_dir: str | None = None) -> None:
        self._address = address
        self._state_dir = state_dir
        self._host = self._connect()
        self._pool: ThreadPoolExecutor | None = None
        self._workers: Executor | None = None
        self._shared: sharing.Sharing | None = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if order.what == "serial":
            return one_at_a_time(self._durable if order.durable else self._run, order.count)
        if order.what == "fresh":
            return one_at_a_time(self._fresh, order.count)
        if order.what == "burst":
            return self._burst(order.count, order.width)
        if order.what == "trivial":
            return one_at_a_time(self._host.status, order.count)
        if order.what == "stream":
            return self._stream(order.count, own_digest=order.own_digest)
        if order.what in calling.ORDERS:
            if self._workers is None:
                self._workers = self._host.executor(order.workers)
            return calling.through(self._workers, order)
        if order.what in sharing.ORDERS:
            if self._shared is None:
                self._shared = sharing.Sharing(_objects(self._host))
            return self._shared.obey(order)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """Close the connection."""
        if self._shared is not None:
            self._shared.close()
        for pool in (self._pool, self._workers):
            if pool is not None:
                pool.shutdown()
        self._host.close()

    def _connect(self) -> holdfast.Host:
        return holdfast.connect(self._address, state_dir=self._state_dir, start=False)

    def _run(self, _number: int = 0) -> None:
        self._host.run([TRUE], check=True)

    def _fresh(self) -> None:
        with self._connect() as host:
            host.run([TRUE], check=True)

    def _durable(self) -> None:
        self._host.run([TRUE], check=True, durability="power")

    def _burst(self, count: int, width: int) -> Answer:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(width)
        begin = time.perf_counter()
        for _ in self._pool.map(self._run, range(count)):
            pass
        return Answer(wall_s=time.perf_counter() - begin)

    def _stream(self, count: int, *, own_digest: bool) -> Answer:
        """The client compares what it delivers with the agent's digest (else it raises); the receipt tells it."""
        digest = xxhash.xxh3_128()
        procfs.reset_peak_rss("self")
        begin = time.perf_counter()
        job = self._host.start(head_command(count))
        total = 0
        for _, chunk in job.output():  # stderr is empty
            total += len(chunk)
            if own_digest:
                digest.update(chunk)
        wall_s = time.perf_counter() - begin
        peak = procfs.peak_rss("self")
        receipt = job.wait_receipt()
        job.forget()
        told = digest.hexdigest() if own_digest else receipt.stdout.xxh3 or ""
        return Answer(wall_s=wall_s, bytes=total, digest=told, peak_rss_bytes=peak)


def _objects(host: holdfast.Host) -> sharing.Objects:
    lock, semaphore = host.lock(sharing.LOCK), host.semaphore(sharing.UNITS_NAME, sharing.UNITS)
    queue = host.queue(sharing.ITEMS)
    return sharing.Objects(
        lock.acquire, lock.release, semaphore.acquire, semaphore.release, lock.acquire, lock.release,
        queue.put, queue.get,
    )  # fmt: skip


def contestant(kind: str, args: Sequence[str]) -> Blocking:
    """Made by ``bench.contestant``; ``args``: the address, and for ``local`` the state directory."""
    return Blocking(*args)
