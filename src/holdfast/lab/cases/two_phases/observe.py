"""Reads before data have come and afterwards; sends when there is room and when there is none."""

from __future__ import annotations

from holdfast.lab.cases.two_phases import reading, sending
from holdfast.lab.cases.two_phases.data import Data
from holdfast.lab.workbench import Lab

SIZES = (64, 4 << 10, 64 << 10, 256 << 10, 1 << 20)


def observe(lab: Lab) -> Data:
    """Each phase apart, and both in one call."""
    delays = lab.pick(quick=(0.03, 0.1, 0.3), full=(0.03, 0.1, 0.3, 1.0))
    rounds = lab.pick(quick=20, full=100)
    return Data(
        waited=tuple(reading.waited(delay_s, 64 << 10) for delay_s in delays),
        copied=tuple(reading.copied(size, rounds) for size in SIZES),
        not_waiting=reading.not_waiting(delays[1], 64 << 10),
        held=reading.held(),
        sent=sending.sent(delays[1]),
        returned_before_read=sending.returned_before_read(),
        handed=sending.handed(lab.folder),
    )
