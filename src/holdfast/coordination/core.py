"""What all rooms of the machine of shared objects stand on: sessions, names, waits, answers. Pure."""

from __future__ import annotations

import heapq
from typing import Final

import msgspec

from holdfast.coordination.leases import DEFAULT_S, Leases
from holdfast.coordination.locks import Locks
from holdfast.coordination.queues import Queue
from holdfast.coordination.records import Answer, AnyNumbered, Effect, Instance
from holdfast.coordination.sessions import LOCKS, Object, Pending, Session, describe
from holdfast.coordination.waiters import Ticket
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import ObjectAsked

OBJECTS: Final = 10_000
"""Objects of one agent."""
PENDING: Final = 10_000
"""Requests that wait, all clients together."""
UNSEEN: Final = 10_000
"""Answers that one client process has not said to have seen."""
QUEUE_BYTES: Final = 64 * 1024 * 1024
"""Values in all queues together."""
LOST: Final = 1_000
"""Client processes whose lease is over and who will be told so."""


class Refusal(Exception):
    """A request that is not carried out."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


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
        self.lost: dict[Instance, None] = {}
        self.queue_bytes = 0
        self.last_ticket = 0
        self._due: list[tuple[float, str]] = []

    # --- sessions ----------------------------------------------------------------------------------------------------

    def heard_of(self, instance: Instance, principal: str, ttl_s: float | None = None) -> Session:
        """A client process is there: its session, begun now if need be, with its lease renewed."""
        session = self.sessions.get(instance)
        if session is None:
            session = self.sessions[instance] = Session(instance, principal)
            self.ttl_s[instance] = DEFAULT_S if ttl_s is None else ttl_s
            self.leases.open(instance, self.ttl_s[instance], now=self.now)
        elif ttl_s is not None and ttl_s != self.ttl_s[instance]:
            self.ttl_s[instance] = ttl_s
            self.leases.open(instance, ttl_s, now=self.now)
        elif not self.leases.renew(instance, now=self.now):  # over, and this is heard before that was noticed
            self.leases.open(instance, self.ttl_s[instance], now=self.now)
        return session

    # --- answers and waits -------------------------------------------------------------------------------------------

    def answer(self, session: Session, number: int, header: msgspec.Struct, body: bytes = b"") -> None:
        """This request is decided."""
        self._keep(session, Answer(session.instance, number, header, body))

    def refuse(self, session: Session, number: int, code: int, text: str) -> None:
        """This request is decided: no."""
        self._keep(session, Answer(session.instance, number, code=code, text=text))

    def _keep(self, session: Session, answer: Answer) -> None:
        session.answers[answer.number] = answer
        self.effects.append(answer)

    def wait(self, session: Session, request: AnyNumbered, place: str, ticket: Ticket, depth: int = 0) -> Pending:
        """This request stands in line."""
        pending = Pending(request.number, request, place, ticket, depth)
        session.pending[request.number] = pending
        self.waits[place, ticket] = (session.instance, request.number)
        return pending

    def served(self, place: str, ticket: Ticket) -> tuple[Session, Pending] | None:
        """The request of this ticket waits no more; None: it had been decided before."""
        found = self.waits.pop((place, ticket), None)
        if found is None:
            return None
        session = self.sessions[found[0]]
        return session, session.pending.pop(found[1])

    def fresh_ticket(self) -> Ticket:
        """A ticket for lines that give none themselves."""
        self.last_ticket += 1
        return self.last_ticket

    def until(self, timeout_s: float | None) -> float | None:
        """When a wait that begins now is over."""
        return None if timeout_s is None else self.now + timeout_s

    # --- objects -----------------------------------------------------------------------------------------------------

    def named(self, session: Session, name: str, *kinds: str) -> Object:
        """The object of that name; who uses it has it open.

        Raises:
            Refusal: there is none, or it is something else.
        """
        found = self.objects.get(name)
        if found is None:
            raise Refusal(ErrorCode.NOT_FOUND, f"{name!r} is not open")
        if found.what.kind not in kinds:
            raise Refusal(ErrorCode.STATE, f"{name!r} is {describe(found.what)}")
        if name not in session.opened:
            self.open_for(session, found)
        return found

    def open_for(self, session: Session, found: Object) -> None:
        """From now on this client has it open."""
        session.opened.add(found.name)
        found.opened.add(session.instance)

    def forget_if_idle(self, name: str) -> None:
        """Forget an object that nobody needs and that is as a new one would be."""
        found = self.objects.get(name)
        if found is None or found.opened or found.users:
            return
        if self.is_fresh(found) or (found.what.passing and not self.is_held_by_job(found)):
            self.remove(found)

    def is_held_by_job(self, found: Object) -> bool:
        """Whether a job holds something of it."""
        return found.what.kind in LOCKS and any(o.startswith("job:") for o in self.locks.holders(found.name))

    def is_fresh(self, found: Object) -> bool:
        """Whether opening it anew would give the same, and nobody holds it or waits."""
        if found.thing is None:
            return self.locks.is_fresh(found.name)
        return found.thing.is_fresh()

    def remove(self, found: Object) -> None:
        """It is gone."""
        del self.objects[found.name]
        if isinstance(found.thing, Queue):
            self.queue_bytes -= found.thing.bytes
        if found.thing is None:
            self.locks.close(found.name)
        if found.what.lock is not None and found.what.lock in self.objects:
            self.objects[found.what.lock].users.discard(found.name)
            self.forget_if_idle(found.what.lock)

    # --- time --------------------------------------------------------------------------------------------------------

    def watch(self, found: Object) -> None:
        """Its lines have changed: look when one of its waits is over."""
        deadline = None if found.thing is None else found.thing.next_deadline()
        if deadline is not None:
            heapq.heappush(self._due, (deadline, found.name))

    def next_due(self) -> tuple[float, str] | None:
        """The earliest limit among the objects, and whose it is; limits of locks are not among them."""
        while self._due:
            deadline, name = self._due[0]
            found = self.objects.get(name)
            actual = None if found is None or found.thing is None else found.thing.next_deadline()
            if actual == deadline:
                return deadline, name
            heapq.heappop(self._due)
            if actual is not None and actual > deadline:
                heapq.heappush(self._due, (actual, name))
        return None


def comparable(what: ObjectAsked) -> ObjectAsked:
    """What must be equal for two descriptions to mean the same object."""
    return msgspec.structs.replace(what, passing=False)
