"""Tasks that wait and tasks that compute, in one thread, by every means: run as a program of its own. Prints JSON.

``python working.py TASKS ROUNDS``
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import NamedTuple

import msgspec

from holdfast.lab.blocks import spread
from holdfast.lab.cases.coroutines.data import Means, Worked

WAIT_S = 0.02
STEPS = 10
LOOPS = 3_000
SHORT_ROUNDS = 6
"""Computing is tried so often for each time of waiting: short rounds find a moment when nobody else wants the CPU."""


class Round(NamedTuple):
    """Seconds of one round of computing."""

    computing_s: float
    short_s: float


def step() -> None:
    """A part of a millisecond of computing."""
    number = 1
    for _ in range(LOOPS):
        number = number * 5 % 1_000_003


# --- turn by turn ----------------------------------------------------------------------------------------------------


def wait_by_turns(tasks: int) -> None:
    """One after another."""
    for _ in range(tasks):
        time.sleep(WAIT_S)


def compute_by_turns(tasks: int) -> Round:
    """Nobody gives way."""
    began = time.perf_counter()
    for _ in range(tasks * STEPS):
        step()
    computed = time.perf_counter()
    step()  # the short one is last
    return Round(computed - began, time.perf_counter() - began)


# --- asyncio ---------------------------------------------------------------------------------------------------------


async def _coroutine(steps: int) -> float:
    for _ in range(steps):
        step()
        await asyncio.sleep(0)
    return time.perf_counter()


async def _together(*each: Awaitable[float | None]) -> float | None:
    return (await asyncio.gather(*each))[-1]


def wait_in_asyncio(tasks: int) -> None:
    """All at once."""
    asyncio.run(_together(*(asyncio.sleep(WAIT_S) for _ in range(tasks))))


def compute_in_asyncio(tasks: int) -> Round:
    """Each gives way after each step."""
    began = time.perf_counter()
    asyncio.run(_together(*(_coroutine(STEPS) for _ in range(tasks))))
    computed = time.perf_counter()
    last = asyncio.run(_together(*(_coroutine(STEPS) for _ in range(tasks)), _coroutine(1)))
    assert last is not None
    return Round(computed - began, last - computed)


# --- gevent ----------------------------------------------------------------------------------------------------------


def wait_in_gevent(tasks: int) -> None:
    """All at once."""
    import gevent

    gevent.joinall([gevent.spawn(gevent.sleep, WAIT_S) for _ in range(tasks)])


def compute_in_gevent(tasks: int) -> Round:
    """Each gives way after each step."""
    import gevent

    def compute(steps: int) -> float:
        for _ in range(steps):
            step()
            gevent.sleep(0)
        return time.perf_counter()

    began = time.perf_counter()
    gevent.joinall([gevent.spawn(compute, STEPS) for _ in range(tasks)])
    computed = time.perf_counter()
    greenlets = [gevent.spawn(compute, steps) for steps in [STEPS] * tasks + [1]]
    gevent.joinall(greenlets)
    return Round(computed - began, greenlets[-1].value - computed)


Wait = Callable[[int], None]
Compute = Callable[[int], Round]


def main(tasks: int, rounds: int) -> None:
    """All means, in turn, so many times."""
    means: dict[Means, tuple[Wait, Compute]] = {
        "turn by turn": (wait_by_turns, compute_by_turns),
        "asyncio": (wait_in_asyncio, compute_in_asyncio),
    }
    if find_spec("gevent") is not None:
        means["gevent"] = (wait_in_gevent, compute_in_gevent)
    waited: dict[Means, list[float]] = {name: [] for name in means}
    computed: dict[Means, list[Round]] = {name: [] for name in means}
    for _ in range(rounds):
        for name, (wait, _) in means.items():
            began = time.perf_counter()
            wait(tasks)
            waited[name].append(time.perf_counter() - began)
        for _ in range(SHORT_ROUNDS):
            for name, (_, compute) in means.items():
                computed[name].append(compute(tasks))
    worked = [
        Worked(
            name,
            spread(waited[name], "s"),
            spread([each.computing_s for each in computed[name]], "s"),
            min(each.short_s for each in computed[name]),
        )
        for name in means
    ]
    print(msgspec.json.encode(worked).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
