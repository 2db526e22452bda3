"""What it costs to hand over the CPU: run as a program of its own, on one CPU. Prints the costs as JSON.

``python switching.py ROUNDS``
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec

from holdfast.lab.blocks import spread
from holdfast.lab.cases.coroutines.data import Cost

INSIDE = 10_000
OUTSIDE = 2_000
"""Hand-overs of one round."""


def generators(count: int) -> None:
    """Two generators, by turns."""

    def endless() -> Iterator[None]:
        while True:
            yield

    one, other = endless(), endless()
    for _ in range(count // 2):
        next(one)
        next(other)


def greenlets(count: int) -> None:
    """Two greenlets that hand over to each other."""
    greenlet: Any = import_module("greenlet").greenlet

    def player(times: int) -> None:
        for _ in range(times):
            others[greenlet.getcurrent()].switch(times)

    one, other = greenlet(player), greenlet(player)
    others: dict[Any, Any] = {one: other, other: one}
    one.switch(count // 2)


def gevent_turns(count: int) -> None:
    """Two greenlets that let gevent's hub decide who is next."""
    import gevent

    def player() -> None:
        for _ in range(count // 2):
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(player), gevent.spawn(player)])


def asyncio_turns(count: int) -> None:
    """Two tasks that let the loop decide who is next."""

    async def player() -> None:
        for _ in range(count // 2):
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(player(), player())

    asyncio.run(both())


def threads(count: int) -> None:
    """Two threads, each waiting for a lock that the other releases."""
    mine, yours = threading.Lock(), threading.Lock()
    mine.acquire()
    yours.acquire()

    def player(wait: threading.Lock, free: threading.Lock) -> None:
        for _ in range(count // 2):
            wait.acquire()
            free.release()

    other = threading.Thread(target=player, args=(yours, mine))
    other.start()
    for _ in range(count // 2):
        yours.release()
        mine.acquire()
    other.join()


def processes(count: int) -> None:
    """Two processes, each waiting for a byte of the other."""
    child_reads, parent_writes = os.pipe()
    parent_reads, child_writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        for _ in range(count // 2):
            os.read(child_reads, 1)
            os.write(child_writes, b".")
        os._exit(0)
    for _ in range(count // 2):
        os.write(parent_writes, b".")
        os.read(parent_reads, 1)
    os.waitpid(pid, 0)
    for end in (child_writes, parent_reads, parent_writes, child_reads):
        os.close(end)


WAYS: tuple[tuple[str, bool, str | None, Callable[[int], None]], ...] = (
    ("generators", True, None, generators),
    ("greenlets", True, "greenlet", greenlets),
    ("gevent.sleep(0)", True, "gevent", gevent_turns),
    ("asyncio.sleep(0)", True, None, asyncio_turns),
    ("threads", False, None, threads),
    ("processes", False, None, processes),
)


def kernel_switches() -> int:
    """How often the kernel has switched away from this process and its children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_nvcsw + each.ru_nivcsw for each in used)


def main(rounds: int) -> None:
    """All ways, in turn, so many times."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ways = [way for way in WAYS if way[2] is None or find_spec(way[2]) is not None]
    us: dict[str, list[float]] = {way[0]: [] for way in ways}
    counted = dict.fromkeys(us, 0.0)
    for _ in range(rounds):
        for name, inside, _, switch in ways:
            count = INSIDE if inside else OUTSIDE
            before, began = kernel_switches(), time.perf_counter()
            switch(count)
            us[name].append((time.perf_counter() - began) / count * 1e6)
            counted[name] += (kernel_switches() - before) / count / rounds
    costs = [Cost(name, inside, spread(us[name], "µs"), counted[name]) for name, inside, _, _ in ways]
    print(msgspec.json.encode(costs).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
