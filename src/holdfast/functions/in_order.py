"""A worker of kind ``processes``: one call at a time, in its main thread, in the order in which they came.

Rules of this module:

* An idle worker waits in ``recv``; a call that comes is made by the same thread, and its outcome sent by it. Nothing
  else runs then.
* Only who holds ``_reading`` reads the socket and connects it anew: the main thread, or the steward while a call runs.
  Only who holds ``_lock`` uses the pipe or sends.
* A call that runs for longer than ``RECALL_S`` makes the steward send what is unsent, read what comes, and give back
  what was not begun, so that another worker can have it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from holdfast.functions import progress
from holdfast.functions.messages import CANCELLED, RECALLED, RETURNED, ConversationError
from holdfast.functions.perform import flush_prints, perform
from holdfast.functions.pipe import Asked, WorkerPipe
from holdfast.functions.steward import Steward

if TYPE_CHECKING:
    from holdfast.functions.line import Line
    from holdfast.functions.record import Record

RECALL_S: Final = 0.005
SEND_S: Final = 0.001
"""While there is more to do, outcomes wait so long for company."""
OVERDUE_S: Final = 0.25
"""What is left of a process so long after its call's limit is ended by the steward."""


class InOrder:
    """The worker.

    Args:
        line: To the agent.
        pipe: The conversation.
        record: What outlives us.
        pickles: The client opens pickles.
    """

    def __init__(self, line: Line, pipe: WorkerPipe, record: Record, *, pickles: bool) -> None:
        self._line = line
        self._pipe = pipe
        self._record = record
        self._pickles = pickles
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._queue: deque[Asked] = deque()
        self._running: Asked | None = None
        self._begun_at = 0.0
        self._sent_at = 0.0
        self._made = 0
        self._took_s = 0.0
        self._forked = False
        self._sink = progress.Sink(self._tell_progress)
        progress.bind_process(self._sink)
        self._steward = Steward(self._look)
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def in_call(self) -> bool:
        """A function of the user's runs."""
        return self._running is not None

    def run(self) -> None:
        """Make calls until there are no more to come and the client has every outcome."""
        queue, pipe = self._queue, self._pipe
        while True:
            while queue and not pipe.full:
                try:
                    asked = queue.popleft()
                except IndexError:  # the steward was quicker
                    break
                self._make(asked)
            with self._lock:
                self._send()
            if pipe.ended and pipe.settled and not queue:
                return
            self._read()

    # --- the main thread ---------------------------------------------------------------------------------------------

    def _make(self, asked: Asked) -> None:
        number, limit_s = asked.number, asked.limit_s
        self._begun_at = time.monotonic()
        self._record.begun(number)
        self._sink.number = number
        self._running = asked
        if limit_s:  # ends the process from a thread that needs no interpreter, and says in the record where it was
            faulthandler.dump_traceback_later(limit_s, exit=True, file=self._record.fd)
        kind, body = perform(asked, pickles=self._pickles)
        if self._forked:
            os._exit(0)  # a child that a function made with os.fork and let return
        if limit_s:
            faulthandler.cancel_dump_traceback_later()
        self._running = None
        self._record.ended(number)
        flush_prints()
        if self._sink.pending is not None:
            self._sink.flush()
        now = time.monotonic()
        with self._lock:
            self._pipe.outcome(kind, number, body)
            self._made += 1
            self._took_s += now - self._begun_at
            if self._queue and now - self._sent_at > SEND_S:
                self._send()

    def _read(self) -> None:
        with self._reading:
            if not self._line.connected:
                self._line.connect()
            data = self._line.receive()
            assert data is not None
            self._take(data)
        if self._queue:
            self._steward.wake()

    # --- either thread -----------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        """What has come; with ``_reading`` held."""
        pipe = self._pipe
        with self._lock:
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
                    self._queue.append(each)
                else:
                    self._cancel(each)

    def _cancel(self, number: int) -> None:
        for asked in list(self._queue):
            if asked.number == number:
                try:
                    self._queue.remove(asked)
                except ValueError:  # it has just been begun
                    return
                self._pipe.outcome(RETURNED, number, CANCELLED)

    def _send(self) -> None:
        """Send all there is; with ``_lock`` held."""
        if self._made:
            self._pipe.pace(int(self._took_s / self._made * 1e6))
            self._made = 0
            self._took_s = 0.0
        data = self._pipe.data_to_send()
        if data:
            self._line.send(data)
        self._sent_at = time.monotonic()

    def _tell_progress(self, number: int, body: bytes) -> None:
        with self._lock:
            self._pipe.progress(number, body)
            self._send()

    # --- the steward -------------------------------------------------------------------------------------------------

    def _look(self) -> bool:
        asked = self._running
        if asked is None:
            return bool(self._queue)
        ran_s = time.monotonic() - self._begun_at
        if ran_s >= RECALL_S:
            self._stand_in()
        if asked.limit_s and ran_s > asked.limit_s + OVERDUE_S and self._running is asked:
            self._record.timeout()  # the function has taken faulthandler's timer for itself
            os._exit(1)
        return True

    def _stand_in(self) -> None:
        """Do for the main thread what it would do if it were not in a call."""
        if self._reading.acquire(blocking=False):
            try:
                if self._line.try_connect():
                    data = self._line.receive(wait=False)
                    if data is not None:
                        self._take(data)
            finally:
                self._reading.release()
        with self._lock:
            while self._queue and self._pipe.attached and self._running is not None:
                try:
                    asked = self._queue.popleft()
                except IndexError:  # the call has ended, and the next one was begun
                    break
                self._pipe.outcome(RETURNED, asked.number, RECALLED)
            self._send()
        if self._sink.pending is not None:
            self._sink.send_if_due()

    def _after_fork(self) -> None:
        self._forked = True
        progress.bind_process(None)
        self._line.close()
