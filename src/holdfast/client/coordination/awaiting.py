"""Locks, semaphores, conditions, events and barriers of a host, for asyncio; names and behaviour as in ``threading``.

Rules of this module, and of its twin:

* A method is one request; what it decides is decided by the agent. Methods that only look (``locked``) ask it, too.
* An owner is a thread of this process (in asyncio: a task). A plain lock may be given back by another one.
* What is held is leased. Who is not heard of for longer than that has lost it: the task that is in an ``async with``
  block is cancelled, and the block ends with ``LeaseLost``; ``check`` and ``release`` raise it, too.
* A wait that could never end raises ``DeadlockError`` instead, with the circle written out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from holdfast.client import calls
from holdfast.client.coordination import asks
from holdfast.client.coordination.desk import now_s
from holdfast.client.coordination.desk_async import Desk, desk_of, label, owner
from holdfast.errors import LeaseLost, NotHeld
from holdfast.wire.messages import ObjectAsked, ObjectStateAnswer

if TYPE_CHECKING:
    from holdfast.client.drive_async import Connection

FOREVER: Final = -1.0
"""``timeout`` of locks that means none, as in ``threading``."""


class Place:
    """The desk of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def desk(self) -> Desk:
        """Where to ask."""
        return desk_of(self._connection)

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own agent on this machine."""
        return self._connection.is_local


class Handle:
    """An object of a host, by its name. Handles of one name are interchangeable.

    Attributes:
        name: Its name on its host.
    """

    def __init__(self, place: Place, name: str, what: ObjectAsked) -> None:
        self.name = name
        self._place = place
        self._what = what

    async def forget(self) -> None:
        """Remove the object from its host, with all that it holds; who waits for it gets ``NotFound``."""
        await self._desk.ask(asks.drop(self.name, forget=True))

    async def state(self) -> ObjectStateAnswer:
        """What the object is and holds now, as its host has it."""
        await self._use()
        return await self._desk.connection.call(calls.object_state(self.name))

    async def _seen(self, look: Callable[[ObjectStateAnswer], Any]) -> Any:
        return look(await self.state())

    @property
    def _desk(self) -> Desk:
        return self._place.desk()

    async def _use(self) -> None:
        """Have it open, as what it is here."""
        await self._desk.use(self.name, self._what)

    async def _ask(self, ask: asks.Ask[Any]) -> Any:
        await self._use()
        return await self._desk.ask_about(self.name, self._what, ask)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} object at {id(self):#x}>"


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

    async def _take(self, units: int, *, wait: bool, timeout_s: float | None) -> bool:
        desk, who = self._desk, owner()
        ask = asks.acquire(who, {self.name: units}, wait=wait, timeout_s=timeout_s, label=label())
        token = await desk.ask_about(self.name, self._what, ask)
        if token is None:
            return False
        desk.took(who, self.name, token, units, self.on_lost)
        return True

    async def _give(self, units: int = 1) -> None:
        desk, who = self._desk, self._holder()
        if who is None:
            who = owner()
        else:
            try:
                desk.check(who, self.name)
            except LeaseLost:
                desk.gave(who, self.name, units)
                raise
        await desk.ask_about(self.name, self._what, asks.release(who, self.name, units))
        desk.gave(who, self.name, units)

    async def acquire(self) -> bool:
        """Take it."""
        return await self._take(1, wait=True, timeout_s=None)

    async def __aenter__(self) -> bool:
        taken = await self.acquire()
        who = self._holder()
        holding = None if who is None else self._desk.ledger.held.get((who, self.name))
        task = asyncio.current_task()
        if holding is not None and task is not None:
            holding.on_lost = _ending(task, holding.on_lost)
        return taken

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        """End of an ``async with`` block: a lost lease is told, in place of the cancellation that it has caused."""
        try:
            await self._give()
        except LeaseLost as lost:
            if not isinstance(error, asyncio.CancelledError):
                raise lost from error
            task = asyncio.current_task()
            if task is not None and LOST in error.args and not task.uncancel():
                raise lost from None
            raise error from lost


class Lock(_Held):
    """A lock, as ``threading.Lock``."""

    async def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Take the lock; whether it was to be had (in time).

        Args:
            blocking: Wait until it is free.
            timeout: Seconds to wait at most; -1: no limit.

        Raises:
            DeadlockError: it would never be free.
            ValueError: a time limit without waiting, or below 0.
        """
        return await self._take(1, wait=blocking, timeout_s=_timeout(blocking, timeout))

    async def release(self) -> None:
        """Give the lock back. Any thread of this process may.

        Raises:
            NotHeld: nobody of this process holds it; also a ``RuntimeError``.
            LeaseLost: it was lost before.
        """
        await self._give()

    async def locked(self) -> bool:
        """Whether anybody holds it now."""
        return not (await self.state()).free

    def __repr__(self) -> str:
        return f"<{'unlocked' if self._holder() is None else 'locked'} {super().__repr__()[1:]}"

    def _holder(self) -> int | None:
        found = self._desk.ledger.anybody(self.name)
        return None if found is None else found[0]


