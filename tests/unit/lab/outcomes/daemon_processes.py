"""Daemon processes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.daemon_processes.data import Data, Ending, Ticks
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str) -> Ran:
    """The notes' program, when it printed these lines."""
    return Ran(tuple(Line(0.1, line) for line in lines), 0.3, 0, 0.05)


QUIET, SPEAKS = ran("main", "the other begins"), ran("main", "the daemon begins", "the other begins")
GONE = tuple(Ending(leaves, True, False) for leaves in ("end", "exception"))
LEFT = tuple(Ending(leaves, True, True) for leaves in ("SIGTERM", "_exit", "SIGKILL"))
TRUE = Data(
    programs=(QUIET, SPEAKS),
    ticks=Ticks((0.01, 0.02), 0.05, 0.1),
    endings=(*GONE, Ending("end", False, True, ignores=True), *LEFT),
    daemon_exitcode=-15,
    cleaned_up=False,
    late_error="AssertionError: process has already started",
    late_error_optimised="",
    grandchild_error="AssertionError: daemonic processes are not allowed to have children",
    holdfast_program=QUIET,
    holdfast_after_kill_s=5.5,
    watched_s=20.0,
)

OUTCOMES: Outcomes = {
    "n065": [
        (TRUE, "refined"),
        (replace(TRUE, programs=(QUIET, QUIET)), "refined"),
        (replace(TRUE, programs=(QUIET, QUIET), ticks=Ticks((), 0.05, 0.1)), "confirmed"),
        (replace(TRUE, ticks=Ticks((0.01, 0.02, 0.09), 0.05, 0.1)), "refuted"),
    ],
    "n066": [
        (TRUE, "refined"),
        (replace(TRUE, late_error_optimised=TRUE.late_error), "confirmed"),
        (replace(TRUE, late_error=""), "refuted"),
    ],
    "n067": [
        (TRUE, "refined"),
        (replace(TRUE, endings=GONE), "confirmed"),
        (replace(TRUE, endings=LEFT, holdfast_after_kill_s=None), "refuted"),
    ],
}
