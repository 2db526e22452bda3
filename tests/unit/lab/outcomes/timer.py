"""Timers as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.timer.data import Call, Data, Given
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str) -> Ran:
    """A program that printed these lines, a tenth of a second apart."""
    return Ran(tuple(Line(place / 10, line) for place, line in enumerate(lines)), len(lines) / 10, 0, 0.05)


USUAL, HASTY = ran("main", "10 is running", "Thread-1"), ran("10 is running", "Thread-1", "main")
CALL = Call(asked_s=0.1, started_s=0.0, waited_s=0.101, thread="Thread-1", in_main=False, threads_id=11)
REFUSED = "TypeError: argument after * must be an iterable"

TRUE = Data(
    programs=(USUAL, USUAL),
    pause_s=0.15,
    main_id=10,
    calls=(CALL, replace(CALL, asked_s=0.05, waited_s=0.05, threads_id=12)),
    given=(
        Given("tuple", "(10,)", ("10",), ""),
        Given("list", "[10]", ("10",), ""),
        Given("text", "'10'", ("'1'", "'0'"), ""),
        Given("number in brackets", "(10)", None, REFUSED),
    ),
    waiting=30,
    threads_of_waiting=30,
    cancelled_calls=0,
    at_once=50,
    at_once_before_main=3,
    python_after_death=False,
    holdfast_after_death=True,
)
STRICT = (TRUE.given[0], Given("list", "[10]", None, REFUSED))

OUTCOMES: Outcomes = {
    "n107": [
        (TRUE, "confirmed"),
        (replace(TRUE, programs=(USUAL, HASTY)), "refined"),
        (replace(TRUE, calls=(replace(CALL, threads_id=10, in_main=True),)), "refuted"),
        (replace(TRUE, calls=(replace(CALL, waited_s=0.02),)), "refuted"),
    ],
    "n108": [(TRUE, "refuted"), (replace(TRUE, given=STRICT), "confirmed")],
}
