"""Tasks that share cores and memory, as they do, and as they might."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.concurrency.data import Data, Pages, Priority, Runner, Saved, Scene, Shells
from tests.unit.lab.outcomes.table import Outcomes

Runs = tuple[tuple[float, float], ...]


def runner(name: str, runs: Runs, *, voluntary: int = 0, involuntary: int = 5, core: int = 0) -> Runner:
    """One task."""
    return Runner(name, core, 100, runs[0][0], runs[-1][1], runs, voluntary, involuntary, 1000)


def slices(first: float, count: int = 6) -> Runs:
    """Every other hundredth of a second."""
    return tuple((first + number / 50, first + number / 50 + 0.01) for number in range(count))


SERIAL = Scene((runner("A", ((0.0, 0.1),)), runner("B", ((0.1, 0.2),))))
BY_TURNS = Scene((runner("A", slices(0.0)), runner("B", slices(0.01))))
TOGETHER = Scene((runner("A", ((0.0, 0.1),)), runner("B", ((0.0, 0.1),), core=1)))
ASIDE = Scene((runner("low", ((0.0, 0.01), (0.05, 0.1))), runner("high", ((0.01, 0.05),))))

TRUE = Data(
    python="3.11.7",
    cores=2,
    same_program=True,
    serial=SERIAL,
    concurrent=BY_TURNS,
    parallel=(BY_TURNS, TOGETHER),
    shells=Shells(0.99, 1.9),
    saved=Saved(10_000, (10_000, 10_000), (1, 1), (50.0, 52.0), (3900.0, 4000.0)),
    pages=Pages(True, 1000, 1000, 2000, 256, 0, 256, False, True),
    waits=10,
    waiting=Scene((runner("waits", slices(0.0), voluntary=10), runner("computes", slices(0.01)))),
    priority=Priority("SCHED_FIFO", ASIDE),
)
ONE_CORE = replace(TRUE, cores=1, parallel=(), shells=Shells(0.99, None))
UNTOLD = Pages(True, None, None, None, 256, 0, 256, False, True)
CALM = Scene((runner("A", ((0.0, 0.1),), involuntary=0), runner("B", ((0.0, 0.1),), involuntary=0)))

OUTCOMES: Outcomes = {
    "n043": [(TRUE, "definition")],
    "n044": [
        (TRUE, "confirmed"),
        (ONE_CORE, "confirmed"),
        (replace(TRUE, parallel=(BY_TURNS,)), "refined"),
        (replace(TRUE, concurrent=SERIAL), "refuted"),
    ],
    "n045": [
        (TRUE, "refined"),
        (ONE_CORE, "refined"),
        (replace(TRUE, parallel=(BY_TURNS,)), "confirmed"),
        (replace(TRUE, concurrent=TOGETHER), "refuted"),
    ],
    "n046": [(TRUE, "confirmed"), (replace(TRUE, saved=replace(TRUE.saved, kept=(1, 1))), "refuted")],
    "n047": [
        (TRUE, "refined"),
        (replace(TRUE, pages=UNTOLD), "refined"),
        (replace(TRUE, pages=replace(TRUE.pages, child_frame=2000)), "confirmed"),
        (replace(TRUE, pages=replace(UNTOLD, shared_kib=0)), "confirmed"),
        (replace(TRUE, pages=replace(TRUE.pages, parent_sees=True)), "refuted"),
    ],
    "n048": [
        (TRUE, "confirmed"),
        (replace(TRUE, priority=Priority("nice 19, nice 0", BY_TURNS)), "refined"),
        (
            replace(TRUE, waiting=CALM, concurrent=CALM, priority=Priority("nice 19, nice 0", BY_TURNS)),
            "refuted",
        ),
    ],
}
