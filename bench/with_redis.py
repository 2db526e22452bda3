"""The neighbour Redis through redis-py with hiredis, over a unix socket, each object in the way that is usual there.

The lock is redis-py's own, with a lease, as Holdfast's has. One that has to wait looks again from time to time, so what
is handed over is a token in a list instead, as are the semaphore's: Redis wakes the one that waits for it (BLPOP) at
once, but a client that dies takes the token along. Many in flight are a pipeline of pushes, and pops of many at a time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import redis

from bench.contestant import Answer, Order
from bench.sharing import UNITS, Objects, Sharing, span

LEASE_S: Final = 30.0
LOCK: Final = "lock"
TOKEN: Final = "token"
UNITS_LIST: Final = "units"
QUEUE: Final = "queue"


class Neighbour(Sharing):
    """One connection; a pool of them for threads would only wait for the server, which has one thread."""

    def __init__(self, path: str) -> None:
        self._redis = redis.Redis(unix_socket_path=path)
        self._fill(TOKEN, 1)
        self._fill(UNITS_LIST, UNITS)
        lock = self._redis.lock(LOCK, timeout=LEASE_S)
        super().__init__(
            Objects(
                acquire=lock.acquire,
                release=lock.release,
                enter=lambda: self._redis.blpop([UNITS_LIST]),
                leave=lambda: self._redis.rpush(UNITS_LIST, b""),
                take=lambda: self._redis.blpop([TOKEN]),
                give=lambda: self._redis.rpush(TOKEN, b""),
                put=lambda number: self._redis.rpush(QUEUE, number),
                get=self._get,
            )
        )

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if order.width > 1 and order.what == "put":
            return self._put_all(order.count, order.width)
        if order.width > 1 and order.what == "get":
            return self._get_all(order.count, order.width)
        return super().obey(order)

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._redis.close()

    def _fill(self, name: str, count: int) -> None:
        """Put the tokens there, once for all clients (SETNX answers 1 to the first one alone)."""
        if self._redis.setnx(f"{name} filled", b""):
            self._redis.rpush(name, *[b""] * count)

    def _get(self) -> int:
        popped = self._redis.blpop([QUEUE])  # without a time limit it waits for an item
        assert popped is not None
        return int(popped[1])

    def _put_all(self, count: int, width: int) -> Answer:
        begin = time.perf_counter()
        for first in range(0, count, width):
            with self._redis.pipeline(transaction=False) as pipeline:
                for number in range(first, min(first + width, count)):
                    pipeline.rpush(QUEUE, number)
                pipeline.execute()
        return span(begin, time.perf_counter(), sum(range(count)))

    def _get_all(self, count: int, width: int) -> Answer:
        begin = time.perf_counter()
        got = total = 0
        while got < count:
            total += self._get()  # waits for one; what else is there comes along
            more = self._redis.lpop(QUEUE, min(width, count - got) - 1) if got + 1 < count else None
            found = [int(number) for number in more or ()]
            total += sum(found)
            got += 1 + len(found)
        return span(begin, time.perf_counter(), total)


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; ``args``: the socket of the server."""
    return Neighbour(*args)
