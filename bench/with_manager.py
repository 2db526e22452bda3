"""The neighbour ``multiprocessing.Manager``: proxies of a lock, a semaphore and a queue over a unix socket.

A thread of the server waits for each connection, and each thread here has a connection of its own, so many in flight
are threads. Nothing is kept: with the server the objects are gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.manager_server import KEY, Shared
from bench.sharing import Objects, Sharing


class Neighbour(Sharing):
    """Its proxies."""

    def __init__(self, address: str) -> None:
        manager = Shared(address, KEY)
        manager.connect()
        lock, semaphore, line = manager.lock(), manager.semaphore(), manager.queue()
        super().__init__(
            Objects(
                lock.acquire, lock.release, semaphore.acquire, semaphore.release, lock.acquire, lock.release,
                line.put, line.get,
            )
        )  # fmt: skip


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; ``args``: the address of the server."""
    return Neighbour(*args)
