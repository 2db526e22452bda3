"""What is measured, the targets, and the verdict on each figure. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bench.samples import Reading

Better = Literal["lower", "higher"]
Kind = Literal["latency", "throughput", "memory"]

BUSY_LOAD: Final = 1.0
"""With a load average of this or more at the start nothing is said about latencies: the machine was not ours alone."""


class Target(msgspec.Struct, frozen=True):
    """A figure to reach: at most (``lower`` is better) or at least so much."""

    value: float
    better: Better


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the results. Each reading is in ``unit``; None: not measured, or no such thing.

    Attributes:
        id: Key of the notes.
        limit: What the machine itself gives for the same work, without Holdfast.
        neighbour: The same work through AsyncSSH.
        failed: Why it could not be measured.
    """

    id: str
    what: str
    unit: str
    kind: Kind
    better: Better
    holdfast: Reading | None = None
    limit: Reading | None = None
    neighbour: Reading | None = None
    target: float | None = None
    failed: str = ""

    @property
    def ratio(self) -> float | None:
        """Holdfast in units of the limit."""
        if self.holdfast is None or self.limit is None or not self.limit.median:
            return None
        return self.holdfast.median / self.limit.median

    @property
    def missed_by(self) -> float | None:
        """By which share of the target it was missed; 0 when it was met, None without a target or a reading."""
        if self.target is None or self.holdfast is None:
            return None
        over = self.holdfast.median / self.target - 1
        return max(0.0, over if self.better == "lower" else -over)


def verdict(figure: Figure, load: float) -> str:
    """In a few words: met, missed by how much, or why nothing is said.

    Args:
        figure: The figure.
        load: One-minute load average before the run.
    """
    if figure.failed:
        return f"not reached: {figure.failed}"
    missed = figure.missed_by
    if missed is None:
        return "no target"
    if figure.kind == "latency" and load >= BUSY_LOAD:
        return f"no verdict (load {load:.1f})"
    if not missed:
        return "met"
    busy = f" (load {load:.1f})" if figure.kind == "throughput" and load >= BUSY_LOAD else ""
    return f"missed by {max(1, round(missed * 100))} %{busy}"
