"""Threads as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.thread_basics.data import Data, Kin
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str, code: int | None = 0) -> Ran:
    """A program that printed these lines, a tenth of a second apart."""
    return Ran(tuple(Line(place / 10, line) for place, line in enumerate(lines)), len(lines) / 10, code, 0.05)


USUAL = ran("it begins", "main", "it is over")
HASTY = ran("main", "it begins", "it is over")
LEFT = ran("it begins", "main")
DAEMON = ran("long begins", "short begins", "main", "short is over")

TRUE = Data(
    kin=Kin(1, 4, (10, 11, 12, 13), True, True),
    by_function=USUAL,
    by_subclass=USUAL,
    shares=ran("main 0"),
    waits=(USUAL,) * 3,
    waits_hurried=(USUAL,) * 3,
    daemon=(DAEMON,) * 3,
    first_line_thread=("it begins",) * 3,
    first_line_process=("main",) * 3,
    thread_s=(0.0001,),
    fork_s=(0.002,),
    spawn_s=(0.05,),
    only_processes=("kill", "terminate"),
    both=("join", "start"),
    daemon_ticks_after_main=8,
    daemon_ticks_after_all=0,
)

OUTCOMES: Outcomes = {
    "n082": [(TRUE, "confirmed"), (replace(TRUE, kin=Kin(1, 1, (10, 10, 10, 10), True, True)), "refuted")],
    "n083": [(TRUE, "confirmed"), (replace(TRUE, by_subclass=LEFT), "refuted")],
    "n084": [
        (TRUE, "confirmed"),
        (replace(TRUE, fork_s=(0.0002,)), "refined"),
        (replace(TRUE, fork_s=(0.00005,)), "refuted"),
    ],
    "n085": [(TRUE, "confirmed"), (replace(TRUE, shares=ran("main 100")), "refuted")],
    "n086": [(TRUE, "refuted"), (replace(TRUE, only_processes=()), "confirmed")],
    "n087": [
        (TRUE, "confirmed"),
        (replace(TRUE, waits_hurried=(HASTY, USUAL)), "refined"),
        (replace(TRUE, waits=(LEFT,)), "refuted"),
    ],
    "n088": [(TRUE, "confirmed"), (replace(TRUE, daemon_ticks_after_main=0), "refuted")],
    "n089": [
        (TRUE, "confirmed"),
        (replace(TRUE, daemon=(DAEMON, ran("long begins", "main", "short begins", "short is over"))), "refined"),
        (replace(TRUE, daemon=(ran("long begins", "long is over"),)), "refuted"),
    ],
}
