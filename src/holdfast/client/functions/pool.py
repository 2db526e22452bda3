"""A pool as a whole: its calls, its workers, and what happens to both. Pure: the facades bring lock, thread and loop.

Rules:

* Everything here happens with the connection's lock held, or in its loop; what may run code of the caller's (opening a
  result, a callback) is given to ``Yard.later`` in batches.
* A worker that dies fails the calls that it had begun, and no other; the pool goes on with a new one.
* A worker that ends before it was ready breaks the pool, as a failing initializer does in ``concurrent.futures``;
  killed from outside, a few may end so in a row. So nothing is started over and over.
* A call that a free worker can begin is sent at once. What is for busy ones is sent by the connection's thread when it
  comes to that, or here when some dozens of calls have gathered: one write for many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.calls import stop
from holdfast.client.exchange import CallExchange, Exchange
from holdfast.client.functions import ends
from holdfast.client.functions.worker import PoolWorker
from holdfast.errors import HoldfastError, LimitExceeded
from holdfast.functions import calls
from holdfast.functions.messages import CANCELLED, ERROR, NO_MODULE, PACE, PROGRESS, RECALLED, RESULT
from holdfast.functions.schedule import Schedule

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.client.calls import RunRequest
    from holdfast.client.exchange import Port
    from holdfast.client.functions.tasks import Task, Waker
    from holdfast.errors import Ran

    class Yard(Protocol):
        """What a pool stands on: one of the two drivers, and the facade's own."""

        def new_run(self) -> RunRequest:
            """The request that starts one more worker."""

        def later(self, act: Callable[[], None]) -> None:
            """Do this soon, without the lock, after all that was given before."""

        def enter(self, act: Callable[[Port], bool]) -> None:
            """Do this with the lock; it tells whether there is something to send."""

        def lacks(self, module: str) -> None:
            """Workers cannot import this module."""

        def printed(self, worker: PoolWorker) -> None:
            """Take what this worker has printed."""

        def ended(self) -> None:
            """The pool was closed, and nothing of it is left."""


FLUSH_CALLS: Final = 32
"""Calls for busy workers that are sent without waiting for more."""
UNREADY_MOST: Final = 3
"""Workers that may be killed in a row before one is ready."""
BARREN_MOST: Final = 10
"""Workers in a row that may be ready, be given calls, and end before they begin one."""
_FAILED: Final = 0
"""Kind of what no worker has said: the body is the exception."""

_Said = tuple["Task", int, Any]


