"""Starts timers, hands them arguments, calls them off, and kills the program that has one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from holdfast.lab.cases.timer.data import Call, Data, Given
from holdfast.lab.workbench import Lab

MANY: Final = 30
PAUSE: Final = 3
"""Seconds at the notes' pace that the program's timer waits."""
DUE_S: Final = 15.0
"""So long a call that was to be made is waited for; a worker has to start first."""
GIVEN: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("tuple", lambda: (10,)),
    ("list", lambda: [10]),
    ("generator", lambda: (number for number in (10, 11))),
    ("dict", lambda: {"number": 10}),
    ("text", lambda: "10"),
    ("number in brackets", lambda: 10),
)
WRITTEN: Final = ("(10,)", "[10]", "(n for n in (10, 11))", "{'number': 10}", "'10'", "(10)")
_DIES: Final = """\
import os, signal, sys
from pathlib import Path
kind, seconds, file = sys.argv[1:]
if kind == "holdfast":
    from holdfast.local import Timer
else:
    from threading import Timer
Timer(float(seconds), Path.write_text, args=[Path(file), "made"]).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


def observe(lab: Lab) -> Data:
    """The program, timers from inside, all sorts of arguments, and timers whose program is gone."""
    waiting, cancelled = _cancelled()
    at_once = lab.pick(quick=50, full=300)
    with lab.agent():
        holdfast = _after_death(lab, "holdfast", DUE_S)
    return Data(
        programs=tuple(lab.program("p27") for _ in range(lab.pick(quick=3, full=8))),
        pause_s=PAUSE * lab.pace,
        main_id=threading.get_native_id(),
        calls=_calls(lab.pace),
        given=tuple(_given(*each, written) for each, written in zip(GIVEN, WRITTEN, strict=True)),
        waiting=MANY,
        threads_of_waiting=waiting,
        cancelled_calls=cancelled,
        at_once=at_once,
        at_once_before_main=sum(_before_main() for _ in range(at_once)),
        python_after_death=_after_death(lab, "python", 5 * lab.pace),
        holdfast_after_death=holdfast,
    )


def _calls(pace: float) -> tuple[Call, ...]:
    """Five timers, started one right after the other; the last to start is the first to be due."""
    began = time.monotonic()
    seen: list[Call] = []

    def note(asked_s: float, started: float) -> None:
        now, thread = time.monotonic(), threading.current_thread()
        in_main = thread is threading.main_thread()
        seen.append(
            Call(asked_s, started - began, now - started, thread.name, in_main, threading.get_native_id()),
        )

    timers = []
    for steps in (5, 4, 3, 2, 1):
        asked_s = steps * pace
        timer = threading.Timer(asked_s, note, args=(asked_s, time.monotonic()))
        timer.start()
        timers.append(timer)
    for timer in timers:
        timer.join()
    return tuple(seen)


def _given(what: Any, make: Callable[[], Any], written: str) -> Given:
    """Hand something over as ``args``; what the timer's thread raises is caught where Python would print it."""
    received: list[tuple[str, ...]] = []
    errors: list[str] = []
    usual = threading.excepthook
    threading.excepthook = lambda raised: errors.append(_said(raised.exc_value))
    try:
        timer = threading.Timer(0.01, lambda *values: received.append(tuple(map(repr, values))), args=make())
        timer.start()
        timer.join()
    finally:
        threading.excepthook = usual
    return Given(what, written, received[0] if received else None, errors[0] if errors else "")


def _said(error: BaseException | None) -> str:
    """What an error says, without the name of the function that was to be called."""
    words = str(error)
    return f"{type(error).__name__}: {words.partition('() ')[2] or words}"


def _cancelled() -> tuple[int, int]:
    """Threads that many timers take while they wait, and how many of them made their call after all."""
    made: list[int] = []
    before = len(os.listdir("/proc/self/task"))
    timers = [threading.Timer(60, made.append, args=(number,)) for number in range(MANY)]
    for timer in timers:
        timer.start()
    threads = len(os.listdir("/proc/self/task")) - before
    for timer in timers:
        timer.cancel()
    for timer in timers:
        timer.join()
    return threads, len(made)


def _before_main() -> bool:
    said: list[str] = []
    timer = threading.Timer(0, said.append, args=("timer",))
    timer.start()
    said.append("main")
    timer.join()
    return said[0] == "timer"


def _after_death(lab: Lab, kind: Literal["python", "holdfast"], most_s: float) -> bool:
    """Start a timer in a program that kills itself, and see whether the call is made."""
    program, file = lab.folder / "dies.py", lab.folder / f"made_by_{kind}"
    program.write_text(_DIES)
    lab.script(program, kind, str(2 * lab.pace), str(file))
    return _appears(file, most_s)


def _appears(file: Path, most_s: float) -> bool:
    until = time.monotonic() + most_s
    while not (there := file.exists()) and time.monotonic() < until:
        time.sleep(0.02)
    return there
