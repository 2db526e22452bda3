"""Lets tasks wait and compute by every means there is, and looks at what the GIL lets through."""

from __future__ import annotations

import ctypes
import gc
import mmap
import multiprocessing
import operator
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from holdfast.lab.cases.gil import contest, pythons
from holdfast.lab.cases.gil.data import Collector, Contest, Cores, Counted, Data, Programs, Python, Round, Steps
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

WAITERS = 4
RUNNERS = 2
MUCH = 60_000
"""How often each of two processes counts."""


def observe(lab: Lab) -> Data:
    """The notes' programs, the contests, and the inside of one interpreter."""
    several, none = pythons.best()
    if several is None:
        lab.lacks("CPython 3.12+", Text("sub-interpreters share one GIL here", "此处的子解释器共用一把 GIL"))
    if none is None:
        lab.lacks("CPython 3.13t", Text("no interpreter without a GIL was found", "没有找到不带 GIL 的解释器"))
    own = pythons.asked(sys.executable)
    assert own is not None
    lab.say("one interpreter from inside")
    inside = _inside()
    lab.say("the contests")
    contests = _contests(lab, own, several, none)
    lab.say("the notes' programs")
    return Data(
        python=own,
        cores=_cores(),
        contests=contests,
        steps=inside,
        collector=_collector(),
        counted=Counted(2 * MUCH, _count_up(locked=False), _count_up(locked=True)),
        programs=_programs(lab),
    )


# --- contests --------------------------------------------------------------------------------------------------------


def _contests(
    lab: Lab, own: Python, several: tuple[str, Python] | None, none: tuple[str, Python] | None
) -> tuple[Contest, ...]:
    rounds = lab.pick(quick=3, full=7)
    loops, buffers = lab.pick(quick=(1_500_000, 80), full=(5_000_000, 300))
    wait_s = 2.5 * lab.pace

    def held(kind: str, means: str, executable: str, python: Python, count: int = rounds) -> Contest | None:
        amount = {"wait": wait_s, "compute": float(loops), "hash": float(buffers)}[kind]
        tasks = WAITERS if kind == "wait" else RUNNERS
        found = [_round(executable, kind, means, tasks, amount) for _ in range(count)]
        whole = tuple(each for each in found if each is not None)
        return Contest(kind, means, python, whole) if whole else None

    here = sys.executable
    kept = [held("wait", means, here, own, 1) for means in ("serial", "threads", "processes", "coroutines")]
    kept += [held("compute", means, here, own, 1) for means in ("serial", "coroutines")]
    kept += [held("compute", means, here, own) for means in ("threads", "processes")]
    kept += [_pool(lab, own, rounds, float(loops)), held("hash", "threads", here, own)]
    if own.subinterpreters and (several is None or several[1] != own):
        kept.append(held("compute", "subinterpreters", here, own, 1))
    if several is not None:
        kept.append(held("compute", "subinterpreters", *several))
    if none is not None and none[1] != own:
        kept.append(held("compute", "threads", *none))
    return tuple(each for each in kept if each is not None)


def _pool(lab: Lab, own: Python, rounds: int, amount: float) -> Contest:
    """The same tasks given to a pool of Holdfast's worker processes."""
    kinds, amounts, numbers = ["compute"] * RUNNERS, [amount] * RUNNERS, range(RUNNERS)
    found = []
    with lab.agent() as host, host.executor(RUNNERS) as pool:
        list(pool.map(contest.task, kinds, [1.0] * RUNNERS, numbers))  # the workers are there
        for _ in range(rounds):
            began = time.monotonic_ns()
            told = list(pool.map(contest.task, kinds, amounts, numbers))
            found.append(msgspec.convert(contest.report(began, time.monotonic_ns(), told), type=Round))
    return Contest("compute", "holdfast", own, tuple(found))


