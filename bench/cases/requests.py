"""A request that starts nothing (STATUS), there and back."""

from __future__ import annotations

from typing import Final

from bench.arena import Arena
from bench.cases.measures import MS
from bench.contestant import Order
from bench.figures import Figure, Line, figure
from bench.samples import Turns, percentile, reading
from bench.worker import Worker

SHARES: Final = {"p50": 0.5, "p99": 0.99}
OURS: Final = {
    "blocking": ("unix socket", ("local",)),
    "tls_blocking": ("TLS", ("bare_ssl", "bare_uvloop")),
}


def trivial(arena: Arena) -> list[Figure]:
    """The limit is an echo: over a socket pair, and over bare TLS."""
    order = Order("trivial", arena.size.trivial)
    found: dict[str, dict[str, list[float]]] = {share: {} for share in SHARES}

    def measure(worker: Worker) -> float:
        each = worker.ask(order).each_s
        for share, value in SHARES.items():
            found[share].setdefault(worker.name, []).append(percentile(each, value) * MS)
        return percentile(each, 0.5)

    turns = arena.turns(arena.size.rounds, dict.fromkeys(("local", "bare_ssl", "bare_uvloop", *OURS), measure))
    return [
        figure(
            Line(
                id=f"trivial_{name}_{share}", of=name, what=f"trivial request (STATUS), {where}, {share}", unit="ms",
                kind="latency", better="lower", beside=beside,
            ),
            Turns({each: reading(found[share][each]) for each in turns.readings}, turns.failed),
        )
        for name, (where, beside) in OURS.items()
        for share in SHARES
    ]  # fmt: skip
