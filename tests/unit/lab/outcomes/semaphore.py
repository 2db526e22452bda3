"""Semaphores as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.semaphore.data import Data, Stay
from holdfast.lab.seen import Ran
from tests.unit.lab.outcomes.table import Outcomes


def visits(places: int, count: int) -> tuple[Stay, ...]:
    """Visitors that stay for a second each, ``places`` at a time."""
    return tuple(Stay(0.0, number // places + 0.0, number // places + 1.0) for number in range(count))


TRUE = Data(
    cpus=2,
    places=5,
    program=Ran((), 1.0, 0, 0.05),
    semaphore=visits(5, 20),
    mutex=visits(1, 5),
    default_threads=1,
    default_processes=1,
    forked_threading=4,
    forked_multiprocessing=1,
    holdfast_processes=1,
    released_by_other=True,
    lock_released_free=False,
)

OUTCOMES: Outcomes = {
    "n096": [(TRUE, "confirmed"), (replace(TRUE, mutex=visits(2, 5)), "refuted")],
    "n097": [(TRUE, "refuted"), (replace(TRUE, default_threads=10, default_processes=10), "confirmed")],
    "n098": [
        (TRUE, "refined"),
        (replace(TRUE, forked_multiprocessing=4, holdfast_processes=4, released_by_other=False), "confirmed"),
        (replace(TRUE, forked_threading=1, forked_multiprocessing=4, holdfast_processes=4), "refuted"),
    ],
    "n099": [(TRUE, "confirmed"), (replace(TRUE, semaphore=visits(20, 20)), "refuted")],
}
