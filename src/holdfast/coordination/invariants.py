"""All that must hold of a machine of shared objects between two records; for tests. Pure."""

from __future__ import annotations

from holdfast.coordination.core import Core
from holdfast.coordination.holding import HoldingRoom
from holdfast.coordination.meetings import Barrier, Condition, Event
from holdfast.coordination.queues import Queue
from holdfast.coordination.sessions import LOCKS, Object
from holdfast.wire.coordination import Acquire, Await, Flag, Join, Meet, Put, Take

_WAIT = {"event": (Flag,), "condition": (Await,), "barrier": (Meet,), "queue": (Put, Take, Join)}


def check(core: Core, holding: HoldingRoom) -> None:
    """See that it is in order.

    Raises:
        AssertionError: something is not.
    """
    core.locks.validate()
    assert not core.idle
    _check_waits(core, holding)
    _check_grants(core, holding)
    for name, found in core.objects.items():
        assert name == found.name
        _check_object(core, found)
    for session in core.sessions.values():
        assert session.opened <= core.objects.keys()
        assert not session.answers.keys() & session.pending.keys()
        assert not any(number in session.done for number in (*session.answers, *session.pending))
        assert session.given.keys() | session.unseen.keys() <= session.answers.keys()
        assert session.let_go <= session.answers.keys() | session.pending.keys()
        assert session.instance in core.leases
        assert session.instance not in core.lost
        assert all(units > 0 for lost in session.lost.values() for units in lost.values())
    assert len(core.leases) == len(core.sessions) == len(core.ttl_s)
    assert core.answers == sum(len(session.answers) for session in core.sessions.values())
    queues = [found.thing for found in core.objects.values() if isinstance(found.thing, Queue)]
    unseen = [unseen for session in core.sessions.values() for unseen in session.unseen.values()]
    assert core.queue_bytes == sum(queue.bytes for queue in queues) + sum(each.bytes for each in unseen)


def _check_waits(core: Core, holding: HoldingRoom) -> None:
    """Every wait is that of a session, in the one line that it says, and nobody else is in a line."""
    resting: set[str] = set()
    for (place, ticket), (instance, number) in core.waits.items():
        pending = core.sessions[instance].pending[number]
        assert (pending.place, pending.ticket, pending.number) == (place, ticket, number)
        request = pending.request
        if place:
            assert isinstance(request, _WAIT[core.objects[place].what.kind])
            if isinstance(request, Await):
                resting.add(f"{instance}/{request.owner}")
        else:
            assert isinstance(request, (Acquire, Await))
            assert core.locks.ticket_of(f"{instance}/{request.owner}") == ticket
            assert f"{instance}/{request.owner}" in core.sessions[instance].owners
    assert resting == holding.resting
    assert len(core.waits) == sum(len(session.pending) for session in core.sessions.values())
    for name, found in core.objects.items():
        here = sum(1 for place, _ in core.waits if place == name)
        if found.thing is None:
            for owner in core.locks.waiting(name):
                assert ("", core.locks.ticket_of(owner)) in core.waits
        elif isinstance(found.thing, Barrier):
            assert here - found.thing.waiting in range(found.thing.parties)  # those that have met wait for the act
        else:
            assert here == found.thing.waiting


def _check_grants(core: Core, holding: HoldingRoom) -> None:
    """Every grant is held, by an owner who has a session or is a job, and whatever is held was granted."""
    assert holding.held == sum(map(len, holding.grants.values()))
    for owner, grants in holding.grants.items():
        assert grants
        assert owner.startswith("job:") or owner in core.sessions[owner.partition("/")[0]].owners
        for name, grant in grants.items():
            assert core.locks.held(owner, name), (owner, name)
            assert 0 < grant.token <= core.locks.last_token
    for session in core.sessions.values():
        for owner in session.owners:
            assert owner in holding.grants or core.locks.is_waiting(owner), owner


def _check_object(core: Core, found: Object) -> None:
    name, thing = found.name, found.thing
    assert (thing is None) == (found.what.kind in LOCKS)
    if thing is None:
        for other in found.users:
            assert core.objects[other].what.lock == name
    elif isinstance(thing, Condition):
        assert found.what.lock is not None
        assert name in core.objects[found.what.lock].users
    elif isinstance(thing, Event):
        assert not (thing.is_set and thing.waiting)
    elif isinstance(thing, Barrier):
        assert not (thing.broken and thing.waiting)
    else:
        thing.validate()
    for instance in found.opened:
        assert name in core.sessions[instance].opened
    assert not core.is_idle(found), name
