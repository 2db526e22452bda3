"""``Process`` for asyncio: what waits is awaited. Belongs to the loop of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.client.functions.process import TERMINATE, Place, ProcessBase, Running, bound
from holdfast.errors import Conflict, DeadlineExceeded, NotFound

if TYPE_CHECKING:
    from holdfast.client.aio import Host
    from holdfast.client.calls import Call
    from holdfast.client.drive_async import Connection
    from holdfast.wire.messages import DoneAnswer


class LoopPlace(Place):
    """A host of the asyncio face."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.connection: Connection = host._connection

    @property
    def host(self) -> Host:
        """The host."""
        return self._host

    async def run(self, process: Process) -> Running:
        """Start this process.

        Raises:
            HoldfastError: it could not be started.
        """
        connection = self.connection
        running = Running(process._request(), connection.enter, connection.later, lambda: None)
        try:
            connection.submit(running.feed)
            await connection.wait(running.feed, running.poll_started)
        except BaseException:
            connection.abandon(running.feed)
            raise
        return running


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

    async def start(self) -> None:
        """Start it, and return when it runs.

        Raises:
            AssertionError: it was started before.
            CallRefused: what it is to do cannot be sent.
            SpawnFailed: it could not be executed.
            HoldfastError: the host said no, or cannot be reached.
        """
        self._check_startable()
        self._running = await self._place.run(self)
        self._forget_work()

    async def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended and what it printed was handed on, or for ``timeout`` seconds.

        Raises:
            AssertionError: it was not started.
            JobLost: it has ended, and nobody can know how.
        """
        running = self._begun()
        try:
            await self._place.connection.wait(running.feed, running.poll_over, timeout)
        except DeadlineExceeded:
            return
        running.raise_unknown()

    async def terminate(self) -> None:
        """Send it SIGTERM."""
        await self._tell(self._begun().signal(TERMINATE))

    async def kill(self) -> None:
        """Send SIGKILL to it and to all that it has started."""
        await self._tell(self._begun().kill())

    async def _tell(self, call: Call[DoneAnswer] | None) -> None:
        if call is not None:
            try:
                await self._place.connection.call(call)
            except (Conflict, NotFound):
                pass  # it has ended meanwhile


def bound_to(host: Host) -> type[Process]:
    """The class of processes of this host."""
    kind: type[Process] = bound(Process, LoopPlace(host))
    return kind
