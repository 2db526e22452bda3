"""Numbers from rounds of measurement: medians, spreads, percentiles, and the order of the turns. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec


class ContestantFailed(Exception):
    """A contestant could not do what it was told, or is not there."""


class Reading(msgspec.Struct, frozen=True):
    """One figure of one contestant: the median of its rounds, the lowest and the highest."""

    median: float
    low: float
    high: float
    rounds: int


class Turns(msgspec.Struct, frozen=True):
    """What contestants gave that took turns: each is either in ``readings`` or, with the reason, in ``failed``."""

    readings: Mapping[str, Reading]
    failed: Mapping[str, str]


def reading(rounds: Sequence[float]) -> Reading:
    """The reading of at least one round.

    Raises:
        ValueError: there is none.
    """
    if not rounds:
        raise ValueError("a reading needs at least one round")
    return Reading(statistics.median(rounds), min(rounds), max(rounds), len(rounds))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of all values do not exceed: the nearest-rank definition.

    Raises:
        ValueError: no values, or a share outside 0 to 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"{len(values)} values, share {share}")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def in_turns(rounds: int, contestants: Mapping[str, Callable[[], float]]) -> Turns:
    """What each contestant gives when they take turns: A B A B, ``rounds`` times.

    One that fails is out, and its earlier rounds count for nothing; the others go on.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name, measure in contestants.items():
            if name in failed:
                continue
            try:
                found[name].append(measure())
            except ContestantFailed as exc:
                failed[name] = str(exc)
    return Turns({name: reading(values) for name, values in found.items() if name not in failed}, failed)
