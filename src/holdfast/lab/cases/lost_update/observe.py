"""Takes one from a number, a hundred times at once."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from holdfast.lab.cases.lost_update.data import Data, Round, Step
from holdfast.lab.seen import Ran
from holdfast.lab.workbench import Lab

THREADS = 100
INCREMENTS = 200_000
HURRY_S = 1e-6


def observe(lab: Lab) -> Data:
    """The program with and without its lock, a lock that is held for the change alone, and one of Holdfast."""
    rounds = lab.pick(quick=3, full=10)
    pause_s = 0.1 * lab.pace
    own_pace = {"LAB_PACE": "1"}
    steps: list[Step] = []
    _round(0.1, nullcontext(), steps.append)
    with lab.agent() as host:
        lock: AbstractContextManager[Any] = host.lock("number")
        holdfast = tuple(_late(pause_s, lock) for _ in range(rounds))
    return Data(
        threads=THREADS,
        pause_s=pause_s,
        unlocked=tuple(_told(lab.program("p21", env=own_pace)) for _ in range(rounds)),
        locked=tuple(_told(lab.program("p21", "repaired")) for _ in range(rounds)),
        unlocked_short=tuple(_round(pause_s, nullcontext()) for _ in range(rounds)),
        locked_late=tuple(_late(pause_s, threading.Lock()) for _ in range(rounds)),
        holdfast=holdfast,
        steps=tuple(steps),
        increments=INCREMENTS,
        increments_missing=_hurried(),
        switch_interval_s=HURRY_S,
    )


def _told(ran: Ran) -> Round:
    left, seconds = ran.out[0].split()
    return Round(int(left), float(seconds))


def _round(pause_s: float, lock: AbstractContextManager[Any], tell: Callable[[Step], None] | None = None) -> Round:
    """Read, pause, write, with the lock held all the time."""
    number = THREADS
    began = time.monotonic()

    def less_one() -> None:
        nonlocal number
        with lock:
            seen, read = number, time.monotonic()
            time.sleep(pause_s)
            number = seen - 1
            wrote = time.monotonic()
        if tell is not None:
            tell(Step(read - began, wrote - began, seen - 1))

    _run_all(less_one)
    return Round(number, time.monotonic() - began)


def _late(pause_s: float, lock: AbstractContextManager[Any]) -> Round:
    """Pause first, then read and write with the lock held."""
    number = THREADS
    began = time.monotonic()

    def less_one() -> None:
        nonlocal number
        time.sleep(pause_s)
        with lock:
            number = number - 1

    _run_all(less_one)
    return Round(number, time.monotonic() - began)


def _run_all(do: Callable[[], None]) -> None:
    threads = [threading.Thread(target=do) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _hurried() -> int:
    """How many of many `n += 1` are lost when threads take turns as often as can be."""
    number = 0
    before = sys.getswitchinterval()

    def more() -> None:
        nonlocal number
        for _ in range(INCREMENTS):
            number += 1

    sys.setswitchinterval(HURRY_S)
    try:
        threads = [threading.Thread(target=more) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    return 4 * INCREMENTS - number
