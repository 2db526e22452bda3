"""Pools as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.pools.data import Calls, Data, Entrance, Task, Timed
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(seconds: float) -> Ran:
    """A program that took so long."""
    return Ran((Line(0.1, "1 works on 1"), Line(seconds, f"main 1 {seconds}")), seconds, 0, 0.05)


def timed(kind: str, *callers: str, apart_s: float, submitted_s: float = 0.001) -> Timed:
    """Four tasks at once; callbacks so far apart from each other."""
    tasks = tuple(
        Task(0.0, 0.25, f"1 worker-{n}", 0.25 + n * apart_s, 0.3 + n * apart_s, caller)
        for n, caller in enumerate(callers)
    )
    return Timed(kind, tasks, 0.3 + 3 * apart_s, "1 MainThread", submitted_s)


PROCESSES = timed("ProcessPoolExecutor", *["1 Thread-1"] * 4, apart_s=0.05)
THREADS = timed("ThreadPoolExecutor", *[f"1 worker-{n}" for n in range(4)], apart_s=0.0)
OURS = timed("Holdfast", *["1 holdfast"] * 4, apart_s=0.05)
TRUE = Data(
    pace=0.05,
    workers=4,
    most_at_once=4,
    most_without=24,
    many=24,
    together=ran(0.6),
    one_by_one=ran(2.1),
    processes=ran(0.46),
    threads=ran(0.31),
    timed=(PROCESSES, THREADS, OURS),
    uneven=4,
    uneven_own=4,
    uneven_free=3,
    calls=Calls("1 MainThread", "1 MainThread", "1 canceller", "1 canceller", True, True, False),
    entrance=Entrance("cannot schedule new futures after shutdown", 6, 6, True, 5),
)


def with_pool(place: int, other: Timed) -> Data:
    pools = list(TRUE.timed)
    pools[place] = other
    return replace(TRUE, timed=tuple(pools))


OUTCOMES: Outcomes = {
    "n111": [(TRUE, "confirmed"), (replace(TRUE, most_at_once=9), "refuted")],
    "n112": [
        (TRUE, "refined"),
        (replace(TRUE, together=ran(2.1)), "confirmed"),
        (replace(TRUE, together=ran(0.5), one_by_one=ran(0.7)), "refuted"),
    ],
    "n113": [
        (TRUE, "refined"),
        (replace(TRUE, entrance=Entrance("no", 6, 6, False, 0)), "confirmed"),
        (replace(TRUE, entrance=Entrance("", 6, 6, True, 5)), "refuted"),
    ],
    "n114": [
        (TRUE, "refined"),
        (with_pool(0, timed("ProcessPoolExecutor", *["1 MainThread"] * 4, apart_s=0.05)), "confirmed"),
        (with_pool(0, timed("ProcessPoolExecutor", *["2 MainThread"] * 4, apart_s=0.05)), "refuted"),
    ],
    "n115": [
        (TRUE, "refined"),
        (replace(TRUE, uneven_own=1), "confirmed"),
        (with_pool(1, timed("ThreadPoolExecutor", *["1 MainThread"] * 4, apart_s=0.05)), "refuted"),
    ],
    "n116": [
        (TRUE, "refined"),
        (replace(TRUE, calls=replace(TRUE.calls, failed=False, cancelled_called=False)), "confirmed"),
    ],
    "n117": [
        (TRUE, "confirmed"),
        (with_pool(0, replace(PROCESSES, submitted_s=0.9)), "refuted"),
    ],
}
