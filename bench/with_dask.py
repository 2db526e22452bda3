"""The neighbour Dask: ``distributed`` with a scheduler and as many worker processes, of one thread each."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from typing import Any

from bench.calling import check
from bench.contestant import Answer, Order, one_at_a_time
from bench.work import successor


class Neighbour:
    """Its cluster comes up with the first order, which tells the number of workers.

    Calls are told apart (``pure=False``), or all but the first would be answered from memory.
    """

    def __init__(self) -> None:
        self._module: Any = importlib.import_module("distributed")  # in no extra: nothing to check its use against
        self._client: Any = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if self._client is None:
            self._client = self._module.Client(n_workers=order.workers, threads_per_worker=1, dashboard_address=None)
        client = self._client
        if order.what == "call":
            return one_at_a_time(lambda: check(client.submit(successor, 0, pure=False).result(), 1), order.count)
        if order.what == "submit":
            begin = time.perf_counter()
            futures = [client.submit(successor, number, pure=False) for number in range(order.count)]
            check(client.gather(futures), order.count)
            return Answer(wall_s=time.perf_counter() - begin)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the cluster."""
        if self._client is not None:
            self._client.close()


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; no ``args``."""
    return Neighbour(*args)
