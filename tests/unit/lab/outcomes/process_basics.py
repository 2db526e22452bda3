"""Processes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.process_basics.data import Born, Data, Direct, Ended, Leaving, Order, Passed, Reaped
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str, error: str = "") -> Ran:
    """A run that printed this, a tenth of a second apart."""
    printed = tuple(Line(number / 10, text) for number, text in enumerate(lines, 1))
    wrong = (Line(0.15, error, "err"),) if error else ()
    return Ran(printed + wrong, 0.5, 0, 0.05)


def child(method: str, ppid: int, *, copied: bool, program: bool, there: bool = True) -> Born:
    """A child 20 of process 10."""
    return Born(method, there, 10, 20, 20, ppid, "it", "it", copied, program)


COMPLETE = ran("main", "the child begins", "the child is over")
BORN = (
    child("fork", 10, copied=True, program=False),
    child("spawn", 10, copied=False, program=True),
    child("forkserver", 11, copied=False, program=True),
    child("holdfast", 12, copied=False, program=True),
)
PASSED = (
    Passed('args=("word",)', 1),
    Passed('args=("word")', 4),
    Passed('args=("w")', 1),
    Passed('args=["word"]', 1),
    Passed('kwargs={"who": "word"}', 1),
)
LEAVINGS = (
    Leaving("child", "end", True, False, None),
    Leaving("child", "_exit", False, True, 1),
    Leaving("child", "kill", False, True, 1),
    Leaving("command", "end", False, True, 1),
    Leaving("thread", "end", True, False, None),
    Leaving("thread", "_exit", False, False, None),
    Leaving("thread", "kill", False, False, None),
    Leaving("daemon thread", "end", False, False, None),
)
TRUE = Data(
    default_method="fork",
    born=BORN,
    orders=(Order("fork", 25, 30), Order("spawn", 4, 4), Order("fork, main pauses", 0, 4)),
    passed=PASSED,
    direct=Direct(10, 20, 10, "AttributeError"),
    reaped=(Reaped("join()", "Z", None), Reaped("is_alive()", "Z", None), Reaped("time.sleep()", "Z", "Z")),
    terminated=(Ended(True, 0.002, -15), Ended(False, 0.001, -15)),
    ignored_s=0.3,
    ignoring_alive=True,
    ignoring_killed=-9,
    handler_exitcode=7,
    leavings=LEAVINGS,
    by_function=ran("main", "the child begins", error="NameError: name 'time' is not defined"),
    by_function_repaired=COMPLETE,
    by_subclass=COMPLETE,
    terminating=(ran("alive: False", "main"), ran("alive: False", "main")),
    holdfast_by_function=COMPLETE,
    holdfast_by_subclass=COMPLETE,
    holdfast_terminating=ran("alive: False", "main"),
    holdfast_terminated=Ended(True, 0.002, -15),
)
ALIVE = ran("the child begins", "alive: True", "main")
ALL_WAIT = tuple(Leaving(each.other, each.leaves, True, False, None) for each in LEAVINGS)
NONE_WAITS = tuple(Leaving(each.other, each.leaves, False, False, None) for each in LEAVINGS)

OUTCOMES: Outcomes = {
    "n049": [
        (TRUE, "refined"),
        (replace(TRUE, by_function=COMPLETE), "confirmed"),
        (replace(TRUE, by_function_repaired=ran("main")), "refuted"),
    ],
    "n050": [
        (TRUE, "refined"),
        (replace(TRUE, orders=(Order("fork", 0, 30), *TRUE.orders[1:])), "refuted"),
        (replace(TRUE, born=(child("fork", 10, copied=True, program=False, there=False), *BORN[1:])), "confirmed"),
    ],
    "n051": [
        (TRUE, "confirmed"),
        (replace(TRUE, passed=(PASSED[0], Passed('args=("word")', 1), *PASSED[2:])), "refuted"),
    ],
    "n052": [
        (TRUE, "refined"),
        (replace(TRUE, born=(child("fork", 10, copied=False, program=True), *BORN[1:])), "confirmed"),
        (replace(TRUE, born=(BORN[0], child("spawn", 10, copied=True, program=False), *BORN[2:])), "refuted"),
    ],
    "n053": [
        (TRUE, "refined"),
        (replace(TRUE, direct=Direct(10, 20, 21, "")), "confirmed"),
        (replace(TRUE, direct=Direct(10, 10, 10, "")), "refuted"),
    ],
    "n055": [(TRUE, "confirmed"), (replace(TRUE, reaped=(Reaped("join()", "Z", "Z"),)), "refuted")],
    "n056": [(TRUE, "refined"), (replace(TRUE, ignoring_alive=False), "confirmed")],
    "n057": [
        (TRUE, "confirmed"),
        (replace(TRUE, terminating=(ALIVE, TRUE.terminating[0])), "refined"),
        (replace(TRUE, terminating=(ALIVE,)), "refuted"),
    ],
    "n058": [
        (TRUE, "refined"),
        (replace(TRUE, born=(*BORN[:2], child("forkserver", 10, copied=False, program=True), BORN[3])), "confirmed"),
        (replace(TRUE, born=(child("fork", 1, copied=True, program=False), *BORN[1:])), "refuted"),
    ],
    "n059": [
        (TRUE, "refined"),
        (replace(TRUE, leavings=ALL_WAIT), "confirmed"),
        (replace(TRUE, leavings=NONE_WAITS), "refuted"),
    ],
    "n060": [
        (TRUE, "refined"),
        (replace(TRUE, leavings=ALL_WAIT), "confirmed"),
        (replace(TRUE, leavings=NONE_WAITS), "refuted"),
    ],
}  # fmt: skip
