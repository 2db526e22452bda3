"""Requests about what is held: locks, semaphores, and conditions, which give a lock back and take it again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast.coordination.core import Core, Refusal
from holdfast.coordination.locks import Deadlocked, Granted, LockMisuse, Told, Waiting
from holdfast.coordination.meetings import Condition
from holdfast.coordination.sessions import LOCKS, Grant, Object, Pending, Session
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

    # --- requests ----------------------------------------------------------------------------------------------------

    def acquire(self, session: Session, request: Acquire, _body: bytes) -> None:
        """ACQUIRE."""
        core = self._core
        for name in request.units:
            core.named(session, name, *LOCKS)
        owner = _owner(session, request.owner)
        try:
            outcome = core.locks.ask(owner, request.units, wait=request.wait, until=core.until(request.timeout_s))
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
            labels = {owner: request.label}
            circle = tuple(
                Step(self.name_of(link.owner, labels), link.resource, self.name_of(link.blocker, labels), link.ahead)
                for link in outcome.circle
            )
            core.answer(session, request.number, AcquireAnswer(False, circle=circle))
        else:
            core.answer(session, request.number, AcquireAnswer(False))

    def release(self, session: Session, request: Release, _body: bytes) -> None:
        """RELEASE."""
        found = self._core.named(session, request.name, *LOCKS)
        told = self._give_back(session, found, _owner(session, request.owner), request.units)
        self._core.answer(session, request.number, NumberedAnswer())
        self.told(told)

    def wait(self, session: Session, request: Await, _body: bytes) -> None:
        """AWAIT."""
        core = self._core
        found = core.named(session, request.name, "condition")
        lock, depth = self._condition_lock(session, found, request.owner, "cannot wait on un-acquired lock")
        owner = _owner(session, request.owner)
        told: list[Told] = []
        for _ in range(depth):
            told += self._give_back(session, lock, owner, 1)
        assert isinstance(found.thing, Condition)
        ticket = core.fresh_ticket()
        found.thing.wait(ticket, core.until(request.timeout_s))
        session.owners.add(owner)
        core.wait(session, request, found.name, ticket, depth)
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
        assert found.what.lock is not None
        for ticket in tickets:
            served = core.served(found.name, ticket)
            if served is None:
                continue
            session, pending = served
            assert isinstance(pending.request, Await)
            owner = _owner(session, pending.request.owner)
            try:
                outcome = core.locks.ask(owner, {found.what.lock: pending.depth}, certain=True)
            except (KeyError, LockMisuse) as exc:
                core.refuse(session, pending.number, ErrorCode.STATE, f"the lock cannot be taken again: {exc}")
                continue
            if isinstance(outcome, Waiting):
                again = core.wait(session, pending.request, "", outcome.ticket, pending.depth)
                again.notified = notified
            else:
                assert isinstance(outcome, Granted)
                pending.notified = notified
                self._retaken(session, pending, outcome, found.what.lock)

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
                condition = self._core.objects[request.name]
                assert condition.what.lock is not None
                self._retaken(session, pending, each, condition.what.lock)
                continue
            assert isinstance(request, Acquire)
            if isinstance(each, Granted):
                self._granted(session, request, each)
            else:
                self._core.answer(session, pending.number, AcquireAnswer(False))
                self.forget_owner(session, each.owner)

    def undo(self, session: Session, number: int) -> None:
        """What this request was granted is given back: nobody has seen the answer."""
        owner, units = session.granted.pop(number, ("", {}))
        told: list[Told] = []
        for name, count in units.items():
            found = self._core.objects.get(name)
            if found is None or not self._core.locks.held(owner, name):
                continue
            for _ in range(count if found.what.kind == "rlock" else 1):
                told += self._give_back(session, found, owner, 1 if found.what.kind == "rlock" else count)
        self.told(told)

    def lose(self, owner: str, name: str) -> None:
        """The object is forgotten while this owner holds it."""
        self._drop_grant(owner, name)

    def end(self, session: Session | None, owner: str) -> list[str]:
        """The owner is gone; names of what it held."""
        names = list(self.grants.pop(owner, ()))
        told = self._core.locks.end(owner)
        if session is not None:
            session.owners.discard(owner)
        self.told(told)
        return names

    def hand(self, owner: str, names: Iterable[str], to: str) -> None:
        """All that the owner holds of these names is another's now; what it does not hold is left out."""
        mine = self.grants.get(owner, {})
        moving = [name for name in names if name in mine]
        if not moving:
            return
        self._core.locks.hand(owner, moving, to)
        theirs = self.grants.setdefault(to, {})
        for name in moving:
            theirs[name] = mine.pop(name)
        if not mine:
            del self.grants[owner]

    def name_of(self, owner: str, labels: dict[str, str] | None = None) -> str:
        """An owner, for people."""
        if owner.startswith("job:"):
            return f"job {owner.removeprefix('job:')}"
        instance, _, number = owner.partition("/")
        session = self._core.sessions.get(instance)
        label = (labels or {}).get(owner, "") or self._label(session, owner) or f"owner {number}"
        return f"{label} of {session.principal if session else 'a client'} ({instance[:6]})"

    def forget_owner(self, session: Session, owner: str) -> None:
        """Remember an owner only while it holds or waits."""
        if owner not in self.grants and not self._core.locks.is_waiting(owner):
            session.owners.discard(owner)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _label(self, session: Session | None, owner: str) -> str:
        for grant in self.grants.get(owner, {}).values():
            if grant.label:
                return grant.label
        ticket = self._core.locks.ticket_of(owner)
        if session is None or ticket is None:
            return ""
        found = self._core.waits.get(("", ticket))
        pending = None if found is None else session.pending.get(found[1])
        return getattr(pending.request, "label", "") if pending is not None else ""

    def _hold(self, session: Session, owner: str, names: Iterable[str], token: int, label: str) -> None:
        session.owners.add(owner)
        held = self.grants.setdefault(owner, {})
        for name in names:
            if name not in held:
                held[name] = Grant(token, label)

    def _granted(self, session: Session, request: Acquire, granted: Granted) -> None:
        self._hold(session, granted.owner, request.units, granted.token, request.label)
        session.granted[request.number] = (granted.owner, dict(request.units))
        self._core.answer(session, request.number, AcquireAnswer(True, granted.token))

    def _retaken(self, session: Session, pending: Pending, granted: Granted, lock: str) -> None:
        assert isinstance(pending.request, Await)
        self._hold(session, granted.owner, (lock,), granted.token, pending.request.label)
        self._core.answer(session, pending.number, AwaitAnswer(pending.notified, granted.token))

    def _give_back(self, session: Session, found: Object, owner: str, units: int) -> list[Told]:
        """Give back, with the words of ``threading`` where that cannot be.

        Raises:
            Refusal: not held, not by this client, or more than there were.
        """
        core, name, kind = self._core, found.name, found.what.kind
        holder = owner
        if kind == "lock":
            holder = core.locks.holder(name) or ""
            if holder and not holder.startswith(session.instance + "/"):
                raise self._not_held(session, f"{name!r} is held by {self.name_of(holder)}")
        try:
            told = core.locks.give_back(owner, name, units)
        except ValueError as exc:
            raise Refusal(ErrorCode.INVALID, str(exc)) from exc
        except LockMisuse as exc:
            raise self._not_held(session, _NOT_HELD.get(kind, str(exc))) from exc
        if not core.locks.held(holder, name):
            self._drop_grant(holder, name)
        if kind in ("semaphore", "bounded"):  # it may have been given back for somebody else
            for other in [o for o, held in self.grants.items() if name in held] if core.locks.is_signal(name) else ():
                if not core.locks.held(other, name):
                    self._drop_grant(other, name)
        return told

    def _not_held(self, session: Session, text: str) -> Refusal:
        if session.instance in self._core.lost:
            return Refusal(
                ErrorCode.LEASE_LOST, "this client was not heard of for longer than its lease; it is held no more"
            )
        return Refusal(ErrorCode.NOT_HOLDER, text)

    def _drop_grant(self, owner: str, name: str) -> None:
        held = self.grants.get(owner)
        if held is None or held.pop(name, None) is None or held:
            return
        del self.grants[owner]
        session = self._core.sessions.get(owner.partition("/")[0])
        if session is not None:
            self.forget_owner(session, owner)

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
            raise self._not_held(session, text)
        return lock, depth


def _owner(session: Session, number: int) -> str:
    return f"{session.instance}/{number}"
