"""The blocking executor: ``concurrent.futures`` on another machine.

Rules:

* What is wrong with a call is told by its future, which has failed already when ``submit`` returns; what is wrong with
  the pool is raised, as in the standard library.
* A future is settled in the connection's thread; callbacks and prints of workers have a thread of their own, so they
  may wait for anything.
* The executor itself is not known to its pool: when nobody holds it any more, the pool does what it was given and ends.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from holdfast.client.functions import ends, exits
from holdfast.client.functions.aside import Aside
from holdfast.client.functions.futures import Future, MapResults, failed
from holdfast.client.functions.settings import check_limit
from holdfast.client.functions.tasks import FutureTask, Task
from holdfast.client.functions.yard import Yard
from holdfast.errors import ClosedError, HoldfastError
from holdfast.functions.errors import CallRefused, CallTooLarge

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.drive_threads import Connection
    from holdfast.client.functions.code import Coder
    from holdfast.client.functions.settings import PoolSettings
    from holdfast.functions.messages import Progress

P = ParamSpec("P")
T = TypeVar("T")

BATCH: Final = 256
"""Calls of a map that are handed over at once; the first few go earlier, so that workers begin."""


class Executor(futures.Executor):
    """A pool of workers on a host. Made by ``Host.executor``; good for as long as its host is open."""

    def __init__(self, connection: Connection, coder: Coder, run: RunRequest, settings: PoolSettings) -> None:
        self._settings = settings
        self._coder = coder
        self._yard = ThreadYard(connection, coder, run, settings)
        self._limit_s = check_limit(settings.timeout)
        exits.watch(self._yard)
        weakref.finalize(self, connection.later, self._yard._begin_leaving).atexit = False

    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called by a worker.

        Raises:
            WorkerDied: the pool is broken (a ``BrokenExecutor``).
            RuntimeError: it was shut down.
        """
        return self._submit(fn, args, kwargs, self._limit_s, None)

    @overload
    def map(
        self,
        fn: Callable[..., Coroutine[Any, Any, T]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]: ...
    @overload
    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]: ...
    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Any]:
        """As ``map(fn, *iterables)``, called by the workers; results come in order.

        All calls are handed over before this returns. How many are sent together follows from how long they take,
        whatever ``chunksize`` says.

        Args:
            fn: What is called with an element of each iterable.
            iterables: Its arguments; the shortest one ends it.
            timeout: Seconds, from now on, until the last result must be there; ``TimeoutError``.
            chunksize: At least 1.
        """
        return self._map(fn, iterables, timeout, chunksize, self._limit_s)

    def options(
        self, *, timeout: float | None = None, on_progress: Callable[[Progress], None] | None = None
    ) -> CallOptions:
        """Something with ``submit`` and ``map`` that gives these options to each call.

        Args:
            timeout: Seconds that a call may take; it is ended on its worker then, with ``CallTimeout``. None: as the
                executor has it.
            on_progress: Called with each progress that a call tells (``holdfast.progress``).
        """
        return CallOptions(self, self._limit_s if timeout is None else check_limit(timeout), on_progress)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; workers leave when they have done what was given.

        Args:
            wait: Return when all is done, workers are gone and what they have printed was handed on.
            cancel_futures: Cancel the calls that were not begun, and for which no worker is being started.
        """
        self._yard.close(cancel=cancel_futures)
        if wait:
            self._yard.wait()

    @property
    def name(self) -> str:
        """Of the pool; its workers are jobs with the label ``pool NAME``."""
        return self._settings.name

    @property
    def jobs(self) -> list[str]:
        """The jobs of the workers that are there now."""
        return [worker.job for worker in self._yard.pool.workers if worker.job is not None]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} of {self._settings.kind}>"

    # Private in the standard library, and looked at by programs all the same.

    @property
    def _max_workers(self) -> int | None:
        return self._settings.workers

    @property
    def _broken(self) -> HoldfastError | bool:
        return self._yard.pool.broken or False

    def _submit(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        limit_s: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Future[Any]:
        yard = self._yard
        try:
            function = self._coder.function(fn)
            flags, arguments = self._coder.arguments(args, kwargs)
        except (CallRefused, CallTooLarge) as error:
            yard.check_open()
            return failed(error)
        future: Future[Any] = Future()
        yard.add_one(FutureTask(function, flags, arguments, limit_s, future=future, desk=yard, on_progress=on_progress))
        return future

    def _map(
        self,
        fn: Callable[..., Any],
        iterables: tuple[Iterable[Any], ...],
        timeout: float | None,
        chunksize: int,
        limit_s: float,
    ) -> Iterator[Any]:
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        deadline = None if timeout is None else time.monotonic() + timeout
        yard, results = self._yard, MapResults()
        yard.check_open()
        tasks: list[Task] = []
        most = 1
        for task in self._coder.map(fn, iterables, limit_s, results):
            tasks.append(task)
            if len(tasks) >= most:
                yard.add(tasks)
                tasks, most = [], min(BATCH, 2 * most)
        if tasks:
            yard.add(tasks)
        return results.results(deadline)


class CallOptions:
    """Calls of an executor with options of their own; see ``Executor.options``."""

    def __init__(self, executor: Executor, limit_s: float, on_progress: Callable[[Progress], None] | None) -> None:
        self._executor = executor
        self._limit_s = limit_s
        self._on_progress = on_progress

    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ``Executor.submit``."""
        return self._executor._submit(fn, args, kwargs, self._limit_s, self._on_progress)

    @overload
    def map(
        self,
        fn: Callable[..., Coroutine[Any, Any, T]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]: ...
    @overload
    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]: ...
    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Any]:
        """As ``Executor.map``; nobody is told of progress there."""
        return self._executor._map(fn, iterables, timeout, chunksize, self._limit_s)


class ThreadYard(Yard["Connection"]):
    """What the pool of a blocking executor stands on: the connection, and a thread for callbacks and prints."""

    def __init__(self, connection: Connection, coder: Coder, run: RunRequest, settings: PoolSettings) -> None:
        super().__init__(connection, coder, run, settings)
        self._aside = Aside(f"holdfast {settings.name}")
        self._over = threading.Event()

    # --- the executor's side -----------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise what ``submit`` raises when nothing is taken any more."""
        self.add(())

    def add(self, tasks: Iterable[Task]) -> None:
        """More calls."""
        if exits.is_over():
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        try:
            self.enter(partial(self.pool.add, tasks))
        except ClosedError as error:
            raise ends.broken(error) from error

    def add_one(self, task: Task) -> None:
        """One more call."""
        if exits.is_over() or self._connection.is_closed or not self.pool.offer(task):
            self.add((task,))

    def wait(self) -> None:
        """Until nothing is left, after ``close``."""
        while not self._over.wait(exits.LOOK_S if exits.is_over() else None):
            self._aside.stand_in()
        self._aside.join()

    def _begin_leaving(self) -> None:
        """See ``exits``."""
        self.close()

    def _finish_leaving(self) -> None:
        """See ``exits``."""
        self.wait()

    # --- the other sides ---------------------------------------------------------------------------------------------

    def call_back(self, act: Callable[[], None]) -> None:
        """Run callbacks of a future."""
        self._aside.do(act)

    def relay(self, act: Callable[[], None]) -> None:
        """Hand on prints of a worker."""
        self._aside.do(act)

    def ended(self) -> None:
        """See ``pool.Yard``."""
        exits.forget(self)
        self._over.set()  # before there is nothing more to stand in for
        self._aside.close()
