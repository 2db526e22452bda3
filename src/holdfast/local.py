"""Locks, queues, timers, processes and pools on the user's own agent, under the names of the standard library.

A program that was written for ``threading``, ``queue``, ``multiprocessing`` or ``concurrent.futures`` runs with another
import: ``from holdfast.local import Lock, Process, Queue``. The objects have no name; they go with the last process
that has them open, and can be handed to other processes as arguments.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import uuid4

from holdfast.client.coordination import blocking, queues
from holdfast.client.coordination.places import SharedPlace
from holdfast.wire.coordination import QueueOrder
from holdfast.wire.messages import ObjectAsked

if TYPE_CHECKING:
    from holdfast.client.functions.local import Process as Process
    from holdfast.client.functions.local import ProcessPoolExecutor as ProcessPoolExecutor
    from holdfast.client.functions.local import ThreadPoolExecutor as ThreadPoolExecutor
    from holdfast.client.functions.local import Timer as Timer
    from holdfast.functions.current import current_process as current_process

BrokenBarrierError = threading.BrokenBarrierError
Empty = queue.Empty
Full = queue.Full

H = TypeVar("H", bound=blocking.Handle)


def Lock() -> blocking.Lock:
    """As ``threading.Lock`` and ``multiprocessing.Lock``."""
    return _made(blocking.Lock(_PLACE, _name(), ObjectAsked("lock", passing=True)))


def RLock() -> blocking.RLock:
    """As ``threading.RLock``."""
    return _made(blocking.RLock(_PLACE, _name(), ObjectAsked("rlock", passing=True)))


def Semaphore(value: int = 1) -> blocking.Semaphore:
    """As ``threading.Semaphore``."""
    return _semaphore(blocking.Semaphore, ObjectAsked("semaphore", units=max(0, value), passing=True), value)


def BoundedSemaphore(value: int = 1) -> blocking.BoundedSemaphore:
    """As ``threading.BoundedSemaphore``."""
    return _semaphore(blocking.BoundedSemaphore, ObjectAsked("bounded", units=max(0, value), passing=True), value)


def Condition(lock: blocking.Lock | blocking.RLock | None = None) -> blocking.Condition:
    """As ``threading.Condition``; the lock is one of this module."""
    return _made(blocking.Condition(_PLACE, _name(), RLock() if lock is None else lock))


def Event() -> blocking.Event:
    """As ``threading.Event``."""
    return _made(blocking.Event(_PLACE, _name(), ObjectAsked("event", passing=True)))


def Barrier(parties: int, action: Callable[[], Any] | None = None, timeout: float | None = None) -> blocking.Barrier:
    """As ``threading.Barrier``."""
    if parties < 1:
        raise ValueError("parties must be >= 1")
    return _made(blocking.Barrier(_PLACE, _name(), parties, action, timeout, passing=True))


class Queue(queues.Queue):
    """As ``queue.Queue`` and ``multiprocessing.Queue``."""

    _order: ClassVar[QueueOrder] = "fifo"

    def __init__(self, maxsize: int = 0) -> None:
        what = ObjectAsked("queue", order=self._order, maxsize=max(0, maxsize), passing=True)
        super().__init__(_PLACE, _name(), what, "pickle")
        _made(self)

    def close(self) -> None:
        """As in ``multiprocessing``: nothing waits in this process to be written."""

    def join_thread(self) -> None:
        """As in ``multiprocessing``: nothing is waited for."""

    def cancel_join_thread(self) -> None:
        """As in ``multiprocessing``: nothing is waited for."""


class JoinableQueue(Queue):
    """As ``multiprocessing.JoinableQueue``."""


class SimpleQueue(Queue):
    """As ``queue.SimpleQueue`` and ``multiprocessing.SimpleQueue``."""

    def __init__(self) -> None:
        super().__init__()


class LifoQueue(Queue):
    """As ``queue.LifoQueue``."""

    _order = "lifo"


class PriorityQueue(Queue):
    """As ``queue.PriorityQueue``, for items that are numbers, str or bytes, or tuples that begin with one."""

    _order = "priority"


_ELSEWHERE = {
    **dict.fromkeys(
        ("Process", "ProcessPoolExecutor", "ThreadPoolExecutor", "Timer"), "holdfast.client.functions.local"
    ),
    "current_process": "holdfast.functions.current",
}
"""Names that are loaded at their first use: locks alone need nothing of ``concurrent.futures``."""


def __getattr__(name: str) -> object:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_ELSEWHERE[name]), name)
    globals()[name] = value
    return value


_PLACE = SharedPlace()


def _name() -> str:
    return f"local/{uuid4().hex}"


def _semaphore(kind: type[H], what: ObjectAsked, value: int) -> H:
    if value < 0:
        raise ValueError("semaphore initial value must be >= 0")
    return _made(kind(_PLACE, _name(), what))


def _made(handle: H) -> H:
    """Open it, and let the agent know when nobody here has it any more."""
    desk = handle._place.desk()
    desk.use(handle.name, handle._what)
    # Called by the garbage collector, so in the middle of anything: it must take no lock.
    weakref.finalize(handle, desk.ledger.dropped.append, handle.name).atexit = False
    return handle
