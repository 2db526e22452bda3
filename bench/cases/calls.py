"""Trivial function calls through a pool of workers: one at a time, all submitted at once, and as a map.

Everyone has the same number of workers, and all of them are up before the first round. The limit is the pool of the
standard library, which stays on the machine; the neighbours are driven as their modules ``bench.with_...`` tell. They
use pipes and sockets of this machine without encryption, also beside Holdfast's lines over TLS.
"""

from __future__ import annotations

from typing import Final

from bench.arena import CALLERS, Arena
from bench.cases.commands import CLIENTS
from bench.cases.measures import median_ms, rate
from bench.contestant import Order
from bench.figures import Figure, Line, figure

OURS: Final = ("blocking", "asyncio", "tls_blocking", "tls_asyncio")
BESIDE: Final = tuple(CALLERS)
CALL_MS: Final = 0.22
SUBMITTED_PER_S: Final = 40_000.0
MAP_RATIO: Final = 3.0
SLOW: Final = ("ray", "dask")
"""They take so long for a call that they get an eighth of them."""


def calls(arena: Arena) -> list[Figure]:
    """One worker is used while the calls go one at a time; with thousands of calls all of them are."""
    size = arena.size
    one = Order("call", size.calls, workers=size.workers)
    many = Order("submit", size.submitted, workers=size.workers)
    mapped = Order("map", size.mapped, workers=size.workers)
    warm = (Order("submit", 2 * size.width, workers=size.workers), Order("call", 1, workers=size.workers))

    def fewer(order: Order, name: str) -> Order:
        count = max(1, order.count // 8) if name in SLOW else order.count
        return Order(order.what, count, workers=order.workers)

    everyone = (*BESIDE, *OURS)
    latency = arena.turns(size.rounds, {name: median_ms(fewer(one, name)) for name in everyone}, warm=warm)
    rates = arena.turns(size.rounds, {name: rate(fewer(many, name)) for name in everyone})
    maps = arena.turns(size.mapped_rounds, {name: rate(mapped) for name in ("processes", *OURS)})
    found = [
        *(
            (
                Line(
                    id=f"call_{name}", of=name, what=f"trivial function call, one at a time, {CLIENTS[name]}",
                    unit="ms", kind="latency", better="lower", beside=BESIDE, target=CALL_MS,
                ),
                latency,
            )
            for name in OURS
        ),
        *(
            (
                Line(
                    id=f"submit_{name}", of=name, unit="/s", kind="throughput", better="higher", beside=BESIDE,
                    what=f"{size.submitted} trivial function calls submitted at once, {CLIENTS[name]}",
                    target=SUBMITTED_PER_S,
                ),
                rates,
            )
            for name in OURS
        ),
        *(
            (
                Line(
                    id=f"map_{name}", of=name, unit="/s", kind="throughput", better="higher", beside=("processes",),
                    what=f"`map` of {size.mapped} trivial function calls, `chunksize=1`, {CLIENTS[name]}",
                    target_ratio=MAP_RATIO,
                ),
                maps,
            )
            for name in OURS
        ),
    ]  # fmt: skip
    return [figure(line, turns) for line, turns in found]
