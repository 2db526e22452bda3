"""Starts, watches and ends processes, and looks who waits for whom."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

from holdfast.lab.cases.process_basics import ending, starting
from holdfast.lab.cases.process_basics.data import Data
from holdfast.lab.swapped import on_holdfast
from holdfast.lab.workbench import Lab

IGNORED_S = 0.3
PAUSE_S = 0.05
PATIENT = {"LAB_PACE": "0.3"}
"""For the program that looks a second after it has told a child to end: on a busy machine a twentieth is too little."""
LEAVINGS = (
    ("child", "end"),
    ("child", "_exit"),
    ("child", "kill"),
    ("command", "end"),
    ("thread", "end"),
    ("thread", "_exit"),
    ("thread", "kill"),
    ("daemon thread", "end"),
)


def observe(lab: Lab) -> Data:
    """The notes' programs, all methods of starting, all ways to end; the same programs on Holdfast."""
    many, few = lab.pick(quick=30, full=200), lab.pick(quick=4, full=15)
    ignoring_alive, ignoring_killed = ending.ignoring(IGNORED_S)
    with lab.agent() as host:
        born_there = starting.born("holdfast", host.Process, lab.folder)
        ended_there = ending.terminated_on(host.Process, time.sleep)
        by_function_there = on_holdfast(lab, "p04", "repaired")
        by_subclass_there = on_holdfast(lab, "p05")
        terminating_there = on_holdfast(lab, "p07")
    contexts: list[tuple[str, Any]] = [(method, multiprocessing.get_context(method)) for method in starting.METHODS]
    return Data(
        default_method=multiprocessing.get_start_method(),
        born=(
            *(starting.born(method, context.Process, lab.folder) for method, context in contexts),
            born_there,
        ),
        orders=(
            starting.order("fork", "fork", many),
            starting.order("spawn", "spawn", few),
            starting.order("fork, main pauses", "fork", few, PAUSE_S),
        ),
        passed=starting.passed(),
        direct=starting.direct(),
        reaped=ending.reaped(),
        terminated=ending.terminated(many // 2),
        ignored_s=IGNORED_S,
        ignoring_alive=ignoring_alive,
        ignoring_killed=ignoring_killed,
        handler_exitcode=ending.answering(),
        leavings=tuple(ending.leaving(*each) for each in LEAVINGS),
        by_function=lab.program("p04"),
        by_function_repaired=lab.program("p04", "repaired"),
        by_subclass=lab.program("p05"),
        terminating=tuple(lab.program("p07", env=PATIENT) for _ in range(lab.pick(quick=3, full=10))),
        holdfast_by_function=by_function_there,
        holdfast_by_subclass=by_subclass_there,
        holdfast_terminating=terminating_there,
        holdfast_terminated=ended_there,
    )
