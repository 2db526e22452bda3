"""Timers: once or again and again, each firing under a name of its own, so that it can be done once through restarts.

A firing is named by its timer and its number: whoever carries it out records that name with the job it starts, and a
service that comes back tells the same firing again under the same name instead of a new one. What was missed while
nobody ran is late, not lost: it fires at once; of a series, the missed ones fire as one, which says how many they were.

Times are seconds of the clock that people read (CLOCK_REALTIME), given as arguments.
"""

from __future__ import annotations

import heapq
import math
from typing import Final

import msgspec

LEAST_EVERY_S: Final = 1.0
MOST: Final = 10_000
"""Timers of one table."""


class Timer(msgspec.Struct, frozen=True):
    """What is to fire; this is all that has to be kept to begin again.

    Attributes:
        first_unix_s: When number 0 is due.
        every_s: Number n is due n times this later; None: there is number 0 alone.
        next: The number of the next firing.
        skip_missed: What could not fire in time does not fire at all.
    """

    id: str
    first_unix_s: float
    every_s: float | None = None
    next: int = 0
    skip_missed: bool = False

    def due(self, number: int) -> float:
        """When that firing is due."""
        return self.first_unix_s + (self.every_s or 0.0) * number


class Firing(msgspec.Struct, frozen=True):
    """A timer fires: ``number`` of it, planned for then; ``missed`` earlier ones fire with it.

    ``skipped``: it does not, since it is too late for one that may be skipped; it is told so that it can be counted.
    """

    id: str
    number: int
    planned_unix_s: float
    missed: int
    skipped: bool = False


class Timers:
    """A table of timers.

    Args:
        late_after_s: A firing is *missed* (for ``skip_missed``) when it is told later than this after its time.
    """

    def __init__(self, *, late_after_s: float = 60.0) -> None:
        self._late_after_s = late_after_s
        self._timers: dict[str, Timer] = {}
        self._heap: list[tuple[float, str, int]] = []

    def add(self, timer: Timer) -> None:
        """A new timer, or one from before a restart as it was kept.

        Raises:
            ValueError: the id is in use, the times are none, an interval is too short, or there are ``MOST``.
        """
        if timer.id in self._timers:
            raise ValueError(f"there is a timer {timer.id!r}")
        if not math.isfinite(timer.first_unix_s) or timer.next < 0:
            raise ValueError(f"not a time: {timer.first_unix_s}")
        if timer.every_s is not None and not LEAST_EVERY_S <= timer.every_s < math.inf:
            raise ValueError(f"every {timer.every_s:g} s; {LEAST_EVERY_S:g} s is the least")
        if len(self._timers) >= MOST:
            raise ValueError(f"there are {MOST} timers")
        self._keep(timer)

    def cancel(self, id_: str) -> bool:
        """It does not fire any more. False: it is not there (any more)."""
        return self._timers.pop(id_, None) is not None

    def get(self, id_: str) -> Timer | None:
        """As it has to be kept now; None: it is over, or was never there."""
        return self._timers.get(id_)

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: there are no timers."""
        while self._heap:
            _, id_, number = self._heap[0]
            timer = self._timers.get(id_)
            if timer is not None and (timer.next, timer.due(number)) == (number, self._heap[0][0]):
                return self._heap[0][0]
            heapq.heappop(self._heap)
        return None

    def handle_timeout(self, now: float) -> list[Firing]:
        """What fires now, in the order of the plan; each timer at most once. A call too early gives none."""
        fired = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            timer = self._timers.pop(heapq.heappop(self._heap)[1])
            number = timer.next
            if timer.every_s is not None:
                number = _last_due(timer, now)
                self._keep(msgspec.structs.replace(timer, next=number + 1))
            due = timer.due(number)
            skipped = timer.skip_missed and now - due > self._late_after_s
            fired.append(Firing(timer.id, number, due, number - timer.next, skipped))
        return fired

    def __len__(self) -> int:
        return len(self._timers)

    def _keep(self, timer: Timer) -> None:
        self._timers[timer.id] = timer
        heapq.heappush(self._heap, (timer.due(timer.next), timer.id, timer.next))


def _last_due(timer: Timer, now: float) -> int:
    """The largest number that is due; at least the next one. By ``due`` itself, so that rounding cannot repeat one."""
    assert timer.every_s is not None
    number = max(timer.next, int((now - timer.first_unix_s) / timer.every_s))
    while number > timer.next and timer.due(number) > now:
        number -= 1
    while timer.due(number + 1) <= now:
        number += 1
    return number
