"""Starts threads in all ways, and asks the kernel what they are."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from typing import Any, Final

from holdfast.lab.cases.thread_basics.data import Data, Kin
from holdfast.lab.seen import Ran
from holdfast.lab.workbench import Lab

MANY: Final = 50

_DAEMON: Final = """\
import sys, threading, time
pace = float(sys.argv[1])
def tick():
    while True:
        print("tick", time.monotonic(), flush=True)
        time.sleep(pace / 10)
def work():
    time.sleep(pace)
    print("worked", time.monotonic(), flush=True)
threading.Thread(target=tick, daemon=True).start()
threading.Thread(target=work).start()
print("main", time.monotonic(), flush=True)
"""
_HURRIED: Final = """\
import os, runpy, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.setswitchinterval(1e-6)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def observe(lab: Lab) -> Data:
    """The notes' programs, the kernel's view, the cost of starting, and the end of a daemon."""
    rounds = lab.pick(quick=5, full=20)
    processes, threads = _public(multiprocessing.Process), _public(threading.Thread)
    after_main, after_all = _daemon_ticks(lab.pace)
    forked: Any = multiprocessing.get_context("fork")
    spawned: Any = multiprocessing.get_context("spawn")
    return Data(
        kin=_kin(),
        by_function=lab.program("p15"),
        by_subclass=lab.program("p16"),
        shares=lab.program("p18"),
        waits=tuple(lab.program("p19") for _ in range(rounds)),
        waits_hurried=tuple(_hurried(lab, "p19") for _ in range(rounds)),
        daemon=tuple(lab.program("p20") for _ in range(rounds)),
        first_line_thread=tuple(lab.program("p17").out[0] for _ in range(rounds)),
        first_line_process=tuple(lab.program("p17", "as-in-the-notes", "process").out[0] for _ in range(rounds)),
        thread_s=tuple(_cost(lambda: threading.Thread(target=_nothing), MANY) for _ in range(rounds)),
        fork_s=tuple(_cost(lambda: forked.Process(target=_nothing), MANY // 5) for _ in range(rounds)),
        spawn_s=tuple(_cost(lambda: spawned.Process(target=_nothing), 1) for _ in range(min(rounds, 5))),
        only_processes=tuple(sorted(processes - threads)),
        both=tuple(sorted(processes & threads)),
        daemon_ticks_after_main=after_main,
        daemon_ticks_after_all=after_all,
    )


def _nothing() -> None:
    """What a thread does whose start is timed."""


def _cost(make: Any, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        each = make()
        each.start()
        each.join()
    return (time.perf_counter() - began) / count


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def _kin() -> Kin:
    """Four threads of a fresh process, as the kernel sees them."""
    pid = os.getpid()
    before = len(os.listdir("/proc/self/task"))
    ids: list[int] = [threading.get_native_id()]
    pids: list[int] = [pid]
    seen: list[bool] = []
    end, other = os.pipe()
    all_there, leave = threading.Barrier(4), threading.Event()

    def look() -> None:
        ids.append(threading.get_native_id())
        pids.append(os.getpid())
        seen.append(os.fstat(end).st_ino == os.fstat(other).st_ino)
        all_there.wait()
        leave.wait()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    all_there.wait()
    with_more = len(os.listdir("/proc/self/task"))
    leave.set()
    for thread in threads:
        thread.join()
    os.close(end)
    os.close(other)
    return Kin(before, with_more, tuple(ids), set(pids) == {pid}, all(seen))


def _hurried(lab: Lab, stem: str) -> Ran:
    """A program on one core, with the interpreter's turns as short as can be."""
    path = lab.folder / "hurried.py"
    path.write_text(_HURRIED)
    return lab.script(path, str(lab.case.program(stem, "as-in-the-notes")))


def _daemon_ticks(pace: float) -> tuple[int, int]:
    """Ticks of a daemon thread after main was through, and after the last other thread had ended."""
    done = subprocess.run(
        [sys.executable, "-c", _DAEMON, str(2 * pace)], capture_output=True, text=True, check=True, timeout=30
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    at = {name: float(when) for name, when in lines if name != "tick"}
    ticks = [float(when) for name, when in lines if name == "tick"]
    # A tick may be under way while the interpreter begins to end; only what comes after a whole period counts.
    late = at["worked"] + pace / 5
    return sum(at["main"] < tick < at["worked"] for tick in ticks), sum(tick > late for tick in ticks)
