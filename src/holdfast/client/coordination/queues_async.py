"""Queues of a host, for asyncio: names and behaviour of ``queue`` and, if asked for, a queue that loses no work."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from holdfast.client.coordination import asks, values
from holdfast.client.coordination.asks import Got
from holdfast.client.coordination.awaiting import Handle, Place
from holdfast.client.coordination.values import Values
from holdfast.errors import NotHeld
from holdfast.wire.messages import ObjectAsked


class Queue(Handle):
    """A queue, as ``queue.Queue``, ``LifoQueue`` or ``PriorityQueue``.

    With ``visible`` an item that was got is out for so long, and comes back unless it is acknowledged: by ``task_done``
    after ``get``, or by the ``Item`` that ``take`` gives.

    Attributes:
        maxsize: Most items in it; 0: no limit.
    """

    def __init__(self, place: Place, name: str, what: ObjectAsked, values: Values) -> None:
        super().__init__(place, name, what)
        self.maxsize = what.maxsize
        self._values: Values = values
        self._out: deque[Got] = deque()

    async def put(
        self, item: Any, block: bool = True, timeout: float | None = None, *, priority: float | None = None
    ) -> None:
        """Put an item; waits while the queue is full.

        Args:
            item: A plain value (None, bool, int, float, str, bytes and lists, tuples, dicts, sets of such), or
                anything that can be pickled where the queue was opened with ``values="pickle"``.
            block: Wait for room.
            timeout: Seconds to wait at most; None: no limit.
            priority: Of a priority queue, lowest first; None: the item itself, which then is a number, str, bytes, or
                a tuple or list that begins with one.

        Raises:
            QueueFull: no room (in time); also a ``queue.Full``.
            QueueShutDown: it was shut down.
            CallRefused: the item cannot be sent.
            CallTooLarge: it is larger than ``ITEM_BYTES``.
        """
        _check(block, timeout)
        order = values.order_of(item, priority) if self._what.order == "priority" else (0.0, "")
        data = values.encode(item, self._values, self.name)
        await self._ask(asks.put(self.name, data, order=order, wait=block, timeout_s=timeout))

    async def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next item; waits while the queue is empty.

        Args:
            block: Wait for one.
            timeout: Seconds to wait at most; None: no limit.

        Raises:
            QueueEmpty: none (in time); also a ``queue.Empty``.
            QueueShutDown: it was shut down and is empty.
        """
        got = await self._take(block, timeout)
        if self._what.visible_s is not None:
            self._out.append(got)
        return values.decode(got.value, self._values, self.name)

    async def take(self, block: bool = True, timeout: float | None = None) -> Item:
        """The next item as an ``Item``, which is acknowledged by itself; for queues with ``visible``.

        Args:
            block: Wait for one.
            timeout: Seconds to wait at most; None: no limit.

        Raises:
            QueueEmpty: none (in time); also a ``queue.Empty``.
            QueueShutDown: it was shut down and is empty.
        """
        if self._what.visible_s is None:
            raise ValueError(f"queue {self.name!r} has no visible=: what is taken from it is gone; use get")
        got = await self._take(block, timeout)
        return Item(self, got, values.decode(got.value, self._values, self.name))

    async def put_nowait(self, item: Any) -> None:
        """Put an item if there is room now.

        Raises:
            QueueFull: there is none; also a ``queue.Full``.
        """
        await self.put(item, block=False)

    async def get_nowait(self) -> Any:
        """The next item, if there is one now.

        Raises:
            QueueEmpty: there is none; also a ``queue.Empty``.
        """
        return await self.get(block=False)

    async def qsize(self) -> int:
        """Items that can be had now."""
        return (await self.state()).size

    async def empty(self) -> bool:
        """Whether there is none now."""
        return not await self.qsize()

    async def full(self) -> bool:
        """Whether there is no room now."""
        state = await self.state()
        return 0 < state.maxsize <= state.size + state.out

    @property
    def unfinished_tasks(self) -> Coroutine[Any, Any, int]:
        """Items that were put and are not done; asks the host."""
        return self._seen(lambda state: state.unfinished)

    @property
    def is_shutdown(self) -> Coroutine[Any, Any, bool]:
        """Whether it was shut down; asks the host."""
        return self._seen(lambda state: state.shut)

    async def task_done(self) -> None:
        """One item that was got is done; with ``visible``: acknowledges the one that this handle got first.

        Raises:
            ValueError: more often than there were items.
        """
        try:
            if self._what.visible_s is None:
                await self._ask(asks.task_done(self.name))
            elif self._out:
                await self._ask(asks.settle(self.name, self._out.popleft(), failed=False))
            else:
                raise ValueError("task_done() called too many times")
        except NotHeld as exc:
            raise ValueError("task_done() called too many times") from exc

    async def join(self, timeout: float | None = None) -> bool:
        """Wait until every item that was put is done.

        Args:
            timeout: Seconds to wait at most; None: no limit.

        Returns:
            Whether they are; False: the time was over.
        """
        done: bool = await self._ask(asks.join(self.name, timeout))
        return done

    async def shutdown(self, immediate: bool = False) -> None:
        """No more items; who waits to put, or to get from an empty queue, gets ``QueueShutDown``.

        Args:
            immediate: Drop what is in it, which counts as done.
        """
        await self._ask(asks.shut(self.name, immediate=immediate))

    async def _take(self, block: bool, timeout: float | None) -> Got:
        _check(block, timeout)
        got: Got = await self._ask(asks.take(self.name, wait=block, timeout_s=timeout))
        return got


class Item:
    """An item that is out. Left in order it is done; left by an exception it goes back at once.

    Attributes:
        value: What was put.
        id: Its number in the queue.
        delivery: Which time it is out: 1 at first.
    """

    def __init__(self, queue: Queue, got: Got, value: Any) -> None:
        self.value = value
        self.id = got.item
        self.delivery = got.delivery
        self._queue = queue
        self._got = got

    async def ack(self) -> None:
        """It is done, and gone for good.

        Raises:
            NotHeld: it was out for too long, and has been given to somebody else.
        """
        await self._queue._ask(asks.settle(self._queue.name, self._got, failed=False))

    async def fail(self) -> None:
        """It has come to nothing: somebody else gets it, or it becomes a dead letter.

        Raises:
            NotHeld: it was out for too long, and has been given to somebody else.
        """
        await self._queue._ask(asks.settle(self._queue.name, self._got, failed=True))

    async def __aenter__(self) -> Item:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.ack()
        else:
            await self.fail()


def _check(block: bool, timeout: float | None) -> None:
    if block and timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
