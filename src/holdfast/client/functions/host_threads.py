"""What a host offers for Python functions. Each part is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from holdfast.client.drive_threads import Connection
from holdfast.client.handles import HostBase

if TYPE_CHECKING:
    from holdfast.client.functions.executor import Executor
    from holdfast.client.functions.futures import Future
    from holdfast.client.functions.settings import Kind, Results
    from holdfast.client.functions.sync_process import Process
    from holdfast.client.functions.sync_timer import Timer
    from holdfast.client.sync import Host
    from holdfast.functions.messages import Progress


class Functions(HostBase[Connection]):
    """Pools, processes, timers and durable calls of a host."""

    _process_class: type[Process] | None = None

    def executor(
        self,
        workers: int | None = None,
        *,
        kind: Kind = "processes",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_child: int | None = None,
        results: Results | None = None,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        output: Literal["inherit", "keep"] = "inherit",
    ) -> Executor:
        """A pool of workers on this host: a ``concurrent.futures.Executor``.

        Workers are jobs, started when calls need them, with the label ``pool NAME``. A worker that dies fails only the
        calls that it had begun; another one takes its place.

        Args:
            workers: Most processes, threads or coroutines; None: one process for each processor of the host, 32
                threads, 1 000 coroutines.
            kind: ``"processes"``: one call at a time in each of them, for computing. ``"threads"``: one process with
                threads, for waiting. ``"coroutines"``: one process with a loop, for ``async def`` functions.
            initializer: Called in each worker (each thread) before anything else; if it fails the pool is broken.
            initargs: Its arguments.
            max_tasks_per_child: Calls after which a process is replaced.
            results: What comes back: ``"plain"``: None, bool, int, float, str, bytes and lists, tuples, dicts and sets
                of these; ``"pickle"``: anything, which lets the host run code in this program. None: ``"pickle"`` on
                ``local``, else ``"plain"``.
            timeout: Seconds that each call may take, unless ``options`` says otherwise.
            cwd: Directory of the workers.
            env: Variables for them beside the basic ones.
            name: Of the pool; None: process id and a number.
            output: ``"inherit"``: what workers print appears on this program's standard output and standard error;
                ``"keep"``: it stays on the host, as the output of their jobs.

        Raises:
            ValueError: a number out of its range.
            CallRefused: the initializer cannot be sent, or this host cannot run functions for this program.
        """
        from holdfast.client.functions.executor import Executor
        from holdfast.client.functions.opening import open_pool

        parts = open_pool(
            self,
            workers=workers,
            kind=kind,
            initializer=initializer,
            initargs=initargs,
            max_tasks_per_child=max_tasks_per_child,
            results=results,
            timeout=timeout,
            cwd=cwd,
            env=env,
            name=name,
            output=output,
        )
        return Executor(self._connection, *parts)

    @property
    def Process(self) -> type[Process]:
        """A class of processes on this host, as ``multiprocessing.Process``; it may be subclassed."""
        if self._process_class is None:
            from holdfast.client.functions.sync_process import bound_to

            self._process_class = bound_to(self._whole)
        return self._process_class

    def timer(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Timer:
        """A call after ``interval`` seconds, as ``threading.Timer``, kept by the host: ``start()`` it.

        Args:
            interval: Seconds from ``start`` on.
            function: What is called there.
            args: Its arguments.
            kwargs: Its keyword arguments.
        """
        from holdfast.client.functions.sync_timer import Timer

        return Timer(self._whole, interval, function, args, kwargs, daemon=True)

    def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        key: str | None = None,
        timeout: float | None = None,
        results: Results | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        label: str = "call",
        on_progress: Callable[[Progress], None] | None = None,
        **kwargs: Any,
    ) -> Future[Any]:
        """A durable call of ``fn(*args, **kwargs)``: a job of its own, with a receipt, on disk when this returns.

        It goes on whatever becomes of this program; ``future(job)`` gives its future again, also in another one. What
        it prints is the job's standard error.

        Args:
            fn: What is called there.
            args: Its arguments.
            key: Start key: the same call under it is made once, however often it is asked for. None: a fresh one.
            timeout: Seconds after which it is ended; ``CallTimeout``.
            results: As of ``executor``.
            cwd: Its directory.
            env: Variables beside the basic ones.
            label: For ``jobs(label=...)``.
            on_progress: Called with each progress that it tells.
            kwargs: Its keyword arguments; one that has the name of an option above goes in by ``functools.partial``.

        Raises:
            CallRefused: function or arguments cannot be sent.
            CallTooLarge: together they are longer than 1 MiB (``CALL_BYTES``).
            Conflict: another call, or another job, was started under this key.
            Refused: the host does not take it.
        """
        from holdfast.client.functions.durable import request
        from holdfast.client.functions.sync_durable import submit

        asked = request(
            self, fn, args, kwargs, key=key, timeout=timeout, results=results, cwd=cwd, env=env, label=label
        )
        return submit(self._whole, asked, results, on_progress)

    def future(
        self,
        job_id: str,
        *,
        results: Results | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Future[Any]:
        """The future of a durable call, by the id of its job (``Future.job``) or a unique prefix of it.

        Args:
            job_id: The job.
            results: As of ``executor``.
            on_progress: Called with each progress that it tells from now on.

        Raises:
            NotFound: no such job.
            ValueError: this job is no call of a function.
        """
        from holdfast.client.functions.sync_durable import find

        return find(self._whole, job_id, results, on_progress)

    @property
    def _whole(self) -> Host:
        return cast("Host", self)
