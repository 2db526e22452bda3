"""The GIL as it is, as it is not, and what the notes' figures would need."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.gil.data import (
    Collector,
    Contest,
    Cores,
    Counted,
    Data,
    Programs,
    Python,
    Round,
    Steps,
    Task,
)
from tests.unit.lab.outcomes.table import Outcomes

OWN = Python("3.11.7", True, True)
NEW = Python("3.13.0", True, True)
FREE = Python("3.13.0", False, True)


def turns(seconds: float = 0.2) -> Round:
    """Two tasks by turns."""
    return Round(seconds, (Task(0.0, 0.2, ((0.0, 0.05), (0.1, 0.15))), Task(0.0, 0.2, ((0.05, 0.1), (0.15, 0.2)))))


def together(seconds: float = 0.1) -> Round:
    """Two tasks at the same time."""
    return Round(seconds, (Task(0.0, 0.1, ((0.0, 0.1),)), Task(0.0, 0.1, ((0.0, 0.1),))))


def waits(seconds: float) -> Round:
    """Four that wait."""
    return Round(seconds, tuple(Task(0.0, seconds, ()) for _ in range(4)))


def contests(
    *, python: Python = OWN, threads: Round, processes: Round, hashing: Round, wait_s: float = 0.1
) -> tuple[Contest, ...]:
    """What one interpreter can show."""
    return (
        Contest("wait", "serial", python, (waits(0.4),)),
        Contest("wait", "threads", python, (waits(wait_s),)),
        Contest("wait", "processes", python, (waits(wait_s),)),
        Contest("wait", "coroutines", python, (waits(wait_s),)),
        Contest("compute", "threads", python, (threads, threads)),
        Contest("compute", "processes", python, (processes, processes)),
        Contest("hash", "threads", python, (hashing,)),
    )


TRUE = Data(
    python=OWN,
    cores=Cores(2, 2, 2, 2),
    contests=(
        *contests(threads=turns(), processes=together(), hashing=together()),
        Contest("compute", "subinterpreters", NEW, (together(),)),
        Contest("compute", "holdfast", OWN, (together(),)),
    ),
    steps=(Steps("sum(range(1_000_000))", (0, 0, 0)), Steps("hashlib.sha256(16 MiB)", (900, 1000, 1100))),
    collector=Collector(1000, 1000, 0, 1000, 0, 1000, (0, 0, 0)),
    counted=Counted(120_000, 70_000, 120_000),
    programs=Programs(0.25, (0.251, 0.252), (0.26, 0.27), (0.5,), 0.02, (0.4, 0.41), (0.2, 0.21)),
)
ONE_CORE = replace(
    TRUE, cores=Cores(1, 1, 1, 1), contests=contests(threads=turns(), processes=turns(), hashing=turns())
)
NO_GIL = replace(
    TRUE,
    python=FREE,
    contests=contests(python=FREE, threads=together(), processes=together(), hashing=together()),
    steps=(Steps("sum(range(1_000_000))", (800, 700, 800)), TRUE.steps[1]),
    collector=replace(TRUE.collector, steps=(800, 700, 800)),
)
BESIDE_NO_GIL = replace(TRUE, contests=(*TRUE.contests, Contest("compute", "threads", FREE, (together(),))))
NO_WAITING = replace(TRUE, contests=contests(threads=turns(), processes=together(), hashing=together(), wait_s=0.4))
PROGRAMS = TRUE.programs

OUTCOMES: Outcomes = {
    "n100": [
        (TRUE, "refined"),
        (replace(TRUE, steps=(TRUE.steps[0], Steps("hashlib.sha256(16 MiB)", (0, 0)))), "confirmed"),
        (NO_GIL, "refuted"),
    ],
    "n101": [
        (TRUE, "refined"),
        (BESIDE_NO_GIL, "refined"),
        (ONE_CORE, "confirmed"),
        (NO_GIL, "refuted"),
        (NO_WAITING, "refuted"),
    ],
    "n102": [
        (TRUE, "refined"),
        (replace(TRUE, collector=replace(TRUE.collector, freed_at_once=0)), "confirmed"),
        (NO_GIL, "refuted"),
    ],
    "n103": [(TRUE, "confirmed"), (ONE_CORE, "refined"), (NO_GIL, "refined"), (NO_WAITING, "refuted")],
    "n104": [
        (TRUE, "confirmed"),
        (replace(TRUE, programs=replace(PROGRAMS, wait_threads=(0.6,))), "refuted"),
        (replace(TRUE, programs=replace(PROGRAMS, wait_processes=(0.251,), wait_spawned=(0.25,))), "refined"),
    ],
    "n105": [
        (TRUE, "refuted"),
        (ONE_CORE, "refined"),
        (replace(TRUE, programs=replace(PROGRAMS, compute_threads=(0.2,), compute_processes=(0.3,))), "refuted"),
        (replace(ONE_CORE, programs=replace(PROGRAMS, compute_threads=(0.2,), compute_processes=(0.5,))), "confirmed"),
    ],
    "n106": [(TRUE, "refined"), (replace(TRUE, cores=Cores(4, 4, 4, 1)), "confirmed")],
}
