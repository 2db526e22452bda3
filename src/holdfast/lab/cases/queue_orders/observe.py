"""Puts things into queues and takes them out."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any, Final

from holdfast.client.sync import Host
from holdfast.lab.cases.queue_orders.data import Carrier, Data, Order, Stay, Tie, Trial
from holdfast.lab.workbench import Lab

KINDS: Final[tuple[tuple[Order, Callable[[], Any]], ...]] = (
    ("fifo", queue.Queue),
    ("lifo", queue.LifoQueue),
    ("priority", queue.PriorityQueue),
)
ITEMS: Final = (3, 1, 5, 2, 4)
OVERTAKERS: Final = 50


def observe(lab: Lab) -> Data:
    """The programs, random numbers through every kind of queue, and items that are equally urgent."""
    rounds, length = lab.pick(quick=20, full=100), 12
    draws = [tuple(lab.random.sample(range(100), length)) for _ in range(rounds)]
    trials = [_through("python", order, make(), draw) for order, make in KINDS for draw in draws]
    ties = _ties("python", queue.PriorityQueue)
    with lab.agent() as host:
        trials += [
            _through("holdfast", order, _opened(host, order, number), draw)
            for order, _ in KINDS
            for number, draw in enumerate(draws[: rounds // 4])
        ]
        names = iter(range(3))
        ties += _ties("holdfast", lambda: host.queue(f"tie {next(names)}", order="priority"))
    return Data(
        fifo=lab.program("p28"),
        lifo=lab.program("p29"),
        priority=lab.program("p30"),
        trials=tuple(trials),
        stays=tuple((order, _stays(make(), lab.pace / 2)) for order, make in KINDS),
        ties=tuple(ties),
        overtaken=_overtaken(),
        overtakers=OVERTAKERS,
    )


def _opened(host: Host, order: Order, number: int) -> Any:
    return host.queue(f"{order} {number}", order=order)


def _through(carrier: Carrier, order: Order, line: Any, numbers: tuple[int, ...]) -> Trial:
    for number in numbers:
        line.put(number)
    return Trial(carrier, order, numbers, tuple(line.get() for _ in numbers))


def _stays(line: Any, step_s: float) -> tuple[Stay, ...]:
    """Five numbers, one at each step, then out again, one at each step."""
    began = time.monotonic()
    put: dict[int, float] = {}
    for item in ITEMS:
        line.put(item)
        put[item] = time.monotonic() - began
        time.sleep(step_s)
    stays = []
    for _ in ITEMS:
        item = line.get()
        stays.append(Stay(item, put[item], time.monotonic() - began))
        time.sleep(step_s)
    return tuple(stays)


def _ties(carrier: Carrier, make: Callable[[], Any]) -> list[Tie]:
    dicts: tuple[Any, Any] = (1, {"name": "first"}), (1, {"name": "second"})
    texts: tuple[Any, Any] = (1, "zebra"), (1, "ant")
    counted: tuple[Any, Any] = (1, 0, {"name": "first"}), (1, 1, {"name": "second"})
    return [
        Tie(carrier, "dict", *_tie(make(), *dicts)),
        Tie(carrier, "text", *_tie(make(), *texts)),
        Tie(carrier, "counted dict", *_tie(make(), *counted)),
    ]


def _tie(line: Any, first: Any, second: Any) -> tuple[str, bool | None]:
    try:
        line.put(first)
        line.put(second)
        return "", line.get() == first
    except TypeError as error:
        return f"TypeError: {error}", None


def _overtaken() -> int:
    """An item with a great number waits; while smaller ones come, one at each turn, it is not given out."""
    line: queue.PriorityQueue[int] = queue.PriorityQueue()
    line.put(1000)
    passed = 0
    for number in range(OVERTAKERS):
        line.put(number)
        if line.get() == 1000:
            break
        passed += 1
    return passed
