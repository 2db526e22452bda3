"""The neighbour Ray: a cluster of one node with as many processors as there are workers."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from typing import Any

from bench.calling import check
from bench.contestant import Answer, Order, one_at_a_time
from bench.work import successor


class Neighbour:
    """Its node comes up with the first order, which tells the number of workers."""

    def __init__(self) -> None:
        self._ray: Any = importlib.import_module("ray")  # in no extra: nothing to check its use against
        self._remote: Any = None

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if self._remote is None:
            self._ray.init(num_cpus=order.workers, include_dashboard=False, log_to_driver=False)
            self._remote = self._ray.remote(successor).remote
        get, remote = self._ray.get, self._remote
        if order.what == "call":
            return one_at_a_time(lambda: check(get(remote(0)), 1), order.count)
        if order.what == "submit":
            begin = time.perf_counter()
            check(get([remote(number) for number in range(order.count)]), order.count)
            return Answer(wall_s=time.perf_counter() - begin)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the node."""
        if self._remote is not None:
            self._ray.shutdown()


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; no ``args``."""
    return Neighbour(*args)
