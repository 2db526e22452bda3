"""What callers hold while a call is under way: futures as ``concurrent.futures`` has them, and the results of a map.

A future of the base class is a dozen objects, most of which are for those who wait for it, and a program may hold a
hundred thousand of them while few are waited for. So these are made when they are asked for. That, and what the base
class does not know (a call that came back unbegun can be cancelled again, one that runs can be stopped), takes its
private parts, which have been the same since Python 3.2; they are used here as it uses them itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, LOGGER, PENDING, RUNNING
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.functions.messages import Progress

    class Maker(Protocol):
        """Who makes the call of a future."""

        def stop(self) -> None:
            """The call was cancelled while it ran: end it."""

        def call_back(self, act: Callable[[], None]) -> None:
            """Run callbacks where they may wait; they do not raise."""

    class Private:
        """What the base class has and does not tell."""

        def _invoke_callbacks(self) -> None: ...

else:
    Private = object

T = TypeVar("T")

_OVER: Final = frozenset((CANCELLED_AND_NOTIFIED, FINISHED))
_unwaited: Final = threading.RLock()
"""Guards the state of futures that nobody waits for: they have no condition of their own. Reentrant, since the garbage
collector may come in between and run code that asks for a future."""


class Future(futures.Future[T], Private):
    """The outcome of one call.

    Attributes:
        progress: What the call has told of its progress last (``done``, ``total``, ``text``); None: nothing.
        job: The job that makes a durable call; None: a worker of a pool does.
    """

    progress: Progress | None = None
    job: str | None = None
    _maker: Maker | None = None
    _state = PENDING
    _result: Any = None
    _exception: BaseException | None = None
    _own_condition: threading.Condition | None = None
    _own_waiters: list[Any] | None = None
    _own_callbacks: list[Callable[[Any], object]] | None = None

    def __init__(self) -> None:
        pass  # what the base class sets here are the class attributes above, and the properties below

    def cancel(self, *, force: bool = False) -> bool:
        """Give the call up, if it was not begun.

        Args:
            force: Stop it if it runs. In a pool of processes its worker is killed, and a new one takes the place.

        Returns:
            Whether the future is cancelled.
        """
        with self._condition:
            if self._state in _OVER:
                return self._state != FINISHED
            running = self._state == RUNNING
            if running and not force:
                return False
            self._state = CANCELLED_AND_NOTIFIED
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
            maker, self._maker = self._maker, None
        if running and maker is not None:
            maker.stop()
        self._invoke_callbacks()
        return True

    def cancelled(self) -> bool:
        """Whether it was given up."""
        return self._state == CANCELLED_AND_NOTIFIED

    def running(self) -> bool:
        """Whether a worker has the call."""
        return self._state == RUNNING

    def done(self) -> bool:
        """Whether it is over, or was given up."""
        return self._state in _OVER

    def result(self, timeout: float | None = None) -> T:
        """What the call returns, waiting for it if need be.

        Raises:
            CancelledError: it was given up.
            TimeoutError: it is not over within ``timeout`` seconds.
            BaseException: what the call has raised, or why it has failed.
        """
        if self._state == FINISHED and self._exception is None:
            value: T = self._result
            return value
        try:
            return super().result(timeout)
        finally:
            del self  # an exception refers to this frame

    # --- for whoever makes the call ----------------------------------------------------------------------------------

    def _made_by(self, maker: Maker) -> None:
        """Who makes the call; let go of when it is over."""
        self._maker = maker

    def _claim(self) -> bool:
        """It is about to run. False: it was given up."""
        return self._move(PENDING, RUNNING)

    def _unclaim(self) -> None:
        """It was not begun after all."""
        self._move(RUNNING, PENDING)

    def _end(self, result: Any, error: BaseException | None) -> None:
        """This is how it went; nothing if it was given up before."""
        with _unwaited:
            if self._own_condition is None:
                if self._state not in _OVER:
                    self._finish(result, error)
                return
        with self._condition:
            if self._state in _OVER:
                return
            maker = self._finish(result, error)
            for waiter in self._waiters:
                if error is None:
                    waiter.add_result(self)
                else:
                    waiter.add_exception(self)
            self._condition.notify_all()
        if self._own_callbacks:
            if maker is None:
                self._invoke_callbacks()
            else:
                maker.call_back(self._invoke_callbacks)

    def _tell_progress(self, progress: Progress, callback: Callable[[Progress], None] | None) -> None:
        """The call has come so far."""
        maker = self._maker
        if maker is None:
            return
        self.progress = progress
        if callback is not None:
            maker.call_back(partial(_call_back, callback, progress))

    def _give_up(self) -> None:
        """It was cancelled by somebody else than its holder."""
        self._unclaim()
        self.cancel()

    def _move(self, old: str, new: str) -> bool:
        with _unwaited:
            if self._own_condition is None:
                if self._state != old:
                    return False
                self._state = new
                return True
        with self._condition:
            if self._state != old:
                return False
            self._state = new
            return True

    def _finish(self, result: Any, error: BaseException | None) -> Maker | None:
        maker, self._maker = self._maker, None
        self._result = result
        self._exception = error
        self._state = FINISHED  # last: it is looked at without a lock
        return maker

    # --- made when they are asked for --------------------------------------------------------------------------------

    if not TYPE_CHECKING:  # to type checkers they are what the base class says

        @property
        def _condition(self) -> threading.Condition:
            if self._own_condition is None:
                with _unwaited:
                    if self._own_condition is None:
                        self._own_condition = threading.Condition()
            return self._own_condition

        @property
        def _waiters(self) -> list[Any]:  # with the condition held
            if self._own_waiters is None:
                self._own_waiters = []
            return self._own_waiters

        @property
        def _done_callbacks(self) -> list[Callable[[Any], object]]:  # with the condition held, or when it is over
            if self._own_callbacks is None:
                self._own_callbacks = []
            return self._own_callbacks


def _call_back(callback: Callable[[Progress], None], progress: Progress) -> None:
    try:
        callback(progress)
    except Exception:
        LOGGER.exception("exception calling callback for %r", progress)


def failed(error: BaseException) -> Future[Any]:
    """The future of a call that could not even be sent."""
    future: Future[Any] = Future()
    future._claim()
    future._end(None, error)
    return future


_PENDING: Final = object()


class _Failure:
    """Stands where a result would."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class MapResults:
    """The results of one map, in order: filled by the connection's thread, emptied by the caller's.

    Attributes:
        given_up: Nobody wants the rest.
    """

    __slots__ = ("_lock", "_values", "_waiter", "_wanted", "given_up")

    def __init__(self) -> None:
        self.given_up = False
        self._values: list[Any] = []
        self._lock = threading.Lock()
        self._waiter: threading.Lock | None = None
        self._wanted = 0

    def expect(self) -> int:
        """One more result will come; its index."""
        self._values.append(_PENDING)
        return len(self._values) - 1

    def put(self, index: int, value: Any, error: BaseException | None = None) -> None:
        """It has come. ``wake`` must follow, once for any number of them."""
        self._values[index] = value if error is None else _Failure(error)

    def wake(self) -> None:
        """Wake the caller if what it waits for is there."""
        with self._lock:
            if self._waiter is not None and self._values[self._wanted] is not _PENDING:
                self._waiter.release()
                self._waiter = None

    def results(self, deadline: float | None) -> Iterator[Any]:
        """All of them, in order, as ``Executor.map`` gives them; no waiting beyond ``deadline``, monotonic seconds."""
        values = self._values
        try:
            for index in range(len(values)):
                if values[index] is _PENDING:
                    self._wait(index, deadline)
                yield self._take(index)  # and no name for it here, so that it is the caller's alone
        finally:
            self.given_up = True

    def _take(self, index: int) -> Any:
        value, self._values[index] = self._values[index], None
        if type(value) is not _Failure:
            return value
        try:
            raise value.error
        finally:
            del value  # the error refers to this frame

    def _wait(self, index: int, deadline: float | None) -> None:
        waiter = threading.Lock()
        waiter.acquire()
        with self._lock:
            if self._values[index] is not _PENDING:
                return
            self._wanted, self._waiter = index, waiter
        left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        if not waiter.acquire(timeout=left):
            with self._lock:
                self._waiter = None
            if self._values[index] is _PENDING:
                raise TimeoutError
