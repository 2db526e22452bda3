"""The program of a worker: ``python -m holdfast.functions.worker pool`` (or ``call``), as the main process of a job.

It is started often, so it imports little: the standard library, msgspec and this room; cloudpickle when the first
pickle is opened, asyncio for coroutines alone.

A worker of a pool is asked over a socket of its agent, to which it connects by itself for as long as it lives
(``line``, ``pipe``); what it notes of its calls outlives it (``record``). TERM ends it at once, and so does INT, unless
a call runs in its main thread: that gets ``KeyboardInterrupt``.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from holdfast.functions import current
from holdfast.functions.setup import CALL, POOL, SOCKET_VARIABLE, take_orders

if TYPE_CHECKING:
    from typing import Protocol

    from holdfast.functions.setup import FirstCall, WorkerSetup

    class Worker(Protocol):
        """What all kinds of pool workers have."""

        @property
        def in_call(self) -> bool: ...
        def run(self) -> None: ...


USAGE: Final = 2
"""Exit status when it was not started by a client: the shell's for wrong use."""


def main(argv: list[str]) -> int:
    """Be the worker that the environment describes; the exit status."""
    socket_path = os.environ.get(SOCKET_VARIABLE, "")
    job = os.environ.get("HOLDFAST_JOB_ID", "")
    if argv not in ([POOL], [CALL]) or not socket_path or not job:
        print("holdfast: this is the worker of a pool, and started as a job by a client that has one", file=sys.stderr)
        return USAGE
    try:
        setup, call = take_orders(os.environ)
    except ValueError as error:
        print(f"holdfast: this worker does not understand its orders: {error}", file=sys.stderr)
        return USAGE
    os.environ.pop(SOCKET_VARIABLE)
    current.state_dir = os.path.dirname(socket_path)
    _dress(setup)
    if argv == [CALL]:
        from holdfast.functions import single

        assert call is not None
        return single.run(setup, call, socket_path)
    return _serve(setup, call, socket_path, job)


def _dress(setup: WorkerSetup) -> None:
    """Look like the program whose functions are to run here."""
    known = set(sys.path)
    sys.path.extend(path for path in setup.sys_path if path not in known)
    sys.argv[:] = setup.argv or [""]
    # Functions of the caller's own program come by value and say that they are of __main__. Ours is none of theirs.
    sys.modules["__main__"] = ModuleType("__main__")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    current.become(current.ThisProcess(setup.name or f"Worker-{os.getpid()}"))


def _serve(setup: WorkerSetup, first: FirstCall | None, socket_path: str, job: str) -> int:
    from holdfast.functions.messages import Ready
    from holdfast.functions.pipe import WorkerPipe
    from holdfast.functions.record import Record, boot_id, path_of

    if first is not None and not _initialized(first):
        return 1
    try:
        record = Record(path_of(socket_path, job), boot_id())
    except OSError as error:
        print(f"holdfast: this worker cannot keep its record: {error}", file=sys.stderr)
        return 1
    pipe = WorkerPipe(Ready(os.getpid(), ".".join(map(str, sys.version_info[:3])), len(os.sched_getaffinity(0))))
    worker = _worker(setup, socket_path, pipe, record)
    signal.signal(signal.SIGINT, _Interrupt(worker).received)
    worker.run()
    record.remove()
    return 0


def _initialized(call: FirstCall) -> bool:
    """Call the pool's initializer; what it raises ends the worker, and its client hears why from standard error."""
    from holdfast.functions import calls

    try:
        function = calls.load_function(call.function)
        args, kwargs = calls.open_arguments(call.flags, call.arguments)
        function(*args, **kwargs)
    except BaseException:
        import logging

        # As concurrent.futures tells it: on standard error, unless the program's own logging has another place for it.
        logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
        return False
    return True


def _worker(setup: WorkerSetup, socket_path: str, pipe: Any, record: Any) -> Worker:
    from holdfast.functions.line import Line

    line = Line(socket_path)
    if setup.kind == "processes":
        from holdfast.functions.in_order import InOrder

        return InOrder(line, pipe, record, pickles=setup.pickles)
    if setup.kind == "threads":
        from holdfast.functions.threaded import Threaded

        return Threaded(line, pipe, record, pickles=setup.pickles, at_once=setup.at_once)
    from holdfast.functions.looped import Looped

    return Looped(line, pipe, record, pickles=setup.pickles, at_once=setup.at_once)


class _Interrupt:
    """What SIGINT does."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def received(self, signum: int, _frame: FrameType | None) -> None:
        if self._worker.in_call:
            raise KeyboardInterrupt
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
