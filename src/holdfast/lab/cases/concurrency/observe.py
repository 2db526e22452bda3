"""Puts tasks on cores, one by one and together, and looks at whose turn it was."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator

from holdfast.lab.cases.concurrency.data import Data, Priority, Saved, Scene
from holdfast.lab.cases.concurrency.memory import forked_pages
from holdfast.lab.cases.concurrency.running import Plan, one_by_one, shells, together
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

TURNS = 10_000
WAITS = 10


def observe(lab: Lab) -> Data:
    """All scenes."""
    cores = sorted(os.sched_getaffinity(0))
    first = cores[0]
    rounds = lab.pick(quick=2_500_000, full=6_000_000)
    if len(cores) == 1:
        lab.lacks("2 CPU", Text("nothing could run in parallel", "无法并行运行"))
    a, b = Plan("A", first, rounds), Plan("B", first, rounds)
    parallel: tuple[Scene, ...] = ()
    if len(cores) > 1:
        other = Plan("B", cores[1], rounds)
        parallel = tuple(together(a, other) for _ in range(lab.pick(quick=3, full=7)))
    pages = forked_pages()
    if pages.parent_frame is None:
        lab.lacks("root", Text("physical pages are told by smaps alone", "物理页只能从 smaps 得知"))
    return Data(
        python=platform.python_version(),
        cores=len(cores),
        same_program=_same_program(),
        serial=one_by_one(a, b),
        concurrent=together(a, b),
        parallel=parallel,
        shells=shells(cores, lab.pick(quick=100_000, full=400_000)),
        saved=_saved(first, lab.pick(quick=3, full=9)),
        pages=pages,
        waits=WAITS,
        waiting=together(
            Plan("waits", first, rounds // 10, pauses=WAITS, pause_s=0.005), Plan("computes", first, rounds)
        ),
        priority=_priority(first, rounds),
    )


def _same_program() -> bool:
    """Run one program twice at the same time."""
    ask = "import os; print(os.getpid(), os.readlink('/proc/self/exe')); input()"
    twins = [
        subprocess.Popen([sys.executable, "-c", ask], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [twin.stdout.readline().split(" ", 1) for twin in twins if twin.stdout]
    for twin in twins:
        twin.communicate("\n", timeout=20)
    return told[0][0] != told[1][0] and told[0][1] == told[1][1]


# --- switching with saved state --------------------------------------------------------------------------------------


def _counter() -> Iterator[int]:
    reached = 0
    while True:
        reached += 1
        yield reached


def _from_the_start() -> int:
    reached = 0
    reached += 1
    return reached


def _saved(core: int, rounds: int) -> Saved:
    generators, functions, switches = (0, 0), (0, 0), []
    for _ in range(rounds):
        one, two = _counter(), _counter()
        began = time.perf_counter_ns()
        for _ in range(TURNS):
            generators = next(one), next(two)
        switches.append((time.perf_counter_ns() - began) / (2 * TURNS))
    for _ in range(TURNS):
        functions = _from_the_start(), _from_the_start()
    return Saved(
        turns=TURNS,
        kept=generators,
        lost=functions,
        generator_ns=tuple(switches),
        process_ns=tuple(_ping_pong(core, 1000) for _ in range(rounds)),
    )


def _ping_pong(core: int, turns: int) -> float:
    """Nanoseconds for one switch between two processes on one core that wake each other through pipes."""
    there, back = os.pipe(), os.pipe()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    pid = os.fork()
    if pid == 0:
        try:
            for _ in range(turns):
                os.read(there[0], 1)
                os.write(back[1], b".")
        finally:
            os._exit(0)
    began = time.perf_counter_ns()
    for _ in range(turns):
        os.write(there[1], b".")
        os.read(back[0], 1)
    took = time.perf_counter_ns() - began
    os.waitpid(pid, 0)
    os.sched_setaffinity(0, allowed)
    for end in (*there, *back):
        os.close(end)
    return took / (2 * turns)


# --- a more important one comes --------------------------------------------------------------------------------------


def _priority(core: int, rounds: int) -> Priority:
    """A task computes; soon one of higher priority comes to the same core."""

    def comes_first() -> None:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    def stands_back() -> None:
        os.nice(19)

    def as_usual() -> None:
        pass

    how, low, high = "SCHED_FIFO", as_usual, comes_first
    if not _may_be_first():
        how, low, high = "nice 19, nice 0", stands_back, as_usual
    return Priority(
        how,
        together(
            Plan("low", core, rounds, prepare=low),
            Plan("high", core, rounds // 2, after_s=0.01, prepare=high),
        ),
    )


def _may_be_first() -> bool:
    """Whether this user may set a real-time policy; tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
