"""A worker that makes the one call it was started with, and ends.

Its outcome is either a line on standard output (``outcome``), and everything that is printed goes to standard error; or
its exit status alone, by the rules of ``multiprocessing.Process``, and prints are its output.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.functions import calls, messages, outcome, progress
from holdfast.functions.calls import CannotLoad
from holdfast.functions.line import Line
from holdfast.functions.messages import Progress
from holdfast.functions.progress import EVERY_S
from holdfast.functions.raised import encode_error, encode_refusal

if TYPE_CHECKING:
    from holdfast.functions.setup import FirstCall, WorkerSetup

Work = Callable[[], Any]


class _Sink(progress.Sink):
    """Tells the agent how far the call is; an agent that is not there misses it."""

    __slots__ = ("_line", "_lock", "_timer")

    def __init__(self, socket_path: str) -> None:
        super().__init__(self._say)
        self._line = Line(socket_path)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def tell(self, progress: Progress) -> None:
        super().tell(progress)
        if self.pending is not None and self._timer is None:
            self._timer = threading.Timer(EVERY_S, self._late)
            self._timer.daemon = True
            self._timer.start()

    def _late(self) -> None:
        self._timer = None
        self.flush()

    def _say(self, _number: int, body: bytes) -> None:
        with self._lock:
            if self._line.try_connect():
                self._line.send(messages.encode(messages.PROGRESS, 0, body))
                if self._line.receive(wait=False) == b"":  # the agent says nothing here: it has gone
                    self._line.close()


def run(setup: WorkerSetup, call: FirstCall, socket_path: str) -> int:
    """Make the call; the exit status."""
    sink = _Sink(socket_path)
    progress.bind_process(sink)
    out = _take_output() if setup.result == "line" else None
    try:
        work = _loaded(call)
    except CannotLoad as error:
        text = f"the worker has no module {error.module!r}" if error.module is not None else str(error)
        if out is None:
            print(f"holdfast: {text}", file=sys.stderr)
        else:
            _write(out, outcome.error_line(encode_refusal(text)))
        return 1
    code = _process(work, setup.name) if out is None else _durable(work, out, pickles=setup.pickles)
    sink.flush()
    return code


def _loaded(call: FirstCall) -> Work:
    function = calls.load_function(call.function)
    args, kwargs = calls.open_arguments(call.flags, call.arguments)
    return lambda: function(*args, **kwargs)


def _process(work: Work, name: str) -> int:
    """As ``multiprocessing.process.BaseProcess._bootstrap`` has it."""
    try:
        work()
    except SystemExit as error:
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code
        print(error.code, file=sys.stderr)
        return 1
    except BaseException as error:
        print(f"Process {name}:", file=sys.stderr)
        _print(error)
        return 1
    return 0


def _durable(work: Work, out: int, *, pickles: bool) -> int:
    try:
        line, code = outcome.result_line(work(), pickles=pickles), 0
    except BaseException as error:
        _print(error)
        line, code = outcome.error_line(encode_error(error, pickles=pickles, own=__file__)), 1
    _write(out, line)
    return code


def _print(error: BaseException) -> None:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    try:
        traceback.print_exception(type(error), error, frames)
    except Exception:
        print(f"{type(error).__name__}, and its traceback cannot be printed", file=sys.stderr)


def _take_output() -> int:
    """Standard output for us alone: whatever is printed, also by what the call starts, goes to standard error."""
    out = os.dup(1)
    os.dup2(2, 1)
    return out


def _write(out: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(out, view) :]
