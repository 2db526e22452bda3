"""When tasks truly ran, laid over each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Runs = Sequence[tuple[float, float]]
"""Begin and end of each stretch in which one task ran, in order."""


def ran(lanes: Sequence[Runs]) -> tuple[float, float]:
    """Seconds in which at least one task ran, and in which at least two did."""
    moves = sorted(move for runs in lanes for began, ended in runs for move in ((began, 1), (ended, -1)))
    one = two = last = 0.0
    running = 0
    for at_s, change in moves:
        one += (at_s - last) * (running >= 1)
        two += (at_s - last) * (running >= 2)
        running += change
        last = at_s
    return one, two


def share_at_once(lanes: Sequence[Runs]) -> float:
    """Of the time in which any ran, the part in which two did; 0 if none ran."""
    one, two = ran(lanes)
    return two / one if one else 0.0


def turns(lanes: Sequence[Runs]) -> int:
    """How often another task went on than the one before."""
    order = [lane for _, lane in sorted((began, lane) for lane, runs in enumerate(lanes) for began, _ in runs)]
    return sum(before != after for before, after in pairwise(order))


def within(runs: Runs, began: float, ended: float) -> float:
    """Seconds that a task ran between two moments."""
    return sum(max(0.0, min(end, ended) - max(begin, began)) for begin, end in runs)
