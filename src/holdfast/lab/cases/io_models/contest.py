"""The servers under load: which, with how many connections, and what is looked at."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from msgspec.structs import replace

from holdfast.lab import measure, serving
from holdfast.lab.cases.io_models.data import Cell
from holdfast.lab.load import LoadProcess, Order
from holdfast.lab.workbench import Lab

FLOOR: Final = "floor"
LIGHT: Final = ("epoll", "asyncio", "uvloop", "gevent", "io_uring")
"""Those that are to hold ten thousand."""
MIXED: Final = ("threads", "polling", "select", *LIGHT)
MOST_PROCESSES: Final = 1000
MOST_THREADS: Final = 5000
_REPEATED: Final = 500
"""With more connections than that one round has to do: to connect takes longer than to measure."""


class Try(NamedTuple):
    """One cell of the grid."""

    model: str
    connections: int
    active: int


def grid(models: tuple[str, ...], *, quick: bool) -> list[Try]:
    """What is tried: everybody asking, then few among many, each as far as it cannot harm the machine."""
    counts = (1, 100, 500) if quick else (1, 10, 100, 500, 1000, 5000, 10_000)
    mixes = ((1000, 10), (10_000, 100)) if quick else ((1000, 10), (5000, 100), (10_000, 100))
    tries = [Try(model, count, count) for model in models for count in counts if count <= most(model, quick=quick)]
    tries += [
        Try(model, count, active)
        for count, active in mixes
        for model in models
        if model in MIXED and count <= most(model, quick=quick)
    ]
    tries.append(Try("select", 1500, 10))  # beyond what its sets can hold
    return tries


def most(model: str, *, quick: bool) -> int:
    """Up to how many connections it is tried."""
    if model in LIGHT:
        return 10_000
    if model in ("blocking", "pool"):
        return 100  # who is not among the first is not served at all
    if model == "fork":
        return 100 if quick else MOST_PROCESSES
    if model == "threads":
        return 1000 if quick else MOST_THREADS
    return 1000  # select ends there, and asking all the time has become slow


def cell(lab: Lab, trial: Try) -> Cell:
    """The middle one of several rounds."""
    count = lab.pick(quick=1, full=3) if trial.connections <= _REPEATED else 1
    rounds = sorted((_round(lab, trial) for _ in range(count)), key=lambda each: each.per_s)
    return replace(rounds[len(rounds) // 2], low_per_s=rounds[0].per_s, high_per_s=rounds[-1].per_s, rounds=len(rounds))


def _round(lab: Lab, trial: Try) -> Cell:
    """Start the server, load it, look at it, end it."""
    idle_s = lab.pick(quick=0.1, full=0.5)
    patient = trial.model not in ("blocking", "pool") and not (trial.model == "select" and trial.connections > 1000)
    order = Order(
        port=0,
        connections=trial.connections,
        active=trial.active,
        seconds=lab.pick(quick=0.3, full=0.8),
        connect_s=20.0 if patient else 0.5,
    )
    with _server(trial.model) as (pid, port):
        before = measure.usage(pid)
        with LoadProcess(replace(order, port=port)) as load:
            ready = load.ready()
            connected = measure.usage(pid)
            time.sleep(idle_s)
            idle = measure.usage(pid)
            outcome = load.run()
            after = measure.usage(pid)
    answers = max(1, outcome.answers)
    return Cell(
        model=trial.model,
        connections=trial.connections,
        active=trial.active,
        connected=ready.connected,
        served=ready.served,
        connect_s=ready.seconds,
        per_s=outcome.per_s,
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
        p99_9_ms=outcome.p99_9_ms,
        wrong=outcome.wrong,
        lost=outcome.lost,
        cpu_us=(after.cpu_s - idle.cpu_s) / answers * 1e6,
        idle_cpu=(idle.cpu_s - connected.cpu_s) / idle_s,
        memory_bytes=max(0.0, (connected.pss_bytes - before.pss_bytes) / max(1, ready.served)),
        voluntary=max(0, after.voluntary - idle.voluntary) / answers,
        involuntary=max(0, after.involuntary - idle.involuntary) / answers,
        threads=connected.threads,
        processes=connected.processes,
    )


@contextmanager
def _server(model: str) -> Iterator[tuple[int, int]]:
    """Process id and port of one of the servers, or of the floor beneath them."""
    if model != FLOOR:
        with serving.started(model) as server:
            yield server.pid, server.port
        return
    command = [sys.executable, "-m", "holdfast.lab.cases.io_models.floor"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()
