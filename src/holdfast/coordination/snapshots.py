"""The machine of shared objects as bytes, and back. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.coordination.core import Core
from holdfast.coordination.leases import Leases
from holdfast.coordination.lock_records import LocksState
from holdfast.coordination.locks import Locks
from holdfast.coordination.meetings import Barrier, BarrierState, Condition, Event, EventState
from holdfast.coordination.queues import Queue, QueueState
from holdfast.coordination.records import Answer
from holdfast.coordination.sessions import Given, Grant, Lost, Numbers, Object, Pending, Session, Thing, Unseen
from holdfast.coordination.waiters import Ticket
from holdfast.wire import coordination as wire
from holdfast.wire.coordination import ObjectAsked


class _Answer(msgspec.Struct, frozen=True):
    number: int
    kind: str
    header: msgspec.Raw
    body: bytes
    code: int
    text: str


class _Session(msgspec.Struct, frozen=True):
    instance: str
    principal: str
    ttl_s: float
    opened: list[str]
    owners: list[str]
    answers: list[_Answer]
    pending: list[Pending]
    acts: dict[str, tuple[int, Ticket]]
    given: dict[int, Given]
    unseen: dict[int, Unseen]
    takes: list[str]
    let_go: list[int]
    done: list[tuple[int, int]]
    lost: dict[str, dict[str, int]]


class _Lost(msgspec.Struct, frozen=True):
    instance: str
    held: dict[str, dict[str, int]]
    done: list[tuple[int, int]]


class _Object(msgspec.Struct, frozen=True):
    name: str
    serial: int
    what: ObjectAsked
    principal: str
    opened: list[str]
    users: list[str]
    event: EventState | None = None
    condition: list[tuple[Ticket, float | None]] | None = None
    barrier: BarrierState | None = None
    queue: QueueState | None = None


class _Snapshot(msgspec.Struct, frozen=True):
    now: float
    reserved: int
    last_ticket: int
    lost: list[_Lost]
    locks: LocksState
    leases: list[tuple[str, float, float]]
    sessions: list[_Session]
    objects: list[_Object]
    grants: list[tuple[str, dict[str, Grant]]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode
_HEADERS: Final[dict[str, type[msgspec.Struct]]] = {
    kind.__name__: kind
    for kind in (
        wire.OpenAnswer,
        wire.AcquireAnswer,
        wire.AwaitAnswer,
        wire.FlagAnswer,
        wire.MeetAnswer,
        wire.PutAnswer,
        wire.TakeAnswer,
        wire.NumberedAnswer,
    )
}


def encode(core: Core, grants: dict[str, dict[str, Grant]], reserved: int) -> bytes:
    """Everything between two records."""
    return _encode(
        _Snapshot(
            core.now,
            reserved,
            core.last_ticket,
            [_Lost(instance, lost.held, lost.done.ranges()) for instance, lost in core.lost.items()],
            core.locks.state(),
            core.leases.state(),
            [_session(session, core.ttl_s[session.instance]) for session in core.sessions.values()],
            [_object(found) for found in core.objects.values()],
            list(grants.items()),
        )
    )


def decode(snapshot: bytes) -> tuple[Core, dict[str, dict[str, Grant]], int]:
    """What ``encode`` was given.

    Raises:
        msgspec.DecodeError: it is no snapshot.
    """
    kept = _decode(snapshot)
    core = Core()
    core.now, core.last_ticket = kept.now, kept.last_ticket
    core.lost = {lost.instance: Lost(lost.held, Numbers(lost.done)) for lost in kept.lost}
    core.locks = Locks.restored(kept.locks)
    core.leases = Leases.kept(kept.leases)
    for session in kept.sessions:
        core.sessions[session.instance] = _session_again(session)
        core.ttl_s[session.instance] = session.ttl_s
        core.answers += len(session.answers)
        core.queue_bytes += sum(unseen.bytes for unseen in session.unseen.values())
        for pending in session.pending:
            core.waits[pending.place, pending.ticket] = (session.instance, pending.number)
    for each in kept.objects:
        found = core.objects[each.name] = Object(each.name, each.serial, each.what, each.principal, _thing(each))
        found.opened, found.users = set(each.opened), set(each.users)
        if isinstance(found.thing, Queue):
            core.queue_bytes += found.thing.bytes
        core.watch(found)
    return core, dict(kept.grants), kept.reserved


def _session(session: Session, ttl_s: float) -> _Session:
    return _Session(
        session.instance,
        session.principal,
        ttl_s,
        sorted(session.opened),
        sorted(session.owners),
        [
            _Answer(
                answer.number,
                type(answer.header).__name__ if answer.header is not None else "",
                msgspec.Raw(_encode(answer.header)),
                b"" if answer.number in session.unseen else answer.body,
                answer.code,
                answer.text,
            )
            for answer in session.answers.values()
        ],
        list(session.pending.values()),
        session.acts,
        session.given,
        session.unseen,
        sorted(session.takes),
        sorted(session.let_go),
        session.done.ranges(),
        session.lost,
    )


def _session_again(kept: _Session) -> Session:
    session = Session(kept.instance, kept.principal, set(kept.opened), set(kept.owners))
    for each in kept.answers:
        header = msgspec.msgpack.decode(each.header, type=_HEADERS[each.kind]) if each.kind else None
        unseen = kept.unseen.get(each.number)
        body = each.body if unseen is None else unseen.item.value
        session.answers[each.number] = Answer(kept.instance, each.number, header, body, each.code, each.text)
    session.pending = {pending.number: pending for pending in kept.pending}
    session.acts, session.given, session.unseen = kept.acts, kept.given, kept.unseen
    session.takes, session.let_go = set(kept.takes), set(kept.let_go)
    session.done, session.lost = Numbers(kept.done), kept.lost
    return session


def _object(found: Object) -> _Object:
    thing = found.thing
    return _Object(
        found.name,
        found.serial,
        found.what,
        found.principal,
        sorted(found.opened),
        sorted(found.users),
        event=thing.state() if isinstance(thing, Event) else None,
        condition=thing.state() if isinstance(thing, Condition) else None,
        barrier=thing.state() if isinstance(thing, Barrier) else None,
        queue=thing.state() if isinstance(thing, Queue) else None,
    )


def _thing(kept: _Object) -> Thing:
    if kept.event is not None:
        return Event.restored(kept.event)
    if kept.condition is not None:
        return Condition.restored(kept.condition)
    if kept.barrier is not None:
        return Barrier.restored(kept.barrier)
    if kept.queue is not None:
        queue = new_queue(kept.what)
        queue.be(kept.queue)
        return queue
    return None


def new_queue(what: ObjectAsked) -> Queue:
    """An empty queue of that description."""
    return Queue(
        maxsize=what.maxsize,
        order=what.order,
        visible_after_s=what.visible_s,
        most_deliveries=what.most_deliveries,
    )
