"""The blocking ``Process``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from holdfast.client.functions import exits
from holdfast.client.functions.aside import Aside
from holdfast.client.functions.process import TERMINATE, Place, ProcessBase, Running, bound, place_of
from holdfast.errors import Conflict, DeadlineExceeded, HoldfastError, NotFound

if TYPE_CHECKING:
    from holdfast.client.calls import Call
    from holdfast.client.drive_threads import Connection
    from holdfast.client.sync import Host
    from holdfast.wire.messages import DoneAnswer


class ThreadPlace(Place):
    """A host of the blocking face, with a thread that hands on what its processes print while there are any."""

    def __init__(self, host: Host | None) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._aside: Aside | None = None
        self._alive: set[Process] = set()

    @property
    def host(self) -> Host:
        """The host."""
        assert self._host is not None
        return self._host

    @property
    def connection(self) -> Connection:
        """To that host."""
        return self.host._connection

    def run(self, process: Process) -> Running:
        """Start this process.

        Raises:
            HoldfastError: it could not be started.
            RuntimeError: the interpreter is ending.
        """
        connection = self.connection
        running = Running(process._request(), connection.enter, self._do, partial(self._over, process))
        exits.watch(process)
        with self._lock:
            self._alive.add(process)
        try:
            connection.submit(running.feed)
            connection.wait(running.feed, running.poll_started)
        except BaseException:
            connection.abandon(running.feed)
            self._over(process)
            raise
        return running

    def close(self) -> None:
        """After the connection: the thread ends when it has handed on what has come."""
        with self._lock:
            aside, self._aside = self._aside, None
        if aside is not None:
            aside.close()
            aside.join()

    def stand_in(self) -> None:
        """See ``Aside.stand_in``."""
        aside = self._aside
        if aside is not None:
            aside.stand_in()

    def _do(self, act: Callable[[], None]) -> None:
        with self._lock:
            if self._aside is None:
                self._aside = Aside(f"prints of {self.connection.address}")
            self._aside.do(act)

    def _over(self, process: Process) -> None:
        exits.forget(process)
        with self._lock:
            self._alive.discard(process)
            if not self._alive and self._aside is not None:
                self._aside.close()
                self._aside = None


class Process(ProcessBase):
    """A process on a host, as ``multiprocessing.Process``: of a function, or of a subclass that overrides ``run``.

    It is a job: listed, supervised, and ended with all that it has started. What it prints appears here.

    Args:
        group: None.
        target: What ``run`` calls.
        name: For people; None: ``Process-N``.
        args: Arguments of ``target``.
        kwargs: Keyword arguments of ``target``.
        daemon: It is terminated when this program ends, and dies soon after this program does. Others are waited for
            when this program ends, and run on if it dies. None: as this process itself is.
    """

    def start(self) -> None:
        """Start it, and return when it runs.

        Raises:
            AssertionError: it was started before.
            CallRefused: what it is to do cannot be sent.
            SpawnFailed: it could not be executed.
            HoldfastError: the host said no, or cannot be reached.
        """
        self._check_startable()
        self._running = self._place.run(self)
        self._forget_work()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended and what it printed was handed on, or for ``timeout`` seconds.

        Raises:
            AssertionError: it was not started.
            JobLost: it has ended, and nobody can know how.
        """
        running = self._begun()
        try:
            self._place.connection.wait(running.feed, running.poll_over, timeout)
        except DeadlineExceeded:
            return
        running.raise_unknown()

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._tell(self._begun().signal(TERMINATE))

    def kill(self) -> None:
        """Send SIGKILL to it and to all that it has started."""
        self._tell(self._begun().kill())

    def _tell(self, call: Call[DoneAnswer] | None) -> None:
        if call is not None:
            try:
                self._place.connection.call(call)
            except (Conflict, NotFound):
                pass  # it has ended meanwhile

    # --- when the interpreter ends (see ``exits``) -------------------------------------------------------------------

    def _begin_leaving(self) -> None:
        """A daemon is terminated."""
        if self._daemon:
            try:
                self.terminate()
            except (HoldfastError, ValueError):
                pass

    def _finish_leaving(self) -> None:
        """All are waited for."""
        try:
            while self.is_alive():
                self.join(exits.LOOK_S)
                self._place.stand_in()
        except (HoldfastError, ValueError):
            pass


def bound_to(host: Host) -> type[Process]:
    """The class of processes of this host."""
    kind: type[Process] = bound(Process, ThreadPlace(host))
    return kind


def let_go(kind: type[Process]) -> None:
    """The host of this class was closed."""
    place = place_of(kind)
    assert isinstance(place, ThreadPlace)
    place.close()
