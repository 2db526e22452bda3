"""What this process knows of its standing with one agent: numbers, what it holds, whether its lease lasts. Pure.

The lease is counted from before a request was sent, on a clock that goes on while the machine sleeps, and is over for
us at nine tenths of it less half a second (``coordination.leases``): before the agent takes anything away.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from holdfast.client.coordination.asks import Ask
from holdfast.coordination.leases import over_for_client_s, renew_after_s
from holdfast.wire import limits
from holdfast.wire.messages import Numbered, ObjectAsked

_numbers: Final = itertools.count(1)
"""Numbers of requests, all connections of this process together. They go on after a fork, with another instance."""
_owners: Final = itertools.count(1)


def fresh_owner() -> int:
    """A number for a thread or a task that has none yet."""
    return next(_owners)


class Holding:
    """One thing that an owner of ours holds.

    Attributes:
        token: Fencing token of its first grant.
        count: Units, or how often it was taken.
        lost: The lease was over meanwhile: somebody else may hold it by now.
        on_lost: Called once when that is noticed, in whichever thread notices.
    """

    __slots__ = ("count", "lost", "on_lost", "token")

    def __init__(self, token: int, on_lost: Callable[[], None] | None) -> None:
        self.token = token
        self.count = 0
        self.lost = False
        self.on_lost = on_lost


class Ledger:
    """See above. ``now`` is CLOCK_BOOTTIME, or a monotonic clock where there is none."""

    def __init__(self, ttl_s: float = limits.LEASE_S) -> None:
        self.ttl_s = ttl_s
        self.held: dict[tuple[int, str], Holding] = {}
        self.opened: dict[str, ObjectAsked] = {}
        self.dropped: deque[str] = deque()
        self.waiting = 0
        self._seen: deque[int] = deque()
        self._renewed = float("-inf")

    # --- requests ----------------------------------------------------------------------------------------------------

    def numbered(self, ask: Ask[Any]) -> Numbered:
        """The request with a number of its own, and with answers that the agent may forget."""
        told: list[int] = []
        try:
            while len(told) < limits.SEEN_NUMBERS:
                told.append(self._seen.popleft())
        except IndexError:  # asked this way, since other threads take from it, too
            pass
        return msgspec.structs.replace(ask.request, number=next(_numbers), seen=tuple(told))

    def saw(self, number: int, *, asked_at: float) -> None:
        """The answer to this request has come; it was asked for not before ``asked_at``."""
        self._seen.append(number)
        self.heard(asked_at=asked_at)

    def unasked(self, request: Numbered) -> None:
        """Nobody will ask this any more: what it would have told is told by another one."""
        self._seen.extendleft(reversed(request.seen))

    def heard(self, *, asked_at: float) -> None:
        """The agent has answered something that was asked at that time: the lease lasts from then on."""
        self._renewed = max(self._renewed, asked_at)

    # --- what is held ------------------------------------------------------------------------------------------------

    def took(self, owner: int, name: str, token: int, units: int, on_lost: Callable[[], None] | None) -> None:
        """This owner of ours holds so much more of it."""
        holding = self.held.get((owner, name))
        if holding is None or holding.lost:
            holding = self.held[owner, name] = Holding(token, on_lost)
        holding.count += units

    def gave(self, owner: int, name: str, units: int) -> None:
        """This owner holds so much less of it."""
        holding = self.held.get((owner, name))
        if holding is not None:
            holding.count -= units
            if holding.count <= 0:
                del self.held[owner, name]

    def count(self, owner: int, name: str) -> int:
        """How much this owner holds of it, as far as is known here."""
        holding = self.held.get((owner, name))
        return 0 if holding is None or holding.lost else holding.count

    def anybody(self, name: str) -> tuple[int, Holding] | None:
        """An owner of this process that holds it."""
        return next(((owner, holding) for (owner, held), holding in self.held.items() if held == name), None)

    # --- the lease ---------------------------------------------------------------------------------------------------

    @property
    def is_needed(self) -> bool:
        """Whether there is anything that a lost lease would cost."""
        return bool(self.held or self.waiting or self.opened)

    def renew_in_s(self, now: float) -> float:
        """Seconds until the lease is to be renewed; 0: now."""
        return max(0.0, self._renewed + renew_after_s(self.ttl_s) - now)

    def over_in_s(self, now: float) -> float:
        """Seconds for which we may still act on what we hold."""
        return max(0.0, self._renewed + over_for_client_s(self.ttl_s) - now)

    def check(self, now: float) -> list[Holding]:
        """See whether the lease is over: what was lost with it just now."""
        return self.lose() if self.held and not self.over_in_s(now) else []

    def lose(self) -> list[Holding]:
        """The lease is over: nothing of what was held counts any more."""
        lost = [holding for holding in self.held.values() if not holding.lost]
        for holding in lost:
            holding.lost = True
        return lost
