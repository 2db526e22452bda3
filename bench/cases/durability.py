"""Commands whose acceptance and end are on the disk before they are told (``durability="power"``)."""

from __future__ import annotations

from bench.arena import Arena
from bench.cases.commands import SECOND_LOCAL
from bench.cases.measures import median_ms, rate, rate_of_all
from bench.contestant import Order
from bench.figures import Figure, Line, figure


def durable(arena: Arena) -> list[Figure]:
    """The limit is ``subprocess.run`` with a flushed record before and after it."""
    size = arena.size
    serial = Order("serial", size.durable, durable=True)
    burst = Order("burst", max(size.width, 10 * size.durable), size.width, durable=True)
    second = arena.worker(SECOND_LOCAL)
    latency = arena.turns(size.rounds, {name: median_ms(serial) for name in ("local", "blocking")})
    rates = arena.turns(
        size.rounds,
        {
            "asyncio": rate(burst),
            "local": lambda local: rate_of_all([local, second], size.durable, durable=True),
        },
    )
    return [
        figure(
            Line(
                id="durable_serial", of="blocking", what="durable `/bin/true`, one at a time, unix socket", unit="ms",
                kind="latency", better="lower", beside=("local",),
            ),
            latency,
        ),
        figure(
            Line(
                id="durable_burst", of="asyncio",
                what=f"durable `/bin/true`, {size.width} in flight, unix socket, asyncio client", unit="/s",
                kind="throughput", better="higher", beside=("local",),
            ),
            rates,
        ),
    ]  # fmt: skip
