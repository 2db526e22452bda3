"""The limit of calls: the standard library's ``ProcessPoolExecutor``, whose pipes and pickles stay on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from bench import calling
from bench.contestant import Answer, Order


class Processes:
    """One pool, made when the first order tells its size; workers are forked, as is usual on Linux up to 3.13."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(order.workers)
        return calling.through(self._pool, order)

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown()


def contestant(kind: str, args: Sequence[str]) -> Processes:
    """Made by ``bench.contestant``; no ``args``."""
    return Processes(*args)
