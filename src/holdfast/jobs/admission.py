"""Who may start now, who waits, who is told to come back: slots, a bounded queue in order of arrival, the disk's gate.

Times are seconds of one clock that never goes back, given as arguments.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, Literal

import msgspec

from holdfast.types import JobId

SLOTS: Final = 1000
QUEUE: Final = 10_000

_RATE_WINDOW_S: Final = 30.0
"""Time constant of the average drain rate: long enough for slow jobs, short enough to follow a changed load."""

_RETRY_MIN_S, _RETRY_MAX_S = 0.05, 60.0

Reason = Literal["queue_full", "disk_low", "draining"]


class Start(msgspec.Struct, frozen=True):
    """It has a slot: start it."""


class Queued(msgspec.Struct, frozen=True):
    """It waits; ``position`` 1 is the next."""

    position: int


class Refused(msgspec.Struct, frozen=True):
    """Not accepted; the same request may succeed after ``retry_after_s`` (None: not on this agent)."""

    reason: Reason
    retry_after_s: float | None


Decision = Start | Queued | Refused

START: Final = Start()


class Admission:
    """Slots and queue of one agent.

    Args:
        slots: Most jobs that run at once, at least 1.
        queue: Most jobs that wait, 0 or more.
    """

    def __init__(self, *, slots: int = SLOTS, queue: int = QUEUE) -> None:
        if slots < 1 or queue < 0:
            raise ValueError(f"slots {slots} (at least 1), queue {queue} (at least 0)")
        self.slots = slots
        self.queue = queue
        self._running: set[JobId] = set()
        self._waiting: OrderedDict[JobId, None] = OrderedDict()
        self._rate = 0.0  # jobs that leave a slot, a second
        self._last_left: float | None = None
        self.disk_low = False
        self.draining = False

    @property
    def running(self) -> int:
        """Jobs that hold a slot."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._waiting)

    def offer(self, job: JobId, now: float) -> Decision:
        """Decides about a new job. Start and Queued count it from now on; Refused forgets it.

        Raises:
            ValueError: it is known already.
        """
        if job in self._running or job in self._waiting:
            raise ValueError(f"job {job} was admitted already")
        if self.draining:
            return Refused("draining", None)
        if self.disk_low:
            return Refused("disk_low", _RETRY_MAX_S / 6)
        if not self._waiting and len(self._running) < self.slots:
            self._running.add(job)
            return START
        if len(self._waiting) >= self.queue:
            return Refused("queue_full", self.retry_after_s(now))
        self._waiting[job] = None
        return Queued(len(self._waiting))

    def restore(self, job: JobId, *, running: bool) -> None:
        """Counts a job that recovery found, whatever the limits say: it was promised a place before.

        Call it in the order of acceptance; :meth:`startable` then gives the waiting ones their slots.

        Raises:
            ValueError: it is known already.
        """
        if job in self._running or job in self._waiting:
            raise ValueError(f"job {job} was admitted already")
        if running:
            self._running.add(job)
        else:
            self._waiting[job] = None

    def finished(self, job: JobId, now: float) -> list[JobId]:
        """A job left its slot or the queue: gives the jobs to start now, oldest first. Unknown ones change nothing."""
        if job in self._running:
            self._running.discard(job)
            self._count_one(now)
        else:
            self._waiting.pop(job, None)
        return self.startable()

    def withdraw(self, job: JobId) -> None:
        """A waiting job will not start (cancelled, expired)."""
        self._waiting.pop(job, None)

    def requeue(self, job: JobId) -> list[JobId]:
        """A job whose shim died before the start goes to the head of the queue. Gives the jobs to start now."""
        self._running.discard(job)
        self._waiting[job] = None
        self._waiting.move_to_end(job, last=False)
        return self.startable()

    def startable(self) -> list[JobId]:
        """Moves as many waiting jobs as there are free slots into them; gives them, oldest first."""
        started = []
        while self._waiting and len(self._running) < self.slots:
            job, _ = self._waiting.popitem(last=False)
            self._running.add(job)
            started.append(job)
        return started

    def retry_after_s(self, now: float) -> float:
        """When one more place in the queue is likely: the time in which one job leaves, twice, 0.05 to 60 s."""
        rate = self._rate_at(now)
        if rate <= 0:
            return _RETRY_MAX_S / 6
        return min(max(2 / rate, _RETRY_MIN_S), _RETRY_MAX_S)

    def validate(self) -> None:
        """Checks every invariant.

        Raises:
            AssertionError: names the broken one.
        """
        if self._running & self._waiting.keys():
            raise AssertionError(f"running and waiting: {self._running & self._waiting.keys()}")
        if self._waiting and len(self._running) < self.slots:
            raise AssertionError(f"{len(self._waiting)} wait and {self.slots - len(self._running)} slots are free")

    def _count_one(self, now: float) -> None:
        self._rate = self._rate_at(now) + 1 / _RATE_WINDOW_S
        self._last_left = now

    def _rate_at(self, now: float) -> float:
        """Exponential average of departures a second (weight halves about every 21 s); exact for uneven gaps."""
        if self._last_left is None:
            return 0.0
        return self._rate * math.exp(-max(0.0, now - self._last_left) / _RATE_WINDOW_S)
