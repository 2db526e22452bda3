"""Makes deadlocks, watches them, and looks at what is said to cure them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.client.sync import Host
from holdfast.errors import DeadlockError
from holdfast.lab.cases.deadlock.data import Data, Hold
from holdfast.lab.seen import Line
from holdfast.lab.workbench import Lab

STUCK_AFTER_S = 2.5
"""The notes' program is taken for stuck when it has not ended by then; with all sleeps in a row it needs half of it."""
WATCHED_S = 0.6
DEPTH = 1000


def observe(lab: Lab) -> Data:
    """The programs, a deadlock seen from inside, recursive locks, and Holdfast's answer."""
    limit_s = max(STUCK_AFTER_S, 25 * lab.pace)
    program = lab.program("p22", limit_s=limit_s)
    depth, after_one, after_all, refused = _recursive()
    with lab.agent() as host:
        error, seconds, survivor = _on_holdfast(host)
    return Data(
        program=program,
        ordered=lab.program("p22", "repaired", limit_s=4 * limit_s),
        one_rlock=lab.program("p23", limit_s=4 * limit_s),
        holds=_opposite_orders(),
        both_at_once=held_both(program.lines),
        rlock_depth=depth,
        rlock_other_after_one_release=after_one,
        rlock_other_after_all=after_all,
        rlock_stranger_refused=refused,
        rlock_hand_over=_other_can_take(threading.RLock()),
        holdfast_error=error,
        holdfast_seconds=seconds,
        holdfast_survivor=survivor,
    )


def held_both(lines: Sequence[Line]) -> int:
    """How often a line says that a thread has the one lock directly after the other, both still held.

    In the first half a thread says "has A" and then "has B" before it gives anything back.
    """
    count = 0
    last: dict[str, str] = {}
    for line in lines:
        name, _, lock = line.text.partition(" has ")
        if lock and last.get(name, "") + lock in ("AB", "BA"):
            count += 1
            last[name] = ""
        else:
            last[name] = lock
    return count


def _opposite_orders() -> tuple[Hold, ...]:
    """Two threads meet between their two locks, so that the circle closes every time."""
    locks = {"A": threading.Lock(), "B": threading.Lock()}
    meet = threading.Barrier(2)
    over = threading.Event()
    seen: list[Hold] = []
    began = time.monotonic()

    def cross(name: str, first: str, second: str) -> None:
        asked = time.monotonic() - began
        with locks[first]:
            had = time.monotonic() - began
            meet.wait()
            wanted = time.monotonic() - began
            while not (got := locks[second].acquire(timeout=0.02)) and not over.is_set():
                pass
            in_time = got and not over.is_set()  # when the other one has given up it is no deadlock any more
            seen.append(Hold(name, second, wanted, time.monotonic() - began if in_time else None))
            if got:
                locks[second].release()
        seen.append(Hold(name, first, asked, had))

    threads = [threading.Thread(target=cross, args=each) for each in (("one", "A", "B"), ("two", "B", "A"))]
    for thread in threads:
        thread.start()
    time.sleep(WATCHED_S)
    over.set()
    for thread in threads:
        thread.join()
    return tuple(sorted(seen, key=lambda hold: (hold.thread, hold.asked_s)))


def _recursive() -> tuple[int, bool, bool, bool]:
    """Depth, free for others after one release, free after all, release by a stranger refused."""
    lock = threading.RLock()
    depth = 0
    while depth < DEPTH and lock.acquire(blocking=False):
        depth += 1
    lock.release()
    after_one = _free_for_another(lock)
    for _ in range(depth - 1):
        lock.release()
    after_all = _free_for_another(lock)
    with lock:
        refused = _in_another_thread(lambda: _release_refused(lock))
    return depth, after_one, after_all, refused


def _free_for_another(lock: Any) -> bool:
    def take() -> bool:
        got: bool = lock.acquire(blocking=False)
        if got:
            lock.release()
        return got

    return _in_another_thread(take)


def _other_can_take(lock: Any) -> bool:
    with lock:
        return _free_for_another(lock)


def _release_refused(lock: Any) -> bool:
    try:
        lock.release()
    except RuntimeError:
        return True
    return False


def _in_another_thread(do: Callable[[], bool]) -> bool:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(do()))
    thread.start()
    thread.join()
    return answers[0]


def _on_holdfast(host: Host) -> tuple[str, float, bool]:
    """The same circle with locks at an agent: what it says, how soon, and whether the other one goes on."""
    locks = {"A": host.lock("a"), "B": host.lock("b")}
    meet = threading.Barrier(2)
    told: list[tuple[str, float]] = []
    finished: list[str] = []

    def cross(first: str, second: str) -> None:
        with locks[first]:
            meet.wait()
            began = time.monotonic()
            try:
                with locks[second]:
                    finished.append(first)
            except DeadlockError as error:
                told.append((str(error), time.monotonic() - began))

    threads = [threading.Thread(target=cross, args=each) for each in (("A", "B"), ("B", "A"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    error, seconds = told[0] if told else ("", 0.0)
    return error, seconds, len(finished) == 1
