"""How much is measured: the whole, a quick look, and the least that goes through every line of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

MIB: Final = 1 << 20


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts of one run; counts are per round and contestant.

    Attributes:
        rounds: Turns that each contestant gets.
        serial: Commands one at a time; a quarter of it with a connection for each.
        burst: Commands with ``width`` in flight.
        hosts: Fresh connections at the same time, a command on each.
        hosts_rounds: Turns of that.
        stream_bytes: Output of one command.
        stream_rounds: Turns of that.
        trivial: Requests that start nothing.
        starts: Turns of agent and command-line starts.
        jobs: Jobs that run at the same time for the figures of memory.
        durable: Durable commands one at a time; ten times as many in flight.
        idle: Numbers of idle connections that are counted.
        idle_processes: Clients that hold those.
        calls: Function calls one at a time.
        submitted: Function calls that are all submitted before the first result is fetched.
        mapped: Function calls of one ``map``.
        mapped_rounds: Turns of that.
        shared: Uses of a lock, a semaphore or a queue, one at a time.
        handed_over: Times that each of two takes a lock from the other.
        queued: Items from a producer to a consumer.
        workers: Processes that function calls are run by, whoever runs them.
    """

    rounds: int
    serial: int
    burst: int
    hosts: int
    hosts_rounds: int
    stream_bytes: int
    stream_rounds: int
    trivial: int
    starts: int
    jobs: int
    durable: int
    idle: tuple[int, ...]
    idle_processes: int
    calls: int
    submitted: int
    mapped: int
    mapped_rounds: int
    shared: int
    handed_over: int
    queued: int
    workers: int = 2
    width: int = 64


SIZES: Final[Mapping[str, Size]] = {
    "full": Size(
        rounds=7, serial=200, burst=2000, hosts=100, hosts_rounds=5, stream_bytes=1024 * MIB,
        stream_rounds=5, trivial=1000, starts=15, jobs=1000, durable=150, idle=(1_000, 10_000), idle_processes=4,
        calls=500, submitted=20_000, mapped=100_000, mapped_rounds=3, shared=500, handed_over=200, queued=5_000,
    ),
    "quick": Size(
        rounds=3, serial=40, burst=300, hosts=100, hosts_rounds=1, stream_bytes=128 * MIB, stream_rounds=3,
        trivial=300, starts=5, jobs=100, durable=25, idle=(200,), idle_processes=2,
        calls=200, submitted=5_000, mapped=10_000, mapped_rounds=2, shared=200, handed_over=100, queued=2_000,
    ),
    "smoke": Size(
        rounds=1, serial=2, burst=8, hosts=4, hosts_rounds=1, stream_bytes=2 * MIB, stream_rounds=1, trivial=5,
        starts=1, jobs=3, durable=1, idle=(4,), idle_processes=2, calls=3, submitted=20, mapped=20, mapped_rounds=1,
        shared=3, handed_over=5, queued=20, width=4,
    ),
}  # fmt: skip
