"""Objects that programs share: a lock, a semaphore and a queue, for one program alone and between two.

The limit is what a request and its answer take over a socket pair, once for each of the two things that are done. The
neighbours use unix sockets, also beside Holdfast's lines over TLS. Redis keeps a log of all changes, as Holdfast does;
``multiprocessing.Manager`` keeps nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Final

from bench.arena import SECOND, Arena
from bench.cases.commands import CLIENTS
from bench.cases.measures import MS, median_ms
from bench.contestant import Order
from bench.figures import Figure, Line, figure
from bench.samples import ContestantFailed, Turns
from bench.sharing import waits
from bench.worker import Worker

OURS: Final = ("blocking", "asyncio", "tls_blocking", "tls_asyncio")
FACES: Final = ("blocking", "tls_blocking")
MANY: Final = ("blocking", "asyncio", "tls_asyncio")
"""Clients with many items in flight; the blocking one in threads."""
NEIGHBOURS: Final = ("manager", "redis")
LOCK_MS: Final = 0.25


def locks(arena: Arena) -> list[Figure]:
    """Acquire and release when nobody else wants it, and from one client to another that waits."""
    size = arena.size
    uncontended = {
        "lock": ("a lock, acquired and released", OURS, LOCK_MS),
        "semaphore": ("a semaphore, acquired and released", FACES, None),
    }
    found = []
    for what, (words, ours, target) in uncontended.items():
        order, few = Order(what, size.shared), Order(what, min(20, size.shared))  # type: ignore[arg-type]
        turns = arena.turns(
            size.rounds, {name: median_ms(order) for name in ("local", *ours, *NEIGHBOURS)}, warm=(few,)
        )
        found += [_alone(name, what, f"{words}, nobody else wants it", turns, target) for name in ours]
    order = Order("handover", size.handed_over)
    turns = _pairs(arena, FACES, partial(_hand_over_ms, order=order))
    return [*found, *(_between(name, "handover", "a lock, from one client to the next", "ms", turns) for name in FACES)]


def queues(arena: Arena) -> list[Figure]:
    """Put and get by one client, and items from a producer to a consumer: one in flight at each end, and many."""
    size = arena.size
    one, few = Order("queue", size.shared), Order("queue", min(20, size.shared))
    turns = arena.turns(size.rounds, {name: median_ms(one) for name in ("local", *FACES, *NEIGHBOURS)}, warm=(few,))
    found = [_alone(name, "queue", "a queue, an item put and got again", turns, None) for name in FACES]
    for width, ours in ((1, FACES), (size.width, MANY)):
        turns = _pairs(arena, ours, partial(_flow, count=size.queued, width=width))
        words = f"a queue from producer to consumer, {width} in flight at each end"
        key = "flow" if width == 1 else "flow_many"
        found += [_between(name, key, words, "/s", turns) for name in ours]
    return found


def _pairs(arena: Arena, ours: tuple[str, ...], measure: Callable[[Worker, Worker], float]) -> Turns:
    """Turns of contestants of which each is two clients."""
    seconds: dict[str, Worker] = {}

    def turn(first: Worker) -> float:
        if first.name not in seconds:
            seconds[first.name] = arena.worker(f"{first.name}{SECOND}")
            measure(first, seconds[first.name])  # the first time of a pair
        return measure(first, seconds[first.name])

    return arena.turns(arena.size.rounds, dict.fromkeys((*ours, *NEIGHBOURS), turn))


def _hand_over_ms(first: Worker, second: Worker, order: Order) -> float:
    first.tell(order)
    second.tell(order)
    held = first.answer().spans, second.answer().spans
    try:
        return statistics.median(waits(*held)) * MS
    except ArithmeticError as exc:
        raise ContestantFailed(f"{first.name}: {exc}") from None


def _flow(first: Worker, second: Worker, count: int, width: int) -> float:
    """Items a second, from the first put to the last get; every one has come."""
    second.tell(Order("get", count, width))
    first.tell(Order("put", count, width))
    put, got = first.answer(), second.answer()
    if not put.total == got.total == sum(range(count)):
        raise ContestantFailed(f"{first.name}: of {count} items, which add up to {put.total}, {got.total} came")
    return count / (got.spans[-1][1] - put.spans[0][0])


def _alone(name: str, key: str, words: str, turns: Turns, target: float | None) -> Figure:
    line = Line(
        id=f"{key}_{name}", of=name, what=f"{words}, {CLIENTS[name]}", unit="ms", kind="latency", better="lower",
        beside=("local", *NEIGHBOURS), target=target,
    )  # fmt: skip
    return figure(line, turns)


def _between(name: str, key: str, words: str, unit: str, turns: Turns) -> Figure:
    line = Line(
        id=f"{key}_{name}", of=name, what=f"{words}, {CLIENTS[name]}", unit=unit, beside=NEIGHBOURS,
        kind="latency" if unit == "ms" else "throughput", better="lower" if unit == "ms" else "higher",
    )  # fmt: skip
    return figure(line, turns)
