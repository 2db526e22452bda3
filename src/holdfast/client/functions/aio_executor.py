"""The executor for asyncio: the same pool, whose futures are awaited. Belongs to the loop of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, overload

from holdfast.client.functions import ends
from holdfast.client.functions.settings import check_limit
from holdfast.client.functions.tasks import FutureTask
from holdfast.client.functions.yard import Yard
from holdfast.errors import ClosedError
from holdfast.functions.errors import CallRefused, CallTooLarge

if TYPE_CHECKING:
    from holdfast.client.calls import RunRequest
    from holdfast.client.drive_async import Connection
    from holdfast.client.functions.code import Coder
    from holdfast.client.functions.futures import Maker
    from holdfast.client.functions.settings import PoolSettings
    from holdfast.client.functions.tasks import Task
    from holdfast.functions.messages import Progress

P = ParamSpec("P")
T = TypeVar("T")

_PENDING: Final = object()


class Future(asyncio.Future[T]):
    """The outcome of one call.

    Attributes:
        progress: What the call has told of its progress last (``done``, ``total``, ``text``); None: nothing.
        job: The job that makes a durable call; None: a worker of a pool does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress | None = None
        self.job: str | None = None
        self._runs = False
        self._maker: Maker | None = None

    def cancel(self, msg: Any | None = None, *, force: bool = False) -> bool:
        """Wait no longer. A call that was not begun never will be.

        Args:
            msg: As ``asyncio.Future.cancel`` takes it.
            force: Stop it if it runs; its worker is killed then, and a new one takes the place.
        """
        running, maker = self.running(), self._maker
        cancelled = super().cancel(msg=msg)
        if cancelled and running and force and maker is not None:
            maker.stop()
        return cancelled

    def running(self) -> bool:
        """Whether a worker has the call."""
        return self._runs and not self.done()

    # --- for whoever makes the call ----------------------------------------------------------------------------------

    def _made_by(self, maker: Maker) -> None:
        """Who makes the call."""
        self._maker = maker

    def _claim(self) -> bool:
        """It is about to run. False: it was given up."""
        self._runs = not self.done()
        return self._runs

    def _unclaim(self) -> None:
        """It was not begun after all."""
        self._runs = False

    def _end(self, result: Any, error: BaseException | None) -> None:
        """This is how it went; nothing if it was given up before."""
        self._maker = None
        if self.done():
            return
        if error is None:
            self.set_result(result)
        elif isinstance(error, StopIteration):  # which no future may be given: it would end whoever awaits it
            wrapped = RuntimeError(f"the call raised StopIteration: {error}")
            wrapped.__cause__ = error
            self.set_exception(wrapped)
        else:
            self.set_exception(error)

    def _tell_progress(self, progress: Progress, callback: Callable[[Progress], None] | None) -> None:
        """The call has come so far."""
        maker = self._maker
        if maker is not None:
            self.progress = progress
            if callback is not None:
                maker.call_back(partial(callback, progress))

    def _give_up(self) -> None:
        """It was cancelled by somebody else than its holder."""
        self.cancel()


class MapResults:
    """The results of one map, in order; see ``futures.MapResults``."""

    def __init__(self) -> None:
        self.given_up = False
        self._values: list[Any] = []
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None

    def expect(self) -> int:
        """One more result will come; its index."""
        self._values.append(_PENDING)
        return len(self._values) - 1

    def put(self, index: int, value: Any, error: BaseException | None = None) -> None:
        """It has come. ``wake`` must follow."""
        self._values[index] = (value, error)

    def wake(self) -> None:
        """Wake the caller if what it waits for is there."""
        waiter = self._waiter
        if waiter is not None and not waiter.done() and self._values[self._wanted] is not _PENDING:
            waiter.set_result(None)

    async def results(self, deadline: float | None) -> AsyncIterator[Any]:
        """All of them, in order; no waiting beyond ``deadline``, in the loop's time."""
        loop = asyncio.get_running_loop()
        try:
            for index in range(len(self._values)):
                if self._values[index] is _PENDING:
                    self._wanted, self._waiter = index, loop.create_future()
                    async with asyncio.timeout_at(deadline):
                        await self._waiter
                value, error = self._values[index]
                self._values[index] = None
                if error is not None:
                    raise error
                yield value
        finally:
            self.given_up = True


