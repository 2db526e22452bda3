"""Both executors over a socket: what ``concurrent.futures`` and ``asyncio`` let their users expect.

The workers live in the thread of the agent, so the functions here share their module's globals with the tests.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import pickle
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.client import aio, sync
from holdfast.functions.errors import CallRefused, ResultUnreadable, WorkerDied
from tests.pool_world import THIS_PYTHON
from tests.socket_agent import SocketAgent

GATE = threading.Event()
LIMIT_S = 20.0


def double(value: int) -> int:
    return 2 * value


def wait_for_gate(value: int) -> int:
    assert GATE.wait(LIMIT_S)
    return value


def keywords(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def fail(text: str) -> None:
    raise KeyError(text)


def stop_iterating() -> None:
    raise StopIteration("over")


class Unpicklable:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("not this one")


class Unopenable:
    def __reduce__(self) -> Any:
        return _refuse_to_open, ()


def _refuse_to_open() -> None:
    raise ImportError("gone")


def unopenable() -> Unopenable:
    return Unopenable()


class Thing:
    def method(self) -> int:
        return 7


def things(_: int) -> Thing:
    return Thing()


@pytest.fixture
def host(served: SocketAgent) -> Iterator[sync.Host]:
    GATE.clear()
    with sync.connect(served.address) as host:
        yield host
        GATE.set()


def test_it_is_an_executor_of_the_standard_library(host: sync.Host) -> None:
    with host.executor(2) as pool:
        assert isinstance(pool, concurrent.futures.Executor)
        future = pool.submit(double, 4)
        assert isinstance(future, concurrent.futures.Future)
        assert future.result(LIMIT_S) == 8
        assert future.done()
        assert not future.cancelled()


def test_arguments_go_as_they_are(host: sync.Host) -> None:
    with host.executor(1, results="pickle") as pool:
        assert pool.submit(keywords, 1, self=2, fn=3).result(LIMIT_S) == ((1,), {"self": 2, "fn": 3})
        with pytest.raises(TypeError):
            pool.submit(fn=keywords, arg=1)  # type: ignore[call-overload]


def test_a_map_is_handed_over_before_it_is_looked_at(host: sync.Host) -> None:
    with host.executor(2) as pool:
        iterator = pool.map(double, range(1000), timeout=LIMIT_S)
        pool.shutdown()
        assert list(iterator) == [2 * n for n in range(1000)]


def test_a_map_takes_several_iterables_and_the_shortest_ends_it(host: sync.Host) -> None:
    with host.executor(1) as pool:
        assert list(pool.map(pow, [2, 3, 4], [5, 6], timeout=LIMIT_S)) == [32, 729]
        with pytest.raises(ValueError):
            pool.map(double, [1], chunksize=-1)


def test_a_map_that_takes_too_long_times_out_and_gives_up_the_rest(host: sync.Host) -> None:
    with host.executor(1) as pool:
        iterator = pool.map(wait_for_gate, [1, 2, 3], timeout=0.05)
        with pytest.raises(TimeoutError):
            next(iterator)
        GATE.set()
        pool.shutdown()
    assert sum(len(job.worker.made) for job in host_jobs(host) if job.worker) == 1


def host_jobs(host: sync.Host) -> Any:
    """Jobs of the memory agent behind a host; there is one of them in this module at a time."""
    return _served.agent.jobs.values()


_served: SocketAgent


@pytest.fixture(autouse=True)
def know_agent(served: SocketAgent) -> None:
    global _served
    _served = served


def test_callbacks_have_a_thread_of_their_own_and_may_wait(host: sync.Host) -> None:
    order: list[Any] = []
    done = threading.Event()
    with host.executor(1) as pool:

        def use(future: concurrent.futures.Future[int]) -> None:
            order.append(future.result())
            order.append(pool.submit(double, 50).result(LIMIT_S))
            order.append(len(host.jobs()))

        future = pool.submit(wait_for_gate, 3)
        future.add_done_callback(use)
        future.add_done_callback(lambda _: done.set())
        GATE.set()
        assert done.wait(LIMIT_S)
    assert order[:2] == [3, 100]


def test_wait_and_as_completed_work_on_its_futures(host: sync.Host) -> None:
    with host.executor(2) as pool:
        futures = [pool.submit(double, n) for n in range(20)]
        done, rest = concurrent.futures.wait(futures, timeout=LIMIT_S)
        assert (len(done), len(rest)) == (20, 0)
        again = [pool.submit(double, n) for n in range(20)]
        found = {future.result() for future in concurrent.futures.as_completed(again, timeout=LIMIT_S)}
        assert found == {2 * n for n in range(20)}


def test_cancelled_futures_are_told_to_those_who_wait(host: sync.Host) -> None:
    with host.executor(1) as pool:
        first = pool.submit(wait_for_gate, 1)
        second = pool.submit(double, 2)
        while not first.running():
            time.sleep(0.001)
        called = threading.Event()
        second.add_done_callback(lambda _: called.set())
        assert second.cancel()
        assert second.cancel(), "again is no harm"
        assert called.is_set()
        done, _ = concurrent.futures.wait([first, second], return_when=concurrent.futures.FIRST_COMPLETED, timeout=5)
        assert done == {second}
        GATE.set()
        assert first.result(LIMIT_S) == 1


def test_after_shutdown_nothing_is_taken(host: sync.Host) -> None:
    pool = host.executor(1)
    assert pool.submit(double, 1).result(LIMIT_S) == 2
    pool.shutdown()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(double, 1)
    with pytest.raises(RuntimeError):
        pool.map(double, [1])
    with pytest.raises(RuntimeError):
        pool.submit(double, Unpicklable())  # type: ignore[call-overload]


def test_shutdown_without_waiting_lets_calls_end(host: sync.Host) -> None:
    pool = host.executor(1)
    futures = [pool.submit(wait_for_gate, n) for n in range(3)]
    pool.shutdown(wait=False)
    GATE.set()
    assert [future.result(LIMIT_S) for future in futures] == [0, 1, 2]


def test_shutdown_can_cancel_what_waits(host: sync.Host) -> None:
    pool = host.executor(1)
    futures = [pool.submit(wait_for_gate, n) for n in range(10)]
    while not futures[0].running():
        time.sleep(0.001)
    pool.shutdown(wait=False, cancel_futures=True)
    GATE.set()
    pool.shutdown()
    assert futures[0].result(LIMIT_S) == 0
    assert all(future.cancelled() for future in futures[1:])


def test_a_pool_that_nobody_holds_ends_by_itself(host: sync.Host, served: SocketAgent) -> None:
    pool = host.executor(1)
    iterator = pool.map(double, range(10), timeout=LIMIT_S)
    del pool
    gc.collect()
    assert list(iterator) == [2 * n for n in range(10)]
    deadline = time.monotonic() + LIMIT_S
    while any(job.receipt is None for job in served.agent.jobs.values()):
        assert time.monotonic() < deadline
        host.jobs()


def test_neither_arguments_nor_results_are_kept_alive(host: sync.Host) -> None:
    with host.executor(1, results="pickle") as pool:
        thing = Thing()
        gone = threading.Event()
        held = weakref.ref(thing, lambda _: gone.set())
        pool.submit(thing.method).result(LIMIT_S)
        del thing
        gc.collect()
        assert gone.is_set(), held
        for result in pool.map(things, range(10), timeout=LIMIT_S):
            reference = weakref.ref(result)
            del result
            gc.collect()
            assert reference() is None


def test_what_cannot_be_sent_is_told_at_once_by_its_future(host: sync.Host) -> None:
    with host.executor(1) as pool:
        future: Any = pool.submit(double, Unpicklable())  # type: ignore[call-overload]
        assert future.done()
        with pytest.raises(CallRefused, match=r"args\[0\]"):
            future.result()
        with pytest.raises(pickle.PicklingError):
            future.result()
        results = pool.map(double, [1, Unpicklable(), 3], timeout=LIMIT_S)
        assert next(results) == 2
        with pytest.raises(pickle.PicklingError):
            next(results)
    assert not pool.jobs


def test_without_the_same_python_only_names_and_plain_values_are_sent(served: SocketAgent) -> None:
    served.agent.python = "3.2.1"
    with sync.connect(served.address) as host, host.executor(1) as pool:
        assert pool.submit(double, 4).result(LIMIT_S) == 8
        with pytest.raises(CallRefused, match=r"workers of unix://.* run 3\.2"):
            pool.submit(lambda: 1).result(0)
        with pytest.raises(CallRefused, match="must be pickled"):
            pool.submit(double, Thing()).result(0)  # type: ignore[call-overload]
        with pytest.raises(CallRefused, match="results must be pickled"):
            host.executor(1, results="pickle")


def test_with_the_same_python_anything_is_sent(served: SocketAgent) -> None:
    served.agent.python = THIS_PYTHON
    with sync.connect(served.address) as host, host.executor(1, results="pickle") as pool:
        assert pool.submit(lambda: Thing().method()).result(LIMIT_S) == 7


def test_an_agent_that_runs_no_functions_is_told_at_once(served: SocketAgent) -> None:
    served.agent.worker_command = ()
    with sync.connect(served.address) as host, pytest.raises(CallRefused, match="older than this program"):
        host.executor(1)


def test_a_result_that_cannot_be_opened_fails_its_call_alone(host: sync.Host) -> None:
    with host.executor(1, results="pickle") as pool:
        error = pool.submit(unopenable).exception(LIMIT_S)
        assert isinstance(error, ResultUnreadable)
        assert isinstance(error.__cause__, ImportError)
        assert pool.submit(double, 1).result(LIMIT_S) == 2


def test_the_values_of_options(host: sync.Host) -> None:
    wrong: list[dict[str, Any]] = [{"workers": 0}, {"workers": -1}, {"workers": 401}, {"timeout": 0}]
    for options in [*wrong, {"max_tasks_per_child": 0}]:
        with pytest.raises(ValueError):
            host.executor(**options)
    words: list[dict[str, Any]] = [{"kind": "other"}, {"results": "other"}, {"output": "other"}]
    for options in words:
        with pytest.raises(ValueError, match="it may be"):
            host.executor(1, **options)
    with pytest.raises(TypeError):
        host.executor(1, initializer=3)  # type: ignore[arg-type]
    with host.executor(1, name="mine") as pool:
        assert pool.name == "mine"
        assert pool.submit(double, 1).result(LIMIT_S) == 2
        assert [job.run.label for job in host_jobs(host)] == ["pool mine"]
        with pytest.raises(ValueError):
            pool.options(timeout=-1)
        assert pool.options(timeout=5).submit(double, 3).result(LIMIT_S) == 6
        assert list(pool.options(timeout=5).map(double, [1, 2])) == [2, 4]


def test_closing_the_host_fails_what_is_under_way_and_hangs_nobody(served: SocketAgent) -> None:
    GATE.clear()
    with sync.connect(served.address) as host:
        pool = host.executor(1)
        future = pool.submit(wait_for_gate, 1)
    GATE.set()
    assert isinstance(future.exception(LIMIT_S), concurrent.futures.BrokenExecutor)
    with pytest.raises(WorkerDied):
        pool.submit(double, 1)
    pool.shutdown()


def test_a_cut_loses_nothing(host: sync.Host, served: SocketAgent) -> None:
    with host.executor(2) as pool:
        futures = []
        for n in range(300):
            futures.append(pool.submit(double, n))
            if n % 60 == 30:
                served.cut()
        assert [future.result(LIMIT_S) for future in futures] == [2 * n for n in range(300)]
    made = [count for job in host_jobs(host) if job.worker for count in job.worker.made.values()]
    assert made == [1] * 300


def test_many_threads_may_submit_at_once(host: sync.Host) -> None:
    found: list[int] = []
    with host.executor(3) as pool:

        def work(start: int) -> None:
            found.extend(future.result(LIMIT_S) for future in [pool.submit(double, start + n) for n in range(100)])

        threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(2 * (1000 * n + k) for n in range(6) for k in range(100))


def test_what_is_done_later_does_not_keep_the_connection_from_reading(host: sync.Host) -> None:
    over = threading.Event()

    def again() -> None:
        if not over.is_set():
            host._connection.later(again)

    host._connection.later(again)
    assert host.jobs() == []
    over.set()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="3.12 warns of a fork with threads")
def test_a_forked_child_can_neither_use_the_pool_nor_hang_on_it(host: sync.Host) -> None:
    with host.executor(1) as pool:
        assert pool.submit(double, 1).result(LIMIT_S) == 2
        child = os.fork()
        if child == 0:  # pragma: no cover
            try:
                pool.submit(double, 1)
            except WorkerDied:
                pool.shutdown()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert pool.submit(double, 2).result(LIMIT_S) == 4


# --- asyncio ---------------------------------------------------------------------------------------------------------


def play(served: SocketAgent, scenario: Any) -> None:
    async def whole() -> None:
        async with aio.connect(served.address) as host:
            await asyncio.wait_for(scenario(host), LIMIT_S)

    GATE.clear()
    asyncio.run(whole())


def test_awaited_calls_and_maps(served: SocketAgent) -> None:
    async def scenario(host: aio.Host) -> None:
        async with host.executor(2) as pool:
            assert await pool.run(double, 3) == 6
            future = pool.submit(double, 4)
            assert isinstance(future, asyncio.Future)
            assert await future == 8
            assert [n async for n in pool.map(double, range(500))] == [2 * n for n in range(500)]
            with pytest.raises(KeyError):
                await pool.run(fail, "x")
            with pytest.raises(CallRefused):
                await pool.run(double, Unpicklable())  # type: ignore[call-overload]
            with pytest.raises(RuntimeError, match="StopIteration"):
                await pool.run(stop_iterating)
            assert await pool.options(timeout=5).run(double, 5) == 10
            assert sorted(await asyncio.gather(*[pool.run(double, n) for n in range(100)])) == list(range(0, 200, 2))
        with pytest.raises(RuntimeError):
            await pool.run(double, 1)

    play(served, scenario)


def test_an_awaited_map_times_out_and_a_failing_one_ends(served: SocketAgent) -> None:
    async def scenario(host: aio.Host) -> None:
        async with host.executor(1) as pool:
            results = pool.map(bytes.fromhex, ["00", "x"])
            assert await anext(results) == b"\0"
            with pytest.raises(ValueError):
                await anext(results)
            slow = pool.map(wait_for_gate, [1], timeout=0.05)
            with pytest.raises(TimeoutError):
                await anext(slow)
            GATE.set()

    play(served, scenario)


def test_an_awaited_call_that_waits_can_be_cancelled(served: SocketAgent) -> None:
    async def scenario(host: aio.Host) -> None:
        async with host.executor(1) as pool:
            first, second = pool.submit(wait_for_gate, 1), pool.submit(double, 2)
            await asyncio.sleep(0.01)
            assert second.cancel()
            GATE.set()
            assert await first == 1
        assert sum(len(job.worker.made) for job in served.agent.jobs.values() if job.worker) == 1

    play(served, scenario)


def test_awaited_calls_survive_a_cut(served: SocketAgent) -> None:
    async def scenario(host: aio.Host) -> None:
        async with host.executor(2) as pool:
            futures = [pool.submit(double, n) for n in range(100)]
            await asyncio.to_thread(served.cut)
            assert await asyncio.gather(*futures) == [2 * n for n in range(100)]

    play(served, scenario)


def test_closing_an_awaited_host_fails_what_is_under_way(served: SocketAgent) -> None:
    async def scenario(host: aio.Host) -> None:
        pool = host.executor(1)
        future = pool.submit(wait_for_gate, 1)
        await asyncio.sleep(0.01)
        await host.close()
        GATE.set()
        with pytest.raises(WorkerDied):
            await future
        await pool.shutdown()

    play(served, scenario)
