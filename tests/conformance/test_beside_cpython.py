"""What CPython's tests look at through private attributes or shared memory, looked at from outside.

Each of these stands for tests that ``skips.py`` leaves out: the behaviour is there, and held to it here.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent import futures
from typing import Any

import pytest

from tests.conformance.subject import STDLIB, subject

SUITE = None  # an agent of its own, as for the suites
POOLS = ("ThreadPoolExecutor", "ProcessPoolExecutor")

pytestmark = pytest.mark.skipif(STDLIB, reason="the standard library has its own tests of these")
both = pytest.mark.parametrize("kind", POOLS)


def pool_of(kind: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(subject, kind)(*args, **kwargs)


@both
def test_calls_of_a_map_are_begun_though_nobody_reads_them(kind: str) -> None:
    """ThreadPoolExecutorTest.test_map_submits_without_iteration, with a queue in place of a list."""
    finished = subject.Queue()
    with pool_of(kind, 2) as pool:
        pool.map(finished.put, range(10))
    assert sorted(finished.get_nowait() for _ in range(10)) == list(range(10))
    assert finished.empty()


def test_a_map_that_is_given_up_begins_nothing_more() -> None:
    """ThreadPoolExecutorTest.test_executor_map_current_future_cancel, with a queue in place of a list."""
    go, log = subject.Event(), subject.Queue()

    def note_and_wait(name: str) -> None:
        log.put(f"{name} begins")
        go.wait(60)
        log.put(f"{name} ends")

    with pool_of("ThreadPoolExecutor", 1) as pool:
        first = pool.submit(note_and_wait, "first")
        results = pool.map(note_and_wait, ["second", "third"], timeout=0)
        with pytest.raises(TimeoutError):
            next(results)
        assert log.get(timeout=60) == "first begins"
        go.set()
        first.result(timeout=60)
    assert [log.get_nowait() for _ in range(log.qsize())] == ["first ends"]


@both
def test_what_was_asked_is_done_after_a_shutdown_without_waiting(kind: str) -> None:
    """The two test_shutdown_no_wait."""
    pool = pool_of(kind, 5)
    results = pool.map(abs, range(-5, 5))
    pool.shutdown(wait=False)
    assert list(results) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]


@both
def test_what_was_asked_is_done_though_the_pool_is_forgotten(kind: str) -> None:
    """The two test_del_shutdown."""
    pool = pool_of(kind, 5)
    results = pool.map(abs, range(-5, 5))
    del pool
    assert list(results) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]


@both
def test_a_with_block_ends_when_all_is_done_and_every_worker_has_gone(kind: str) -> None:
    """The two test_context_manager_shutdown, test_threads_terminate and test_processes_terminate."""
    with pool_of(kind, 5) as pool:
        pids = {pool.submit(os.getpid).result(timeout=60)}
        assert list(pool.map(abs, range(-5, 5))) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert pool.jobs == []
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_more_calls_than_threads_wait_for_their_turn() -> None:
    """ThreadPoolExecutorTest.test_saturation, and the one for processes."""
    door, inside = subject.Semaphore(0), subject.Queue()

    def enter() -> int:
        inside.put(threading.get_ident())
        door.acquire()
        return threading.get_ident()

    with pool_of("ThreadPoolExecutor", 4) as pool:
        waiting = [pool.submit(enter) for _ in range(60)]
        begun = {inside.get(timeout=60) for _ in range(4)}
        assert len(begun) == 4
        assert inside.empty()
        door.release(60)
        assert {future.result(timeout=60) for future in waiting} == begun


def test_a_free_worker_is_used_again() -> None:
    """The three tests of idle threads and processes, and test_max_tasks_per_child."""
    with pool_of("ProcessPoolExecutor", 4) as pool:
        assert len({pool.submit(os.getpid).result(timeout=60) for _ in range(3)}) == 1
        assert len(pool.jobs) == 1
    with pool_of("ProcessPoolExecutor", 1, max_tasks_per_child=3) as pool:
        pids = [pool.submit(os.getpid).result(timeout=60) for _ in range(4)]
        assert pids[0] == pids[1] == pids[2] != pids[3]


def test_a_worker_that_is_killed_fails_its_own_call_and_the_pool_goes_on() -> None:
    """ProcessPoolExecutorTest.test_killed_child, where it breaks the pool."""
    with pool_of("ProcessPoolExecutor", 1) as pool:
        pid = pool.submit(os.getpid).result(timeout=60)
        begun = subject.Event()

        def hang() -> None:
            begun.set()
            time.sleep(60)

        future = pool.submit(hang)
        assert begun.wait(60)
        os.kill(pid, 9)
        with pytest.raises(futures.BrokenExecutor, match="it may have run"):
            future.result(timeout=60)
        assert pool.submit(os.getpid).result(timeout=60) != pid


def test_a_condition_of_threading_over_a_reentrant_lock_of_ours() -> None:
    """ConditionTests.test_acquire, the other way round: the lock is given back whole, however deep it is held."""
    condition, told = threading.Condition(subject.RLock()), []

    def wait() -> None:
        with condition, condition:
            told.append("waiting")
            condition.notify_all()
            assert condition.wait(60)
            told.append("notified")

    with condition:
        thread = threading.Thread(target=wait)
        thread.start()
        assert condition.wait_for(lambda: told, 60)
        condition.notify()
    thread.join()
    assert told == ["waiting", "notified"]