class Executor:
    """A pool of workers on a host. Made by ``Host.executor``; good for as long as its host is open."""

    def __init__(self, connection: Connection, coder: Coder, run: RunRequest, settings: PoolSettings) -> None:
        self._settings = settings
        self._coder = coder
        self._yard = LoopYard(connection, coder, run, settings)
        self._limit_s = check_limit(settings.timeout)

    @overload
    async def run(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def run(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``fn(*args, **kwargs)`` called by a worker, and give its result.

        Raises:
            WorkerDied: the worker died, or the pool is broken.
            RuntimeError: the pool was shut down.
        """
        return await self.submit(fn, *args, **kwargs)

    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called by a worker; its future can be awaited.

        Raises:
            WorkerDied: the pool is broken (a ``BrokenExecutor``).
            RuntimeError: it was shut down.
        """
        return self._submit(fn, args, kwargs, self._limit_s, None)

    @overload
    def map(
        self, fn: Callable[..., Coroutine[Any, Any, T]], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[T]: ...
    @overload
    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[T]: ...
    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """As ``map(fn, *iterables)``, called by the workers; results come in order.

        All calls are handed over before this returns.

        Args:
            fn: What is called with an element of each iterable.
            iterables: Its arguments; the shortest one ends it.
            timeout: Seconds, from now on, until the last result must be there; ``TimeoutError``.
        """
        return self._map(fn, iterables, timeout, self._limit_s)

    def options(
        self, *, timeout: float | None = None, on_progress: Callable[[Progress], None] | None = None
    ) -> CallOptions:
        """Something with ``run``, ``submit`` and ``map`` that gives these options to each call.

        Args:
            timeout: Seconds that a call may take; it is ended on its worker then, with ``CallTimeout``. None: as the
                executor has it.
            on_progress: Called with each progress that a call tells (``holdfast.progress``).
        """
        return CallOptions(self, self._limit_s if timeout is None else check_limit(timeout), on_progress)

    async def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; workers leave when they have done what was given.

        Args:
            wait: Return when all is done, workers are gone and what they have printed was handed on.
            cancel_futures: Cancel the calls that were not begun, and for which no worker is being started.
        """
        self._yard.close(cancel=cancel_futures)
        if wait:
            await self._yard.wait()

    @property
    def name(self) -> str:
        """Of the pool; its workers are jobs with the label ``pool NAME``."""
        return self._settings.name

    @property
    def jobs(self) -> list[str]:
        """The jobs of the workers that are there now."""
        return [worker.job for worker in self._yard.pool.workers if worker.job is not None]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} of {self._settings.kind}>"

    def _submit(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        limit_s: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> Future[Any]:
        yard, future = self._yard, Future[Any]()
        try:
            function = self._coder.function(fn)
            flags, arguments = self._coder.arguments(args, kwargs)
        except (CallRefused, CallTooLarge) as error:
            yard.add(())
            future._end(None, error)
            return future
        yard.add((FutureTask(function, flags, arguments, limit_s, future=future, desk=yard, on_progress=on_progress),))
        return future

    def _map(
        self, fn: Callable[..., Any], iterables: tuple[Iterable[Any], ...], timeout: float | None, limit_s: float
    ) -> AsyncIterator[Any]:
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        results = MapResults()
        self._yard.add(list(self._coder.map(fn, iterables, limit_s, results)))
        return results.results(deadline)


class CallOptions:
    """Calls of an executor with options of their own; see ``Executor.options``."""

    def __init__(self, executor: Executor, limit_s: float, on_progress: Callable[[Progress], None] | None) -> None:
        self._executor = executor
        self._limit_s = limit_s
        self._on_progress = on_progress

    @overload
    async def run(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def run(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """As ``Executor.run``."""
        return await self.submit(fn, *args, **kwargs)

    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ``Executor.submit``."""
        return self._executor._submit(fn, args, kwargs, self._limit_s, self._on_progress)

    @overload
    def map(
        self, fn: Callable[..., Coroutine[Any, Any, T]], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[T]: ...
    @overload
    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[T]: ...
    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """As ``Executor.map``; nobody is told of progress there."""
        return self._executor._map(fn, iterables, timeout, self._limit_s)


class LoopYard(Yard["Connection"]):
    """What the pool of an asyncio executor stands on: all happens in the loop."""

    def __init__(self, connection: Connection, coder: Coder, run: RunRequest, settings: PoolSettings) -> None:
        super().__init__(connection, coder, run, settings)
        self._over = asyncio.Event()

    def add(self, tasks: Iterable[Task]) -> None:
        """More calls."""
        try:
            self.enter(partial(self.pool.add, tasks))
        except ClosedError as error:
            raise ends.broken(error) from error

    async def wait(self) -> None:
        """Until nothing is left, after ``close``."""
        await self._over.wait()

    def call_back(self, act: Callable[[], None]) -> None:
        self.later(act)

    def relay(self, act: Callable[[], None]) -> None:
        self.later(act)

    def ended(self) -> None:
        self._over.set()
