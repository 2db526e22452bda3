"""The blocking ``Timer``: a thread, as ``threading.Timer`` is one, that follows what the host does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.client.functions import timer
from holdfast.client.functions.aside import Outlet
from holdfast.errors import HoldfastError, NotFound

if TYPE_CHECKING:
    from holdfast.client.sync import Host


class Timer(threading.Thread):
    """A call after some time, as ``threading.Timer``, kept by the host. Made by ``Host.timer``.

    From the end of ``start`` on it is on the host's disk, and made once: also if this program or the agent dies before,
    and late if the host was down. The thread hands on what the call prints, if this program lasts so long.

    Attributes:
        id: Of the plan on the host.
        interval: Seconds from ``start`` on.
        job: The job that makes the call, once it is known; None: not yet.
        finished: Set when it was cancelled or its call is over.
    """

    def __init__(
        self,
        host: Host,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool,
    ) -> None:
        super().__init__(daemon=daemon)
        self.id = host._connection.fresh_key()
        self.interval = interval
        self.function = function
        self.args = [] if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.job: str | None = None
        self.finished = threading.Event()
        self._host = host

    def start(self) -> None:
        """Give it to the host.

        Raises:
            RuntimeError: it was started before.
            CallRefused: function or arguments cannot be sent.
            Refused: the host does not take it.
        """
        if self.ident is None and not self.finished.is_set():
            asked = timer.request(self._host, self.id, self.interval, self.function, self.args, self.kwargs)
            self._host._connection.call(asked)
        super().start()

    def cancel(self) -> None:
        """Do not make the call, unless it is under way."""
        self.finished.set()
        if self.ident is not None:
            try:
                self._host._connection.call(timer.cancel(self.id))
            except NotFound:
                pass  # over for long

    def run(self) -> None:
        """Wait for the call, and hand on what it prints."""
        try:
            if not self.finished.wait(self.interval):
                self._follow()
        except HoldfastError:
            pass  # the host keeps it all the same
        finally:
            self.finished.set()

    def _follow(self) -> None:
        look_s = timer.LOOK_S
        while not self.finished.is_set():
            info = self._host._connection.call(timer.look(self.id))
            if info.job is not None:
                self.job = info.job
                outlet = Outlet()
                for channel, data in self._host.job(info.job).output():
                    outlet.write(channel, data)
                return
            if info.state in timer.OVER:
                return
            self.finished.wait(look_s)
            look_s = min(2 * look_s, timer.LOOK_MOST_S)
