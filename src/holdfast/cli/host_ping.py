"""``holdfast host ping``: how long the way to an agent takes, part by part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_pretty_json
from holdfast.cli.options import HostVerb, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.cli.voice import visible

if TYPE_CHECKING:
    from holdfast.wire.messages import Welcome

ROUND_TRIPS: Final = 5


class Timing(msgspec.Struct, frozen=True):
    """What was measured, in seconds.

    Attributes:
        address: Where.
        open_s: All of it, up to the agent's welcome.
        round_trips_s: A request and its answer, each.
        connect_s: TCP alone; None where there is none.
        tls_s: The handshake alone; None where there is none.
    """

    address: str
    open_s: float
    round_trips_s: tuple[float, ...]
    connect_s: float | None = None
    tls_s: float | None = None


@click.command(cls=HostVerb, name="ping")
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=ROUND_TRIPS, metavar="N",
              help=f"How many round trips (default: {ROUND_TRIPS}).")  # fmt: skip
@json_flag
def command(session: Session, count: int, as_json: bool) -> int:
    """Connect to a host's agent and tell how long each part of the way takes."""
    from holdfast.cli.ways import way_of

    way = way_of(session.settings)
    begun = time.perf_counter()
    with session.connect() as host:
        open_s = time.perf_counter() - begun
        welcome = host.welcome
        trips = []
        for _ in range(count):
            begun = time.perf_counter()
            host.jobs(limit=1)
            trips.append(time.perf_counter() - begun)
    connect_s, tls_s = way.measure()
    timing = Timing(way.address, open_s, tuple(trips), connect_s, tls_s)
    if as_json:
        write_all(1, to_pretty_json(timing_document(session.settings.host, timing, welcome)))
    else:
        click.echo(visible_lines(timing_lines(session.settings.host, timing, welcome)))
    return exit_codes.OK


def timing_lines(name: str, timing: Timing, welcome: Welcome) -> list[str]:
    """What was measured, for people. Pure."""
    parts = []
    if timing.connect_s is not None:
        parts.append(f"TCP {_ms(timing.connect_s)}")
    if timing.tls_s is not None:
        parts.append(f"TLS {_ms(timing.tls_s)}")
    least, middle, most = spread(timing.round_trips_s)
    where = name if name == timing.address else f"{name} ({timing.address})"
    return [
        f"{where}: {', '.join([*parts, f'open in {_ms(timing.open_s)}'])}",
        f"{len(timing.round_trips_s)} round trips: min {_ms(least)}, median {_ms(middle)}, max {_ms(most)}",
        f"agent {welcome.software or 'unknown'} on {welcome.host or 'unknown'}, protocol holdfast/{welcome.protocol}",
    ]


def timing_document(name: str, timing: Timing, welcome: Welcome) -> dict[str, Any]:
    """What was measured, as JSON. Pure."""
    least, middle, most = spread(timing.round_trips_s)
    return {
        "schema": SCHEMA,
        "name": name,
        "address": timing.address,
        "tcp_s": timing.connect_s,
        "tls_s": timing.tls_s,
        "open_s": timing.open_s,
        "round_trips": {"count": len(timing.round_trips_s), "min_s": least, "median_s": middle, "max_s": most},
        "agent": {"software": welcome.software, "host": welcome.host, "protocol": welcome.protocol},
    }


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median (the mean of both middle ones) and most. Pure."""
    ordered = sorted(values)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return ordered[0], middle, ordered[-1]


def visible_lines(lines: list[str]) -> str:
    """Lines with control characters made visible: the host's words must not drive the terminal."""
    return "\n".join(visible(line) for line in lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"
