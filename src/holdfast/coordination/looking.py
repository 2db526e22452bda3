"""What can be seen of the machine of shared objects. Pure; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from holdfast.coordination.core import Core, Refusal
from holdfast.coordination.holding import HoldingRoom
from holdfast.coordination.meetings import Barrier, Condition, Event
from holdfast.coordination.queues import Queue
from holdfast.coordination.sessions import Pending, Session
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import Acquire, Await, LeaseInfo, LeasesAnswer, ObjectStateAnswer
from holdfast.wire.limits import CONTROL_BYTES

ANSWER_BYTES: Final = CONTROL_BYTES * 7 // 8
"""Of a list in an answer, encoded; the rest of the list is left out."""


def counts(core: Core, holding: HoldingRoom) -> dict[str, int]:
    """How much there is of everything."""
    queues = [found.thing for found in core.objects.values() if isinstance(found.thing, Queue)]
    return {
        "objects": len(core.objects),
        "sessions": len(core.sessions),
        "waiting": len(core.waits),
        "held": holding.held,
        "items": sum(queue.qsize() + queue.out for queue in queues),
        "queue_bytes": core.queue_bytes,
    }


def state(core: Core, holding: HoldingRoom, name: str) -> ObjectStateAnswer:
    """What an object is and holds now.

    Raises:
        Refusal: there is none of that name.
    """
    found = core.objects.get(name)
    if found is None:
        raise Refusal(ErrorCode.NOT_FOUND, f"{name!r} is not open")
    kind, thing = found.what.kind, found.thing
    if thing is None:
        return ObjectStateAnswer(
            kind,
            free=core.locks.value(name),
            held=_held(core, holding, name),
            waiting=len(core.locks.waiting(name)),
        )
    if isinstance(thing, Event):
        return ObjectStateAnswer(kind, is_set=thing.is_set, waiting=thing.waiting)
    if isinstance(thing, Condition):
        return ObjectStateAnswer(kind, waiting=thing.waiting)
    if isinstance(thing, Barrier):
        return ObjectStateAnswer(kind, waiting=thing.waiting, parties=thing.parties, broken=thing.broken)
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


def _held(core: Core, holding: HoldingRoom, name: str) -> dict[str, int]:
    """Units by owner, as people call them: two that are called the same are added up."""
    held: dict[str, int] = {}
    left = ANSWER_BYTES
    for owner, units in core.locks.holders(name).items():
        called = holding.name_of(owner)
        held[called] = held.get(called, 0) + units
        left -= len(msgspec.json.encode((called, units)))
        if left < 0:
            break
    return held


def leases(core: Core, holding: HoldingRoom, name: str | None, now: float) -> LeasesAnswer:
    """What is held, and then what is waited for; ``name``: of this object alone."""
    shown: list[LeaseInfo] = []
    left = ANSWER_BYTES
    for info in _leases(core, holding, name, now):
        left -= len(msgspec.json.encode(info)) + 1
        if left < 0:
            break
        shown.append(info)
    return LeasesAnswer(tuple(shown))


def _leases(core: Core, holding: HoldingRoom, name: str | None, now: float) -> Iterable[LeaseInfo]:
    for owner, grants in holding.grants.items():
        session = core.sessions.get(owner.partition("/")[0])
        for held, grant in grants.items():
            if name in (None, held):
                yield LeaseInfo(
                    held,
                    core.objects[held].what.kind,
                    holding.name_of(owner),
                    session.principal if session else "",
                    core.locks.held(owner, held),
                    token=grant.token,
                    left_s=core.leases.left_s(session.instance, now=now) if session else None,
                )
    for session in core.sessions.values():
        for pending in session.pending.values():
            yield from _waits(core, holding, session, pending, name, now)


def _waits(
    core: Core, holding: HoldingRoom, session: Session, pending: Pending, name: str | None, now: float
) -> Iterable[LeaseInfo]:
    request = pending.request
    if isinstance(request, (Acquire, Await)):
        owner = holding.name_of(f"{session.instance}/{request.owner}", request.label)
    else:
        owner = f"{session.principal} ({session.instance[:6]})"
    for wanted in pending.names():
        if name in (None, wanted):
            yield LeaseInfo(
                wanted,
                core.objects[wanted].what.kind,
                owner,
                session.principal,
                request.units[wanted] if isinstance(request, Acquire) else 1,
                waiting=True,
                left_s=core.leases.left_s(session.instance, now=now),
            )
