"""Servers and calls as they are, and as they might be."""

from __future__ import annotations

from typing import get_args

from msgspec.structs import replace

from holdfast.lab.cases.io_models.data import (
    Blocking,
    Cell,
    Completion,
    Data,
    Manner,
    Meeting,
    PosixAio,
    Sending,
    Signalled,
    Turn,
    Wait,
)
from tests.unit.lab.outcomes.table import Outcomes


def cell(model: str, connections: int, *, active: int | None = None, per_s: float = 20_000.0) -> Cell:
    """A server that served everybody."""
    return Cell(
        model=model,
        connections=connections,
        active=connections if active is None else active,
        connected=connections,
        served=connections,
        connect_s=0.1,
        per_s=per_s,
        p50_ms=1.0,
        p99_ms=2.0,
        p99_9_ms=3.0,
        wrong=0,
        lost=0,
        cpu_us=20.0,
        idle_cpu=0.0,
        memory_bytes=2000.0,
        voluntary=0.5,
        involuntary=0.01,
        threads=1,
        processes=1,
    )


def met(server: str, *, repaired: bool = False, **different: Meeting) -> tuple[Meeting, ...]:
    """A server and all its clients; it serves everybody unless a different meeting is given."""
    plain = Meeting(server, repaired, "polite", True, True, 0, 0.0, "")  # type: ignore[arg-type]
    return tuple(
        replace(different.get(manner.replace(" ", "_"), plain), server=server, repaired=repaired, manner=manner)
        for manner in get_args(Manner)
    )


SERVES = Meeting("select", False, "polite", True, True, 0, 0.0, "")
STOPS = replace(SERVES, serves=False)
SPINS = replace(SERVES, cpu=0.9)
ENDS = replace(SERVES, alive=False, serves=False, error="KeyError: 5")
GOOD = tuple(
    each
    for server in ("non-blocking", "select", "gevent")
    for kind in (True, False)
    for each in met(server, repaired=kind)
)


def meetings(server: str, **different: Meeting) -> tuple[Meeting, ...]:
    """Everybody is served by everybody, but for this server of the notes."""
    others = tuple(each for each in GOOD if (each.server, each.repaired) != (server, False))
    return others + met(server, repaired=False, **different)


def waits(select: float, poll: float, epoll: float, asking: float) -> tuple[Wait, ...]:
    """Waits that become so many times dearer from 10 to 400 connections."""
    growth = {"select": select, "poll": poll, "epoll": epoll, "asking": asking}
    return tuple(
        Wait(call, count, 1e-6 * (times if count == 400 else 1), 1)  # type: ignore[arg-type]
        for call, times in growth.items()
        for count in (10, 400)
    )


TRUE = Data(
    models=("threads", "select", "epoll"),
    missing={"io_uring": "liburing is not installed"},
    cells=(cell("threads", 1), cell("threads", 100), cell("epoll", 1), cell("epoll", 100), cell("select", 100)),
    floor=cell("floor", 100, per_s=60_000.0),
    turns=(Turn("threads", 0.0, 0.001, 0.1), Turn("epoll", 0.0, 0.001, 0.1)),
    meetings=meetings("non-blocking", silent=STOPS, polite=STOPS),
    waits=waits(20, 20, 1, 30),
    blocking=Blocking(True, 1e-5, "BlockingIOError", True, 38, 1e-5, 1, 0, 9),
    sending=Sending(1 << 25, 1 << 18, False, True, True),
    completion=Completion(None, 1e-5, True, 0),
    posix_aio=PosixAio(None, 1e-5, True, 1, 1),
    signalled=Signalled(1, 5),
    descriptors=20_000,
    asking_cpu=0.99,
)
SELECT = replace(TRUE, meetings=meetings("select", leaves=SPINS, resets=ENDS))


def blocking(**different: object) -> Data:
    return replace(TRUE, blocking=replace(TRUE.blocking, **different))


OUTCOMES: Outcomes = {
    "n126": [(TRUE, "refined"), (blocking(default_waits=False), "refuted"), (blocking(error=""), "confirmed")],
    "n127": [
        (TRUE, "refuted"),
        (replace(TRUE, meetings=GOOD), "confirmed"),
        (replace(TRUE, meetings=meetings("non-blocking", never_reads=STOPS)), "refined"),
    ],
    "n128": [
        (TRUE, "refined"),
        (blocking(accepted_waits=False), "confirmed"),
        (blocking(error="TimeoutError"), "refuted"),
    ],
    "n129": [
        (TRUE, "confirmed"),
        (replace(TRUE, asking_cpu=0.0), "refined"),
        (replace(TRUE, asking_cpu=0.0, waits=waits(20, 20, 1, 1)), "refuted"),
    ],
    "n130": [
        (TRUE, "refined"),
        (blocking(other_thread_steps=0), "confirmed"),
        (blocking(select_found=0), "refuted"),
    ],
    "n131": [
        (TRUE, "confirmed"),
        (replace(TRUE, waits=waits(20, 20, 20, 30)), "refined"),
        (replace(TRUE, waits=waits(1, 1, 20, 30)), "refuted"),
    ],
    "n132": [
        (SELECT, "refined"),
        (replace(TRUE, meetings=GOOD), "confirmed"),
        (replace(TRUE, meetings=meetings("select", polite=STOPS, resets=ENDS)), "refuted"),
    ],
    "n133": [(TRUE, "refuted"), (blocking(steps_with_limit=0), "confirmed")],
    "n134": [
        (TRUE, "refined"),
        (replace(TRUE, sending=Sending(100, 100, True, True, False)), "refuted"),
        (replace(TRUE, sending=Sending(1 << 25, 1 << 18, False, True, False)), "confirmed"),
    ],
    "n135": [
        (TRUE, "refined"),
        (replace(TRUE, completion=Completion(None, 1e-5, True, 1)), "confirmed"),
        (replace(TRUE, completion=Completion(None, 1e-5, False, 0)), "refuted"),
        (replace(TRUE, posix_aio=PosixAio(None, 1e-5, True, 1, 0)), "confirmed"),
        (replace(TRUE, completion=Completion("refused")), "refined"),
    ],
}
