"""The neighbour execnet: a loop at the other end of a channel that adds one to whatever comes.

That is the fastest way there is to use it: no function is named, no call can fail by itself, nothing is a pool. The
numbers go to the gateways in turns. A gateway is a process behind two pipes of this machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import execnet

from bench.calling import check
from bench.contestant import Answer, Order, one_at_a_time

LOOP: Final = "for number in channel:\n    channel.send(number + 1)"
CLOSE_S: Final = 2.0


class Neighbour:
    """A gateway and a channel for each worker, made when the first order tells how many."""

    def __init__(self) -> None:
        self._group = execnet.Group()
        self._channels: list[execnet.Channel] = []

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        while len(self._channels) < order.workers:
            self._channels.append(self._group.makegateway("popen").remote_exec(LOOP))
        if order.what == "call":
            return one_at_a_time(self._call, order.count)
        if order.what == "submit":
            return self._submit(order.count)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the gateways."""
        self._group.terminate(CLOSE_S)

    def _call(self) -> None:
        self._channels[0].send(0)
        check(self._channels[0].receive(), 1)

    def _submit(self, count: int) -> Answer:
        begin = time.perf_counter()
        turns = [self._channels[number % len(self._channels)] for number in range(count)]
        for number, channel in enumerate(turns):
            channel.send(number)
        check((channel.receive() for channel in turns), count)
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; no ``args``."""
    return Neighbour(*args)
