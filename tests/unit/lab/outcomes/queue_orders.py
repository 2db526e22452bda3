"""Queues as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.queue_orders.data import Data, Stay, Tie, Trial
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str) -> Ran:
    """A program that printed these lines."""
    return Ran(tuple(Line(0.1, line) for line in lines), 0.2, 0, 0.05)


ERROR = "TypeError: '<' not supported between instances of 'dict' and 'dict'"
TRUE = Data(
    fifo=ran("1", "2", "3"),
    lifo=ran("3", "2", "1"),
    priority=ran("(-10, 'telegram')", "(3, 'letter')", "(11, 'leaflet')"),
    trials=(
        Trial("python", "fifo", (2, 1, 3), (2, 1, 3)),
        Trial("python", "lifo", (2, 1, 3), (3, 1, 2)),
        Trial("python", "priority", (2, 1, 3), (1, 2, 3)),
        Trial("holdfast", "fifo", (2, 1, 3), (2, 1, 3)),
    ),
    stays=(("fifo", (Stay(1, 0.0, 0.2), Stay(2, 0.1, 0.3))),),
    ties=(
        Tie("python", "dict", ERROR, None),
        Tie("python", "text", "", False),
        Tie("python", "counted dict", "", True),
        Tie("holdfast", "dict", "", True),
    ),
    overtaken=50,
    overtakers=50,
)
SORTED = Trial("python", "fifo", (2, 1, 3), (1, 2, 3))
STABLE = (Tie("python", "dict", "", True), Tie("python", "text", "", True), Tie("python", "counted dict", "", True))

OUTCOMES: Outcomes = {
    "n109": [
        (TRUE, "confirmed"),
        (replace(TRUE, lifo=TRUE.fifo), "refuted"),
        (replace(TRUE, trials=(SORTED, *TRUE.trials[1:])), "refuted"),
    ],
    "n110": [
        (TRUE, "refined"),
        (replace(TRUE, ties=STABLE), "confirmed"),
        (replace(TRUE, priority=ran("(3, 'letter')", "(-10, 'telegram')", "(11, 'leaflet')")), "refuted"),
    ],
}
