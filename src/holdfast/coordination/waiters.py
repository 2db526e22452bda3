"""A line of people who wait, served in the order of their arrival, each with or without a time limit of their own."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Ticket = int

_SPARE: Final = 64
"""Limits of tickets that have left: so many, and as many as there are tickets, are kept before they are swept out."""


class Line(Generic[T]):
    """Tickets in the order of arrival, each with what it is there for; no step takes more than logarithmic time."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Ticket, T] = OrderedDict()
        self._limits: list[tuple[float, Ticket]] = []

    def stand(self, ticket: Ticket, what: T, until: float | None = None) -> None:
        """Join the end; ``until``: when to give up (None: never). A ticket stands in line once."""
        self._waiting[ticket] = what
        if until is None:
            return
        heapq.heappush(self._limits, (until, ticket))
        if len(self._limits) > 2 * len(self._waiting) + _SPARE:  # most of those with a limit have left before it
            self._limits = [limit for limit in self._limits if limit[1] in self._waiting]
            heapq.heapify(self._limits)

    def leave(self, ticket: Ticket) -> T | None:
        """Wait no longer; None for who does not stand here."""
        return self._waiting.pop(ticket, None)

    def serve(self) -> tuple[Ticket, T]:
        """Take the first one out.

        Raises:
            KeyError: nobody waits.
        """
        return self._waiting.popitem(last=False)

    def serve_all(self) -> list[Ticket]:
        """Take everybody out, in order."""
        served = list(self._waiting)
        self._waiting.clear()
        return served

    def next_deadline(self) -> float | None:
        """When the next limit is reached; None: nobody has one."""
        while self._limits and self._limits[0][1] not in self._waiting:
            heapq.heappop(self._limits)
        return self._limits[0][0] if self._limits else None

    def due(self, now: float) -> Iterator[Ticket]:
        """Those whose limit is reached, the earliest first; each must leave before the next one is asked for."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            yield self._limits[0][1]

    def over(self, now: float) -> list[Ticket]:
        """Take out those whose limit is reached, the earliest first."""
        gone = []
        for ticket in self.due(now):
            self.leave(ticket)
            gone.append(ticket)
        return gone

    def values(self) -> Iterable[T]:
        """What they are there for, in order."""
        return self._waiting.values()

    def state(self) -> list[tuple[Ticket, T, float | None]]:
        """Everybody in order, with what they are there for and their limit: what ``stand`` takes."""
        limits = {ticket: until for until, ticket in self._limits}
        return [(ticket, what, limits.get(ticket)) for ticket, what in self._waiting.items()]

    def __getitem__(self, ticket: Ticket) -> T:
        return self._waiting[ticket]

    def __contains__(self, ticket: object) -> bool:
        return ticket in self._waiting

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)
