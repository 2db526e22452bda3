"""Bun shops as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.producer_consumer.data import Colour, Data, Death, Shop
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def shop(buns: int, code: int = 0) -> Ran:
    """The notes' program, when so many were eaten."""
    lines = [f"\x1b[45m7 baked bun {n}[0m" for n in range(10)] + [f"\x1b[46m8 ate bun {n}[0m" for n in range(buns)]
    return Ran(tuple(Line(n / 10, line) for n, line in enumerate(lines)), 2.0, code, 0.05)


def shops(endless: int, as_fast: float) -> tuple[Shop, ...]:
    """Four ways: one after the other takes a second."""
    return (
        Shop("alone", 1.0, 0, 0.0),
        Shop("endless", 1.2, endless, 0.0),
        Shop("bounded", 1.2, 3, 0.3),
        Shop("as fast", as_fast, 1, 0.0),
    )


def deaths(eaten: int) -> tuple[Death, ...]:
    """So many were eaten from a plain queue, all from one of Holdfast."""
    return Death("multiprocessing.Queue", 12, eaten), Death("Holdfast, durable", 12, 12)


TRUE = Data(
    program=shop(10),
    repaired=shop(10),
    buns=12,
    step_s=0.02,
    shops=shops(8, 0.6),
    guests=2,
    guests_left=1,
    colour=Colour(20, 20, 0, 20),
    colour_repaired=Colour(20, 20, 20, 0),
    deaths=deaths(11),
)

OUTCOMES: Outcomes = {
    "n079": [
        (TRUE, "refined"),
        (replace(TRUE, shops=shops(3, 0.6)), "confirmed"),
        (replace(TRUE, shops=shops(8, 1.0)), "refuted"),
    ],
    "n080": [
        (TRUE, "refined"),
        (replace(TRUE, guests_left=0, deaths=deaths(12)), "confirmed"),
        (replace(TRUE, program=shop(9)), "refuted"),
    ],
    "n081": [
        (TRUE, "refined"),
        (replace(TRUE, colour=TRUE.colour_repaired), "confirmed"),
        (replace(TRUE, colour=Colour(20, 0, 0, 20)), "refuted"),
    ],
}
