"""Ends parents in many ways, and looks what their daemons do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Final

from holdfast.lab import proc
from holdfast.lab.cases.daemon_processes.data import Data, Ending, Ticks
from holdfast.lab.swapped import on_holdfast
from holdfast.lab.workbench import Lab

SOON_S: Final = 1.5
"""A parent that waits for nobody is gone well before."""
WATCHED_S: Final = 20.0
LIMIT_S: Final = 20.0

_ENDING: Final = """\
import multiprocessing, os, signal, sys
leaves, ignores, gate = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])
fork = multiprocessing.get_context("fork")
def watch(tell):
    signal.signal(signal.SIGTERM, signal.SIG_IGN if ignores else signal.SIG_DFL)
    tell.send("ready")
    os.read(gate, 1)  # until its other end is closed
told, tell = fork.Pipe(False)
daemon = fork.Process(target=watch, args=(tell,), daemon=True)
daemon.start()
told.recv()
print(daemon.pid, flush=True)
if leaves == "exception":
    sys.stderr = open(os.devnull, "w")
    raise ValueError("the parent ends badly")
if leaves == "SIGTERM":
    os.kill(os.getpid(), signal.SIGTERM)
if leaves == "SIGKILL":
    os.kill(os.getpid(), signal.SIGKILL)
if leaves == "_exit":
    os._exit(0)
"""
_TICKS: Final = """\
import multiprocessing, os, sys, time
pace = float(sys.argv[1])
fork = multiprocessing.get_context("fork")
def say(what):
    os.write(1, f"{what} {time.monotonic()}\\n".encode())
def tick():
    while True:
        say("tick")
        time.sleep(pace / 10)
def work():
    time.sleep(2 * pace)
    say("worked")
say("began")
fork.Process(target=tick, daemon=True).start()
fork.Process(target=work).start()
time.sleep(pace)
say("main")
"""
_DIES: Final = """\
import atexit, multiprocessing, sys, time
fork = multiprocessing.get_context("fork")
def watch(tell):
    try:
        tell.send("ready")
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
told, tell = fork.Pipe(False)
daemon = fork.Process(target=watch, args=(tell,), daemon=True)
def look():
    print(daemon.exitcode, flush=True)
multiprocessing.util.Finalize(None, look, exitpriority=-1)  # run when the children have been ended
daemon.start()
told.recv()
"""
_LATE: Final = """\
import multiprocessing, time
process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
process.start()
try:
    process.daemon = True
except AssertionError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
process.terminate()
process.join()
"""
_GRANDCHILD: Final = """\
import multiprocessing
fork = multiprocessing.get_context("fork")
def watch():
    try:
        fork.Process(target=print).start()
    except AssertionError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
daemon = fork.Process(target=watch, daemon=True)
daemon.start()
daemon.join()
"""
_KILLED: Final = """\
import os, signal, time
from holdfast.local import Process
if __name__ == "__main__":
    daemon = Process(target=time.sleep, args=(60,), daemon=True)
    daemon.start()
    print(daemon.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def observe(lab: Lab) -> Data:
    """The notes' program, parents that end in many ways, rules about daemons, and a daemon of Holdfast."""
    with lab.agent():
        outlived: list[float | None] = []
        watcher = threading.Thread(target=lambda: outlived.append(_after_kill(lab)))
        watcher.start()  # a lease of some seconds runs out meanwhile
        there = on_holdfast(lab, "p08")
        endings = tuple(
            _ending(leaves, ignores=ignores)
            for leaves, ignores in (
                ("end", False),
                ("exception", False),
                ("end", True),
                ("SIGTERM", False),
                ("_exit", False),
                ("SIGKILL", False),
            )
        )
        programs = tuple(lab.program("p08") for _ in range(lab.pick(quick=4, full=15)))
        watcher.join()
    exitcode, *cleaned = _lines(_DIES)[::-1]
    return Data(
        programs=programs,
        ticks=_ticks(2 * lab.pace),
        endings=endings,
        daemon_exitcode=None if exitcode == "None" else int(exitcode),
        cleaned_up=bool(cleaned),
        late_error="".join(_lines(_LATE)),
        late_error_optimised="".join(_lines(_LATE, "-O")),
        grandchild_error="".join(_lines(_GRANDCHILD)),
        holdfast_program=there,
        holdfast_after_kill_s=outlived[0],
        watched_s=WATCHED_S,
    )


def _ending(leaves: str, *, ignores: bool) -> Ending:
    """A daemon waits for a pipe whose end is in our hands; its parent leaves."""
    gate, opener = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", _ENDING, leaves, str(ignores), str(gate)],
        stdout=subprocess.PIPE,
        pass_fds=(gate,),
        text=True,
    )
    try:
        os.close(gate)
        assert parent.stdout is not None
        daemon = int(parent.stdout.readline())
        try:
            parent.wait(SOON_S)
        except subprocess.TimeoutExpired:
            return Ending(leaves, parent_gone=False, daemon_alive=proc.alive(daemon), ignores=ignores)
        return Ending(leaves, parent_gone=True, daemon_alive=proc.alive(daemon), ignores=ignores)
    finally:
        os.close(opener)
        parent.communicate(timeout=LIMIT_S)


def _ticks(pace: float) -> Ticks:
    said = [line.split() for line in _lines(_TICKS, arguments=(str(pace),))]
    at = {what: float(when) for what, when in said if what != "tick"}
    ticks = tuple(float(when) - at["began"] for what, when in said if what == "tick")
    return Ticks(ticks, at["main"] - at["began"], at["worked"] - at["began"])


def _lines(program: str, *options: str, arguments: tuple[str, ...] = ()) -> list[str]:
    """What a program prints."""
    command = [sys.executable, *options, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    return done.stdout.splitlines()


def _after_kill(lab: Lab) -> float | None:
    """A program of Holdfast's is killed; how long its daemon lives on."""
    path = lab.folder / "killed.py"
    path.write_text(_KILLED)
    printed = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    began = time.monotonic()
    daemon = int(printed.stdout)
    return None if proc.await_state(daemon, (None,), WATCHED_S) is not None else time.monotonic() - began
