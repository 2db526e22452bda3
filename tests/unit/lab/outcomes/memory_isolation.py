"""Memory as it is, and as it might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.memory_isolation.data import Crossing, Data, Frames, Pages, View
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(number: int) -> Ran:
    """The child has changed it, the parent printed this."""
    return Ran((Line(0.1, "changed"), Line(1.0, str(number))), 1.1, 0, 0.05)


TRUE = Data(
    program=ran(100),
    repaired=ran(100),
    holdfast=ran(100),
    views=(View("fork", 0, 100, True), View("spawn", 0, 100, False)),
    mapping_mib=32.0,
    pages=(Pages(0.0, 32.0, 0.0), Pages(32.0, 0.0, 32.0)),
    frames=Frames(5, 5, 6),
    crossings=(Crossing("global", 100), Crossing("Value", 0), Crossing("thread", 0)),
)

OUTCOMES: Outcomes = {
    "n054": [
        (TRUE, "confirmed"),
        (replace(TRUE, frames=Frames(0, 0, 0)), "confirmed"),
        (replace(TRUE, program=ran(0)), "refuted"),
        (replace(TRUE, views=(View("fork", 0, 0, True),)), "refuted"),
    ],
}
