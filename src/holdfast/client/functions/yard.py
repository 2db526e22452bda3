"""What a pool stands on, whichever driver there is: its connection, its requests, the prints of its workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from holdfast.client.calls import RunRequest
from holdfast.client.functions.pool import Pool
from holdfast.client.functions.prints import Relay
from holdfast.errors import ClosedError

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.exchange import Port
    from holdfast.client.functions.code import Coder
    from holdfast.client.functions.settings import PoolSettings
    from holdfast.client.functions.tasks import Task
    from holdfast.client.functions.worker import PoolWorker
    from holdfast.client.session import Session

    class Driver(Protocol):
        """Either driver's connection."""

        def enter(self, act: Callable[[Session], bool]) -> None: ...
        def later(self, act: Callable[[], None]) -> None: ...
        def fresh_key(self) -> str: ...


D = TypeVar("D", bound="Driver")


class Yard(Generic[D]):
    """The yard (``pool.Yard``) and the desk (``tasks.Desk``) of one pool.

    Args:
        connection: To the host.
        coder: Writes its calls.
        run: Starts a worker; each gets a key of its own.
        settings: Sizes and choices.
    """

    def __init__(self, connection: D, coder: Coder, run: RunRequest, settings: PoolSettings) -> None:
        self._connection = connection
        self._coder = coder
        self._run = run
        self.later = connection.later
        self.pool = Pool(
            self,
            settings.schedule(),
            pickles=settings.pickles,
            takes_prints=settings.output == "inherit",
            grows=settings.grows,
        )

    # --- what the drivers do in their own ways -----------------------------------------------------------------------

    def call_back(self, act: Callable[[], None]) -> None:
        """Run callbacks of a future where they may wait."""
        raise NotImplementedError

    def relay(self, act: Callable[[], None]) -> None:
        """Hand on prints of a worker where that may wait."""
        raise NotImplementedError

    def ended(self) -> None:
        """The pool was closed, and nothing of it is left."""
        raise NotImplementedError

    # --- the executor's side -----------------------------------------------------------------------------------------

    def enter(self, act: Callable[[Port], bool]) -> None:
        """Do this with the lock; it tells whether there is something to send."""
        self._connection.enter(act)

    def close(self, *, cancel: bool = False) -> None:
        """Take nothing more. With ``cancel`` what waits is given up."""
        dropped: list[Task] = []

        def close(port: Port) -> bool:
            dropped.extend(self.pool.close(port, cancel=cancel))
            return True

        try:
            self.enter(close)
        except ClosedError:
            self.ended()  # with the connection all of its pool has ended
        for task in dropped:
            if (waker := task.drop()) is not None:
                waker.wake()

    def kill(self, task: Task) -> None:
        """End a call that runs."""
        try:
            self.enter(partial(self.pool.kill, task))
        except ClosedError:
            pass  # nothing runs for us any more

    # --- the pool's side ---------------------------------------------------------------------------------------------

    def new_run(self) -> RunRequest:
        """The request that starts one more worker."""
        request = msgspec.structs.replace(self._run.request, key=self._connection.fresh_key())
        return RunRequest(request, self._run.body, self._run.args)

    def lacks(self, module: str) -> None:
        """Workers cannot import this module."""
        self._coder.lacks(module)

    def printed(self, worker: PoolWorker) -> None:
        """A worker has printed something."""
        if worker.relay is None:
            worker.relay = Relay(worker.feed, self.enter, self.relay)
        worker.relay.printed()
