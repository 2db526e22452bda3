"""What a run has seen of programs and of the machine: values that cases keep in their data. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec


class Line(msgspec.Struct, frozen=True):
    """A line that a program has printed, and when, in seconds since its start."""

    at_s: float
    text: str
    stream: Literal["out", "err"] = "out"


class Ran(msgspec.Struct, frozen=True):
    """A program's run."""

    lines: tuple[Line, ...]
    seconds: float
    returncode: int | None
    """Its exit code, minus the signal that ended it; None: its time was over while it ran, and it was killed."""
    pace: float

    @property
    def out(self) -> tuple[str, ...]:
        """Its standard output."""
        return tuple(line.text for line in self.lines if line.stream == "out")

    @property
    def err(self) -> tuple[str, ...]:
        """Its standard error."""
        return tuple(line.text for line in self.lines if line.stream == "err")


class Machine(msgspec.Struct, frozen=True):
    """What a run's figures depend on."""

    python: str
    implementation: str
    gil: bool
    kernel: str
    cpus: int
    cpu: str
    memory_bytes: int
    descriptors: int
    name: str
    root: bool
