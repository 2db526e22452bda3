"""What Ctrl-C, SIGTERM and SIGHUP mean to a client that shows a running job.

The first Ctrl-C goes to the job; a second one within two seconds detaches; after that, counting starts anew. Handlers
run in the main thread, possibly in the middle of a call into the client library, so they never call it themselves: a
helper thread forwards the signal.

SIGTERM and SIGHUP mean that this client is lost, and the job's policy decides. So the process just ends: unwinding
would close the job's output on the way, and that tells the agent that the job was left on purpose.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

DETACH_WITHIN_S: Final = 2.0
SIGNAL_BASE: Final = 128
JOIN_S: Final = 0.05
"""The helper thread ends at once, unless it is in the middle of asking an agent that does not answer."""


class Detached(BaseException):
    """The user leaves the job alone (a second Ctrl-C). Not an ``Exception``: nothing on the way may swallow it."""


class CtrlC:
    """Counts interrupts: pure but for the clock it is given."""

    def __init__(self) -> None:
        self._first_at: float | None = None

    def pressed(self, now: float) -> bool:
        """Record one more; True if it is the second within ``DETACH_WITHIN_S``."""
        if self._first_at is not None and now - self._first_at <= DETACH_WITHIN_S:
            self._first_at = None
            return True
        self._first_at = now
        return False


class Interrupts:
    """Signal handlers for the time of a ``with`` block; signals that were ignored before (nohup, ``&``) stay ignored.

    Until ``forward_to`` is called there is no job, and Ctrl-C is a plain ``KeyboardInterrupt``.

    Attributes:
        forwarded: Whether a Ctrl-C was meant for the job.
        last_words: Called with the signal that ends this process; may write to standard error and nothing else.
    """

    def __init__(self) -> None:
        self._count = CtrlC()
        self._send: Callable[[], None] | None = None
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put is re-entrant, made for signal handlers
        self._before: dict[int, object] = {}
        self._thread: threading.Thread | None = None
        self.forwarded = False
        self.last_words: Callable[[int], None] = lambda signum: None

    def __enter__(self) -> Self:
        for signum, handler in (
            (signal.SIGINT, self._on_interrupt),
            (signal.SIGTERM, self._on_hang_up),
            (signal.SIGHUP, self._on_hang_up),
        ):
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, handler)
        return self

    def __exit__(self, *_exc: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]
        if self._thread is not None:
            self._asked.put(False)
            self._thread.join(JOIN_S)

    def forward_to(self, send: Callable[[], None]) -> None:
        """From now on the first Ctrl-C calls ``send``, on a thread of its own."""
        # started now and not in the handler: Thread.start takes locks that the interrupted code may hold
        self._thread = threading.Thread(target=self._forward, name="holdfast-interrupts", daemon=True)
        self._thread.start()
        self._send = send

    def _forward(self) -> None:
        while self._asked.get():
            if self._send is not None:
                self._send()

    def _on_interrupt(self, _signum: int, _frame: FrameType | None) -> None:
        if self._send is None:
            raise KeyboardInterrupt
        if self._count.pressed(time.monotonic()):
            raise Detached
        self.forwarded = True
        self._asked.put(True)

    def _on_hang_up(self, signum: int, _frame: FrameType | None) -> None:
        self.last_words(signum)
        os._exit(SIGNAL_BASE + signum)
