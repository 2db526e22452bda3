"""A worker of kind ``threads``: many calls at a time, each in a thread of its own; for functions that wait.

Rules of this module:

* The main thread reads the socket. Threads are started as calls come, up to the number asked for, and stay.
* Everything is looked at and changed with ``_lock`` held, which a waiting thread gives back.
* A thread cannot be ended from outside. A call that is over its limit, or is called off, is answered at once; its
  thread gets an exception when it comes back to Python code, is not waited for, and another one takes its place.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from holdfast.functions import progress
from holdfast.functions.in_order import SEND_S
from holdfast.functions.messages import CANCELLED, ERROR, RETURNED, ConversationError
from holdfast.functions.perform import flush_prints, perform
from holdfast.functions.pipe import Asked, WorkerPipe
from holdfast.functions.steward import Steward

if TYPE_CHECKING:
    from holdfast.functions.line import Line
    from holdfast.functions.record import Record


class _Seat:
    """One thread. ``left``: it is not waited for any more, and ends when it can."""

    __slots__ = ("asked", "begun_at", "left", "sink", "thread")

    def __init__(self, sink: progress.Sink) -> None:
        self.asked: Asked | None = None
        self.begun_at = 0.0
        self.left = False
        self.sink = sink
        self.thread: threading.Thread | None = None


class Threaded:
    """The worker.

    Args:
        line: To the agent.
        pipe: The conversation.
        record: What outlives us.
        pickles: The client opens pickles.
        at_once: Most calls that run at a time.
    """

    in_call = False
    """SIGINT ends it: no call runs in the main thread."""

    def __init__(self, line: Line, pipe: WorkerPipe, record: Record, *, pickles: bool, at_once: int) -> None:
        self._line = line
        self._pipe = pipe
        self._record = record
        self._pickles = pickles
        self._at_once = at_once
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._waiting: deque[Asked] = deque()
        self._seats: set[_Seat] = set()
        self._free = 0
        self._running: dict[int, _Seat] = {}
        self._begun = 0
        self._sent_at = 0.0
        self._made = 0
        self._took_s = 0.0
        self._steward = Steward(self._look)

    def run(self) -> None:
        """Make calls until there are no more to come and the client has every outcome."""
        while True:
            with self._lock:
                self._send()
                if self._pipe.ended and self._pipe.settled and not self._waiting and not self._running:
                    return
            if not self._line.connected:
                self._line.connect()
            data = self._line.receive()
            assert data is not None
            with self._lock:
                self._take(data)
            if self._running or self._waiting:
                self._steward.wake()

    # --- with the lock held ------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        pipe = self._pipe
        try:
            asked = pipe.receive(data)
        except ConversationError as error:
            print(f"holdfast: {error}", file=sys.stderr)
            data = b""
            asked = []
        if not data:
            self._line.close()
            pipe.lost()
            return
        if pipe.attached:
            self._line.is_good()
        for each in asked:
            if isinstance(each, Asked):
                self._waiting.append(each)
                if self._free < len(self._waiting) and len(self._seats) < self._at_once:
                    self._seat()
            else:
                self._cancel(each)
        if self._waiting and self._free and not pipe.full:
            self._work.notify(len(self._waiting))

    def _seat(self) -> None:
        seat = _Seat(progress.Sink(self._tell_progress))
        self._seats.add(seat)
        seat.thread = threading.Thread(target=self._sit, args=(seat,), name=f"call-{len(self._seats)}", daemon=True)
        seat.thread.start()

    def _cancel(self, number: int) -> None:
        seat = self._running.get(number)
        if seat is not None:
            self._leave(seat, RETURNED, CANCELLED)
            return
        for asked in self._waiting:
            if asked.number == number:
                self._waiting.remove(asked)
                self._pipe.outcome(RETURNED, number, CANCELLED)
                return

    def _leave(self, seat: _Seat, kind: int, body: bytes) -> None:
        """Answer for a call that does not end; its thread is not waited for."""
        asked, thread = seat.asked, seat.thread
        assert asked is not None
        assert thread is not None
        assert thread.ident is not None
        seat.left = True
        self._seats.discard(seat)
        self._over(asked.number, kind, body)
        from holdfast.functions.errors import CallTimeout

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(CallTimeout))
        if self._waiting:
            self._seat()

    def _over(self, number: int, kind: int, body: bytes) -> None:
        del self._running[number]
        self._pipe.outcome(kind, number, body)
        self._record.ended(next(iter(self._running), self._begun + 1) - 1)  # they are in the order of their numbers

    def _send(self) -> None:
        if self._made:
            self._pipe.pace(int(self._took_s / self._made * 1e6))
            self._made = 0
            self._took_s = 0.0
        data = self._pipe.data_to_send()
        if data:
            self._line.send(data)
        self._sent_at = time.monotonic()

    # --- threads -----------------------------------------------------------------------------------------------------

    def _sit(self, seat: _Seat) -> None:
        try:
            progress.bind_call(seat.sink)
            with self._lock:
                while not seat.left:
                    while not self._waiting or self._pipe.full:
                        self._free += 1
                        self._work.wait()
                        self._free -= 1
                    self._make(seat, self._waiting.popleft())
        except BaseException:
            if not seat.left:  # else it is the exception that was to end it, a little late
                raise

    def _make(self, seat: _Seat, asked: Asked) -> None:
        number = asked.number
        seat.asked = asked
        seat.sink.number = number
        seat.begun_at = time.monotonic()
        self._running[number] = seat
        self._begun = number
        self._record.begun(number)
        self._lock.release()
        try:
            kind, body = perform(asked, pickles=self._pickles)
            flush_prints()
            seat.sink.flush()
        finally:
            self._lock.acquire()
        if seat.left:
            return
        now = time.monotonic()
        self._over(number, kind, body)
        self._made += 1
        self._took_s += now - seat.begun_at
        if not self._waiting or now - self._sent_at > SEND_S:
            self._send()

    def _tell_progress(self, number: int, body: bytes) -> None:
        with self._lock:
            self._pipe.progress(number, body)
            self._send()

    # --- the steward -------------------------------------------------------------------------------------------------

    def _look(self) -> bool:
        now = time.monotonic()
        with self._lock:
            seats = list(self._running.values())
            for seat in seats:
                asked = seat.asked
                assert asked is not None
                if asked.limit_s and now - seat.begun_at > asked.limit_s:
                    self._leave(seat, ERROR, _overdue(asked.limit_s, seat))
            self._send()
            busy = bool(self._running or self._waiting)
        for seat in seats:
            if seat.sink.pending is not None and not seat.left:
                seat.sink.send_if_due()
        return busy


def _overdue(limit_s: float, seat: _Seat) -> bytes:
    import traceback

    from holdfast.functions.raised import encode_timeout

    assert seat.thread is not None
    frame = sys._current_frames().get(seat.thread.ident or 0)
    where = "".join(traceback.format_stack(frame)) if frame is not None else ""
    return encode_timeout(f"the call took longer than {limit_s:g} s", where)
