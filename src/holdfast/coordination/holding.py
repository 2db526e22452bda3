"""Requests about what is held: locks, semaphores, and conditions, which give a lock back and take it again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast.coordination.core import HELD, Core, Refusal
from holdfast.coordination.lock_records import Deadlocked, Granted, LockMisuse, Told, Unavailable, Waiting
from holdfast.coordination.meetings import Condition
from holdfast.coordination.sessions import LOCKS, Given, Grant, Object, Pending, Session
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import (
    Acquire,
    AcquireAnswer,
    Await,
    AwaitAnswer,
    Notify,
    NumberedAnswer,
    Release,
    Step,
)

_NOT_HELD: Final = {
    "lock": "release unlocked lock",
    "rlock": "cannot release un-acquired lock",
    "bounded": "Semaphore released too many times",
}
"""As ``threading`` says it."""


class HoldingRoom:
    """Locks, semaphores and conditions."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.grants: dict[str, dict[str, Grant]] = {}
        self.resting: set[str] = set()
        self.held = 0

    def restore(self, grants: dict[str, dict[str, Grant]]) -> None:
        """Be as it was when these were kept; the core has been restored before."""
        self.grants = grants
        self.held = sum(map(len, grants.values()))
        for session in self._core.sessions.values():
            for pending in session.pending.values():
                if pending.place and isinstance(pending.request, Await):
                    self.resting.add(_owner(session, pending.request.owner))

    # --- requests ----------------------------------------------------------------------------------------------------

    def acquire(self, session: Session, request: Acquire, _body: bytes) -> None:
        """ACQUIRE."""
        core = self._core
        for name in request.units:
            core.named(session, name, *LOCKS)
        owner = _owner(session, request.owner)
        self._not_resting(owner)
        if self.held + len(request.units) > HELD:
            raise Refusal(ErrorCode.QUOTA, f"{HELD} things are held, which is the limit (HELD)", final=False)
        try:
            wait = request.wait and not core.crowded
            outcome = core.locks.ask(owner, request.units, wait=wait, until=core.until(request.timeout_s))
        except ValueError as exc:
            raise Refusal(ErrorCode.INVALID, str(exc)) from exc
        except LockMisuse as exc:
            raise Refusal(ErrorCode.STATE, str(exc)) from exc
        if isinstance(outcome, Granted):
            self._granted(session, request, outcome)
        elif isinstance(outcome, Waiting):
            session.owners.add(owner)
            core.wait(session, request, "", outcome.ticket)
        elif isinstance(outcome, Deadlocked):
            self._refuse(session, request, outcome)
        elif request.wait:
            raise core.no_room()
        else:
            core.answer(session, request.number, AcquireAnswer(False))

    def release(self, session: Session, request: Release, _body: bytes) -> None:
        """RELEASE."""
        found = self._core.named(session, request.name, *LOCKS, opens=False)
        told = self._give_back(session, found, _owner(session, request.owner), request.units)
        self._core.touch((found.name,))
        self._core.answer(session, request.number, NumberedAnswer())
        self.told(told)

    def wait(self, session: Session, request: Await, _body: bytes) -> None:
        """AWAIT."""
        core = self._core
        found = core.named(session, request.name, "condition")
        lock, depth = self._condition_lock(session, found, request.owner, "cannot wait on un-acquired lock")
        owner = _owner(session, request.owner)
        self._not_resting(owner)
        if core.locks.is_waiting(owner):
            raise Refusal(ErrorCode.STATE, f"{owner} is waiting")
        if core.crowded:
            raise core.no_room()
        told = self._give_back(session, lock, owner, depth)
        assert isinstance(found.thing, Condition)
        ticket = core.fresh_ticket()
        found.thing.wait(ticket, core.until(request.timeout_s))
        self.resting.add(owner)
        core.wait(session, request, found.name, ticket, lock=lock.name, depth=depth)
        core.watch(found)
        self.told(told)

    def notify(self, session: Session, request: Notify, _body: bytes) -> None:
        """NOTIFY."""
        found = self._core.named(session, request.name, "condition")
        self._condition_lock(session, found, request.owner, "cannot notify on un-acquired lock")
        assert isinstance(found.thing, Condition)
        tickets = found.thing.notify_all() if request.count is None else found.thing.notify(request.count)
        self._core.answer(session, request.number, NumberedAnswer())
        self.woken(found, tickets, notified=True)

    # --- what follows ------------------------------------------------------------------------------------------------

    def woken(self, found: Object, tickets: Iterable[int], *, notified: bool) -> None:
        """These wait for the condition no more: each takes its lock again, in this order."""
        core = self._core
        for ticket in tickets:
            served = core.served(found.name, ticket)
            if served is None:
                continue
            session, pending = served
            assert isinstance(pending.request, Await)
            owner = _owner(session, pending.request.owner)
            self.resting.discard(owner)
            pending.notified = notified
            outcome = core.locks.ask(owner, {pending.lock: pending.depth}, certain=True)
            if isinstance(outcome, Granted):
                self._retaken(session, pending, outcome)
                continue
            session.owners.add(owner)
            again = core.wait(session, pending.request, "", outcome.ticket, lock=pending.lock, depth=pending.depth)
            again.notified = notified
            self.told(core.locks.give_way(outcome.ticket))

    def pass_on(self, condition: str) -> None:
        """Who was notified here did not come to know it: the next one is."""
        found = self._core.objects.get(condition)
        if found is not None and isinstance(found.thing, Condition):
            self.woken(found, found.thing.notify(), notified=True)

    def told(self, told: Iterable[Told]) -> None:
        """The lines of locks have moved."""
        for each in told:
            served = self._core.served("", each.ticket)
            if served is None:
                continue
            session, pending = served
            request = pending.request
            if isinstance(request, Await):
                assert isinstance(each, Granted)
                self._retaken(session, pending, each)
                continue
            assert isinstance(request, Acquire)
            if isinstance(each, Granted):
                self._granted(session, request, each)
            elif isinstance(each, Unavailable):
                self._core.answer(session, pending.number, AcquireAnswer(False))
                self._forget_owner(session, each.owner)
            else:
                self._refuse(session, request, each)
                self._forget_owner(session, each.owner)

    def undo(self, session: Session, number: int) -> bool:
        """What this answer gave is given back, as far as it is still held; whether any of it was."""
        locks, undone = self._core.locks, False
        given = session.given.pop(number, None)
        if given is None:
            return False
        told: list[Told] = []
        for name, count in given.units.items():
            units = min(count, locks.held(given.owner, name))
            found = self._core.objects.get(name)
            if found is not None and units and not (found.what.kind == "rlock" and locks.is_waiting(given.owner)):
                undone = True
                told += self._give_back(session, found, given.owner, units)
                self._core.touch((name,))
        self.told(told)
        if given.condition:
            self.pass_on(given.condition)
        return undone

    def lose(self, name: str) -> None:
        """The object is forgotten, whoever holds it."""
        for owner in self._core.locks.holders(name):
            self._drop_grant(owner, name)

    def left(self, session: Session, pending: Pending) -> None:
        """This request was given up."""
        request = pending.request
        if isinstance(request, (Acquire, Await)):
            owner = _owner(session, request.owner)
            self.resting.discard(owner)
            self._forget_owner(session, owner)
        if isinstance(request, Await) and pending.notified:
            self.pass_on(request.name)

    def leave(self, pending: Iterable[Pending]) -> list[Told]:
        """These wait no more for locks: what others are to be told."""
        return self._core.locks.withdraw(*(each.ticket for each in pending if not each.place))

    def end(self, owners: Iterable[str]) -> tuple[dict[str, dict[str, int]], list[Told]]:
        """These owners are gone: what they held, in units by owner and name, and what others are to be told."""
        lost: dict[str, dict[str, int]] = {}
        for owner in owners:
            self.resting.discard(owner)
            grants = self.grants.pop(owner, {})
            if grants:
                self.held -= len(grants)
                lost[owner] = {name: self._core.locks.held(owner, name) for name in grants}
                self._core.touch(grants)
        return lost, self._core.locks.end(*owners)

    def hand(self, owner: str, names: Iterable[str], to: str) -> None:
        """All that the owner holds of these names is another's now; what it does not hold is left out.

        Who waits hands nothing on: it may wait to hold again what it has.
        """
        mine = self.grants.get(owner, {})
        moving = [name for name in names if name in mine]
        if not moving or self._core.locks.is_waiting(owner):
            return
        self._core.locks.hand(owner, moving, to)
        theirs = self.grants.setdefault(to, {})
        for name in moving:
            self.held -= name in theirs
            theirs[name] = mine[name]
            self.held += 1
            self._drop_grant(owner, name)

    def name_of(self, owner: str, label: str = "") -> str:
        """An owner, for people; ``label``: its own name, if that is known."""
        if owner.startswith("job:"):
            return f"job {owner.removeprefix('job:')}"
        instance, _, number = owner.partition("/")
        session = self._core.sessions[instance]
        label = label or self._label(session, owner) or f"owner {number}"
        return f"{label} of {session.principal} ({instance[:6]})"

    # --- inside ------------------------------------------------------------------------------------------------------

    def _label(self, session: Session, owner: str) -> str:
        for grant in self.grants.get(owner, {}).values():
            if grant.label:
                return grant.label
        ticket = self._core.locks.ticket_of(owner)
        if ticket is None:
            return ""
        request = session.pending[self._core.waits["", ticket][1]].request
        assert isinstance(request, (Acquire, Await))
        return request.label

    def _forget_owner(self, session: Session, owner: str) -> None:
        """Remember an owner only while it holds or waits."""
        if owner not in self.grants and not self._core.locks.is_waiting(owner):
            session.owners.discard(owner)

    def _not_resting(self, owner: str) -> None:
        if owner in self.resting:
            raise Refusal(ErrorCode.STATE, f"{owner} is waiting")

    def _hold(self, session: Session, owner: str, names: Iterable[str], token: int, label: str) -> None:
        session.owners.add(owner)
        held = self.grants.setdefault(owner, {})
        for name in names:
            if name not in held:
                held[name] = Grant(token, label)
                self.held += 1

    def _granted(self, session: Session, request: Acquire, granted: Granted) -> None:
        self._hold(session, granted.owner, request.units, granted.token, request.label)
        session.given[request.number] = Given(granted.owner, request.units)
        self._core.answer(session, request.number, AcquireAnswer(True, granted.token))

    def _retaken(self, session: Session, pending: Pending, granted: Granted) -> None:
        request = pending.request
        assert isinstance(request, Await)
        self._hold(session, granted.owner, (pending.lock,), granted.token, request.label)
        condition = request.name if pending.notified else ""
        session.given[pending.number] = Given(granted.owner, {pending.lock: pending.depth}, condition)
        self._core.answer(session, pending.number, AwaitAnswer(pending.notified, granted.token))

    def _refuse(self, session: Session, request: Acquire, refused: Deadlocked) -> None:
        """It would wait for ever."""

        def name_of(owner: str) -> str:
            return self.name_of(owner, request.label if owner == refused.owner else "")

        steps = tuple(
            Step(name_of(link.owner), link.resource, name_of(link.blocker), link.ahead) for link in refused.circle
        )
        self._core.answer(session, request.number, AcquireAnswer(False, circle=steps))

    def _give_back(self, session: Session, found: Object, owner: str, units: int) -> list[Told]:
        """Give back, with the words of ``threading`` where that cannot be. Of a reentrant lock: as often as ``units``.

        Raises:
            Refusal: not held, not by this client, or more than there were.
        """
        core, name, kind = self._core, found.name, found.what.kind
        holders = [owner]
        if kind == "lock":
            holders = [core.locks.holder(name) or ""]
            if holders[0] and not holders[0].startswith(session.instance + "/"):
                raise self._not_held(session, owner, name, f"{name!r} is held by {self.name_of(holders[0])}")
        elif kind != "rlock" and units > core.locks.held(owner, name):  # it is given back for others
            holders = list(core.locks.holders(name))
        try:
            told = core.locks.give_back(owner, name, units)
        except ValueError as exc:
            raise Refusal(ErrorCode.INVALID, str(exc)) from exc
        except LockMisuse as exc:
            raise self._not_held(session, owner, name, _NOT_HELD.get(kind, str(exc))) from exc
        for holder in holders:
            if not core.locks.held(holder, name):
                self._drop_grant(holder, name)
        return told

    def _not_held(self, session: Session, owner: str, name: str, text: str) -> Refusal:
        """Why it cannot be given back: it was lost, each unit once, or was never held."""
        if self._core.objects[name].what.kind == "lock":  # by any thread, as it could have been given back
            owner = next((other for other, lost in session.lost.items() if name in lost), owner)
        lost = session.lost.get(owner, {})
        if name not in lost:
            return Refusal(ErrorCode.NOT_HOLDER, text)
        lost[name] -= 1
        if not lost[name]:
            del lost[name]
            if not lost:
                del session.lost[owner]
        text = f"{name!r} was lost: this client was not heard of for longer than its lease"
        return Refusal(ErrorCode.LEASE_LOST, text)

    def _drop_grant(self, owner: str, name: str) -> None:
        held = self.grants.get(owner)
        if held is None or held.pop(name, None) is None:
            return
        self.held -= 1
        if not held:
            del self.grants[owner]
            session = self._core.sessions.get(owner.partition("/")[0])
            if session is not None:
                self._forget_owner(session, owner)

    def _condition_lock(self, session: Session, found: Object, owner: int, text: str) -> tuple[Object, int]:
        """The condition's lock and how often this owner holds it.

        Raises:
            Refusal: not at all.
        """
        name = found.what.lock
        assert name is not None
        lock = self._core.objects[name]
        if lock.what.kind == "lock":
            holder = self._core.locks.holder(name) or ""
            depth = int(holder.startswith(session.instance + "/"))
        else:
            depth = self._core.locks.held(_owner(session, owner), name)
        if not depth:
            raise self._not_held(session, _owner(session, owner), name, text)
        return lock, depth


def _owner(session: Session, number: int) -> str:
    return f"{session.instance}/{number}"
