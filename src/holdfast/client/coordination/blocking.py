"""Locks, semaphores, conditions, events and barriers of a host, with the behaviour of ``threading``.

Rules of this module, and of its twin:

* A method is one request; what it decides is decided by the agent. Methods that only look (``locked``) ask it, too.
* An owner is a thread of this process (in asyncio: a task). A plain lock may be given back by another one.
* What is held is leased. Who is not heard of for longer than that has lost it: ``check``, ``release`` and the end of a
  ``with`` block raise ``LeaseLost`` then, and ``on_lost`` is called.
* A wait that could never end raises ``DeadlockError`` instead, with the circle written out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from holdfast.client import calls
from holdfast.client.coordination import asks
from holdfast.client.coordination.desk import now_s
from holdfast.client.coordination.desk_threads import Desk, label, owner
from holdfast.client.coordination.places import AnyPlace, SharedPlace, Where
from holdfast.errors import HoldfastError, LeaseLost, NotHeld
from holdfast.wire.messages import ObjectAsked, ObjectStateAnswer

FOREVER: Final = -1.0
"""``timeout`` of locks that means none, as in ``threading``."""
_REPR_S: Final = 1.0
"""How long ``repr`` waits for the host's word."""


class Handle:
    """An object of a host, by its name. Handles of one name are interchangeable, also pickled ones.

    Attributes:
        name: Its name on its host.
    """

    def __init__(self, place: AnyPlace, name: str, what: ObjectAsked) -> None:
        self.name = name
        self._place = place
        self._what = what

    def forget(self) -> None:
        """Remove the object from its host, with all that it holds; who waits for it gets ``NotFound``."""
        self._desk.ask(asks.drop(self.name, forget=True))

    def state(self) -> ObjectStateAnswer:
        """What the object is and holds now, as its host has it."""
        self._use()
        return self._desk.connection.call(calls.object_state(self.name))

    @property
    def _desk(self) -> Desk:
        return self._place.desk()

    def _use(self) -> None:
        """Have it open, as what it is here."""
        self._desk.use(self.name, self._what)

    def _ask(self, ask: asks.Ask[Any]) -> Any:
        self._use()
        return self._desk.ask_about(self.name, self._what, ask)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._place.where, self.name, self._what, self._more())

    def _more(self) -> dict[str, Any]:
        """What else a copy of this handle needs."""
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} object at {id(self):#x}>"

    def _repr_with(self, told: Callable[[ObjectStateAnswer], str]) -> str:
        """A ``repr`` as ``threading`` has it, with what the host says just now; without, if it cannot be asked."""
        try:
            self._desk.use(self.name, self._what)
            state = f": {told(self._desk.connection.call(calls.object_state(self.name), _REPR_S))}"
        except HoldfastError:
            state = ""
        name = "" if self._what.passing else f" {self.name!r}"
        return f"<holdfast.{type(self).__name__}{name} at {id(self):#x}{state}>"


def _again(kind: type[Handle], where: Where, name: str, what: ObjectAsked, more: dict[str, Any]) -> Handle:
    """A handle in another process."""
    handle = kind.__new__(kind)
    Handle.__init__(handle, SharedPlace(where), name, what)
    handle.__dict__.update(more)
    return handle


class _Held(Handle):
    """What locks and semaphores share."""

    on_lost: Callable[[], None] | None = None

    @property
    def token(self) -> int:
        """Fencing token of what this thread holds; greater than that of every earlier grant.

        Raises:
            NotHeld: nothing.
        """
        who = self._holder()
        holding = None if who is None else self._desk.ledger.held.get((who, self.name))
        if holding is None:
            raise NotHeld(f"{self.name!r} is not held here")
        return holding.token

    @property
    def lost(self) -> bool:
        """Whether what was held was lost with the lease; another one may hold it by now."""
        try:
            self.check()
        except LeaseLost:
            return True
        return False

    def check(self) -> None:
        """See that what is held is still ours; call it before each step that must not be done by two.

        Raises:
            LeaseLost: it is not.
        """
        who = self._holder()
        if who is not None:
            self._desk.check(who, self.name)

    def _holder(self) -> int | None:
        return owner()

    def _take(self, units: int, *, wait: bool, timeout_s: float | None) -> bool:
        desk, who = self._desk, owner()
        ask = asks.acquire(who, {self.name: units}, wait=wait, timeout_s=timeout_s, label=label())
        token = desk.ask_about(self.name, self._what, ask)
        if token is None:
            return False
        desk.took(who, self.name, token, units, self.on_lost)
        return True

    def _give(self, units: int = 1) -> None:
        desk, who = self._desk, self._holder()
        if who is None:
            who = owner()
        else:
            try:
                desk.check(who, self.name)
            except LeaseLost:
                desk.gave(who, self.name, units)
                raise
        desk.ask_about(self.name, self._what, asks.release(who, self.name, units))
        desk.gave(who, self.name, units)

    def _leave(self, error: BaseException | None) -> None:
        """End of a ``with`` block: a lost lease is told, unless another error is on its way."""
        try:
            self._give()
        except LeaseLost as lost:
            if error is None:
                raise
            lost.__cause__ = error
            raise lost from error


class Lock(_Held):
    """A lock, as ``threading.Lock``."""

    def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Take the lock; whether it was to be had (in time).

        Args:
            blocking: Wait until it is free.
            timeout: Seconds to wait at most; -1: no limit.

        Raises:
            DeadlockError: it would never be free.
            ValueError: a time limit without waiting, or below 0.
        """
        return self._take(1, wait=blocking, timeout_s=_timeout(blocking, timeout))

    def release(self) -> None:
        """Give the lock back. Any thread of this process may.

        Raises:
            NotHeld: nobody of this process holds it; also a ``RuntimeError``.
            LeaseLost: it was lost before.
        """
        self._give()

    def locked(self) -> bool:
        """Whether anybody holds it now."""
        return not self.state().free

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    def __repr__(self) -> str:
        return f"<{'unlocked' if self._holder() is None else 'locked'} {super().__repr__()[1:]}"

    def _holder(self) -> int | None:
        found = self._desk.ledger.anybody(self.name)
        return None if found is None else found[0]


class RLock(_Held):
    """A reentrant lock, as ``threading.RLock``: its owner may take it again."""

    def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Take the lock, or take it once more; whether it was to be had (in time).

        Args:
            blocking: Wait until it is free.
            timeout: Seconds to wait at most; -1: no limit.

        Raises:
            DeadlockError: it would never be free.
            ValueError: a time limit without waiting, or below 0.
        """
        return self._take(1, wait=blocking, timeout_s=_timeout(blocking, timeout))

    def release(self) -> None:
        """Give the lock back once.

        Raises:
            NotHeld: this thread does not hold it; also a ``RuntimeError``.
            LeaseLost: it was lost before.
        """
        self._give()

    def locked(self) -> bool:
        """Whether anybody holds it now."""
        return not self.state().free

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    # What ``threading.Condition`` wants of a reentrant lock.

    def _is_owned(self) -> bool:
        return self._recursion_count() > 0

    def _release_save(self) -> int:
        count = self._recursion_count()
        if not count:
            raise NotHeld(f"{self.name!r} is not held here")
        self._give(count)
        return count

    def _acquire_restore(self, count: int) -> None:
        self._take(count, wait=True, timeout_s=None)

    def _recursion_count(self) -> int:
        return self._desk.ledger.count(owner(), self.name)

    def __repr__(self) -> str:
        found = self._desk.ledger.anybody(self.name)
        count = 0 if found is None else found[1].count
        return f"<{'locked' if count else 'unlocked'} {super().__repr__()[1:-1]} count={count}>"


class Semaphore(_Held):
    """A counter that is never below 0, as ``threading.Semaphore``: taking waits while it is 0."""

    def acquire(self, blocking: bool = True, timeout: float | None = None, *, units: int = 1) -> bool:
        """Take units; whether they were to be had (in time).

        Args:
            blocking: Wait until there are enough.
            timeout: Seconds to wait at most; None: no limit.
            units: How many, all at once.

        Raises:
            DeadlockError: there would never be enough.
            ValueError: a time limit without waiting.
        """
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        return self._take(units, wait=blocking, timeout_s=timeout)

    def release(self, n: int = 1) -> None:
        """Give units back; more than were taken make the semaphore larger.

        Args:
            n: How many, at least 1.

        Raises:
            LeaseLost: what was held was lost before.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        self._give(n)

    @property
    def value(self) -> int:
        """Units that can be had now; asks the host."""
        return self.state().free

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    def __repr__(self) -> str:
        return self._repr_with(lambda state: f"value={state.free}")


class BoundedSemaphore(Semaphore):
    """A semaphore that never gets larger than it was made, as ``threading.BoundedSemaphore``."""

    def release(self, n: int = 1) -> None:
        """Give units back.

        Args:
            n: How many, at least 1.

        Raises:
            ValueError: more than there were.
            LeaseLost: what was held was lost before.
        """
        try:
            super().release(n)
        except NotHeld as exc:
            raise ValueError("Semaphore released too many times") from exc

    def __repr__(self) -> str:
        return self._repr_with(lambda state: f"value={state.free}/{self._what.units}")


class Condition(Handle):
    """Waiting for somebody's word while a lock is given back meanwhile, as ``threading.Condition``."""

    def __init__(self, place: AnyPlace, name: str, lock: Lock | RLock) -> None:
        super().__init__(place, name, ObjectAsked("condition", lock=lock.name, passing=lock._what.passing))
        self.lock = lock
        self.acquire = lock.acquire
        self.release = lock.release
        if isinstance(lock, RLock):
            self._release_save = lock._release_save
            self._acquire_restore = lock._acquire_restore
            self._is_owned = lock._is_owned

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait until notified, take the lock again.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            Whether notified; False: the time was over.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        notified: bool = self._ask(asks.wait_notified(owner(), self.name, timeout_s=timeout, label=label()))[0]
        return notified

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until ``predicate`` is true, as in ``threading``; what it gave last.

        Args:
            predicate: Looked at with the lock held, first at once and then after each notification.
            timeout: Seconds to wait at most, all waits together; None: no limit.
        """
        until = None if timeout is None else now_s() + timeout
        while not (result := predicate()):
            left = None if until is None else until - now_s()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def notify(self, n: int = 1) -> None:
        """Wake those who have waited longest.

        Args:
            n: How many at most.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        self._notify(n)

    def notify_all(self) -> None:
        """Wake everybody who waits.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        self._notify(None)

    def _use(self) -> None:
        self.lock._use()
        super()._use()

    def _notify(self, n: int | None) -> None:
        self._ask(asks.notify(owner(), self.name, n))

    def __enter__(self) -> bool:
        return self.lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lock.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<Condition({self.lock!r})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _condition_again, (type(self), self._place.where, self.name, self.lock)


def _condition_again(kind: type[Condition], where: Where, name: str, lock: Lock | RLock) -> Condition:
    condition = kind.__new__(kind)
    Condition.__init__(condition, SharedPlace(where), name, lock)
    return condition


class Event(Handle):
    """A flag that can be waited for, as ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether it is set; asks the host."""
        return self.state().is_set

    def set(self) -> None:
        """Set it; everybody who waits goes on."""
        self._ask(asks.set_flag(self.name, value=True))

    def clear(self) -> None:
        """Take it down."""
        self._ask(asks.set_flag(self.name, value=False))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            Whether it is; False: the time was over.
        """
        is_set: bool = self._ask(asks.wait_flag(self.name, timeout))
        return is_set

    def __repr__(self) -> str:
        return self._repr_with(lambda state: "set" if state.is_set else "unset")


class Barrier(Handle):
    """A meeting of so many, who go on together, as ``threading.Barrier``."""

    def __init__(
        self,
        place: AnyPlace,
        name: str,
        parties: int,
        action: Callable[[], Any] | None,
        timeout: float | None,
        *,
        passing: bool = False,
    ) -> None:
        what = ObjectAsked("barrier", units=parties, acts=action is not None, passing=passing)
        super().__init__(place, name, what)
        self.parties = parties
        self._action = action
        self._timeout = timeout

    def wait(self, timeout: float | None = None) -> int:
        """Come, and wait for the others.

        Args:
            timeout: Seconds to wait at most; None: as the barrier was made.

        Returns:
            0 to ``parties - 1``, a different one for each.

        Raises:
            BrokenBarrier: somebody gave up, or it was reset; also a ``threading.BrokenBarrierError``.
        """
        desk = self._desk
        desk.use(self.name, self._what)
        limit = self._timeout if timeout is None else timeout
        number, answer = desk.ask_numbered(asks.meet(self.name, limit))
        if answer.act:
            try:
                if self._action is not None:
                    self._action()
            except BaseException:
                desk.ask(asks.acted(self.name, number, failed=True))
                raise
            desk.ask(asks.acted(self.name, number, failed=False))
        return answer.index

    def abort(self) -> None:
        """Break it: nobody passes until it is reset."""
        self._ask(asks.change_barrier(self.name, abort=True))

    def reset(self) -> None:
        """Empty it again; who waits gets ``BrokenBarrier``."""
        self._ask(asks.change_barrier(self.name, abort=False))

    @property
    def n_waiting(self) -> int:
        """How many wait; asks the host."""
        return self.state().waiting

    @property
    def broken(self) -> bool:
        """Whether it is broken; asks the host."""
        return self.state().broken

    def __repr__(self) -> str:
        return self._repr_with(lambda state: "broken" if state.broken else f"waiters={state.waiting}/{self.parties}")

    def _more(self) -> dict[str, Any]:
        return {"parties": self.parties, "_action": self._action, "_timeout": self._timeout}


class Together:
    """Several locks and semaphores, taken in one step or not at all, so that no order of theirs can be a wrong one."""

    def __init__(self, held: Sequence[_Held], timeout: float | None) -> None:
        if not held:
            raise ValueError("nothing to take")
        self._held = held
        self._timeout = timeout
        self.token = 0

    def __enter__(self) -> Together:
        desk, who = self._held[0]._desk, owner()
        for each in self._held:
            if each._desk is not desk:
                raise ValueError("locks of different hosts cannot be taken in one step")
            desk.use(each.name, each._what)
        units = {each.name: 1 for each in self._held}
        token = desk.ask(asks.acquire(who, units, wait=True, timeout_s=self._timeout, label=label()))
        if token is None:
            raise TimeoutError(f"{', '.join(units)}: not to be had together within {self._timeout:g} s")
        self.token = token
        for each in self._held:
            desk.took(who, each.name, token, 1, each.on_lost)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lost: LeaseLost | None = None
        for each in reversed(self._held):
            try:
                each._give()
            except LeaseLost as exc:
                lost = exc
        if lost is not None:
            raise lost from error


def _timeout(blocking: bool, timeout: float) -> float | None:
    """The limit as ``threading`` takes it."""
    if not blocking and timeout != FOREVER:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != FOREVER:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return None if timeout == FOREVER else timeout
