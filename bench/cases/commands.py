"""``/bin/true`` on an open connection: one at a time, and many in flight."""

from __future__ import annotations

from typing import Final

from bench.arena import SECOND, TLS, UNIX, Arena
from bench.cases.measures import median_ms, rate, rate_of_all
from bench.contestant import Order
from bench.figures import Figure, Line, figure

SERIAL_MS: Final = 1.0
BURST_PER_S: Final = 2000.0
SECOND_LOCAL: Final = f"local{SECOND}"
BESIDE: Final = ("local", "asyncssh", "openssh")
CLIENTS: Final = {
    "blocking": "unix socket, blocking client",
    "asyncio": "unix socket, asyncio client",
    "uvloop": "unix socket, asyncio client on uvloop",
    "tls_blocking": "TLS, blocking client",
    "tls_asyncio": "TLS, asyncio client",
    "tls_uvloop": "TLS, asyncio client on uvloop",
}


def one_at_a_time(arena: Arena) -> list[Figure]:
    """The next command when the last has ended."""
    ours = ("blocking", "asyncio", "tls_blocking", "tls_asyncio")
    order = Order("serial", arena.size.serial)
    turns = arena.turns(arena.size.rounds, {name: median_ms(order) for name in ("local", *ours, "asyncssh", "openssh")})
    return [
        figure(
            Line(
                id=f"serial_{name}", of=name, what=f"`/bin/true`, one at a time, {CLIENTS[name]}", unit="ms",
                kind="latency", better="lower", beside=BESIDE, target=SERIAL_MS,
            ),
            turns,
        )
        for name in ours
    ]  # fmt: skip


def in_flight(arena: Arena) -> list[Figure]:
    """Many commands on one connection at the same time; the limit is two local processes, one a core."""
    size = arena.size
    order = Order("burst", size.burst, size.width)
    fewer = Order("burst", max(size.width, size.burst // 8), size.width)  # the neighbours take longer
    second = arena.worker(SECOND_LOCAL)
    turns = arena.turns(
        size.rounds,
        {
            **{name: rate(order) for name in (*UNIX, *TLS)},
            "asyncssh": rate(fewer),
            "openssh": rate(fewer),
            "local": lambda local: rate_of_all([local, second], size.burst // 2),
        },
    )

    def what(name: str) -> str:
        threads = f" in {size.width} threads" if "blocking" in name else ""
        return f"`/bin/true`, {size.width} in flight, {CLIENTS[name]}{threads}"

    return [
        figure(
            Line(
                id=f"burst_{name}", of=name, what=what(name), unit="/s", kind="throughput", better="higher",
                beside=BESIDE, target=BURST_PER_S,
            ),
            turns,
        )
        for name in (*UNIX, *TLS)
    ]  # fmt: skip
