"""Queues between processes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.ipc_queue.data import Data, Early, Limits, Parts, Passage, Room, Way
from holdfast.lab.seen import Line, Ran
from tests.unit.lab.outcomes.table import Outcomes


def ran(*lines: str, code: int | None = 0) -> Ran:
    """A program that printed these lines."""
    return Ran(tuple(Line(0.1, line) for line in lines), 0.5, code, 0.05)


def rounds(early: int) -> tuple[Early, ...]:
    """So many of ten were too early."""
    return Early("queue.Queue", 10, 0), Early("multiprocessing.Queue", 10, early), Early("Holdfast", 10, 0)


THREE = ran("one", "2", "3", code=1)
LIMITS = Limits(True, True, True, 0.1, 0.1, 0.1, 1e-4, 1e-4, ("Full", "Full", "Empty", "Empty"))
TRUE = Data(
    ways=(Way("pipe", True), Way("queue", True), Way("file", True)),
    parts=Parts(2, 1, 2, 1e-3, True, 65536),
    room=Room(2**31 - 1, 1000, 1000, 1_200_000),
    passages=(Passage(1024, 1e-4, 1e-4, True), Passage(16 << 20, 0.06, 0.006, True)),
    limits=LIMITS,
    early=rounds(9),
    waits=ran("one", "two", "three", code=None),
    timed=ran("all are in"),
    not_waiting=ran("all are in", code=1),
    nowait=(THREE, ran(code=1)),
    repaired=ran("all are in", "one", "2", "3", "all are out", "empty"),
)

OUTCOMES: Outcomes = {
    "n072": [
        (TRUE, "refined"),
        (replace(TRUE, ways=(Way("pipe", True), Way("queue", True), Way("file", False))), "confirmed"),
        (replace(TRUE, ways=(Way("pipe", True), Way("queue", False))), "refuted"),
    ],
    "n073": [
        (TRUE, "refined"),
        (replace(TRUE, parts=replace(TRUE.parts, threads_after_put=1)), "confirmed"),
        (replace(TRUE, parts=replace(TRUE.parts, descriptors=0)), "refuted"),
    ],
    "n074": [
        (TRUE, "refined"),
        (replace(TRUE, room=replace(TRUE.room, bound=100)), "refuted"),
        (replace(TRUE, room=replace(TRUE.room, grown_bytes=10)), "refuted"),
    ],
    "n075": [
        (TRUE, "refined"),
        (replace(TRUE, passages=(Passage(16 << 20, 0.06, 0.06, True),)), "refuted"),
        (replace(TRUE, passages=(Passage(16 << 20, 0.06, 0.006, False),)), "confirmed"),
    ],
    "n076": [(TRUE, "confirmed"), (replace(TRUE, limits=replace(LIMITS, order_kept=False)), "refuted")],
    "n077": [(TRUE, "confirmed"), (replace(TRUE, limits=replace(LIMITS, get_limit_s=0.0)), "refuted")],
    "n078": [
        (TRUE, "refined"),
        (replace(TRUE, early=rounds(0), nowait=(THREE, THREE)), "confirmed"),
        (replace(TRUE, early=rounds(10)), "refined"),
        (replace(TRUE, early=rounds(10), repaired=ran("all are in", code=1)), "refuted"),
    ],
}
