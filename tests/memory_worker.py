"""The worker of a pool without a process: it makes its calls when it is told to, in the thread of whoever tells it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from holdfast.functions import calls
from holdfast.functions.messages import CANCELLED, ERROR, NO_MODULE, RECALLED, RESULT, RETURNED, Progress, Ready
from holdfast.functions.messages import encode_progress as encode_progress
from holdfast.functions.pipe import Asked, WorkerPipe
from holdfast.functions.raised import encode_error
from holdfast.functions.setup import take_orders

if TYPE_CHECKING:
    from holdfast.functions.setup import WorkerSetup


class MemoryWorker:
    """One worker.

    Attributes:
        manual: It makes no call by itself: ``begin`` and ``finish`` do.
        lacking: Modules that it takes for missing.
        started: Number of the last call begun.
        finished: Number of the last call ended.
        made: How often each call was begun.
        over: It has left, or was killed.
    """

    def __init__(self, variables: dict[str, str], *, pid: int, manual: bool, lacking: set[str]) -> None:
        orders = take_orders(variables)
        self.setup: WorkerSetup = orders.setup
        self.pipe = WorkerPipe(Ready(pid, "3.11", cpus=2))
        self.manual = manual
        self.lacking = lacking
        self.started = self.finished = 0
        self.made: dict[int, int] = {}
        self.over = False
        self.failed: BaseException | None = None
        self._queue: deque[Asked] = deque()
        if orders.call is not None:
            function = calls.load_function(orders.call.function)
            args, kwargs = calls.open_arguments(orders.call.flags, orders.call.arguments)
            try:
                function(*args, **kwargs)
            except Exception as error:
                self.failed = error
                self.over = True

    @property
    def waiting(self) -> int:
        """Calls that it has and has not begun."""
        return len(self._queue) - (self.started > self.finished)

    def feed(self, data: bytes) -> None:
        for each in self.pipe.receive(data):
            if isinstance(each, int):
                self._give_back([asked for asked in self._queue if asked.number == each], CANCELLED)
            else:
                self._queue.append(each)
        while not self.manual and self._queue:
            self.begin()
            self.finish()

    def begin(self) -> None:
        """Begin the next call."""
        number = self._queue[0].number
        self.started = number
        self.made[number] = self.made.get(number, 0) + 1

    def finish(self) -> None:
        """End the call that was begun."""
        asked = self._queue.popleft()
        try:
            function = calls.load_function(asked.function.body)
            args, kwargs = calls.open_arguments(asked.flags, asked.arguments)
            module = getattr(function, "__module__", "")
            if not calls.needs_pickle(asked.function.body) and module in self.lacking:
                self.pipe.outcome(RETURNED, asked.number, NO_MODULE + module.encode())
                return
            self.pipe.outcome(
                RESULT, asked.number, calls.encode_result(function(*args, **kwargs), pickles=self.setup.pickles)
            )
        except Exception as error:
            self.pipe.outcome(ERROR, asked.number, encode_error(error, pickles=self.setup.pickles))
        finally:
            self.finished = asked.number

    def recall(self) -> None:
        """Give back everything that was not begun."""
        self._give_back(list(self._queue)[self.started > self.finished :], RECALLED)

    def progress(self, done: float, total: float, text: str) -> None:
        """The call that was begun tells how far it is."""
        self.pipe.progress(self.started, encode_progress(Progress(done, total, text)))

    def tell_pace(self, seconds: float) -> None:
        """Its calls take so long."""
        self.pipe.pace(int(seconds * 1e6))

    def leaves(self) -> bool:
        """Whether it has nothing left to do and was told that nothing will come."""
        return self.pipe.ended and not self._queue and self.pipe.settled

    def _give_back(self, asked: list[Asked], why: bytes) -> None:
        for each in asked:
            self._queue.remove(each)
            self.pipe.outcome(RETURNED, each.number, why)
