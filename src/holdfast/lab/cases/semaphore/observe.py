"""Lets visitors into semaphores, mutexes and what is shared between processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from holdfast.client.sync import connect
from holdfast.lab.cases.semaphore.data import Data, Stay
from holdfast.lab.workbench import Lab

PLACES = 5
VISITORS = 20
MUCH = 1000


def observe(lab: Lab) -> Data:
    """The notes' program, the same visitors measured from inside, and where a semaphore ends."""
    stays = [lab.random.randint(1, 4) * lab.pace for _ in range(VISITORS)]
    with lab.agent() as host:
        address = host.address
        across = _inside_at_once(lambda: connect(address).semaphore("door", 1).acquire(blocking=False))
    forked: Any = multiprocessing.get_context("fork")
    alone, shared = threading.Semaphore(1), forked.Semaphore(1)
    return Data(
        cpus=os.cpu_count() or 1,
        places=PLACES,
        program=lab.program("p24"),
        semaphore=_visit(threading.Semaphore(PLACES), stays),
        mutex=_visit(threading.Lock(), stays[:PLACES]),
        default_threads=_until_full(threading.Semaphore()),
        default_processes=_until_full(multiprocessing.Semaphore()),
        forked_threading=_inside_at_once(lambda: alone.acquire(blocking=False)),
        forked_multiprocessing=_inside_at_once(lambda: shared.acquire(block=False)),
        holdfast_processes=across,
        released_by_other=_let_in_by_a_stranger(),
        lock_released_free=_release_free_lock(),
    )


def _visit(door: AbstractContextManager[object], stays: Sequence[float]) -> tuple[Stay, ...]:
    """Everybody comes at once; who is in stays for his time."""
    began = time.monotonic()
    seen: list[Stay] = [Stay(0, 0, 0)] * len(stays)

    def visitor(number: int) -> None:
        asked = time.monotonic()
        with door:
            entered = time.monotonic()
            time.sleep(stays[number])
            left = time.monotonic()
        seen[number] = Stay(asked - began, entered - began, left - began)

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(len(stays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(seen)


def _until_full(door: Any) -> int:
    """How many enter before the next would wait, at most ``MUCH``."""
    entered = 0
    while entered < MUCH and door.acquire(False):
        entered += 1
    return entered


def _inside_at_once(enter: Callable[[], bool]) -> int:
    """How many of four child processes get in while all that got in stay.

    They are forked, so that they have what this process had. Each writes one byte when it was let in or not, and leaves
    (or would) only when all have answered.
    """
    answers, answer = os.pipe()
    gate, opener = os.pipe()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(opener)
                os.write(answer, b"1" if enter() else b"0")
                os.read(gate, 1)  # ends when the parent closes the other end
            finally:
                os._exit(0)
        children.append(pid)
    told = b"".join(os.read(answers, 1) for _ in children)
    os.close(opener)
    for pid in children:
        os.waitpid(pid, 0)
    for end in (answers, answer, gate):
        os.close(end)
    return told.count(b"1")


def _let_in_by_a_stranger() -> bool:
    door = threading.Semaphore(0)
    stranger = threading.Thread(target=door.release)
    stranger.start()
    stranger.join()
    return door.acquire(blocking=False)


def _release_free_lock() -> bool:
    try:
        threading.Lock().release()
    except RuntimeError:
        return False
    return True
