"""Ends processes in all ways."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from typing import Any, Final

from holdfast.lab import proc
from holdfast.lab.cases.process_basics.data import Ended, Leaving, Reaped

LEAVES_S: Final = 1.0
"""A program that waits for nobody is gone well before."""
LIMIT_S: Final = 10.0

_PROGRAM: Final = """\
import multiprocessing, os, signal, subprocess, sys, threading
other, leaves, gate = sys.argv[1], sys.argv[2], int(sys.argv[3])
def wait():
    os.read(gate, 1)  # until its other end is closed
pid = 0
if other == "child":
    child = multiprocessing.get_context("fork").Process(target=wait)
    child.start()
    pid = child.pid
elif other == "command":
    pid = subprocess.Popen(["cat"], stdin=gate).pid
else:
    threading.Thread(target=wait, daemon=other == "daemon thread").start()
print(pid, flush=True)
if leaves == "_exit":
    os._exit(0)
if leaves == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def reaped() -> tuple[Reaped, ...]:
    """Children that have ended, and which calls take them away."""
    calls: tuple[tuple[str, Callable[[ForkProcess], object]], ...] = (
        ("join()", lambda process: process.join()),
        ("is_alive()", lambda process: process.is_alive()),
        ("active_children()", lambda process: multiprocessing.active_children()),
        ("start() of another", lambda process: _nothing_started()),
        ("time.sleep()", lambda process: time.sleep(0.05)),
    )
    found = []
    for name, call in calls:
        process = ForkProcess(target=_nothing)
        process.start()
        pid = process.pid
        assert pid is not None
        before = proc.await_state(pid, ("Z",))
        call(process)
        found.append(Reaped(name, before, proc.state(pid)))
        process.join()
    return tuple(found)


def terminated(rounds: int) -> tuple[Ended, ...]:
    """Sleeping children are told to end."""
    return tuple(_terminate(_started(_sleep)) for _ in range(rounds))


def terminated_on(kind: Any, target: Callable[[float], object]) -> Ended:
    """The same with another kind of ``Process``."""
    process = kind(target=target, args=(60.0,))
    process.start()
    return _terminate(process)


def ignoring(watched_s: float) -> tuple[bool, int | None]:
    """A child that ignores SIGTERM: alive after so long, and its exit code after ``kill()``."""
    process = _started(_ignore)
    process.terminate()
    process.join(watched_s)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive, process.exitcode


def answering() -> int | None:
    """The exit code of a child that answers SIGTERM with code 7."""
    return _terminate(_started(_answer)).exitcode


def leaving(other: str, leaves: str) -> Leaving:
    """A program whose main thread is through while the other waits for a pipe whose end is in our hands."""
    gate, opener = os.pipe()
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, other, leaves, str(gate)], stdout=subprocess.PIPE, pass_fds=(gate,), text=True
    )
    try:
        os.close(gate)
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        try:
            program.wait(LEAVES_S)
        except subprocess.TimeoutExpired:
            return Leaving(other, leaves, waited=True, outlived=False, parent_after=None)
        outlived = pid != 0 and proc.alive(pid)
        return Leaving(other, leaves, waited=False, outlived=outlived, parent_after=proc.parent(pid) if pid else None)
    finally:
        os.close(opener)
        program.communicate(timeout=LIMIT_S)


def _started(target: Callable[[Any], None]) -> ForkProcess:
    """A child of this target that has told that it is ready."""
    told, tell = multiprocessing.Pipe(duplex=False)
    process = ForkProcess(target=target, args=(tell,))
    process.start()
    told.recv()
    told.close()
    tell.close()
    return process


def _terminate(process: Any) -> Ended:
    began = time.monotonic()
    process.terminate()
    alive = process.is_alive()
    process.join()
    return Ended(alive, time.monotonic() - began, process.exitcode)


def _sleep(tell: Any) -> None:
    tell.send("ready")
    time.sleep(60)


def _ignore(tell: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _sleep(tell)


def _answer(tell: Any) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    _sleep(tell)


def _nothing() -> None:
    """What a child does that is to end at once."""


def _nothing_started() -> None:
    other = ForkProcess(target=_nothing)
    other.start()
    other.join()
