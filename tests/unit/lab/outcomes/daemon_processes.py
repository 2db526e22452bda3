"""Daemon processes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.daemon_processes.data import Data, Ending, Ticks
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes

PROGRAM = Ran((Line(0.1, "main"), Line(0.1, "the other begins")), 0.3, 0, 0.05)
ENDINGS = (
    Ending("end", parent_gone=True, daemon_alive=False),
    Ending("exception", parent_gone=True, daemon_alive=False),
    Ending("end", parent_gone=False, daemon_alive=True, ignores=True),
    Ending("_exit", parent_gone=True, daemon_alive=True),
    Ending("SIGKILL", parent_gone=True, daemon_alive=True),
)
GONE = tuple(Ending(each.leaves, parent_gone=True, daemon_alive=False, ignores=each.ignores) for each in ENDINGS)
TRUE = Data(
    programs=(PROGRAM, PROGRAM),
    ticks=Ticks((0.1, 0.2, 0.3), 0.35, 0.7),
    endings=ENDINGS,
    daemon_exitcode=-15,
    cleaned_up=False,
    late_error="AssertionError: process has already started",
    late_error_optimised="",
    grandchild_error="AssertionError: daemonic processes are not allowed to have children",
    holdfast_program=PROGRAM,
    holdfast_after_kill_s=5.0,
    watched_s=20.0,
)

OUTCOMES: Outcomes = {
    "n065": [
        (TRUE, "confirmed"),
        (replace(TRUE, ticks=Ticks((0.1, 0.3, 0.5, 0.6), 0.35, 0.7)), "refuted"),
        (replace(TRUE, endings=(Ending("end", parent_gone=True, daemon_alive=True),)), "refuted"),
    ],
    "n066": [(TRUE, "confirmed"), (replace(TRUE, late_error=""), "refuted")],
    "n067": [
        (TRUE, "refuted"),
        (replace(TRUE, holdfast_after_kill_s=None), "refuted"),
        (replace(TRUE, endings=(*GONE[:2], ENDINGS[2], *GONE[3:])), "refined"),
        (replace(TRUE, endings=GONE), "confirmed"),
    ],
}
