"""What is measured, the targets, and the verdict on each figure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from bench.samples import Reading, Turns

Better = Literal["lower", "higher"]
Kind = Literal["latency", "throughput", "memory"]

BUSY_LOAD: Final = 1.0
"""With a load average of this or more at the start nothing is said about latencies: the machine was not ours alone."""

LIMITS: Final = {
    "local": "local",
    "bare_ssl": "bare ssl",
    "bare_uvloop": "bare uvloop",
    "processes": "ProcessPoolExecutor",
}
"""Contestants that show what the machine can do without Holdfast, with their names in the table."""
NEIGHBOURS: Final = {
    "asyncssh": "AsyncSSH",
    "openssh": "OpenSSH",
    "execnet": "execnet",
    "mitogen": "Mitogen",
    "ray": "Ray",
    "dask": "Dask",
    "manager": "Manager",
    "redis": "Redis",
}
"""Contestants that do the same work in another way, with their names in the table."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the results. Each reading is in ``unit``; None: not measured, or no such thing.

    Attributes:
        id: Key of the notes.
        limits: What the machine itself gives for the same work, without Holdfast, by name.
        neighbours: The same work done by others, by name.
        absent: Limits and neighbours without a reading, each with the reason.
        target: In ``unit``.
        target_ratio: In units of the best of the limits, in place of ``target``.
        failed: Why Holdfast could not be measured.
    """

    id: str
    what: str
    unit: str
    kind: Kind
    better: Better
    holdfast: Reading | None = None
    limits: Mapping[str, Reading] = {}
    neighbours: Mapping[str, Reading] = {}
    absent: Mapping[str, str] = {}
    target: float | None = None
    target_ratio: float | None = None
    failed: str = ""

    @property
    def ratio(self) -> float | None:
        """Holdfast in units of the best of the limits."""
        return self._ratio_to(self.limits)

    @property
    def ratio_to_neighbour(self) -> float | None:
        """Holdfast in units of the best of the neighbours."""
        return self._ratio_to(self.neighbours)

    @property
    def missed_by(self) -> float | None:
        """By which share of the target it was missed; 0 when it was met, None without a target or a reading."""
        aim = self.aim
        if aim is None or self.holdfast is None:
            return None
        over = self.holdfast.median / aim - 1
        return max(0.0, over if self.better == "lower" else -over)

    @property
    def aim(self) -> float | None:
        """The target in ``unit``; None: there is none, or not the limit that it goes by."""
        if self.target_ratio is None:
            return self.target
        limit = self._best(self.limits)
        return self.target_ratio * limit if limit else None

    def _ratio_to(self, others: Mapping[str, Reading]) -> float | None:
        best = self._best(others)
        return self.holdfast.median / best if self.holdfast is not None and best else None

    def _best(self, others: Mapping[str, Reading]) -> float:
        """Of no others: 0."""
        medians = [reading.median for reading in others.values()]
        return (min if self.better == "lower" else max)(medians, default=0.0)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a line of the table is made of.

    Attributes:
        of: The contestant of Holdfast that it is about.
        beside: The limits and neighbours that belong to it.
    """

    id: str
    of: str
    what: str
    unit: str
    kind: Kind
    better: Better
    beside: tuple[str, ...] = ()
    target: float | None = None
    target_ratio: float | None = None


def figure(line: Line, turns: Turns) -> Figure:
    """The line with what its contestants gave, or why they did not."""
    readings, failed = turns.readings, turns.failed
    limits = {LIMITS[name]: readings[name] for name in line.beside if name in LIMITS and name in readings}
    neighbours = {NEIGHBOURS[name]: readings[name] for name in line.beside if name in NEIGHBOURS and name in readings}
    absent = {(LIMITS | NEIGHBOURS)[name]: failed[name] for name in line.beside if name in failed}
    return Figure(
        id=line.id, what=line.what, unit=line.unit, kind=line.kind, better=line.better, target=line.target,
        target_ratio=line.target_ratio, holdfast=readings.get(line.of), limits=limits, neighbours=neighbours,
        absent=absent, failed=failed.get(line.of, ""),
    )  # fmt: skip


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
        return "no target" if figure.target_ratio is None else "no verdict (no limit to go by)"
    if figure.kind == "latency" and load >= BUSY_LOAD:
        return f"no verdict (load {load:.1f})"
    if not missed:
        return "met"
    busy = f" (load {load:.1f})" if figure.kind == "throughput" and load >= BUSY_LOAD else ""
    return f"missed by {max(1, round(missed * 100))} %{busy}"
