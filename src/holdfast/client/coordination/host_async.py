"""What a host offers that many programs share. The objects themselves are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from holdfast.client import calls
from holdfast.wire.messages import LeaseInfo, ObjectAsked

if TYPE_CHECKING:
    from holdfast.client.coordination.awaiting import (
        Barrier,
        BoundedSemaphore,
        Condition,
        Event,
        Handle,
        Lock,
        Place,
        RLock,
        Semaphore,
        Together,
    )
    from holdfast.client.coordination.queues_async import Queue
    from holdfast.client.coordination.values import Values
    from holdfast.client.drive_async import Connection

H = TypeVar("H", bound="Handle")
S = TypeVar("S", bound="Semaphore")

DURABLE_VISIBLE_S: Final = 60.0
"""Default of ``visible`` for durable queues."""


class SharedObjects:
    """Locks, semaphores, conditions, events, barriers and queues of a host, by name, for all its clients and jobs."""

    _connection: Connection

    def lock(self, name: str, *, on_lost: Callable[[], None] | None = None) -> Lock:
        """A lock, as ``threading.Lock``, shared by all that open this name.

        Args:
            name: 1 to 200 characters.
            on_lost: Called once if the lock is lost while it is held, because this client was not heard of for longer
                than its lease.

        Raises:
            Conflict: the name is something else (told by the first operation, where nothing is asked before).
        """
        from holdfast.client.coordination.awaiting import Lock

        lock = self._opened(Lock(self._place(), name, ObjectAsked("lock")))
        lock.on_lost = on_lost
        return lock

    def rlock(self, name: str, *, on_lost: Callable[[], None] | None = None) -> RLock:
        """A reentrant lock, as ``threading.RLock``.

        Args:
            name: 1 to 200 characters.
            on_lost: As for ``lock``.

        Raises:
            Conflict: the name is something else (told by the first operation, where nothing is asked before).
        """
        from holdfast.client.coordination.awaiting import RLock

        lock = self._opened(RLock(self._place(), name, ObjectAsked("rlock")))
        lock.on_lost = on_lost
        return lock

    def semaphore(self, name: str, value: int = 1, *, on_lost: Callable[[], None] | None = None) -> Semaphore:
        """A semaphore, as ``threading.Semaphore``.

        Args:
            name: 1 to 200 characters.
            value: Units in it at first, 0 or more.
            on_lost: As for ``lock``.

        Raises:
            Conflict: the name is something else, or has another value (told by the first operation, where nothing is
                asked before).
        """
        from holdfast.client.coordination.awaiting import Semaphore

        return self._semaphore(Semaphore, "semaphore", name, value, on_lost)

    def bounded_semaphore(
        self, name: str, value: int = 1, *, on_lost: Callable[[], None] | None = None
    ) -> BoundedSemaphore:
        """A semaphore that never gets larger than it was made, as ``threading.BoundedSemaphore``.

        Args:
            name: 1 to 200 characters.
            value: Units in it at first, 0 or more.
            on_lost: As for ``lock``.

        Raises:
            Conflict: the name is something else, or has another value (told by the first operation, where nothing is
                asked before).
        """
        from holdfast.client.coordination.awaiting import BoundedSemaphore

        return self._semaphore(BoundedSemaphore, "bounded", name, value, on_lost)

    def condition(self, name: str, lock: Lock | RLock | None = None) -> Condition:
        """A condition, as ``threading.Condition``.

        Args:
            name: 1 to 200 characters.
            lock: Of the same host; None: a reentrant one named ``NAME/lock``.

        Raises:
            Conflict: the name is something else (told by the first operation, where nothing is asked before).
        """
        from holdfast.client.coordination.awaiting import Condition, RLock

        if lock is None:
            lock = RLock(self._place(), f"{name}/lock", ObjectAsked("rlock"))
        self._opened(lock)
        return self._opened(Condition(self._place(), name, lock))

    def event(self, name: str) -> Event:
        """A flag that can be waited for, as ``threading.Event``.

        Args:
            name: 1 to 200 characters.

        Raises:
            Conflict: the name is something else (told by the first operation, where nothing is asked before).
        """
        from holdfast.client.coordination.awaiting import Event

        return self._opened(Event(self._place(), name, ObjectAsked("event")))

    def barrier(
        self,
        name: str,
        parties: int,
        action: Callable[[], Any] | None = None,
        timeout: float | None = None,
    ) -> Barrier:
        """A meeting of so many, as ``threading.Barrier``.

        Args:
            name: 1 to 200 characters.
            parties: How many, at least 1.
            action: Called by the last one to come, before the others go on. All give one, or none does.
            timeout: Seconds that ``wait`` waits where it is not told otherwise; None: no limit.

        Raises:
            Conflict: the name is something else, or for another number (told by the first operation, where nothing is
                asked before).
        """
        from holdfast.client.coordination.awaiting import Barrier

        if parties < 1:
            raise ValueError("parties must be >= 1")
        return self._opened(Barrier(self._place(), name, parties, action, timeout))

    def queue(
        self,
        name: str,
        maxsize: int = 0,
        *,
        order: Literal["fifo", "lifo", "priority"] = "fifo",
        durable: bool = False,
        visible: float | None = None,
        most_deliveries: int = 5,
        values: Values | None = None,
    ) -> Queue:
        """A queue, as ``queue.Queue``, ``LifoQueue`` or ``PriorityQueue``.

        Args:
            name: 1 to 200 characters.
            maxsize: Most items in it, those that are out among them; who puts more waits. 0: no limit of its own.
            order: Which item is the next one: the oldest, the newest, or the one with the lowest priority.
            durable: Items are on the disk before ``put`` returns: they survive a power failure.
            visible: Seconds for which an item that was got is out; unless it is acknowledged it comes back then. None:
                getting it is the end of it (for durable queues: 60).
            most_deliveries: After so many an item is a dead letter.
            values: ``"plain"``, or ``"pickle"`` for anything that can be pickled, which lets whoever puts run code
                here. None: ``"pickle"`` on one's own ``local`` agent, else ``"plain"``.

        Raises:
            Conflict: the name is something else, or a queue with other bounds (told by the first operation, where
                nothing is asked before).
        """
        from holdfast.client.coordination.queues_async import Queue

        if durable and visible is None:
            visible = DURABLE_VISIBLE_S
        what = ObjectAsked(
            "queue",
            maxsize=max(0, maxsize),
            order=order,
            durable=durable,
            visible_s=visible,
            most_deliveries=most_deliveries,
        )
        place = self._place()
        return self._opened(Queue(place, name, what, values or ("pickle" if place.is_own else "plain")))

    def acquire_all(self, *held: Lock | RLock | Semaphore, timeout: float | None = None) -> Together:
        """Several locks and semaphores, taken in one step or not at all; for ``with``.

        Args:
            *held: Handles of this host.
            timeout: Seconds to wait at most, then ``TimeoutError``; None: no limit.
        """
        from holdfast.client.coordination.awaiting import Together

        return Together(held, timeout)

    async def leases(self, name: str | None = None) -> tuple[LeaseInfo, ...]:
        """Everything that is held or waited for, and by whom.

        Args:
            name: Of this object alone.
        """
        return await self._connection.call(calls.leases(name))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _place(self) -> Place:
        from holdfast.client.coordination.awaiting import Place

        return Place(self._connection)

    @staticmethod
    def _opened(handle: H) -> H:
        return handle

    def _semaphore(
        self,
        kind: type[S],
        word: Literal["semaphore", "bounded"],
        name: str,
        value: int,
        on_lost: Callable[[], None] | None,
    ) -> S:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        semaphore = self._opened(kind(self._place(), name, ObjectAsked(word, units=value)))
        semaphore.on_lost = on_lost
        return semaphore