class RLock(_Held):
    """A reentrant lock, as ``threading.RLock``: its owner may take it again."""

    async def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Take the lock, or take it once more; whether it was to be had (in time).

        Args:
            blocking: Wait until it is free.
            timeout: Seconds to wait at most; -1: no limit.

        Raises:
            DeadlockError: it would never be free.
            ValueError: a time limit without waiting, or below 0.
        """
        return await self._take(1, wait=blocking, timeout_s=_timeout(blocking, timeout))

    async def release(self) -> None:
        """Give the lock back once.

        Raises:
            NotHeld: this thread does not hold it; also a ``RuntimeError``.
            LeaseLost: it was lost before.
        """
        await self._give()

    async def locked(self) -> bool:
        """Whether anybody holds it now."""
        return not (await self.state()).free

    def _is_owned(self) -> bool:
        return self._recursion_count() > 0

    def _recursion_count(self) -> int:
        return self._desk.ledger.count(owner(), self.name)

    def __repr__(self) -> str:
        found = self._desk.ledger.anybody(self.name)
        count = 0 if found is None else found[1].count
        return f"<{'locked' if count else 'unlocked'} {super().__repr__()[1:-1]} count={count}>"


class Semaphore(_Held):
    """A counter that is never below 0, as ``threading.Semaphore``: taking waits while it is 0."""

    async def acquire(self, blocking: bool = True, timeout: float | None = None, *, units: int = 1) -> bool:
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
        return await self._take(units, wait=blocking, timeout_s=timeout)

    async def release(self, n: int = 1) -> None:
        """Give units back; more than were taken make the semaphore larger.

        Args:
            n: How many, at least 1.

        Raises:
            LeaseLost: what was held was lost before.
        """
        if n < 1:
            raise ValueError("n must be one or more")
        await self._give(n)

    @property
    def value(self) -> Coroutine[Any, Any, int]:
        """Units that can be had now; asks the host."""
        return self._seen(lambda state: state.free)


class BoundedSemaphore(Semaphore):
    """A semaphore that never gets larger than it was made, as ``threading.BoundedSemaphore``."""

    async def release(self, n: int = 1) -> None:
        """Give units back.

        Args:
            n: How many, at least 1.

        Raises:
            ValueError: more than there were.
            LeaseLost: what was held was lost before.
        """
        try:
            await super().release(n)
        except NotHeld as exc:
            raise ValueError("Semaphore released too many times") from exc


class Condition(Handle):
    """Waiting for somebody's word while a lock is given back meanwhile, as ``threading.Condition``."""

    def __init__(self, place: Place, name: str, lock: Lock | RLock) -> None:
        super().__init__(place, name, ObjectAsked("condition", lock=lock.name, passing=lock._what.passing))
        self.lock = lock
        self.acquire = lock.acquire
        self.release = lock.release

    async def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait until notified, take the lock again.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            Whether notified; False: the time was over.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        answer = await self._ask(asks.wait_notified(owner(), self.name, timeout_s=timeout, label=label()))
        notified: bool = answer[0]
        return notified

    async def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
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
            await self.wait(left)
        return result

    async def notify(self, n: int = 1) -> None:
        """Wake those who have waited longest.

        Args:
            n: How many at most.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        await self._notify(n)

    async def notify_all(self) -> None:
        """Wake everybody who waits.

        Raises:
            NotHeld: the lock is not held; also a ``RuntimeError``.
        """
        await self._notify(None)

    async def _use(self) -> None:
        await self.lock._use()
        await super()._use()

    async def _notify(self, n: int | None) -> None:
        await self._ask(asks.notify(owner(), self.name, n))

    async def __aenter__(self) -> bool:
        return await self.lock.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.lock.__aexit__(kind, error, traceback)


class Event(Handle):
    """A flag that can be waited for, as ``threading.Event``."""

    async def is_set(self) -> bool:
        """Whether it is set; asks the host."""
        return (await self.state()).is_set

    async def set(self) -> None:
        """Set it; everybody who waits goes on."""
        await self._ask(asks.set_flag(self.name, value=True))

    async def clear(self) -> None:
        """Take it down."""
        await self._ask(asks.set_flag(self.name, value=False))

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            Whether it is; False: the time was over.
        """
        is_set: bool = await self._ask(asks.wait_flag(self.name, timeout))
        return is_set


