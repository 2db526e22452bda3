"""Functions that are called in workers. Each does one thing that can be seen from outside."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import holdfast


def add(left: int, right: int = 1) -> int:
    return left + right


def echo(value: object) -> object:
    return value


def mark(path: str) -> int:
    """Leaves a line for each time that it was begun."""
    with open(path, "a") as file:
        file.write("begun\n")
    return os.getpid()


def wait_for(path: str) -> str:
    """Until there is a file of this name."""
    while not os.path.exists(path):
        time.sleep(0.005)
    return Path(path).name


def mark_and_wait(marks: str, path: str) -> str:
    mark(marks)
    return wait_for(path)


async def await_file(path: str) -> str:
    while not os.path.exists(path):
        await asyncio.sleep(0.005)
    return Path(path).name


async def await_cancelled(path: str) -> None:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        mark(path)
        raise


def thread_name() -> str:
    return threading.current_thread().name


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def swallow_and_sleep(path: str) -> None:
    """Ends for nobody's sake, and tells when it was disturbed."""
    try:
        while True:
            time.sleep(0.01)
    except BaseException as error:
        Path(path).write_text(type(error).__name__)
        time.sleep(3600)


def hold_the_interpreter() -> bool:
    """Years of back-tracking in one call of C code, which lets no other thread run."""
    return re.match("(a+)+$", "a" * 64 + "b") is not None


def report(steps: int, pause_s: float) -> int:
    for step in range(steps + 1):
        holdfast.progress(step, steps, f"step {step}")
        time.sleep(pause_s)
    return steps


def report_once_and_wait(path: str) -> str:
    """Two words at once, of which the second one must not be lost, and then nothing."""
    holdfast.progress(1, 9, "first")
    holdfast.progress(2, 9, "second")
    return wait_for(path)


async def report_from_a_coroutine(steps: int) -> int:
    for step in range(steps + 1):
        holdfast.progress(step, steps)
        await asyncio.sleep(0)
    return steps


def report_from_a_thread() -> None:
    thread = threading.Thread(target=holdfast.progress, args=(1, 2, "thread"))
    thread.start()
    thread.join()


def speak(text: str, *, end: str = "\n") -> None:
    print(text, end=end)
    print(text, file=sys.stderr)


def surroundings() -> dict[str, object]:
    return {
        "environment": sorted(name for name in os.environ if name.startswith("HOLDFAST_")),
        "argv": sys.argv,
        "path": sys.path,
        "main": sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__")),
        "pickle": sorted(name for name in sys.modules if "pickle" in name),
        "first": sys.path[0],
    }


def fork_and_return() -> int:
    """In two processes: the child must not go on as a worker."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return os.getpid()


def leave_a_child(path: str) -> int:
    """A child that outlives the call and was not executed anew: it has all descriptors of the worker that it can."""
    pid = os.fork()
    if not pid:
        wait_for(path)
        os._exit(0)
    return pid


def die(signum: int) -> None:
    os.kill(os.getpid(), signum)
    time.sleep(10)


def interrupt() -> str:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        return "interrupted"
    return "not interrupted"


def fail(text: str) -> None:
    raise ValueError(text)


def leave(code: object) -> None:
    sys.exit(code)  # type: ignore[arg-type]


def set_up(path: str) -> None:
    mark(path)
    os.environ["SET_UP"] = "yes"


def is_set_up() -> str | None:
    return os.environ.get("SET_UP")


def fill(size: int) -> bytes:
    return bytes(size)


class Unplain:
    """A value that only pickles can carry."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unplain) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]


def unplain(number: int) -> Unplain:
    return Unplain(number)