def _round(executable: str, kind: str, means: str, tasks: int, amount: float) -> Round | None:
    """One round in a process of its own; None: it failed (an interpreter may lack what it takes)."""
    command = [executable, contest.__file__, kind, means, str(tasks), str(amount)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(command, capture_output=True, timeout=60, check=False, env=env)
        return msgspec.json.decode(ran.stdout, type=Round)
    except (subprocess.TimeoutExpired, msgspec.MsgspecError):
        return None


# --- one interpreter from inside -------------------------------------------------------------------------------------


def _inside() -> tuple[Steps, ...]:
    import hashlib

    buffer = bytes(16 << 20)

    def loop() -> None:
        for _ in range(500_000):
            pass

    calls: tuple[tuple[str, Callable[[], object]], ...] = (
        ("for _ in range(500_000): pass", loop),
        ("sum(range(1_000_000))", partial(sum, range(1_000_000))),
        ("hashlib.sha256(16 MiB)", partial(hashlib.sha256, buffer)),
        ("time.sleep(0.02)", partial(time.sleep, 0.02)),
    )
    return tuple(Steps(name, _steps_within(call)) for name, call in calls)


def _steps_within(call: Callable[[], object], rounds: int = 3) -> tuple[int, ...]:
    """How many steps another thread makes while this one is within ``call``.

    The clock is read before and after it by C code, without a single instruction of Python in between: the interpreter
    hands the GIL on between two of those.
    """
    steps: list[float] = []
    over = threading.Event()

    def step() -> None:
        while not over.is_set():
            steps.append(time.monotonic())

    taken = []
    stepping = threading.Thread(target=step)
    stepping.start()
    try:
        for _ in range(rounds):
            time.sleep(0.01)
            calls: tuple[Callable[[], Any], ...] = (time.monotonic, call, time.monotonic)
            began, _, ended = list(map(operator.call, calls))
            taken.append((began, ended))
    finally:
        over.set()
        stepping.join()
    return tuple(sum(began < at < ended for at in steps) for began, ended in taken)


class _Thing:
    """Something that can be watched by a weak reference."""

    me: object = None


def _collector(count: int = 1000) -> Collector:
    """Drop objects while the collector is off, and then let it run."""
    gc.collect()
    gc.disable()
    try:
        ran = _collections()
        at_once = len(_dropped(count, in_cycles=False)[1])
        steps = _steps_within(partial(sum, range(1_000_000)))
        watched, gone = _dropped(count, in_cycles=True)
        before, ran = len(gone), _collections() - ran
        gc.collect()
        after = len(gone)
        del watched
    finally:
        gc.enable()
    return Collector(count, at_once, ran, count, before, after, steps)


def _dropped(count: int, *, in_cycles: bool) -> tuple[list[weakref.ref[_Thing]], list[int]]:
    """Make and drop so many objects; their weak references (without which nobody tells), and which ones have gone."""
    gone: list[int] = []
    watched = []
    for number in range(count):
        thing = _Thing()
        thing.me = thing if in_cycles else None
        watched.append(weakref.ref(thing, lambda _, number=number: gone.append(number)))  # type: ignore[misc]
        del thing
    return watched, gone


def _collections() -> int:
    return sum(each["collections"] for each in gc.get_stats())


def _count_up(*, locked: bool) -> int:
    """What two processes make of one number in shared memory when each counts ``MUCH`` times."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    number = ctypes.c_long.from_buffer(shared)
    lock: Any = multiprocessing.get_context("fork").Lock() if locked else nullcontext()
    cores = sorted(os.sched_getaffinity(0))
    children = []
    for place in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                os.sched_setaffinity(0, {cores[place % len(cores)]})
                for _ in range(MUCH):
                    with lock:
                        number.value += 1
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    total = number.value
    del number
    shared.close()
    return total


# --- the notes' programs and figures ---------------------------------------------------------------------------------


def _programs(lab: Lab) -> Programs:
    share = lab.pick(quick=0.02, full=0.1)
    rounds = lab.pick(quick=2, full=5)
    loops = {"LAB_LOOPS": str(share)}

    def told(stem: str, *arguments: str, count: int = rounds) -> tuple[float, ...]:
        lines = (line for _ in range(count) for line in lab.program(stem, "as-in-the-notes", *arguments, env=loops).out)
        return tuple(float(line.split()[-1]) for line in lines if line.startswith("run time is"))

    return Programs(
        wait_s=5 * lab.pace,
        wait_threads=told("p25", "threads"),
        wait_processes=told("p25", "processes"),
        wait_spawned=told("p25", "processes", "spawn", count=1),
        loops_share=share,
        compute_threads=told("p26", "threads", count=rounds + 1),
        compute_processes=told("p26", "processes", count=rounds + 1),
    )


def _cores() -> Cores:
    usable = os.sched_getaffinity(0)
    ask = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(os.cpu_count())"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, timeout=20, check=True)
    return Cores(os.cpu_count() or 1, len(usable), _physical(), int(told.stdout))


def _physical() -> int | None:
    """Cores, as the kernel tells them apart: by package and core number."""
    try:
        paragraphs = Path("/proc/cpuinfo").read_text().split("\n\n")
    except OSError:
        return None
    cores = set()
    for paragraph in paragraphs:
        fields = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in paragraph.splitlines())
        }
        if "core id" in fields:
            cores.add((fields.get("physical id", "0"), fields["core id"]))
    return len(cores) or None
