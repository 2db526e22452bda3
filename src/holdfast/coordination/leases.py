"""How long somebody is believed to be there who has not been heard of: leases, and the safe side of two clocks.

A client that has vanished must not hold a lock for ever, and one that merely was cut off must not be robbed of it while
it still believes that it holds it. Both sides therefore count on their own, on a clock that goes on while the machine
sleeps (CLOCK_BOOTTIME), from the moment that is the safer one for them: the client from *before* it asks for a renewal,
the service from *after* it has it. The client gives up at nine tenths of the time less half a second, the service takes
the lease away at eleven tenths. Between the two nobody acts, so clocks may run apart by a tenth and packets be late.

Times are seconds of one clock that never goes back, given as arguments.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

DEFAULT_S: Final = 15.0
LEAST_S: Final = 3.0
LONGEST_S: Final = 3_600.0
SERVICE_FACTOR: Final = 1.1
CLIENT_FACTOR: Final = 0.9
CLIENT_MARGIN_S: Final = 0.5
RENEWALS: Final = 3
"""Tries to renew within one lease."""


def over_for_client_s(ttl_s: float) -> float:
    """How long after it has asked for the lease a client may still act on it."""
    return ttl_s * CLIENT_FACTOR - CLIENT_MARGIN_S


def renew_after_s(ttl_s: float) -> float:
    """How long after the last renewal the next one is due."""
    return ttl_s / RENEWALS


class Leases:
    """The leases that a service has given, by holder."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}
        self._ttl: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def open(self, holder: str, ttl_s: float, *, now: float) -> None:
        """Give a lease, or change how long an existing one lasts from now on.

        Raises:
            ValueError: not ``LEAST_S`` to ``LONGEST_S``.
        """
        if not LEAST_S <= ttl_s <= LONGEST_S:
            raise ValueError(f"a lease of {ttl_s:g} s; {LEAST_S:g} to {LONGEST_S:g} are possible")
        self._ttl[holder] = ttl_s
        self._extend(holder, now)

    def renew(self, holder: str, *, now: float) -> bool:
        """Something was heard of the holder. False: its lease is over, and it must be told so."""
        ends = self._ends.get(holder)
        if ends is None or ends <= now:
            return False
        self._extend(holder, now)
        return True

    def close(self, holder: str) -> None:
        """The holder needs it no more; unknown ones are ignored."""
        self._ends.pop(holder, None)
        self._ttl.pop(holder, None)

    def left_s(self, holder: str, *, now: float) -> float | None:
        """Seconds until the service takes it away; None: there is none."""
        ends = self._ends.get(holder)
        return None if ends is None else max(0.0, ends - now)

    def state(self) -> list[tuple[str, float, float]]:
        """(holder, seconds of the lease, its end), to be kept."""
        return [(holder, self._ttl[holder], ends) for holder, ends in self._ends.items()]

    @classmethod
    def kept(cls, state: Iterable[tuple[str, float, float]]) -> Leases:
        """As they were when they were kept."""
        leases = cls()
        for holder, ttl_s, ends in state:
            leases._ttl[holder], leases._ends[holder] = ttl_s, ends
            heapq.heappush(leases._heap, (ends, holder))
        return leases

    def restored(self, *, now: float) -> None:
        """The service was away: every lease counts as renewed now, so that nobody loses one for that."""
        for holder in self._ends:
            self._extend(holder, now)

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: no lease is out."""
        while self._heap and self._ends.get(self._heap[0][1]) != self._heap[0][0]:
            ends, holder = heapq.heappop(self._heap)
            current = self._ends.get(holder)
            if current is not None and current > ends:  # renewed meanwhile: one entry a holder is enough
                heapq.heappush(self._heap, (current, holder))
        return self._heap[0][0] if self._heap else None

    def handle_timeout(self, now: float) -> list[str]:
        """The holders whose lease is over now; a call too early gives none."""
        over = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            over.append(heapq.heappop(self._heap)[1])
            self.close(over[-1])
        return over

    def __contains__(self, holder: object) -> bool:
        return holder in self._ends

    def __len__(self) -> int:
        return len(self._ends)

    def _extend(self, holder: str, now: float) -> None:
        before = self._ends.get(holder)
        ends = now + self._ttl[holder] * SERVICE_FACTOR
        self._ends[holder] = ends
        if before is None or ends < before:  # a later end is found when the earlier entry comes up
            heapq.heappush(self._heap, (ends, holder))
