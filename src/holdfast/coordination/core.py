"""What all rooms of the machine of shared objects stand on: sessions, names, waits, answers. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

import msgspec

from holdfast.coordination.leases import DEFAULT_S, Leases
from holdfast.coordination.locks import Locks
from holdfast.coordination.queues import Queue
from holdfast.coordination.records import Answer, AnyNumbered, Effect, Instance
from holdfast.coordination.sessions import LOCKS, Lost, Object, Pending, Session, describe
from holdfast.coordination.waiters import Ticket
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import ObjectAsked

OBJECTS: Final = 10_000
"""Objects of one agent."""
SESSIONS: Final = 10_000
"""Client processes that are believed to be there."""
PENDING: Final = 10_000
"""Requests that wait, all clients together."""
UNSEEN: Final = 10_000
"""Answers that one client process has not said to have seen."""
ANSWERS: Final = 100_000
"""The same, all clients together."""
HELD: Final = 100_000
"""Owners that hold something, each counted once for each object."""
QUEUE_BYTES: Final = 64 * 1024 * 1024
"""Values in all queues together, and those that were taken and not said to have been seen; each item counts for
``queues.ITEM_BYTES`` more."""
LOST: Final = 10_000
"""Client processes that are over and still remembered."""


class Refusal(Exception):
    """A request that is not carried out.

    Attributes:
        final: The answer is kept as any other; else asking again may have another outcome.
    """

    def __init__(self, code: int, text: str, *, final: bool = True) -> None:
        super().__init__(text)
        self.code = code
        self.final = final


class Core:
    """The tables. ``now`` and ``effects`` belong to the record that is being applied."""

    def __init__(self) -> None:
        self.now = 0.0
        self.effects: list[Effect] = []
        self.objects: dict[str, Object] = {}
        self.sessions: dict[Instance, Session] = {}
        self.leases = Leases()
        self.ttl_s: dict[Instance, float] = {}
        self.locks = Locks()
        self.waits: dict[tuple[str, Ticket], tuple[Instance, int]] = {}
        self.lost: dict[Instance, Lost] = {}
        self.idle: dict[str, None] = {}
        self.answers = 0
        self.queue_bytes = 0
        self.last_ticket = 0
        self._due: list[tuple[float, str]] = []
        self._watched: dict[str, float] = {}

    # --- sessions ----------------------------------------------------------------------------------------------------

    def heard_of(self, instance: Instance, principal: str, ttl_s: float | None = None) -> Session:
        """A client process is there: its session, begun now if need be, with its lease renewed.

        Raises:
            Refusal: there are too many.
        """
        session = self.sessions.get(instance)
        if session is None:
            session = self._begin(instance, principal)
            self.ttl_s[instance] = DEFAULT_S if ttl_s is None else ttl_s
            self.leases.open(instance, self.ttl_s[instance], now=self.now)
        elif ttl_s is not None and ttl_s != self.ttl_s[instance]:
            self.ttl_s[instance] = ttl_s
            self.leases.open(instance, ttl_s, now=self.now)
        else:
            self.leases.renew(instance, now=self.now)
        return session

    def _begin(self, instance: Instance, principal: str) -> Session:
        if len(self.sessions) >= SESSIONS:
            text = f"{SESSIONS} client processes use this agent's shared objects, which is the limit (SESSIONS)"
            raise Refusal(ErrorCode.QUOTA, text, final=False)
        session = self.sessions[instance] = Session(instance, principal)
        lost = self.lost.pop(instance, None)
        if lost is not None:
            session.lost, session.done = lost.held, lost.done
        return session

    def end(self, session: Session, lost: Lost) -> None:
        """This session is over; it has given everything back."""
        self.answers -= len(session.answers)
        del self.sessions[session.instance], self.ttl_s[session.instance]
        if lost.held or lost.done:
            self.lost[session.instance] = lost
            if len(self.lost) > LOST:
                del self.lost[next(iter(self.lost))]

    # --- answers and waits -------------------------------------------------------------------------------------------

    def answer(self, session: Session, number: int, header: msgspec.Struct, body: bytes = b"") -> None:
        """This request is decided."""
        self._keep(session, Answer(session.instance, number, header, body))

    def refuse(self, session: Session, number: int, code: int, text: str) -> None:
        """This request is decided: no."""
        self._keep(session, Answer(session.instance, number, code=code, text=text))

    def _keep(self, session: Session, answer: Answer) -> None:
        session.answers[answer.number] = answer
        self.answers += 1
        self.effects.append(answer)

    def forget_answer(self, session: Session, number: int) -> None:
        """The client will not ask for this answer again, nor with this number."""
        if session.answers.pop(number, None) is not None:
            self.answers -= 1
        session.done.add(number)

    def wait(
        self, session: Session, request: AnyNumbered, place: str, ticket: Ticket, *, lock: str = "", depth: int = 0
    ) -> Pending:
        """This request stands in line."""
        pending = Pending(request.number, request, place, ticket, lock, depth)
        session.pending[request.number] = pending
        self.waits[place, ticket] = (session.instance, request.number)
        return pending

    def served(self, place: str, ticket: Ticket) -> tuple[Session, Pending] | None:
        """The request of this ticket waits no more; None: it had been decided before."""
        found = self.waits.pop((place, ticket), None)
        if found is None:
            return None
        session = self.sessions[found[0]]
        pending = session.pending.pop(found[1])
        self.touch(pending.names())
        return session, pending

    def gone(self, session: Session, pending: Pending) -> None:
        """This request waits no more, and nobody is told; it has to leave its line, too."""
        del self.waits[pending.place, pending.ticket], session.pending[pending.number]
        self.touch(pending.names())

    @property
    def crowded(self) -> bool:
        """Whether as many wait as may."""
        return len(self.waits) >= PENDING

    def no_room(self) -> Refusal:
        """For a request that would have to wait."""
        text = f"{PENDING} requests wait at this agent, which is the limit (PENDING)"
        return Refusal(ErrorCode.QUOTA, text, final=False)

    def fresh_ticket(self) -> Ticket:
        """A ticket for lines that give none themselves."""
        self.last_ticket += 1
        return self.last_ticket

    def until(self, timeout_s: float | None) -> float | None:
        """When a wait that begins now is over."""
        return None if timeout_s is None else self.now + timeout_s

    # --- objects -----------------------------------------------------------------------------------------------------

    def named(self, session: Session, name: str, *kinds: str, opens: bool = True) -> Object:
        """The object of that name; who uses it has it open, unless it is only given something back.

        Raises:
            Refusal: there is none, or it is something else.
        """
        found = self.objects.get(name)
        if found is None:
            raise Refusal(ErrorCode.NOT_FOUND, f"{name!r} is not open")
        if found.what.kind not in kinds:
            raise Refusal(ErrorCode.STATE, f"{name!r} is {describe(found.what)}")
        if opens and name not in session.opened:
            self.open_for(session, found)
        return found

    def open_for(self, session: Session, found: Object) -> None:
        """From now on this client has it open."""
        session.opened.add(found.name)
        found.opened.add(session.instance)

    def close_for(self, session: Session, found: Object) -> None:
        """From now on this client has it open no more."""
        session.opened.discard(found.name)
        found.opened.discard(session.instance)
        self.touch((found.name,))

    def touch(self, names: Iterable[str]) -> None:
        """These may be needed by nobody now: it is looked when the record has been applied."""
        for name in names:
            found = self.objects.get(name)
            if found is not None and not found.opened:
                self.idle[name] = None

    def is_idle(self, found: Object) -> bool:
        """Whether nobody needs it, and it is as a new one would be or was to be passing."""
        if found.opened or found.users:
            return False
        return self._is_fresh(found) or (found.what.passing and not self._is_held_by_job(found))

    def _is_held_by_job(self, found: Object) -> bool:
        return found.what.kind in LOCKS and any(o.startswith("job:") for o in self.locks.holders(found.name))

    def _is_fresh(self, found: Object) -> bool:
        """Whether opening it anew would give the same, and nobody holds it or waits."""
        if found.thing is None:
            return self.locks.is_fresh(found.name)
        return found.thing.is_fresh()

    def remove(self, found: Object) -> None:
        """It is gone; nobody waits for it."""
        del self.objects[found.name]
        self._watched.pop(found.name, None)
        if isinstance(found.thing, Queue):
            self.queue_bytes -= found.thing.bytes
        if found.thing is None:
            self.locks.close(found.name)
        if found.what.lock is not None:
            self.objects[found.what.lock].users.discard(found.name)
            self.touch((found.what.lock,))

    # --- time --------------------------------------------------------------------------------------------------------

    def watch(self, found: Object) -> None:
        """Its lines have changed: look when one of its waits is over."""
        deadline = None if found.thing is None else found.thing.next_deadline()
        if deadline is not None and deadline < self._watched.get(found.name, float("inf")):
            self._watched[found.name] = deadline
            heapq.heappush(self._due, (deadline, found.name))

    def next_due(self) -> tuple[float, str] | None:
        """The earliest limit among the objects, and whose it is; limits of locks are not among them."""
        while self._due:
            deadline, name = self._due[0]
            found = self.objects.get(name)
            if self._watched.get(name) == deadline and found is not None and found.thing is not None:
                if found.thing.next_deadline() == deadline:
                    return deadline, name
                del self._watched[name]
                heapq.heappop(self._due)
                self.watch(found)
            else:
                heapq.heappop(self._due)
        return None


def comparable(what: ObjectAsked) -> ObjectAsked:
    """What must be equal for two descriptions to mean the same object."""
    return msgspec.structs.replace(what, passing=False)
