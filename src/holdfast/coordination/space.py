"""Everything that the clients and jobs of an agent share, as one machine: objects, who holds and waits, leases. Pure.

Rules:

* The same records in give the same state and the same effects out. Time is in the records; it never goes back.
* A request has a number of its client process's own. It is carried out once: while it waits, asking again changes
  nothing, and its answer is kept until the client says that it has it (``seen``). A number that is over is never begun
  anew, however late a copy of the request comes.
* What an answer gave to nobody is not lost. When a request is withdrawn, or its client is gone before it has said that
  it has the answer, a lock is free again, an item is back in its place, a notification wakes the next one.
* A client process (an *instance*) is believed to be there for as long as its lease lasts; any request renews it. When
  it is over, all that its owners hold is given back, and what was handed out to it and not settled comes back.
* An owner is ``INSTANCE/NUMBER``, a thread or task of a client, or ``job:ID``. A job has no lease: it gives back what
  it holds when its last process has ended.
* An object lives as long as somebody has it open, holds it or waits for it, or as it is not as it was made (a queue
  with an item in it, an event that is set). A *passing* one goes with the last one who had it open.
* Every table has a bound; reaching it refuses the request that would go beyond it, and no other one. Such a refusal is
  not kept: asked again, with the same number, the request may find room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from holdfast.coordination import invariants, looking, records, snapshots
from holdfast.coordination.core import ANSWERS, OBJECTS, UNSEEN, Core, Refusal, comparable
from holdfast.coordination.holding import HoldingRoom
from holdfast.coordination.lock_records import Spec
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
from holdfast.coordination.sessions import LOCKS, Lost, Object, Pending, Session, Thing, describe
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import (
    Acquire,
    AcquireAnswer,
    Await,
    AwaitAnswer,
    Drop,
    Flag,
    Join,
    Leases,
    LeasesAnswer,
    Meet,
    Notify,
    NumberedAnswer,
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
            What follows, in order. What is over by now is told first: leases, then waits for locks, then everything
            else by its time.
        """
        record = records.decode(event)
        core = self._core
        core.now = now
        effects: list[Effect] = []
        core.effects = effects
        if type(record) is not Restored:
            self._time(now)
        self._records[type(record)](record)
        self._tidy()
        self._time(now)
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
        self._holding.restore(grants)

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

    def holds(self, instance: Instance, owner: int, names: Iterable[str]) -> int | None:
        """The greatest token of what this owner holds of these names; None: not all of them, or it cannot hand them on.

        Who waits for a lock cannot.
        """
        if self._core.locks.is_waiting(f"{instance}/{owner}"):
            return None
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
        return looking.counts(self._core, self._holding)

    def look(self, request: ObjectState | Leases, now: float) -> ObjectStateAnswer | LeasesAnswer:
        """Answer a request that changes nothing. What would not fit into one answer is left out.

        Raises:
            Refusal: no such object.
        """
        if isinstance(request, Leases):
            return looking.leases(self._core, self._holding, request.name, now)
        return looking.state(self._core, self._holding, request.name)

    # --- records -----------------------------------------------------------------------------------------------------

    def _asked(self, record: Asked) -> None:
        core, request = self._core, record.request
        number = request.number
        try:
            session = core.heard_of(record.instance, record.principal)
            for seen in request.seen:
                self._seen(session, seen)
            if number in session.answers or number in session.pending:
                return
            if number in session.done:
                text = f"request {number} is over, and its answer is not kept"
                core.effects.append(
                    Answer(record.instance, number, code=ErrorCode.LEASE_LOST, text=text, ran="unknown")
                )
                return
            if len(session.answers) >= UNSEEN or core.answers >= ANSWERS:
                text = f"{UNSEEN} answers are kept for a client, {ANSWERS} for all, until they say to have seen them"
                raise Refusal(ErrorCode.QUOTA, text, final=False)
            if request.seen:
                request = msgspec.structs.replace(request, seen=())
            self._requests[type(request)](session, request, record.body)
        except Refusal as refusal:
            if refusal.final:
                core.refuse(session, number, refusal.code, str(refusal))
            else:
                core.effects.append(Answer(record.instance, number, code=refusal.code, text=str(refusal)))

    def _seen(self, session: Session, number: int) -> None:
        """This answer has come to the client."""
        if number in session.pending:
            return
        self._core.forget_answer(session, number)
        self._queueing.seen(session, number)
        session.given.pop(number, None)
        session.let_go.discard(number)

    def _renewed(self, record: Renewed) -> None:
        if record.instance in self._core.sessions:
            self._core.heard_of(record.instance, record.principal, record.ttl_s)

    def _handed(self, record: Handed) -> None:
        self._holding.hand(f"{record.instance}/{record.owner}", record.names, f"job:{record.job}")

    def _ended(self, record: Ended) -> None:
        _, told = self._holding.end([f"job:{record.job}"])
        self._holding.told(told)

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
            self._end([core.sessions[instance] for instance in core.leases.handle_timeout(now)])
        deadline = core.locks.next_deadline()
        if deadline is not None and deadline <= now:
            self._holding.told(core.locks.handle_timeout(now))
        while (due := core.next_due()) is not None and due[0] <= now:
            self._timeout(core.objects[due[1]])
        self._tidy()

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

    def _end(self, sessions: Sequence[Session]) -> None:
        """These clients are gone. All that they wait for is over first, so that nothing goes to them any more."""
        core = self._core
        waiting = [(session, pending) for session in sessions for pending in session.pending.values()]
        for session, pending in waiting:
            core.gone(session, pending)
        owners = [sorted(session.owners) for session in sessions]
        lost, told = self._holding.end([owner for mine in owners for owner in mine])
        self._leave([pending for _, pending in waiting])
        self._holding.told(told)
        for session in sessions:
            self._come_back(session)
        for session, pending in waiting:
            self._holding.left(session, pending)
        for session, mine in zip(sessions, owners, strict=True):
            self._gone(session, {owner: lost[owner] for owner in mine if owner in lost})

    def _come_back(self, session: Session) -> None:
        """What was given to a client that is gone."""
        for number in list(session.unseen):
            if self._queueing.undo(session, number):
                session.answers.pop(number)
                self._core.answers -= 1
        for name in sorted(session.takes):
            self._queueing.give_up(name, session.instance)
        for name, (_, ticket) in session.acts.items():
            self._meeting.withdraw(name, ticket)
        for given in session.given.values():
            self._holding.pass_on(given.condition)

    def _gone(self, session: Session, lost: dict[str, dict[str, int]]) -> None:
        """The rest of the end: what is remembered, and who is told."""
        core, instance = self._core, session.instance
        for number, answer in session.answers.items():
            if not isinstance(answer.header, AcquireAnswer):  # it has been given back: it may be asked again
                session.done.add(number)
        for name in sorted(session.opened):
            core.close_for(session, core.objects[name])
        core.end(session, Lost(lost, session.done))
        if lost:
            names = dict.fromkeys(name for units in lost.values() for name in units)
            core.effects.append(LeaseOver(instance, session.principal, tuple(names)))

    def _leave(self, waiting: Iterable[Pending]) -> None:
        """These wait no longer, all in one step; the core knows already."""
        told = self._holding.leave(waiting)
        for pending in waiting:
            if not pending.place:
                continue
            found = self._core.objects[pending.place]
            if isinstance(found.thing, Barrier):
                self._meeting.said(found, found.thing.withdraw(pending.ticket))
            elif isinstance(found.thing, Queue):
                self._queueing.withdraw(found, found.thing, pending.ticket)
            elif found.thing is not None:
                found.thing.withdraw(pending.ticket)
        self._holding.told(told)

    # --- names -------------------------------------------------------------------------------------------------------

    def _open(self, session: Session, request: Open, _body: bytes) -> None:
        core, name, what = self._core, request.name, request.what
        found = core.objects.get(name)
        if found is not None and comparable(found.what) != comparable(what):
            raise Refusal(ErrorCode.STATE, f"{name!r} is {describe(found.what)}, not {describe(what)}")
        made = found is None
        if found is None:
            if len(core.objects) >= OBJECTS:
                text = f"there are {OBJECTS} shared objects, which is the limit (OBJECTS)"
                raise Refusal(ErrorCode.QUOTA, text, final=False)
            thing = self._thing(session, request)
            found = core.objects[name] = Object(name, core.fresh_ticket(), what, session.principal, thing)
        core.open_for(session, found)
        core.answer(session, request.number, OpenAnswer(made))

    def _thing(self, session: Session, request: Open) -> Thing:
        """What is to stand behind a new name.

        Raises:
            Refusal: it cannot be as asked.
        """
        what = request.what
        try:
            if what.kind in LOCKS:
                self._core.locks.open(request.name, Spec(what.kind, what.units))
                return None
            if what.kind == "condition":
                if what.lock is None:
                    raise Refusal(ErrorCode.INVALID, "a condition needs the name of its lock")
                self._core.named(session, what.lock, "lock", "rlock").users.add(request.name)
                return Condition()
            if what.kind == "event":
                return Event()
            if what.kind == "barrier":
                return Barrier(what.units, acts=what.acts)
            if what.visible_s is not None and what.visible_s <= 0:
                raise Refusal(ErrorCode.INVALID, f"items that are out for {what.visible_s:g} s")
            return snapshots.new_queue(what)
        except ValueError as exc:
            raise Refusal(ErrorCode.INVALID, str(exc)) from exc

    def _drop(self, session: Session, request: Drop, _body: bytes) -> None:
        core = self._core
        found = core.objects.get(request.name)
        core.answer(session, request.number, NumberedAnswer(ok=found is not None))
        if found is None:
            return
        core.close_for(session, found)
        if request.forget:
            for name in [*sorted(found.users), request.name]:
                self._forget(core.objects[name])

    def _tidy(self) -> None:
        """Forget what nobody needs any more."""
        core = self._core
        while core.idle:
            name = next(iter(core.idle))
            del core.idle[name]
            found = core.objects.get(name)
            if found is not None and core.is_idle(found):
                self._forget(found)

    def _forget(self, found: Object) -> None:
        """It goes with all that it holds; who waits for it is told. No condition uses it."""
        core, name = self._core, found.name
        waiting: list[tuple[Session, Pending]] = []
        if found.thing is None or isinstance(found.thing, Barrier) or found.thing.waiting:
            waiting = [
                (session, pending)
                for session in core.sessions.values()
                for pending in session.pending.values()
                if name in pending.names()
            ]
        for session, pending in waiting:
            core.gone(session, pending)
            core.refuse(session, pending.number, ErrorCode.NOT_FOUND, f"{name!r} was forgotten")
        self._leave([pending for _, pending in waiting])
        for session, pending in waiting:
            self._holding.left(session, pending)
        if found.thing is None:
            self._holding.lose(name)
        for instance in found.opened:
            core.sessions[instance].opened.discard(name)
        core.remove(found)

    def _withdraw(self, session: Session, request: Withdraw, _body: bytes) -> None:
        """Of an AWAIT: it waits no more to be notified, but still ends with its lock held; withdrawn again, it ends."""
        core, number = self._core, request.of
        if number == request.number:
            raise Refusal(ErrorCode.INVALID, "a request cannot withdraw itself")
        pending = session.pending.get(number)
        answer = session.answers.get(number)
        given_up = True
        if isinstance(pending.request if pending else answer and answer.header, (Await, AwaitAnswer)):
            given_up = number in session.let_go
            session.let_go.add(number)
        if not given_up:
            if pending is not None and pending.place:
                condition = core.objects[pending.place]
                assert isinstance(condition.thing, Condition)
                condition.thing.withdraw(pending.ticket)
                self._holding.woken(condition, [pending.ticket], notified=False)
            core.answer(session, request.number, NumberedAnswer(ok=False))
            return
        session.let_go.discard(number)
        undone = pending is not None
        if pending is not None:
            core.gone(session, pending)
            self._leave([pending])
            self._holding.left(session, pending)
        elif answer is not None:
            undone = self._undo(session, number)
        core.forget_answer(session, number)
        core.answer(session, request.number, NumberedAnswer(ok=undone))

    def _undo(self, session: Session, number: int) -> bool:
        """Nobody has seen this answer: what it gave is given back; whether it gave anything."""
        undone = self._queueing.undo(session, number) or self._holding.undo(session, number)
        for name, (acting, ticket) in list(session.acts.items()):
            if acting == number:
                del session.acts[name]
                undone = self._meeting.withdraw(name, ticket)
        return undone

    # --- for tests ---------------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """All that must hold between two records.

        Raises:
            AssertionError: something does not.
        """
        invariants.check(self._core, self._holding)