class Barrier(Handle):
    """A meeting of so many, who go on together, as ``threading.Barrier``."""

    def __init__(
        self,
        place: Place,
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

    async def wait(self, timeout: float | None = None) -> int:
        """Come, and wait for the others.

        Args:
            timeout: Seconds to wait at most; None: as the barrier was made.

        Returns:
            0 to ``parties - 1``, a different one for each.

        Raises:
            BrokenBarrier: somebody gave up, or it was reset; also a ``threading.BrokenBarrierError``.
        """
        desk = self._desk
        await desk.use(self.name, self._what)
        limit = self._timeout if timeout is None else timeout
        number, answer = await desk.ask_numbered(asks.meet(self.name, limit))
        if answer.act:
            try:
                if self._action is not None:
                    self._action()
            except BaseException:
                await desk.ask(asks.acted(self.name, number, failed=True))
                raise
            await desk.ask(asks.acted(self.name, number, failed=False))
        return answer.index

    async def abort(self) -> None:
        """Break it: nobody passes until it is reset."""
        await self._ask(asks.change_barrier(self.name, abort=True))

    async def reset(self) -> None:
        """Empty it again; who waits gets ``BrokenBarrier``."""
        await self._ask(asks.change_barrier(self.name, abort=False))

    @property
    def n_waiting(self) -> Coroutine[Any, Any, int]:
        """How many wait; asks the host."""
        return self._seen(lambda state: state.waiting)

    @property
    def broken(self) -> Coroutine[Any, Any, bool]:
        """Whether it is broken; asks the host."""
        return self._seen(lambda state: state.broken)


class Together:
    """Several locks and semaphores, taken in one step or not at all, so that no order of theirs can be a wrong one."""

    def __init__(self, held: Sequence[_Held], timeout: float | None) -> None:
        if not held:
            raise ValueError("nothing to take")
        self._held = held
        self._timeout = timeout
        self.token = 0

    async def __aenter__(self) -> Together:
        desk, who = self._held[0]._desk, owner()
        for each in self._held:
            if each._desk is not desk:
                raise ValueError("locks of different hosts cannot be taken in one step")
            await desk.use(each.name, each._what)
        units = {each.name: 1 for each in self._held}
        token = await desk.ask(asks.acquire(who, units, wait=True, timeout_s=self._timeout, label=label()))
        if token is None:
            raise TimeoutError(f"{', '.join(units)}: not to be had together within {self._timeout:g} s")
        self.token = token
        for each in self._held:
            desk.took(who, each.name, token, 1, each.on_lost)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lost: LeaseLost | None = None
        for each in reversed(self._held):
            try:
                await each._give()
            except LeaseLost as exc:
                lost = exc
        if lost is not None:
            raise lost from error


LOST: Final = "a lock was lost with its lease"
"""What a task is cancelled with then."""


def _ending(task: asyncio.Task[Any], before: Callable[[], None] | None) -> Callable[[], None]:
    """Called when a lock is lost in the middle of a block: end the task that is in it."""

    def ending() -> None:
        if before is not None:
            before()
        task.cancel(LOST)

    return ending


def _timeout(blocking: bool, timeout: float) -> float | None:
    """The limit as ``threading`` takes it."""
    if not blocking and timeout != FOREVER:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != FOREVER:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return None if timeout == FOREVER else timeout
