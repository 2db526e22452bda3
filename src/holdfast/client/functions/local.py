"""Pools and processes on the user's own agent, with the arguments that the standard library's have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.client.coordination.places import shared_host
from holdfast.client.functions import executor, sync_process, sync_timer
from holdfast.client.functions.opening import open_pool
from holdfast.client.functions.process import bind
from holdfast.client.functions.sync_process import ThreadPlace

if TYPE_CHECKING:
    from holdfast.client.functions.settings import Kind
    from holdfast.client.sync import Host


class ProcessPoolExecutor(executor.Executor):
    """As ``concurrent.futures.ProcessPoolExecutor``; the workers are jobs of the user's own agent.

    Args:
        max_workers: Most of them; None: one for each processor.
        mp_context: Of no effect: workers are always started afresh.
        initializer: Called in each worker before anything else.
        initargs: Its arguments.
        max_tasks_per_child: Calls after which a worker is replaced.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        _open(self, "processes", max_workers, initializer, initargs, max_tasks_per_child=max_tasks_per_child)


class ThreadPoolExecutor(executor.Executor):
    """As ``concurrent.futures.ThreadPoolExecutor``; the threads are those of one job of the user's own agent.

    They share their memory with each other, and not with this program.

    Args:
        max_workers: Most threads; None: as many as the processors and four more, 32 at most.
        thread_name_prefix: Name of the pool.
        initializer: Called in each thread before anything else.
        initargs: Its arguments.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        _open(self, "threads", max_workers, initializer, initargs, name=thread_name_prefix or None)


def _open(
    pool: executor.Executor,
    kind: Kind,
    workers: int | None,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    *,
    max_tasks_per_child: int | None = None,
    name: str | None = None,
) -> None:
    host = shared_host()
    parts = open_pool(
        host,
        workers=workers,
        kind=kind,
        initializer=initializer,
        initargs=initargs,
        max_tasks_per_child=max_tasks_per_child,
        results=None,
        timeout=None,
        cwd=None,
        env=None,
        name=name,
        output="inherit",
    )
    executor.Executor.__init__(pool, host._connection, *parts)


class OwnPlace(ThreadPlace):
    """The user's own agent, connected to when the first process is started, and again after a fork."""

    def __init__(self) -> None:
        super().__init__(None)

    @property
    def host(self) -> Host:
        """The host."""
        return shared_host()


class Process(sync_process.Process):
    __doc__ = sync_process.Process.__doc__


bind(Process, OwnPlace())


class Timer(sync_timer.Timer):
    """As ``threading.Timer``, kept by the user's own agent; waited for when the program ends.

    Args:
        interval: Seconds from ``start`` on.
        function: What is called there.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """

    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(shared_host(), interval, function, args, kwargs, daemon=False)
