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
        serial: Commands one at a time.
        burst: Commands with ``width`` in flight.
        stream_bytes: Output of one command.
        stream_rounds: Turns of that.
        trivial: Requests that start nothing.
        starts: Turns of agent and command-line starts.
        jobs: Jobs that run at the same time for the figures of memory.
        durable: Durable commands one at a time; ten times as many in flight.
    """

    rounds: int
    serial: int
    burst: int
    stream_bytes: int
    stream_rounds: int
    trivial: int
    starts: int
    jobs: int
    durable: int
    width: int = 64


SIZES: Final[Mapping[str, Size]] = {
    "full": Size(
        rounds=7, serial=200, burst=2000, stream_bytes=1024 * MIB, stream_rounds=5, trivial=1000, starts=15, jobs=1000,
        durable=150,
    ),
    "quick": Size(
        rounds=3, serial=40, burst=300, stream_bytes=128 * MIB, stream_rounds=3, trivial=300, starts=5, jobs=100,
        durable=25,
    ),
    "smoke": Size(
        rounds=1, serial=2, burst=8, stream_bytes=2 * MIB, stream_rounds=1, trivial=5, starts=1, jobs=3, durable=1,
        width=4,
    ),
}  # fmt: skip
