"""How far a call is, told from inside of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from holdfast.functions.messages import Progress, encode_progress

EVERY_S: Final = 0.1
"""More often than this nobody is told; the last word always goes out."""


class Sink:
    """Where the progress of calls goes, one after the other.

    Args:
        send: Takes the number of a call and the body of a PROGRESS; from any thread.

    Attributes:
        number: The call that runs.
        pending: What was told and not sent yet, and of which call.
    """

    __slots__ = ("_at", "_send", "number", "pending")

    def __init__(self, send: Callable[[int, bytes], None], number: int = 0) -> None:
        self._send = send
        self._at = -EVERY_S
        self.number = number
        self.pending: tuple[int, Progress] | None = None

    def tell(self, progress: Progress) -> None:
        """Send it, or keep it for later if the last one was only just sent."""
        self.pending = (self.number, progress)
        self.send_if_due()

    def send_if_due(self) -> None:
        """Send what was kept, if it was long enough."""
        if time.monotonic() - self._at >= EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Send what was kept: the call is over."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self._at = time.monotonic()
            self._send(pending[0], encode_progress(pending[1]))


_of_this_call: ContextVar[Sink | None] = ContextVar("holdfast_progress", default=None)
_of_this_process: Sink | None = None


def bind_call(sink: Sink | None) -> None:
    """Progress of this thread or task goes there."""
    _of_this_call.set(sink)


def bind_process(sink: Sink | None) -> None:
    """Progress that no thread or task has a place of its own for goes there."""
    global _of_this_process
    _of_this_process = sink


def progress(done: float, total: float = 0.0, text: str = "") -> None:
    """Tell the caller how far this call is; in a job that runs a function, tell whoever follows the job.

    Outside of a call it does nothing, so a function can be used anywhere. It may be called as often as one likes: ten
    a second are sent at most, and the last one always.

    Args:
        done: How much is done, in units of your own.
        total: How much there is; 0: not known.
        text: What is being done, up to 1 000 characters.
    """
    sink = _of_this_call.get() or _of_this_process
    if sink is not None:
        sink.tell(Progress(float(done), float(total), str(text)))
