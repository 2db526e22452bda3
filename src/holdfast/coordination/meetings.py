"""Events, conditions and barriers: waits for somebody's word, with the behaviour of ``threading``.

What these wait for is held by nobody, so no wait for them counts in deadlock detection. Times are seconds of one clock
that never goes back, given as arguments; whoever asks has tickets of its own, each used once.
"""

from __future__ import annotations

import msgspec

from holdfast.coordination.waiters import Line, Ticket


class EventState(msgspec.Struct, frozen=True):
    """An event as it is kept; the line holds tickets and limits."""

    is_set: bool
    line: list[tuple[Ticket, float | None]]


class BarrierState(msgspec.Struct, frozen=True):
    """A barrier as it is kept; the line holds tickets and limits."""

    parties: int
    acts: bool
    broken: bool
    line: list[tuple[Ticket, float | None]]
    met: list[Ticket]


class Event:
    """A flag; who waits for it goes on when it is set, however soon it is cleared again."""

    def __init__(self) -> None:
        self.is_set = False
        self._line: Line[None] = Line()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def is_fresh(self) -> bool:
        """Whether it is as a new one."""
        return not self.is_set and not self._line

    def state(self) -> EventState:
        """All of it, to be kept."""
        return EventState(self.is_set, [(ticket, until) for ticket, _, until in self._line.state()])

    @classmethod
    def restored(cls, state: EventState) -> Event:
        """As it was when it was kept."""
        event = cls()
        event.is_set = state.is_set
        for ticket, until in state.line:
            event._line.stand(ticket, None, until)
        return event

    def set(self) -> list[Ticket]:
        """Set the flag: the tickets of those who go on."""
        self.is_set = True
        return self._line.serve_all()

    def clear(self) -> None:
        """Take the flag down."""
        self.is_set = False

    def wait(self, ticket: Ticket, until: float | None = None) -> bool:
        """True: it is set. Otherwise the ticket stands in line."""
        if not self.is_set:
            self._line.stand(ticket, None, until)
        return self.is_set

    def withdraw(self, ticket: Ticket) -> None:
        """Wait no longer."""
        self._line.leave(ticket)

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: nobody waits with a limit."""
        return self._line.next_deadline()

    def handle_timeout(self, now: float) -> list[Ticket]:
        """Those who have waited too long."""
        return self._line.over(now)


class Condition:
    """Who waits to be notified. The lock that goes with it is asked for again by whoever is notified (``locks``)."""

    def __init__(self) -> None:
        self._line: Line[None] = Line()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def is_fresh(self) -> bool:
        """Whether it is as a new one."""
        return not self._line

    def state(self) -> list[tuple[Ticket, float | None]]:
        """All of it, to be kept."""
        return [(ticket, until) for ticket, _, until in self._line.state()]

    @classmethod
    def restored(cls, state: list[tuple[Ticket, float | None]]) -> Condition:
        """As it was when it was kept."""
        condition = cls()
        for ticket, until in state:
            condition._line.stand(ticket, None, until)
        return condition

    def wait(self, ticket: Ticket, until: float | None = None) -> None:
        """Stand in line; in the same step the caller gives its lock back."""
        self._line.stand(ticket, None, until)

    def notify(self, n: int = 1) -> list[Ticket]:
        """The ``n`` who have waited longest, or as many as there are."""
        return [self._line.serve()[0] for _ in range(min(n, len(self._line)))]

    def notify_all(self) -> list[Ticket]:
        """Everybody who waits."""
        return self._line.serve_all()

    def withdraw(self, ticket: Ticket) -> None:
        """Wait no longer."""
        self._line.leave(ticket)

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: nobody waits with a limit."""
        return self._line.next_deadline()

    def handle_timeout(self, now: float) -> list[Ticket]:
        """Those who have waited too long; they, too, need the lock again."""
        return self._line.over(now)


class Passed(msgspec.Struct, frozen=True):
    """The barrier is open for this one; ``index`` is how many came before it, 0 for the first."""

    ticket: Ticket
    index: int


