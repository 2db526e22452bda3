"""The neighbour Mitogen, used as a library: named functions in children that fetch modules from here.

Pipelined means ``call_async``: the calls go to the children in turns, each runs its own in order. A child is a process
behind a socket pair of this machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import mitogen.master  # type: ignore[import-untyped]

from bench.calling import check
from bench.contestant import Answer, Order, one_at_a_time
from bench.work import successor


class Neighbour:
    """A child for each worker, made when the first order tells how many."""

    def __init__(self) -> None:
        self._broker = mitogen.master.Broker()
        self._router = mitogen.master.Router(self._broker)
        self._children: list[mitogen.master.Context] = []

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        while len(self._children) < order.workers:
            self._children.append(self._router.local(python_path=sys.executable))
        if order.what == "call":
            return one_at_a_time(lambda: check(self._children[0].call(successor, 0), 1), order.count)
        if order.what == "submit":
            return self._submit(order.count)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the children."""
        self._broker.shutdown()
        self._broker.join()

    def _submit(self, count: int) -> Answer:
        begin = time.perf_counter()
        children = self._children
        receivers = [children[number % len(children)].call_async(successor, number) for number in range(count)]
        check((receiver.get().unpickle() for receiver in receivers), count)
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; no ``args``."""
    return Neighbour(*args)
