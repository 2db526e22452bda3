"""Several tasks at a time, by one means, with any interpreter: ``python contest.py KIND MEANS TASKS AMOUNT``.

It is run by other interpreters too, so it needs the standard library and nothing else. What it prints is one line of
JSON: who computed, and when.

That a task *runs* is read off two clocks: a step of some 70 µs for which the thread's own processor time (thread_time)
is about the time that passed (monotonic) was run without a pause. A thread that waits for the GIL, for a core or for
anything else takes none of the former. So two tasks whose steps overlap truly ran at the same time.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

STEP_ROUNDS = 2000
HASH_BYTES = 1 << 20
"""A larger buffer than 2047 bytes is hashed without the GIL (hashlib)."""
RUNNING_SHARE = 0.7
GAP_NS = 100_000
"""Runs with less than so much between them are drawn as one."""
TURN_STEPS = 60
"""A coroutine that computes lets others run after so many steps."""


def steps_of(kind: str, amount: float) -> Iterator[tuple[int, int]]:
    """Do the work; after each step that was run without a pause, its begin and end (monotonic nanoseconds)."""
    if kind == "hash":
        import hashlib  # not for all: some sub-interpreters of 3.12 do not survive OpenSSL

    buffer = bytes(HASH_BYTES) if kind == "hash" else b""
    count = int(amount) if kind == "hash" else max(1, int(amount) // STEP_ROUNDS)
    product = 0
    for _ in range(count):
        used, began = time.thread_time_ns(), time.monotonic_ns()
        if kind == "hash":
            hashlib.sha256(buffer)
        else:
            for number in range(STEP_ROUNDS):
                product *= number
        ended, used = time.monotonic_ns(), time.thread_time_ns() - used
        yield (began, ended) if used >= RUNNING_SHARE * (ended - began) else (0, 0)


def joined(steps: Iterator[tuple[int, int]]) -> list[list[int]]:
    """Steps with hardly anything between them as one run."""
    runs: list[list[int]] = []
    for began, ended in steps:
        if ended:
            if runs and began - runs[-1][1] < GAP_NS:
                runs[-1][1] = ended
            else:
                runs.append([began, ended])
    return runs


def task(kind: str, amount: float, number: int) -> dict[str, Any]:
    """Wait for ``amount`` seconds, compute as many rounds, or hash as many buffers.

    The thread is bound to a core of its own, as far as there are so many: a busy machine would often put all on one.
    """
    cores = sorted(os.sched_getaffinity(os.getpid()))
    os.sched_setaffinity(0, {cores[number % len(cores)]})  # 0 means this thread (sched_setaffinity(2))
    began = time.monotonic_ns()
    runs: list[list[int]] = []
    if kind == "wait":
        time.sleep(amount)
    else:
        runs = joined(steps_of(kind, amount))
    return {"began": began, "ended": time.monotonic_ns(), "runs": runs}


def serial(kind: str, tasks: int, amount: float) -> list[Any]:
    """One after the other."""
    each = sorted(os.sched_getaffinity(0))
    found = []
    for number in range(tasks):
        found.append(task(kind, amount, number))
        os.sched_setaffinity(0, each)
    return found


def threads(kind: str, tasks: int, amount: float) -> list[Any]:
    """A thread for each."""
    found: list[Any] = []
    each = [
        threading.Thread(target=lambda number=number: found.append(task(kind, amount, number)))
        for number in range(tasks)
    ]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()
    return found


def processes(kind: str, tasks: int, amount: float) -> list[Any]:
    """A forked process for each."""
    readers = []
    for number in range(tasks):
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                os.close(reader)
                _send(writer, task(kind, amount, number))
            finally:
                os._exit(0)
        os.close(writer)
        readers.append(reader)
    found = [_received(reader) for reader in readers]
    for _ in range(tasks):
        os.wait()
    return found


def coroutines(kind: str, tasks: int, amount: float) -> list[Any]:
    """A coroutine for each, in one thread."""
    import asyncio

    async def one() -> dict[str, Any]:
        began = time.monotonic_ns()
        kept: list[tuple[int, int]] = []
        if kind == "wait":
            await asyncio.sleep(amount)
        else:
            for number, step in enumerate(steps_of(kind, amount)):
                kept.append(step)
                if number % TURN_STEPS == TURN_STEPS - 1:
                    await asyncio.sleep(0)
        return {"began": began, "ended": time.monotonic_ns(), "runs": joined(iter(kept))}

    async def every() -> list[Any]:
        return list(await asyncio.gather(*(one() for _ in range(tasks))))

    return asyncio.run(every())


def subinterpreters(kind: str, tasks: int, amount: float) -> list[Any]:
    """An interpreter of its own for each, in a thread of this process; since 3.12 each has a GIL of its own."""
    module = interpreters()
    code = "import sys; sys.path.insert(0, {!r}); import contest; contest._begin_together({}, {}, {}, {!r}, {!r}, {})"
    ready, gate = os.pipe(), os.pipe()
    folder = os.path.dirname(os.path.abspath(__file__))
    readers = []
    each = []

    def run(writer: int, number: int) -> None:
        interpreter = module.create()
        try:
            module.run_string(interpreter, code.format(folder, ready[1], gate[0], writer, kind, amount, number))
        finally:
            module.destroy(interpreter)

    for number in range(tasks):
        reader, writer = os.pipe()
        readers.append(reader)
        each.append(threading.Thread(target=run, args=(writer, number)))
    for thread in each:
        thread.start()
    for _ in each:  # making an interpreter takes longer than the task; the first would be done before the last is there
        os.read(ready[0], 1)
    os.write(gate[1], b"." * tasks)
    found = [_received(reader) for reader in readers]
    for thread in each:
        thread.join()
    return found


def interpreters() -> Any:
    """The module for sub-interpreters: from 3.13 on, or before.

    Raises:
        ImportError: this interpreter has none.
    """
    try:
        return __import__("_interpreters")
    except ImportError:
        return __import__("_xxsubinterpreters")


def _begin_together(ready: int, gate: int, writer: int, kind: str, amount: float, number: int) -> None:
    """The task of a sub-interpreter, once all are there."""
    os.write(ready, b".")
    os.read(gate, 1)
    _send(writer, task(kind, amount, number))


def _send(writer: int, found: object) -> None:
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(found).encode())


def _received(reader: int) -> Any:
    with os.fdopen(reader, "rb") as pipe:
        return json.loads(pipe.read())


MEANS: dict[str, Callable[[str, int, float], list[Any]]] = {
    "serial": serial,
    "threads": threads,
    "processes": processes,
    "coroutines": coroutines,
    "subinterpreters": subinterpreters,
}


def main(kind: str, means: str, tasks: int, amount: float) -> None:
    """Print when each of the tasks began and ended, and the runs of its steps, in seconds from the start."""
    if means == "subinterpreters":  # what has to be there is there before the clock is read
        interpreters()
    if means == "coroutines":
        __import__("asyncio")
    start = time.monotonic_ns()
    found = MEANS[means](kind, tasks, amount)
    print(json.dumps(report(start, time.monotonic_ns(), found)))


def report(start: int, stop: int, found: list[Any]) -> dict[str, Any]:
    """What the tasks told, in seconds from the start."""

    def seconds(at_ns: int) -> float:
        return (at_ns - start) / 1e9

    told = [
        {
            "began_s": seconds(each["began"]),
            "ended_s": seconds(each["ended"]),
            "runs": [[seconds(began), seconds(ended)] for began, ended in each["runs"]],
        }
        for each in found
    ]
    return {"seconds": seconds(stop), "tasks": told}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