class Broken(msgspec.Struct, frozen=True):
    """The barrier will not open for this one: somebody has given up, or it was reset."""

    ticket: Ticket


class Act(msgspec.Struct, frozen=True):
    """All are here. This one, the last, does what is to be done first, and tells so with ``acted``."""

    ticket: Ticket
    index: int


Word = Passed | Broken | Act


class Barrier:
    """So many meet, and go on together. One who gives up breaks it for all, until it is reset.

    Args:
        parties: How many, at least 1.
        acts: Whether the last one of each meeting has something to do before the others go on.

    Raises:
        ValueError: fewer than one.
    """

    def __init__(self, parties: int, *, acts: bool = False) -> None:
        if parties < 1:
            raise ValueError(f"a barrier for {parties}")
        self.parties = parties
        self.broken = False
        self._acts = acts
        self._line: Line[None] = Line()
        self._met: list[Ticket] = []  # all are here, and the last one of them acts

    @property
    def waiting(self) -> int:
        """How many wait for others to come."""
        return len(self._line)

    def is_fresh(self) -> bool:
        """Whether it is as a new one."""
        return not self.broken and not self._line and not self._met

    def state(self) -> BarrierState:
        """All of it, to be kept."""
        line = [(ticket, until) for ticket, _, until in self._line.state()]
        return BarrierState(self.parties, self._acts, self.broken, line, self._met)

    @classmethod
    def restored(cls, state: BarrierState) -> Barrier:
        """As it was when it was kept."""
        barrier = cls(state.parties, acts=state.acts)
        barrier.broken, barrier._met = state.broken, state.met
        for ticket, until in state.line:
            barrier._line.stand(ticket, None, until)
        return barrier

    def wait(self, ticket: Ticket, until: float | None = None) -> list[Word]:
        """Arrive: what is to be told to whom; nothing about this ticket: it stands in line."""
        if self.broken:
            return [Broken(ticket)]
        self._line.stand(ticket, None, until)
        return self._meet()

    def acted(self, ticket: Ticket, *, failed: bool = False) -> list[Word]:
        """The last one has done what was to be done; words of anybody else, or too late, change nothing."""
        if not self._met or ticket != self._met[-1]:
            return []
        return self.abort() if failed else [*self._pass(), *self._meet()]

    def abort(self) -> list[Word]:
        """Break it: nobody passes until it is reset."""
        self.broken = True
        return self._turn_away()

    def reset(self) -> list[Word]:
        """Empty again; who waited is turned away."""
        self.broken = False
        return self._turn_away()

    def withdraw(self, ticket: Ticket) -> list[Word]:
        """One has given up, so the others wait in vain: it is broken. Who is through is not missed any more."""
        if ticket not in self._line and ticket not in self._met[-1:]:
            return []
        self._line.leave(ticket)
        if ticket in self._met:
            self._met.remove(ticket)
        return self.abort()

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; the limits of those who have met do not count any more."""
        return self._line.next_deadline()

    def handle_timeout(self, now: float) -> list[Word]:
        """Whoever has waited too long breaks it for all, as in ``threading``."""
        deadline = self.next_deadline()
        return self.abort() if deadline is not None and deadline <= now else []

    def _meet(self) -> list[Word]:
        """As many meetings as there are people for; one at a time where somebody acts."""
        told: list[Word] = []
        while not self._met and len(self._line) >= self.parties:
            self._met = [self._line.serve()[0] for _ in range(self.parties)]
            if self._acts:
                return [*told, Act(self._met[-1], self.parties - 1)]
            told += self._pass()
        return told

    def _pass(self) -> list[Word]:
        met, self._met = self._met, []
        return [Passed(ticket, index) for index, ticket in enumerate(met)]

    def _turn_away(self) -> list[Word]:
        met, self._met = self._met, []
        return [Broken(ticket) for ticket in (*met, *self._line.serve_all())]
