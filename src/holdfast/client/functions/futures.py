"""What callers hold while a call is under way: futures as ``concurrent.futures`` has them, and the results of a map.

A future's own state is guarded by its condition, as in the base class, whose private parts are used here as it uses
them itself: a call that is sent to a worker and comes back unbegun can be cancelled again, and a running one can be
stopped, neither of which the base class knows.
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

        _done_callbacks: list[Callable[[Any], object]]

        def _invoke_callbacks(self) -> None: ...

else:
    Private = object

T = TypeVar("T")

_OVER: Final = frozenset((CANCELLED_AND_NOTIFIED, FINISHED))


class Future(futures.Future[T], Private):
    """The outcome of one call.

    Attributes:
        progress: What the call has told of its progress last (``done``, ``total``, ``text``); None: nothing.
        job: The job that makes a durable call; None: a worker of a pool does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress | None = None
        self.job: str | None = None
        self._maker: Maker | None = None

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

    # --- for whoever makes the call ----------------------------------------------------------------------------------

    def made_by(self, maker: Maker) -> None:
        """Who makes the call; let go of when it is over."""
        self._maker = maker

    def claim(self) -> bool:
        """It is about to run. False: it was given up."""
        with self._condition:
            if self._state != PENDING:
                return False
            self._state = RUNNING
            return True

    def unclaim(self) -> None:
        """It was not begun after all."""
        with self._condition:
            if self._state == RUNNING:
                self._state = PENDING

    def end(self, result: Any, error: BaseException | None) -> None:
        """This is how it went; nothing if it was given up before."""
        with self._condition:
            if self._state in _OVER:
                return
            self._state = FINISHED
            maker, self._maker = self._maker, None
            self._result = result
            self._exception = error
            for waiter in self._waiters:
                if error is None:
                    waiter.add_result(self)
                else:
                    waiter.add_exception(self)
            self._condition.notify_all()
        if self._done_callbacks:
            if maker is None:
                self._invoke_callbacks()
            else:
                maker.call_back(self._invoke_callbacks)

    def tell_progress(self, progress: Progress, callback: Callable[[Progress], None] | None) -> None:
        """The call has come so far."""
        maker = self._maker
        if maker is None:
            return
        self.progress = progress
        if callback is not None:
            maker.call_back(partial(_call_back, callback, progress))

    def give_up(self) -> None:
        """It was cancelled by somebody else than its holder."""
        self.unclaim()
        self.cancel()


def _call_back(callback: Callable[[Progress], None], progress: Progress) -> None:
    try:
        callback(progress)
    except Exception:
        LOGGER.exception("exception calling callback for %r", progress)


def failed(error: BaseException) -> Future[Any]:
    """The future of a call that could not even be sent."""
    future: Future[Any] = Future()
    future.claim()
    future.end(None, error)
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
