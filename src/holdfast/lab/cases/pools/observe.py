"""Gives tasks to pools, and asks each callback where it is called."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from multiprocessing import get_context
from typing import Any, Final

from holdfast.lab.cases.pools.data import Calls, Data, Entrance, Task, Timed
from holdfast.lab.workbench import Lab

WORKERS: Final = 4
MANY: Final = 24
LATE_S: Final = 20.0
_FORK: Any = get_context("fork")


def observe(lab: Lab) -> Data:
    """The notes' programs, pools watched from inside, and callbacks in every order."""
    pace = lab.pace
    with lab.agent() as host:
        timed = (
            _timed("ProcessPoolExecutor", ProcessPoolExecutor(WORKERS, mp_context=_FORK), pace),
            _timed("ThreadPoolExecutor", ThreadPoolExecutor(WORKERS), pace),
            _timed("Holdfast", host.executor(WORKERS), pace),
        )
    own, free = _uneven(pace)
    return Data(
        pace=pace,
        workers=WORKERS,
        most_at_once=_most_at_once(WORKERS),
        most_without=_most_at_once(MANY),
        many=MANY,
        together=lab.program("p31"),
        one_by_one=lab.program("p31", "repaired", limit_s=60),
        processes=lab.program("p32"),
        threads=lab.program("p33"),
        timed=timed,
        uneven=WORKERS,
        uneven_own=own,
        uneven_free=free,
        calls=_calls(),
        entrance=_entrance(),
    )


def _who() -> str:
    return f"{os.getpid()} {threading.current_thread().name}"


def _square(number: int, pace: float, began: float) -> tuple[int, float, float, str]:
    """A task tells when it began and ended, on a clock that all processes of a machine share."""
    started = time.monotonic() - began
    time.sleep(5 * pace)
    return number**2, started, time.monotonic() - began, _who()


def _timed(kind: str, pool: Executor, pace: float) -> Timed:
    tasks: list[Task] = []
    with pool:
        _warm(pool)
        began = time.monotonic()

        def look(future: Future[tuple[int, float, float, str]]) -> None:
            called = time.monotonic() - began
            time.sleep(1 * pace)
            _, started, ended, worker = future.result()
            tasks.append(Task(started, ended, worker, called, time.monotonic() - began, _who()))

        for number in range(WORKERS):
            pool.submit(_square, number, pace, began).add_done_callback(look)
        submitted = time.monotonic() - began
        pool.shutdown(wait=True)
        seconds = time.monotonic() - began
    until = time.monotonic() + LATE_S
    while len(tasks) < WORKERS and time.monotonic() < until:  # those of Holdfast may come after the pool has gone
        time.sleep(0.01)
    return Timed(kind, tuple(tasks), max(seconds, *(task.called_until_s for task in tasks)), _who(), submitted)


def _warm(pool: Executor) -> None:
    """Give it short tasks until all its workers are there."""
    seen: set[str] = set()
    until = time.monotonic() + LATE_S
    while len(seen) < WORKERS and time.monotonic() < until:
        seen.update(future.result() for future in [pool.submit(_nap) for _ in range(WORKERS)])


def _nap() -> str:
    time.sleep(0.05)
    return _who()


def _uneven(pace: float) -> tuple[int, int]:
    """Tasks of one to four seconds, one for each thread: how many callbacks their own worker called, and for how many
    another thread of the pool was free at that moment.
    """
    lock, all_given = threading.Lock(), threading.Event()
    busy = WORKERS
    callers: list[tuple[str, str, bool]] = []

    def work(length: int) -> str:
        nonlocal busy
        all_given.wait()
        time.sleep(length * pace)
        with lock:
            busy -= 1
        return _who()

    def look(future: Future[str]) -> None:
        with lock:
            idle = WORKERS - busy
        callers.append((_who(), future.result(), idle > 1))  # the one that has just finished is one of them

    with ThreadPoolExecutor(WORKERS) as pool:
        for length in range(1, WORKERS + 1):
            pool.submit(work, length).add_done_callback(look)
        all_given.set()  # not before: a callback that is added late is called by who adds it
    return sum(caller == worker for caller, worker, _ in callers), sum(free for *_, free in callers)


def _most_at_once(workers: int) -> int:
    """How many of many tasks are under way together."""
    lock, all_given = threading.Lock(), threading.Event()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        all_given.wait()
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    with ThreadPoolExecutor(workers) as pool:
        for _ in range(MANY):
            pool.submit(work)
        all_given.set()
    return most


def _calls() -> Calls:
    names: dict[str, str] = {}
    logging.getLogger("concurrent.futures").disabled = True  # it tells what a callback raises; here that is meant

    def note(key: str) -> Callable[[Future[Any]], None]:
        def call(_: Future[Any]) -> None:
            names[key] = _who()

        return call

    def fail(_: Future[Any]) -> None:
        raise ValueError("a callback that fails")

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(int)
        done.result()
        done.add_done_callback(note("after"))
        busy = threading.Event()
        pool.submit(busy.wait)
        waiting = pool.submit(int)
        waiting.add_done_callback(note("cancelled"))
        canceller = threading.Thread(target=waiting.cancel, name="canceller")
        canceller.start()
        canceller.join()
        cancelled_called = "cancelled" in names
        busy.set()
        failing: Future[Any] = pool.submit(int, "no number")
        failing.add_done_callback(note("failed"))
        broken: Future[Any] = pool.submit(time.sleep, 0.05)
        broken.add_done_callback(fail)
        broken.add_done_callback(note("second"))
        wait([failing, broken])
    return Calls(
        after_the_end=names["after"],
        adder=_who(),
        cancelled=names.get("cancelled", ""),
        canceller=f"{os.getpid()} canceller",
        failed="failed" in names,
        cancelled_called=cancelled_called,
        own_error_stops="second" not in names,
    )


def _entrance() -> Entrance:
    pool = ThreadPoolExecutor(2)
    futures = [pool.submit(time.sleep, 0.03) for _ in range(6)]
    pool.shutdown(wait=False)
    try:
        pool.submit(int)
        refused = ""
    except RuntimeError as error:
        refused = str(error)
    pool.shutdown(wait=True)
    waited = all(future.done() for future in futures)
    other = ThreadPoolExecutor(1)
    some = [other.submit(time.sleep, 0.03) for _ in range(6)]
    other.shutdown(wait=True, cancel_futures=True)
    return Entrance(refused, sum(map(_ended_well, futures)), len(futures), waited, sum(f.cancelled() for f in some))


def _ended_well(future: Future[Any]) -> bool:
    try:
        return future.exception() is None
    except CancelledError:
        return False