class Pool:
    """Calls and workers of one executor.

    Args:
        yard: What it stands on.
        schedule: Sizes.
        pickles: Open pickles of results and exceptions.
        takes_prints: What workers print is fetched and handed on.
        grows: There may be as many workers as the first one says that its host has processors.

    Attributes:
        broken: Why nothing is taken any more; None: all is well.
        closing: Nothing is taken any more because it was closed.
    """

    def __init__(
        self, yard: Yard, schedule: Schedule[Task], *, pickles: bool, takes_prints: bool, grows: bool = False
    ) -> None:
        self.broken: HoldfastError | None = None
        self.closing = False
        self._yard = yard
        self._schedule = schedule
        self._pickles = pickles
        self._takes_prints = takes_prints
        self._grows = grows
        self._workers: dict[str, PoolWorker] = {}
        self._born = 0
        self._unready = 0
        self._barren = 0
        self._dirty: dict[PoolWorker, None] = {}
        self._gathered = 0
        self._flush_due = False
        self._resending = 0
        self._intake: deque[Task] = deque()
        self._intake_due = False
        self._over = False
        self._port: Port | None = None

    @property
    def workers(self) -> list[PoolWorker]:
        """Those that are there or coming or leaving."""
        return list(self._workers.values())

    # --- the caller's side -------------------------------------------------------------------------------------------

    def add(self, tasks: Iterable[Task], port: Port) -> bool:
        """More calls. Tells whether there is something to send at once.

        Raises:
            HoldfastError: the pool is broken.
            RuntimeError: it was closed.
        """
        if self.broken is not None:
            raise self.broken
        if self.closing:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self._port = port
        self._take_in()
        self._schedule.add(tasks)
        return self._move_on()

    def offer(self, task: Task) -> bool:
        """Without the lock: one more call for a pool whose workers are all busy. False: it has to be added.

        The lock is the connection's, which is held most of the time while results come in; nobody waits for it here.
        """
        if self._schedule.has_free or self.closing or self.broken is not None:
            return False
        self._intake.append(task)
        if not self._intake_due:
            self._intake_due = True
            self._yard.later(self._look_in)
        return True

    def kill(self, task: Task, port: Port) -> bool:
        """End a call that runs: with its worker, if that runs one at a time."""
        place = task.place
        if place is None:
            return False
        worker, number = place
        if worker.lane.calls.get(number) is not task:
            return False
        self._port = port
        if worker.lane.slots > 1:
            worker.pipe.cancel(number)
            self._dirty[worker] = None
        else:
            self._schedule.retire(worker.lane)
            self._stop(worker)
        self._pump()
        return True

    def close(self, port: Port, *, cancel: bool = False) -> list[Task]:
        """Take nothing more, and end when all is done.

        Args:
            port: The connection.
            cancel: What waits is given up, but for the calls of workers that are being started.

        Returns:
            What was given up.
        """
        self._port = port
        if not self.closing and self.broken is None:
            self._move_on()
        self.closing = True
        dropped = self._schedule.drop_waiting() if cancel else []
        self._check_end()
        self._pump()
        return dropped

    # --- what workers tell -------------------------------------------------------------------------------------------

    def accepted(self, worker: PoolWorker) -> None:
        """The job of a worker was accepted."""
        assert worker.dial is not None
        if not self._takes_prints:
            worker.feed.park()
        self._submit(worker.dial)
        if worker.dismissed:
            self._stop(worker)

    def printed(self, worker: PoolWorker) -> None:
        """A worker has printed something."""
        self._yard.printed(worker)

    def heard(self, worker: PoolWorker) -> None:
        """Look at what a worker has said."""
        batch = self._look_at(worker)
        self._move_on()
        self._check_end()
        self._pump()
        self._hand_on(batch)

    def gone(self, worker: PoolWorker) -> None:
        """A worker has ended, or there is no way to it any more."""
        batch = self._look_at(worker)
        batch += self._bury(worker)
        if worker.lost is not None and not ends.concerns_one(worker.lost):
            self._break(worker.lost)
        elif worker.lost is not None:
            self._stop(worker)
        if self._barren >= BARREN_MOST:
            self._break(ends.no_start(worker))
        self._hand_on(batch)
        if worker.feed.settled:
            self.feed_over(worker)
        else:
            self._move_on()
            self._check_end()
            self._pump()

    def feed_over(self, worker: PoolWorker) -> None:
        """Nothing more is heard of the job of a worker."""
        if worker.dial is None:  # never accepted
            worker.lost = worker.feed.error
            self._hand_on(self._bury(worker))
        elif not worker.is_gone:
            return  # ``gone`` follows
        self._workers.pop(worker.lane.name, None)
        self._dirty.pop(worker, None)
        if not worker.ready and not worker.dismissed:
            self._start_failed(worker)
        self._move_on()
        self._check_end()
        self._pump()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _look_at(self, worker: PoolWorker) -> list[_Said]:
        inbox, lane = worker.inbox, worker.lane
        if not worker.ready and worker.pipe.worker is not None:
            worker.ready = True
            self._unready = 0
            if self._grows:
                self._grows = False
                self._schedule.workers = max(1, worker.pipe.worker.cpus)
            self._schedule.ready(lane)
            if worker.dismissed:
                worker.pipe.end()
                self._dirty[worker] = None
        if not inbox:
            return []
        worker.inbox = []
        batch: list[_Said] = []
        over: list[int] = []
        recalled: list[int] = []
        held = lane.calls
        pace_s: float | None = None
        for kind, number, body in inbox:
            if kind == PACE:
                pace_s = number / 1e6
                continue
            task = held.get(number)
            if task is None:
                continue  # its future has failed already, with the pool
            if kind in (RESULT, ERROR):
                over.append(number)
                batch.append((task, kind, body))
            elif kind == PROGRESS:
                batch.append((task, kind, body))
            elif body == RECALLED:
                recalled.append(number)
            elif body == CANCELLED:
                over.append(number)
                batch.append((task, _FAILED, None))
            else:
                self._resending += 1
                over.append(number)
                batch.append((task, kind, body))
        if over:
            self._barren = 0
        self._schedule.answered(lane, over, per_call_s=pace_s)
        if recalled:
            self._schedule.returned(lane, recalled, slow=True)
        if lane.used_up:
            self._dismiss(worker)
        return batch

    def _bury(self, worker: PoolWorker) -> list[_Said]:
        """Take a worker out of the schedule; what becomes of the calls that it had begun."""
        answer = worker.answer
        if answer is not None:
            fates = worker.pipe.gone(answer.started, answer.finished, recorded=answer.why != ends.UNRECORDED)
        else:
            fates = worker.pipe.gone(0, 0, recorded=False)
        ran: dict[int, Ran] = {fate.number: fate.ran for fate in fates}
        unbegun = [number for number in ran if ran[number] == "no"]
        lost = self._schedule.leave(worker.lane, unbegun=unbegun)
        if lost:
            self._barren = 0
        elif unbegun and worker.ready:
            self._barren += 1
        self._dirty.pop(worker, None)
        return [(task, _FAILED, ends.death(worker, ran[number], task)) for number, task in lost.items()]

    def _move_on(self) -> bool:
        """Give out calls, start workers. Tells whether there is something to send at once."""
        self._take_in()
        schedule = self._schedule
        at_once = schedule.has_free
        for lane, given in schedule.dispatch():
            worker = self._workers[lane.name]
            say = worker.pipe.call
            for number, task in given:
                say(task.function, task.flags, task.arguments, task.limit_s)
                task.place = (worker, number)
            self._dirty[worker] = None
            self._gathered += len(given)
        for _ in range(schedule.starts_wanted()):
            at_once = True
            if not self._start():
                break
        if at_once or self._gathered >= FLUSH_CALLS:
            self._pump()
            return True
        if self._dirty and not self._flush_due:
            self._flush_due = True
            self._yard.later(self._flush)
        return False

    def _take_in(self) -> None:
        """Put what was offered into the line."""
        self._intake_due = False
        intake, taken = self._intake, []
        while intake:
            taken.append(intake.popleft())
        if not taken:
            return
        if self.broken is not None or self._over:
            error = self.broken or RuntimeError("cannot schedule new futures after shutdown")
            self._hand_on([(task, _FAILED, error) for task in taken])
        else:
            self._schedule.add(taken)

    def _look_in(self) -> None:
        """Without the lock: give out what was offered."""
        try:
            self._yard.enter(self._looked_in)
        except HoldfastError as error:
            for task in [self._intake.popleft() for _ in range(len(self._intake))]:
                task.end(None, ends.broken(error))

    def _looked_in(self, port: Port) -> bool:
        self._port = port
        self._move_on()
        self._check_end()
        self._pump()
        return True

    def _flush(self) -> None:
        """Without the lock: send what has gathered."""
        try:
            self._yard.enter(self._flushed)
        except HoldfastError:
            pass  # closed: what was not sent has failed with all the rest

    def _flushed(self, port: Port) -> bool:
        self._flush_due = False
        self._pump()
        return True

    def _pump(self) -> None:
        self._gathered = 0
        if self._dirty:
            dirty, self._dirty = self._dirty, {}
            for worker in dirty:
                if worker.dial is not None:
                    worker.dial.pump()

    def _start(self) -> bool:
        self._born += 1
        worker = PoolWorker(self, self._schedule.enter(str(self._born)), self._yard.new_run())
        self._workers[worker.lane.name] = worker
        return self._submit(worker.feed)

    def _submit(self, exchange: Exchange) -> bool:
        assert self._port is not None
        try:
            self._port.submit(exchange)
        except HoldfastError as error:
            exchange.fail(error)
        return not exchange.settled

    def _stop(self, worker: PoolWorker) -> None:
        if worker.job is not None and not worker.feed.complete:
            self._submit(CallExchange(stop(worker.job, 0.0)))

    def _dismiss(self, worker: PoolWorker) -> None:
        """Let a worker leave; one that is not there yet is stopped."""
        if worker.dismissed:
            return
        worker.dismissed = True
        self._schedule.retire(worker.lane)
        if worker.ready:
            worker.pipe.end()
            self._dirty[worker] = None
        else:
            self._stop(worker)

    def _start_failed(self, worker: PoolWorker) -> None:
        receipt, error = worker.feed.receipt, worker.feed.error
        others = any(each.ready for each in self._workers.values())
        if isinstance(error, LimitExceeded) and others:
            self._schedule.workers = max(1, sum(not each.dismissed for each in self._workers.values()))
            return
        if receipt is not None and receipt.exit is not None and receipt.exit.signal is not None:
            self._unready += 1
            if self._unready < UNREADY_MOST:
                return
        self._break(ends.no_start(worker))

    def _break(self, error: HoldfastError) -> None:
        """There is no way on: every call fails, and every worker leaves."""
        if self.broken is not None:
            return
        self._take_in()
        self.broken = broken = ends.broken(error)
        self._hand_on([(task, _FAILED, broken) for task in self._schedule.clear()])
        for worker in self.workers:
            self._dismiss(worker)
        self._pump()

    def _check_end(self) -> None:
        if self.broken is None and not (self.closing and not self._resending and self._schedule.idle):
            return
        for worker in self.workers:
            self._dismiss(worker)
        if self.closing and not self._workers and not self._over:
            self._over = True
            self._yard.later(self._yard.ended)

    # --- without the lock --------------------------------------------------------------------------------------------

    def _hand_on(self, batch: list[_Said]) -> None:
        if batch:
            self._yard.later(partial(self._tell, batch))

    def _tell(self, batch: list[_Said]) -> None:
        wakers: dict[Waker, None] = {}
        pickles = self._pickles
        for task, kind, body in batch:
            if kind == PROGRESS:
                task.told(body)
                continue
            if kind in (RESULT, ERROR):
                waker = task.outcome(kind, body, pickles=pickles)
            elif kind == _FAILED:
                waker = task.end(None, body) if body is not None else task.drop()
            else:
                waker = self._send_again(task, body)
            if waker is not None:
                wakers[waker] = None
        for waker in wakers:
            waker.wake()

    def _send_again(self, task: Task, why: bytes) -> Waker | None:
        """The worker lacks a module that a call needs: let code travel instead of names."""
        module = why.removeprefix(NO_MODULE).decode("utf-8", "replace")
        error: BaseException | None = None
        try:
            if calls.send_by_value(module) is None:
                error = ends.missing(module)
            else:
                self._yard.lacks(module)
                task.by_value()
        except Exception as exc:  # the caller's own code, in part
            error = exc
        try:
            self._yard.enter(partial(self._sent_again, None if error is not None else task))
        except HoldfastError as exc:
            error = exc
        return None if error is None else task.end(None, error)

    def _sent_again(self, task: Task | None, port: Port) -> bool:
        self._port = port
        self._resending -= 1
        if task is not None and self.broken is not None:
            self._hand_on([(task, _FAILED, self.broken)])
        elif task is not None:
            task.unclaim()
            self._schedule.add([task])
        self._move_on()
        self._check_end()
        self._pump()
        return True
