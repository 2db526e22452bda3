"""``multiprocessing.Process`` on a host: everything but the waiting, which the two faces add.

Rules:

* Names, arguments, defaults and errors are those of ``multiprocessing.Process``.
* A process is a job: its exit code is that of the job's main process, what it prints is relayed, and ``daemon`` decides
  what becomes of it when this program is gone: a daemon ends soon after, others run on.
* An instance goes to its worker as a pickle, without what ties it to this side; ``run`` of a subclass goes with it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from holdfast.client import calls
from holdfast.client.functions.opening import coder_of, own_path
from holdfast.client.functions.prints import Relay
from holdfast.client.functions.relayed import RelayedFeed
from holdfast.client.functions.settings import command
from holdfast.client.results import no_status_error
from holdfast.errors import ClosedError
from holdfast.functions import current
from holdfast.functions.setup import CALL, FirstCall, WorkerSetup, environment
from holdfast.wire.messages import AnyEvent

if TYPE_CHECKING:
    from holdfast.client.calls import Call, JobOptions, RunRequest
    from holdfast.client.handles import HostBase
    from holdfast.types import OnDisconnect
    from holdfast.wire.messages import DoneAnswer

DAEMON_LEASE_S: Final = 5.0
"""A daemon ends so long after its starter was lost: time for one that was merely cut off to return."""

_counter = count(1)


class Place:
    """Where the processes of a class run: a host."""

    @property
    def host(self) -> HostBase[Any]:
        """The host."""
        raise NotImplementedError


_places: WeakKeyDictionary[type, Place] = WeakKeyDictionary()
"""Where the processes of which class run. Not in the class itself, since those travel as pickles: in a worker, a class
that came so belongs to no host."""


class ProcessBase:
    """What both faces share; see their ``Process``."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        assert group is None, "group argument must be None for now"
        self._target = target
        self._args = tuple(args)
        self._kwargs = dict(kwargs or {})
        self._name = name or f"{type(self).__name__}-{next(_counter)}"
        self._daemon = bool(current.current_process().daemon if daemon is None else daemon)
        self._parent_pid = os.getpid()
        self._running: Running | None = None
        self._closed = False

    def run(self) -> object:
        """What the process does: calls ``target``. Subclasses may do something else."""
        if self._target is not None:
            return self._target(*self._args, **self._kwargs)
        return None

    # --- what is known here ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people; it has no meaning."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        assert isinstance(name, str), "name must be a string"
        self._name = name

    @property
    def daemon(self) -> bool:
        """Whether it ends with this program."""
        return self._daemon

    @daemon.setter
    def daemon(self, daemonic: bool) -> None:
        assert self._running is None, "process has already started"
        self._daemon = bool(daemonic)

    @property
    def pid(self) -> int | None:
        """Process id on its host; None before ``start``."""
        self._check_closed()
        if self._running is None:
            return None
        started = self._running.feed.started
        return None if started is None else started.pid

    @property
    def ident(self) -> int | None:
        """The same as ``pid``."""
        return self.pid

    @property
    def job(self) -> str | None:
        """The job that it is; None before ``start``."""
        return None if self._running is None else self._running.feed.job

    @property
    def exitcode(self) -> int | None:
        """As of ``multiprocessing``: minus the signal that ended it; None while it runs, or if nobody can know."""
        self._check_closed()
        running = self._running
        if running is None or not running.feed.settled or running.feed.receipt is None:
            return None
        return running.feed.receipt.returncode

    def is_alive(self) -> bool:
        """Whether it has started and not ended."""
        self._check_closed()
        return self._running is not None and not self._running.feed.settled

    @property
    def sentinel(self) -> int:
        """A file descriptor that is readable when the process has ended; for ``multiprocessing.connection.wait``.

        Raises:
            ValueError: not started.
        """
        self._check_closed()
        if self._running is None:
            raise ValueError("process not started")
        return self._running.sentinel()

    def close(self) -> None:
        """Let go of what this object holds. Nothing can be asked of it afterwards.

        Raises:
            ValueError: the process runs.
        """
        if self._running is not None:
            if not self._running.feed.settled:
                raise ValueError(
                    "Cannot close a process while it is still running. You should first call join() or terminate()."
                )
            self._running.close()
        self._closed = True

    def __repr__(self) -> str:
        parts = [f"{type(self).__name__} name={self._name!r}"]
        if self._closed:
            return f"<{parts[0]} closed>"
        if self._running is None:
            parts.append("initial")
        elif (pid := self.pid) is not None:
            parts.append(f"pid={pid}")
        if self._running is not None:
            code = self.exitcode
            parts.append("started" if self.is_alive() else f"stopped exitcode={code}")
        if self._daemon:
            parts.append("daemon")
        return f"<{' '.join(parts)}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}

    # --- for the faces -----------------------------------------------------------------------------------------------

    def _bootstrap(self) -> object:
        """What the worker calls for an instance of a subclass."""
        current.become(self)
        return self.run()

    @property
    def _place(self) -> Any:
        return place_of(type(self))

    def _check_closed(self) -> None:
        if self._closed:
            raise ValueError("process object is closed")

    def _request(self) -> RunRequest:
        """The job.

        Raises:
            CallRefused: target, arguments or the instance itself cannot be sent.
            CallTooLarge: they are too long.
        """
        host = place_of(type(self)).host
        coder = coder_of(host)
        if type(self).run is not ProcessBase.run:
            first = FirstCall(coder.function(self._bootstrap, sure=True), *coder.arguments((), {}))
        else:
            first = FirstCall(
                coder.function(self._target or _nothing, sure=True), *coder.arguments(self._args, self._kwargs)
            )
        setup = WorkerSetup(
            result="none",
            sys_path=own_path(local=host.is_local),
            argv=tuple(sys.argv) if host.is_local else (),
            name=self._name,
        )
        on_disconnect: OnDisconnect = DAEMON_LEASE_S if self._daemon else "keep"
        options: JobOptions = {
            "env": environment(setup, first),
            "label": f"process {self._name}"[:200],
            "on_disconnect": on_disconnect,
        }
        return host.worker_request(command(host.welcome.worker, CALL), options)

    def _check_startable(self) -> None:
        self._check_closed()
        assert self._running is None, "cannot start a process twice"
        assert self._parent_pid == os.getpid(), "can only start a process object created by current process"

    def _begun(self) -> Running:
        """It was started.

        Raises:
            AssertionError: it was not, or by another process.
        """
        self._check_closed()
        assert self._parent_pid == os.getpid(), "can only ask for a child process"
        assert self._running is not None, "can only join a started process"
        return self._running

    def _forget_work(self) -> None:
        """As ``multiprocessing`` does: the target may hold this very object."""
        del self._target, self._args, self._kwargs


