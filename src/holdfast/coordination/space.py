"""Everything that the clients and jobs of an agent share, as one machine: objects, who holds and waits, leases. Pure.

Rules:

* The same records in give the same state and the same effects out. Time is in the records; it never goes back.
* A request has a number of its client process's own. It is carried out once: while it waits, asking again changes
  nothing, and its answer is kept until the client says that it has it (``seen``).
* A client process (an *instance*) is believed to be there for as long as its lease lasts; any request renews it. When
  it is over, all that its owners hold is given back, and what was handed out to it and not settled comes back.
* An owner is ``INSTANCE/NUMBER``, a thread or task of a client, or ``job:ID``. A job has no lease: it gives back what
  it holds when its last process has ended.
* An object lives as long as somebody has it open, holds it or waits for it, or as it is not as it was made (a queue
  with an item in it, an event that is set). A *passing* one goes with the last one who had it open.
* Every table has a bound; reaching it refuses the request that would go beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.coordination import records, snapshots
from holdfast.coordination.core import LOST, OBJECTS, PENDING, UNSEEN, Core, Refusal, comparable
from holdfast.coordination.holding import HoldingRoom
from holdfast.coordination.locks import Spec
from holdfast.coordination.meeting import MeetingRoom
from holdfast.coordination.meetings import Barrier, Condition, Event
from holdfast.coordination.queueing import QueueRoom
from holdfast.coordination.queues import Queue
from holdfast.coordination.records import (
    Answer,
    Asked,
    Effect,
    Ended,
    Handed,
    Instance,
    LeaseOver,
    Record,
    Renewed,
    Reserved,
    Restored,
    Tick,
)
from holdfast.coordination.sessions import LOCKS, Object, Pending, Session, Thing, describe
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import (
    Acquire,
    Await,
    Drop,
    Flag,
    Join,
    LeaseInfo,
    Leases,
    LeasesAnswer,
    Meet,
    Notify,
    NumberedAnswer,
    ObjectAsked,
    ObjectState,
    ObjectStateAnswer,
    Open,
    OpenAnswer,
    Put,
    Release,
    Settle,
    ShutQueue,
    Take,
    Withdraw,
)


class Space:
    """The machine."""

    def __init__(self) -> None:
        self.reserved = 0
        self._begin(Core())

    def _begin(self, core: Core) -> None:
        self._core = core
        self._holding = HoldingRoom(core)
        self._meeting = MeetingRoom(core)
        self._queueing = QueueRoom(core)
        self._requests: dict[type, Callable[[Session, Any, bytes], None]] = {
            Open: self._open,
            Drop: self._drop,
            Acquire: self._holding.acquire,
            Release: self._holding.release,
            Await: self._holding.wait,
            Notify: self._holding.notify,
            Flag: self._meeting.flag,
            Meet: self._meeting.meet,
            Put: self._queueing.put,
            Take: self._queueing.take,
            Settle: self._queueing.settle,
            Join: self._queueing.join,
            ShutQueue: self._queueing.shut,
            Withdraw: self._withdraw,
        }
        self._records: dict[type[Record], Callable[[Any], None]] = {
            Asked: self._asked,
            Renewed: self._renewed,
            Tick: lambda record: None,
            Handed: self._handed,
            Ended: self._ended,
            Restored: self._restored,
            Reserved: self._reserved,
        }

    # --- the machine -------------------------------------------------------------------------------------------------

    def apply(self, event: bytes, now: float) -> list[Effect]:
        """Let this happen.

        Args:
            event: A record, encoded (``records.encode``).
            now: Recorded seconds, never less than before.

        Returns:
            What follows, in order. Limits that were over before this record are told first.
        """
        record = records.decode(event)
        core = self._core
        core.now = now
        effects: list[Effect] = []
        core.effects = effects
        self._time(now)
        self._records[type(record)](record)
        core.effects = []
        return effects

    def next_deadline(self) -> float | None:
        """When a ``Tick`` has something to do; None: not before another record."""
        due = self._core.next_due()
        found = [self._core.leases.next_deadline(), self._core.locks.next_deadline(), due and due[0]]
        return min((deadline for deadline in found if deadline is not None), default=None)

    def snapshot(self) -> bytes:
        """All of it."""
        return snapshots.encode(self._core, self._holding.grants, self.reserved)

    def restore(self, snapshot: bytes) -> None:
        """Be what ``snapshot`` was taken of."""
        core, grants, self.reserved = snapshots.decode(snapshot)
        self._begin(core)
        self._holding.grants = grants

    # --- looking -----------------------------------------------------------------------------------------------------

    def known(self, instance: Instance, number: int) -> Answer | Pending | None:
        """What became of a request: its answer, that it waits, or None: it was never heard of."""
        session = self._core.sessions.get(instance)
        if session is None:
            return None
        return session.answers.get(number) or session.pending.get(number)

    def is_here(self, instance: Instance) -> bool:
        """Whether this client process has a session, which is to be renewed while it is there."""
        return instance in self._core.sessions

    def client_of(self, instance: Instance) -> str | None:
        """Whose session this is; None: there is none."""
        session = self._core.sessions.get(instance)
        return None if session is None else session.principal

    @property
    def has_clients(self) -> bool:
        """Whether there is any session."""
        return bool(self._core.sessions)

    def is_lost(self, instance: Instance) -> bool:
        """Whether it had one that held something and is over."""
        return instance in self._core.lost

    def holds(self, instance: Instance, owner: int, names: Iterable[str]) -> int | None:
        """The greatest token of what this owner holds of these names; None: it does not hold them all."""
        return self._held_token(f"{instance}/{owner}", names)

    def job_holds(self, job: str, names: Iterable[str]) -> int | None:
        """The same of a job."""
        return self._held_token(f"job:{job}", names)

    def _held_token(self, owner: str, names: Iterable[str]) -> int | None:
        held = self._holding.grants.get(owner, {})
        tokens = [held[name].token if name in held else None for name in names]
        found = [token for token in tokens if token is not None]
        return max(found) if found and len(found) == len(tokens) else None

    def jobs(self) -> list[str]:
        """Ids of the jobs that hold something."""
        return [owner.removeprefix("job:") for owner in self._holding.grants if owner.startswith("job:")]

    def principal_of(self, name: str) -> str | None:
        """Who made an object; None: there is none of that name."""
        found = self._core.objects.get(name)
        return None if found is None else found.principal

    def is_durable(self, name: str) -> bool:
        """Whether what is put into it is to survive a power failure."""
        found = self._core.objects.get(name)
        return found is not None and found.what.durable

    @property
    def last_token(self) -> int:
        """The greatest token that was given."""
        return self._core.locks.last_token

    @property
    def counts(self) -> dict[str, int]:
        """How much there is of everything."""
        core = self._core
        queues = [found.thing for found in core.objects.values() if isinstance(found.thing, Queue)]
        return {
            "objects": len(core.objects),
            "sessions": len(core.sessions),
            "waiting": len(core.waits),
            "held": sum(map(len, self._holding.grants.values())),
            "items": sum(queue.qsize() + queue.out for queue in queues),
            "queue_bytes": core.queue_bytes,
        }

    def look(self, request: ObjectState | Leases, now: float) -> ObjectStateAnswer | LeasesAnswer:
        """Answer a request that changes nothing.

        Raises:
            Refusal: no such object.
        """
        if isinstance(request, Leases):
            return LeasesAnswer(tuple(self._leases(request.name, now)))
        found = self._core.objects.get(request.name)
        if found is None:
            raise Refusal(ErrorCode.NOT_FOUND, f"{request.name!r} is not open")
        return self._state(found)

    def _state(self, found: Object) -> ObjectStateAnswer:
        locks, name, kind, thing = self._core.locks, found.name, found.what.kind, found.thing
        if kind in LOCKS:
            held = {self._holding.name_of(owner): units for owner, units in locks.holders(name).items()}
            return ObjectStateAnswer(kind, free=locks.value(name), held=held, waiting=len(locks.waiting(name)))
        if isinstance(thing, Event):
            return ObjectStateAnswer(kind, is_set=thing.is_set, waiting=thing.waiting)
        if isinstance(thing, Condition):
            return ObjectStateAnswer(kind, waiting=thing.waiting)
        if isinstance(thing, Barrier):
            return ObjectStateAnswer(kind, waiting=thing.waiting, parties=thing.parties, broken=thing.broken)
        assert isinstance(thing, Queue)
        return ObjectStateAnswer(
            kind,
            waiting=thing.waiting,
            size=thing.qsize(),
            maxsize=thing.maxsize,
            out=thing.out,
            unfinished=thing.unfinished,
            dead=len(thing.dead),
            shut=thing.shut,
        )

    def _leases(self, name: str | None, now: float) -> Iterable[LeaseInfo]:
        core = self._core
        for owner, grants in self._holding.grants.items():
            session = core.sessions.get(owner.partition("/")[0])
            for held, grant in grants.items():
                if name in (None, held):
                    yield LeaseInfo(
                        held,
                        core.objects[held].what.kind,
                        self._holding.name_of(owner),
                        session.principal if session else "",
                        core.locks.held(owner, held),
                        token=grant.token,
                        left_s=core.leases.left_s(session.instance, now=now) if session else None,
                    )
        for session in core.sessions.values():
            left_s = core.leases.left_s(session.instance, now=now)
            for pending in session.pending.values():
                request = pending.request
                number = getattr(request, "owner", None)
                owner = self._holding.name_of(f"{session.instance}/{number}") if number is not None else ""
                units = request.units if isinstance(request, Acquire) else {getattr(request, "name", ""): 1}
                for wanted, count in units.items():
                    if name in (None, wanted):
                        kind = core.objects[wanted].what.kind
                        owner = owner or f"{session.principal} ({session.instance[:6]})"
                        yield LeaseInfo(wanted, kind, owner, session.principal, count, waiting=True, left_s=left_s)

    # --- records -----------------------------------------------------------------------------------------------------

    def _asked(self, record: Asked) -> None:
        core, request = self._core, record.request
        session = core.heard_of(record.instance, record.principal)
        for number in request.seen:
            session.answers.pop(number, None)
            session.unseen.pop(number, None)
            session.granted.pop(number, None)
        if request.number in session.answers or request.number in session.pending:
            return
        try:
            if len(session.answers) >= UNSEEN:
                raise Refusal(
                    ErrorCode.QUOTA, f"{UNSEEN} answers to this client are kept, and it has said to have seen none"
                )
            if len(core.waits) >= PENDING:
                raise Refusal(ErrorCode.QUOTA, f"{PENDING} requests wait at this agent, which is the limit (PENDING)")
            self._requests[type(request)](session, request, record.body)
        except Refusal as refusal:
            core.refuse(session, request.number, refusal.code, str(refusal))

    def _renewed(self, record: Renewed) -> None:
        if record.instance in self._core.sessions:
            self._core.heard_of(record.instance, record.principal, record.ttl_s)

    def _handed(self, record: Handed) -> None:
        self._holding.hand(f"{record.instance}/{record.owner}", record.names, f"job:{record.job}")

    def _ended(self, record: Ended) -> None:
        for name in self._holding.end(None, f"job:{record.job}"):
            self._core.forget_if_idle(name)

    def _restored(self, _record: Restored) -> None:
        self._core.leases.restored(now=self._core.now)
        self._core.locks.last_token = max(self._core.locks.last_token, self.reserved)

    def _reserved(self, record: Reserved) -> None:
        self.reserved = max(self.reserved, record.upto)

    # --- time --------------------------------------------------------------------------------------------------------

    def _time(self, now: float) -> None:
        """End what is over by now, in a fixed order."""
        core = self._core
        deadline = core.leases.next_deadline()
        if deadline is not None and deadline <= now:
            for instance in core.leases.handle_timeout(now):
                self._end(core.sessions[instance])
        deadline = core.locks.next_deadline()
        if deadline is not None and deadline <= now:
            self._holding.told(core.locks.handle_timeout(now))
        while (due := core.next_due()) is not None and due[0] <= now:
            self._timeout(core.objects[due[1]])

    def _timeout(self, found: Object) -> None:
        now, thing = self._core.now, found.thing
        if isinstance(thing, Event):
            self._meeting.flagged(found, thing.handle_timeout(now), is_set=False)
        elif isinstance(thing, Condition):
            self._holding.woken(found, thing.handle_timeout(now), notified=False)
        elif isinstance(thing, Barrier):
            self._meeting.said(found, thing.handle_timeout(now))
        elif isinstance(thing, Queue):
            self._queueing.timeout(found, thing)
        self._core.watch(found)

    def _end(self, session: Session) -> None:
        """A client is not there any more."""
        core, instance = self._core, session.instance
        while session.pending:  # one that leaves may let another one of the same client to the front
            self._leave(session, next(iter(session.pending)))
        names = [name for owner in sorted(session.owners) for name in self._holding.end(None, owner)]
        for name, item in session.unseen.values():
            session.out.pop((name, item.id), None)
            self._queueing.undo(name, item)
        for (name, item_id), delivery in session.out.items():
            self._queueing.come_back(name, item_id, delivery)
        for name, ticket in session.acts.values():
            barrier = core.objects[name].thing if name in core.objects else None
            if isinstance(barrier, Barrier):
                self._meeting.said(core.objects[name], barrier.withdraw(ticket))
        core.effects[:] = [each for each in core.effects if not isinstance(each, Answer) or each.instance != instance]
        del core.sessions[instance]
        core.ttl_s.pop(instance, None)
        for name in sorted(session.opened):
            found = core.objects.get(name)
            if found is not None:
                found.opened.discard(instance)
                core.forget_if_idle(name)
        if names:
            core.lost[instance] = None
            while len(core.lost) > LOST:
                del core.lost[next(iter(core.lost))]
            core.effects.append(LeaseOver(instance, session.principal, tuple(names)))

    # --- names -------------------------------------------------------------------------------------------------------

    def _open(self, session: Session, request: Open, _body: bytes) -> None:
        core, name, what = self._core, request.name, request.what
        found = core.objects.get(name)
        if found is not None and comparable(found.what) != comparable(what):
            raise Refusal(ErrorCode.STATE, f"{name!r} is {describe(found.what)}, not {describe(what)}")
        made = found is None
        if found is None:
            if len(core.objects) >= OBJECTS:
                raise Refusal(ErrorCode.QUOTA, f"there are {OBJECTS} shared objects, which is the limit (OBJECTS)")
            found = core.objects[name] = Object(name, what, session.principal, self._thing(session, name, what))
        core.open_for(session, found)
        core.lost.pop(session.instance, None)
        core.answer(session, request.number, OpenAnswer(made))

    def _thing(self, session: Session, name: str, what: ObjectAsked) -> Thing:
        """What is to stand behind a new name.

        Raises:
            Refusal: it cannot be as asked.
        """
        try:
            if what.kind in LOCKS:
                self._core.locks.open(name, Spec(what.kind, what.units))
                return None
            if what.kind == "condition":
                if what.lock is None:
                    raise Refusal(ErrorCode.INVALID, "a condition needs the name of its lock")
                self._core.named(session, what.lock, "lock", "rlock").users.add(name)
                return Condition()
            if what.kind == "event":
                return Event()
            if what.kind == "barrier":
                return Barrier(what.units, acts=what.acts)
            return snapshots.new_queue(what)
        except ValueError as exc:
            raise Refusal(ErrorCode.INVALID, str(exc)) from exc

    def _drop(self, session: Session, request: Drop, _body: bytes) -> None:
        core = self._core
        found = core.objects.get(request.name)
        core.answer(session, request.number, NumberedAnswer(ok=found is not None))
        if found is None:
            return
        session.opened.discard(request.name)
        found.opened.discard(session.instance)
        if not request.forget:
            core.forget_if_idle(request.name)
            return
        for name in [*sorted(found.users), request.name]:
            self._forget(core.objects[name])

    def _forget(self, found: Object) -> None:
        """It goes with all that it holds; who waits for it is told."""
        core, name = self._core, found.name
        waiting = [
            (session, number)
            for session in core.sessions.values()
            for number, pending in session.pending.items()
            if pending.place == name or (isinstance(pending.request, Acquire) and name in pending.request.units)
        ]
        for session, number in waiting:
            self._leave(session, number)
            core.refuse(session, number, ErrorCode.NOT_FOUND, f"{name!r} was forgotten")
        for owner in list(core.locks.holders(name)) if found.thing is None else ():
            self._holding.lose(owner, name)
        for session in core.sessions.values():
            session.opened.discard(name)
        core.remove(found)

    def _withdraw(self, session: Session, request: Withdraw, _body: bytes) -> None:
        core = self._core
        pending = session.pending.get(request.of)
        answer = session.answers.pop(request.of, None)
        if pending is not None and isinstance(pending.request, Await):
            condition = core.objects[pending.request.name]
            if pending.place:  # it stops waiting, but has to hold the lock again before anything else
                assert isinstance(condition.thing, Condition)
                condition.thing.withdraw(pending.ticket)
                self._holding.woken(condition, [pending.ticket], notified=False)
            core.answer(session, request.number, NumberedAnswer(ok=False))
            return
        if pending is not None:
            self._leave(session, request.of)
        elif answer is not None:
            self._undo(session, request.of)
        core.answer(session, request.number, NumberedAnswer(ok=pending is not None or answer is not None))

    def _undo(self, session: Session, number: int) -> None:
        """Nobody has seen this answer: what it gave is given back."""
        taken = session.unseen.pop(number, None)
        if taken is not None:
            session.out.pop((taken[0], taken[1].id), None)
            self._queueing.undo(*taken)
        self._holding.undo(session, number)
        acting = session.acts.pop(number, None)
        if acting is not None and acting[0] in self._core.objects:
            barrier = self._core.objects[acting[0]]
            assert isinstance(barrier.thing, Barrier)
            self._meeting.said(barrier, barrier.thing.withdraw(acting[1]))

    def _leave(self, session: Session, number: int) -> None:
        """A request waits no longer and gets no answer."""
        core = self._core
        pending = session.pending.pop(number)
        del core.waits[pending.place, pending.ticket]
        if not pending.place:
            self._holding.told(core.locks.withdraw(pending.ticket))
            return
        found = core.objects[pending.place]
        if isinstance(found.thing, Barrier):
            self._meeting.said(found, found.thing.withdraw(pending.ticket))
        elif isinstance(found.thing, Queue):
            self._queueing.withdraw(found, found.thing, pending.ticket)
        elif found.thing is not None:
            found.thing.withdraw(pending.ticket)

    # --- for tests ---------------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """All that must hold between two records.

        Raises:
            AssertionError: something does not.
        """
        core = self._core
        core.locks.validate()
        for (place, ticket), (instance, number) in core.waits.items():
            pending = core.sessions[instance].pending[number]
            assert (pending.place, pending.ticket) == (place, ticket)
        assert len(core.waits) == sum(len(session.pending) for session in core.sessions.values())
        for owner, grants in self._holding.grants.items():
            assert grants
            assert owner.startswith("job:") or owner in core.sessions[owner.partition("/")[0]].owners
            for name in grants:
                assert core.locks.held(owner, name), (owner, name)
        for name, found in core.objects.items():
            assert name == found.name
            assert (found.thing is None) == (found.what.kind in LOCKS)
            if found.thing is None:
                holders = core.locks.holders(name)
                assert all(name in self._holding.grants.get(owner, {}) for owner in holders), holders
            for instance in found.opened:
                assert name in core.sessions[instance].opened
        for session in core.sessions.values():
            assert session.opened <= core.objects.keys()
            assert not session.answers.keys() & session.pending.keys()
            assert session.instance in core.leases
        queues = [found.thing for found in core.objects.values() if isinstance(found.thing, Queue)]
        assert core.queue_bytes == sum(queue.bytes for queue in queues)
