"""The measurements: each case lets its contestants take turns and gives the lines of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.arena import Arena
from bench.cases import calls, commands, connections, costs, durability, requests, shared, streaming
from bench.figures import Figure

CASES: Final[Mapping[str, Callable[[Arena], list[Figure]]]] = {
    "serial": commands.one_at_a_time,
    "burst": commands.in_flight,
    "stream": streaming.streaming,
    "fresh": connections.fresh,
    "hosts": connections.hosts,
    "trivial": requests.trivial,
    "starts": costs.starts,
    "memory": costs.memory,
    "idle": connections.idle,
    "durable": durability.durable,
    "calls": calls.calls,
    "locks": shared.locks,
    "queues": shared.queues,
}
"""All cases by the name that ``--only`` takes."""