class Running:
    """The job of a process that was started.

    Args:
        request: Starts it.
        enter: Does something with the connection's lock held.
        do: Hands on prints where that may wait.
        over: Called with the lock held when it has ended.
    """

    def __init__(
        self,
        request: RunRequest,
        enter: Callable[[Callable[[Any], bool]], None],
        do: Callable[[Callable[[], None]], None],
        over: Callable[[], None],
    ) -> None:
        self.feed: RelayedFeed = RelayedFeed.run(request)  # type: ignore[assignment]
        self.feed.owner = self
        self._enter = enter
        self._relay = Relay(self.feed, enter, do)
        self._over = over
        self._read_end = self._write_end = -1

    def poll_started(self) -> bool | None:
        """True once it runs, or has ended.

        Raises:
            HoldfastError: it could not be started.
        """
        if self.feed.error is not None:
            raise self.feed.error
        if self.feed.started is not None:
            return True
        if not self.feed.settled:
            return None
        self.raise_unknown()
        return True

    def poll_over(self) -> bool | None:
        """True once it has ended and all its prints were handed on."""
        return True if self.feed.settled and self._relay.idle else None

    def raise_unknown(self) -> None:
        """Raise why there is no exit status, if there is none.

        Raises:
            JobLost: nobody can know it.
            SpawnFailed: it was never executed.
            HoldfastError: the way to it is lost.
        """
        if self.feed.receipt is not None:
            if (error := no_status_error(self.feed.receipt)) is not None:
                raise error
        elif self.feed.error is not None:
            raise self.feed.error

    def signal(self, signum: int) -> Call[DoneAnswer] | None:
        """What sends it a signal; None: it has ended."""
        if self.feed.settled or self.feed.job is None:
            return None
        return calls.signal_again(self.feed.job, signum)

    def kill(self) -> Call[DoneAnswer] | None:
        """What ends it and all that it has started; None: it has ended."""
        if self.feed.settled or self.feed.job is None:
            return None
        return calls.stop(self.feed.job, 0.0)

    def sentinel(self) -> int:
        """See ``ProcessBase.sentinel``."""
        if self._read_end < 0:
            self._read_end, self._write_end = os.pipe()

            def check(_: object) -> bool:
                if self.feed.settled:
                    self._say_end()
                return False

            try:
                self._enter(check)
            except ClosedError:
                self._say_end()
        return self._read_end

    def close(self) -> None:
        """Close what is open of the sentinel."""
        self._say_end()
        if self._read_end >= 0:
            os.close(self._read_end)
            self._read_end = -1

    def __del__(self) -> None:
        self.close()

    def _say_end(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    # --- what the job tells (see ``relayed.FeedOwner``) ---------------------------------------------------------------

    def news(self, event: AnyEvent) -> None:
        """Something has happened; the feed itself keeps it."""

    def printed(self) -> None:
        """There is something that it has printed."""
        self._relay.printed()

    def feed_over(self) -> None:
        """It has ended."""
        self._say_end()
        self._over()


TERMINATE: Final = int(signal.SIGTERM)


def _nothing() -> None:
    """What a process without a target does."""


def bind(kind: type[ProcessBase], place: Place) -> None:
    """Processes of this class, and of those derived from it, run there."""
    _places[kind] = place


def place_of(kind: type[ProcessBase]) -> Place:
    """Where processes of this class run.

    Raises:
        RuntimeError: nowhere.
    """
    for each in kind.__mro__:
        if (place := _places.get(each)) is not None:
            return place
    raise RuntimeError("this class of processes belongs to no host; that of a host is `host.Process`")


def bound(kind: type[ProcessBase], place: Place) -> Any:
    """A class of processes that run there; may be subclassed."""
    made = type("Process", (kind,), {"__doc__": kind.__doc__, "__module__": kind.__module__})
    bind(made, place)
    return made
