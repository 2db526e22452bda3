"""Ticket shops as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.tickets.data import Data, Mutex, Sale
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def sale(way: str, *, tickets: int, left: int, apart_s: float, looks_s: float = 0.05) -> Sale:
    """Ten buyers, so far apart from each other; the first so many get a ticket."""
    told = [Line(looks_s, f"{number} sees 3") for number in range(10)]
    for number in range(10):
        what = "has a ticket" if number < tickets else "comes too late"
        told.append(Line(0.2 + number * apart_s, f"{number} {what}"))
    return Sale(way, 3, left, (Ran(tuple(told), 2.0, 0, 0.05),))


LOCK = sale("lock", tickets=3, left=0, apart_s=0.1)
NONE = sale("no lock", tickets=10, left=2, apart_s=0.01)
TWO = sale("Holdfast's lock, two programs", tickets=3, left=0, apart_s=0.1)
TRUE = Data(10, 0.05, (NONE, LOCK, TWO), Mutex(True, True, True, True, False))

OUTCOMES: Outcomes = {
    "n068": [
        (TRUE, "confirmed"),
        (replace(TRUE, sales=(NONE, sale("lock", tickets=3, left=0, apart_s=0.1, looks_s=0.5), TWO)), "refined"),
        (replace(TRUE, sales=(NONE, sale("lock", tickets=3, left=0, apart_s=0.001), TWO)), "refuted"),
    ],
    "n069": [
        (TRUE, "confirmed"),
        (replace(TRUE, sales=(sale("no lock", tickets=3, left=0, apart_s=0.01), LOCK, TWO)), "refined"),
        (replace(TRUE, sales=(NONE, sale("lock", tickets=5, left=0, apart_s=0.1), TWO)), "refuted"),
    ],
    "n070": [
        (TRUE, "refined"),
        (replace(TRUE, mutex=Mutex(True, False, False, True, False)), "confirmed"),
        (replace(TRUE, mutex=Mutex(False, True, True, True, False)), "refuted"),
    ],
    "n071": [
        (TRUE, "refined"),
        (replace(TRUE, mutex=Mutex(True, True, True, True, True)), "confirmed"),
        (replace(TRUE, mutex=Mutex(True, True, True, False, False)), "refuted"),
    ],
}
