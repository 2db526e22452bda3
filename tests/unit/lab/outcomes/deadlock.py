"""Deadlocks as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.deadlock.data import Data, Hold
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes

STUCK = Ran((Line(0.0, "Thread-1 has A"), Line(0.0, "Thread-1 has B")), 2.5, None, 0.05)
ENDED = Ran((Line(0.0, "Thread-1 has A"),), 0.6, 0, 0.05)

TRUE = Data(
    program=STUCK,
    ordered=ENDED,
    one_rlock=ENDED,
    holds=(Hold("one", "A", 0.0, 0.0), Hold("one", "B", 0.1, None)),
    both_at_once=1,
    rlock_depth=1000,
    rlock_other_after_one_release=False,
    rlock_other_after_all=True,
    rlock_stranger_refused=True,
    rlock_hand_over=False,
    holdfast_error="a waits for b, b waits for a",
    holdfast_seconds=0.001,
    holdfast_survivor=True,
)

OUTCOMES: Outcomes = {
    "n092": [(TRUE, "confirmed"), (replace(TRUE, program=ENDED), "refuted")],
    "n093": [(TRUE, "refuted"), (replace(TRUE, both_at_once=0), "confirmed")],
    "n094": [
        (TRUE, "confirmed"),
        (replace(TRUE, rlock_other_after_one_release=True), "refined"),
        (replace(TRUE, rlock_depth=1), "refuted"),
    ],
    "n095": [
        (TRUE, "refined"),
        (replace(TRUE, rlock_hand_over=True), "confirmed"),
        (replace(TRUE, one_rlock=STUCK), "refuted"),
    ],
}
