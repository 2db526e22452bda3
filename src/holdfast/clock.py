"""Time as a value: cores take ``now``; only drivers ask a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What a driver asks for the time."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""

    def unix_s(self) -> float:
        """Wall-clock time in Unix seconds, for people and records."""


class SystemClock:
    """The machine's own clocks. ``now`` does not count suspended time (CLOCK_MONOTONIC)."""

    def now(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time()


class ManualClock:
    """A clock for tests: it moves when told to."""

    def __init__(self, now: float = 1_000.0, unix_s: float = 1_700_000_000.0) -> None:
        self._now = now
        self._unix_s = unix_s

    def now(self) -> float:
        return self._now

    def unix_s(self) -> float:
        return self._unix_s

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, on both clocks."""
        self._now += seconds
        self._unix_s += seconds
