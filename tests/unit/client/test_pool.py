"""A pool as a whole, without threads and processes: cuts, deaths, recalls, and each call begun once."""

from __future__ import annotations

import random
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

import pytest

from holdfast.client.functions.pool import BARREN_MOST, FLUSH_CALLS, UNREADY_MOST
from holdfast.client.functions.settings import PoolSettings
from holdfast.errors import HoldfastError
from holdfast.functions.errors import RemoteError, WorkerDied
from holdfast.functions.messages import Progress
from holdfast.wire import messages as m
from tests.pool_world import PoolWorld


def double(value: int) -> int:
    return 2 * value


def divide(a: int, b: int) -> float:
    return a / b


def fails_to_start() -> None:
    raise ValueError("no database")


def one(**options: Any) -> PoolSettings:
    return PoolSettings(workers=1, **options)


def test_a_call_is_made_and_its_result_comes_back() -> None:
    world = PoolWorld(one())
    future = world.submit(double, 21)
    assert not future.running()
    world.settle()
    assert future.result(0) == 42
    assert future.done()


def test_what_a_function_raises_is_raised_here() -> None:
    world = PoolWorld(one())
    future = world.submit(divide, 1, 0)
    world.settle()
    error = future.exception(0)
    assert isinstance(error, RemoteError)
    assert isinstance(error, ZeroDivisionError)
    assert error.ran == "yes"


def test_workers_start_with_the_calls_that_need_them() -> None:
    world = PoolWorld(PoolSettings(workers=3), manual=True)
    assert not world.agent.jobs
    world.submit(double, 1)
    world.settle()
    assert len(world.workers()) == 1
    for n in range(9):
        world.submit(double, n)
    world.settle()
    assert len(world.workers()) == 3


def test_a_map_gives_its_results_in_order() -> None:
    world = PoolWorld(PoolSettings(workers=2))
    results = world.map(double, list(range(500)))
    world.settle()
    assert list(results.results(None)) == [2 * n for n in range(500)]


def test_an_error_in_a_map_comes_in_its_turn_and_ends_it() -> None:
    world = PoolWorld(one())
    items = world.map(bytes.fromhex, ["00", "x", "01"])
    world.settle()
    results = items.results(None)
    assert next(results) == b"\0"
    with pytest.raises(ValueError):
        next(results)
    assert items.given_up


def test_calls_in_the_line_can_be_cancelled_and_are_never_made() -> None:
    world = PoolWorld(one(), manual=True)
    futures = [world.submit(double, n) for n in range(5)]
    world.settle()
    assert futures[0].running()
    assert not futures[0].cancel()
    assert [future.cancel() for future in futures[1:4]] == [True] * 3
    (worker,) = world.workers()
    for _ in range(2):
        worker.begin()
        worker.finish()
        world.settle()
    assert futures[0].result(0) == 0
    assert futures[4].result(0) == 8
    assert worker.made == {1: 1, 2: 1}


def test_a_running_call_is_stopped_with_its_worker_and_another_one_goes_on() -> None:
    world = PoolWorld(one(), manual=True)
    running, waiting = world.submit(double, 1), world.submit(double, 2)
    world.settle()
    (worker,) = world.workers()
    worker.begin()
    assert running.cancel(force=True)
    assert running.cancelled()
    world.settle()
    assert worker.over
    (other,) = world.workers()
    other.begin()
    other.finish()
    world.settle()
    assert waiting.result(0) == 4
    with pytest.raises(CancelledError):
        running.result(0)


def test_a_result_that_comes_after_a_forced_cancel_is_dropped() -> None:
    world = PoolWorld(one(), manual=True)
    future = world.submit(double, 1)
    world.settle()
    (worker,) = world.workers()
    worker.begin()
    worker.finish()
    assert future.cancel(force=True)
    world.settle()
    assert future.cancelled()


def test_a_dead_worker_fails_its_own_call_alone() -> None:
    world = PoolWorld(one(), manual=True)
    futures = [world.submit(double, n) for n in range(3)]
    world.settle()
    (worker,) = world.workers()
    worker.begin()
    world.agent.kill(worker)
    world.settle()
    error = futures[0].exception(0)
    assert isinstance(error, WorkerDied)
    assert isinstance(error, BrokenExecutor)
    assert error.ran == "unknown"
    assert "may have run" in str(error)
    (other,) = world.workers()
    for n in (1, 2):
        other.begin()
        other.finish()
        world.settle()
        assert futures[n].result(0) == 2 * n


def test_calls_sent_ahead_to_a_worker_that_dies_go_to_another() -> None:
    world = PoolWorld(one(), manual=True)
    world.submit(double, 0)
    world.settle()
    (worker,) = world.workers()
    futures = [world.submit(double, n) for n in range(1, 100)]
    worker.begin()
    worker.finish()
    worker.tell_pace(1e-5)
    world.settle()
    assert worker.waiting == 99
    for _ in range(10):
        worker.begin()
        worker.finish()
    worker.begin()
    world.agent.kill(worker)  # with ten outcomes that were never sent
    world.settle()
    errors = [future.exception(0) for future in futures if future.done()]
    assert [error.ran for error in errors if isinstance(error, WorkerDied)] == ["yes"] * 10 + ["unknown"]
    (other,) = world.workers()
    other.manual = False
    other.feed(b"")
    world.settle()
    assert [future.result(0) for future in futures[11:]] == [2 * n for n in range(12, 100)]


def test_recalled_calls_go_to_a_worker_that_is_free_and_can_be_cancelled_meanwhile() -> None:
    world = PoolWorld(PoolSettings(workers=2), manual=True)
    world.submit(double, 0)
    world.settle()
    (worker,) = world.workers()
    (lane,) = world.pool._schedule.lanes
    worker.begin()
    worker.finish()
    worker.tell_pace(1e-5)
    world.settle()
    futures = [world.submit(double, n) for n in range(1, 5)]
    world.settle()
    worker.begin()
    worker.recall()
    world.settle()
    assert futures[0].running()
    assert lane.ahead == 0
    assert not futures[3].running()
    assert futures[3].cancel()
    assert len(world.workers()) == 2, "one more is started for what came back"


def test_calls_for_a_busy_worker_are_sent_together() -> None:
    world = PoolWorld(one(), manual=True)
    world.submit(double, 0)
    world.settle()
    (lane,) = world.pool._schedule.lanes
    lane.took(1e-6)
    world.pool._schedule.answered(lane, [])
    sends = []
    for n in range(FLUSH_CALLS + 1):
        future = world.submit(double, n)
        sends.append(world.pool._gathered == 0)
        assert future.running()
    assert sends.count(True) == 1
    world.settle()
    assert world.workers()[0].waiting == FLUSH_CALLS + 2, "and the rest by whoever comes to it"


def test_a_worker_is_replaced_after_so_many_calls() -> None:
    world = PoolWorld(one(max_tasks_per_child=2))
    futures = [world.submit(double, n) for n in range(5)]
    world.settle()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8]
    assert len(world.agent.jobs) == 3


def test_a_function_of_a_module_that_is_missing_there_goes_by_value() -> None:
    world = PoolWorld(one(), lacking={double.__module__})
    future = world.submit(double, 4)
    world.settle()
    assert future.result(0) == 8
    assert b"\x80" in world.coder.function(double)[:3], "and from now on at once"
    again = world.submit(double, 5)
    world.settle()
    assert again.result(0) == 10


def test_closing_waits_for_calls_and_lets_workers_leave() -> None:
    world = PoolWorld(PoolSettings(workers=2))
    futures = [world.submit(double, n) for n in range(4)]
    world.close()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        world.submit(double, 1)
    world.settle()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6]
    assert world.is_over
    assert all(job.receipt is not None for job in world.agent.jobs.values())


def test_closing_can_give_up_what_waits() -> None:
    world = PoolWorld(one(), manual=True)
    futures = [world.submit(double, n) for n in range(4)]
    world.settle()
    world.close(cancel=True)
    assert [future.cancelled() for future in futures] == [False, True, True, True]
    (worker,) = world.workers()
    worker.begin()
    worker.finish()
    world.settle()
    assert futures[0].result(0) == 0
    assert world.is_over


def test_calls_for_which_a_worker_is_being_started_are_not_given_up() -> None:
    world = PoolWorld(PoolSettings(workers=2))
    futures = [world.submit(double, n) for n in range(5)]
    world.close(cancel=True)
    world.settle()
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]
    assert [future.result(0) for future in futures[:2]] == [0, 2]


def test_closing_a_pool_that_never_had_a_call_ends_it() -> None:
    world = PoolWorld(one())
    world.close()
    world.settle()
    assert world.is_over
    assert not world.agent.jobs


def test_closing_with_a_given_up_map_ends_it() -> None:
    world = PoolWorld(one(), manual=True)
    results = world.map(double, [1, 2, 3])
    world.settle()
    results.given_up = True
    world.close()
    (worker,) = world.workers()
    worker.begin()
    worker.finish()
    world.settle()
    assert world.is_over
    assert worker.made == {1: 1}


def test_a_failing_initializer_breaks_the_pool() -> None:
    world = PoolWorld(one(initializer=fails_to_start))
    futures = [world.submit(double, n) for n in range(3)]
    world.settle()
    for future in futures:
        error = future.exception(0)
        assert isinstance(error, BrokenExecutor)
        assert isinstance(error, WorkerDied)
        assert error.ran == "no"
        assert "exit status 1" in str(error)
    with pytest.raises(BrokenExecutor):
        world.submit(double, 1)
    assert len(world.agent.jobs) == 1, "nothing is started over and over"
    world.close()
    world.settle()
    assert world.is_over


def test_a_host_that_refuses_workers_breaks_the_pool() -> None:
    world = PoolWorld(one())
    world.agent.refuse_runs = m.Failure(m.ErrorCode.FORBIDDEN, "a viewer starts nothing")
    future = world.submit(double, 1)
    world.settle()
    with pytest.raises(WorkerDied, match="a viewer starts nothing"):
        future.result(0)


def test_a_host_that_has_no_room_for_more_workers_is_left_with_those_it_has() -> None:
    world = PoolWorld(PoolSettings(workers=3), manual=True)
    first = world.submit(double, 1)
    world.settle()
    world.agent.refuse_runs = m.Failure(m.ErrorCode.QUEUE_FULL, "10 000 jobs wait", retry_after_s=1.0)
    second = world.submit(double, 2)
    world.settle()
    (worker,) = world.workers()
    for _ in range(2):
        worker.begin()
        worker.finish()
        world.settle()
    assert (first.result(0), second.result(0)) == (2, 4)


def test_workers_that_are_killed_before_they_are_ready_are_replaced_a_few_times() -> None:
    world = PoolWorld(one())
    world.agent.stillborn = UNREADY_MOST - 1
    future = world.submit(double, 1)
    world.settle()
    assert future.result(0) == 2
    assert len(world.agent.jobs) == UNREADY_MOST


def test_workers_that_are_killed_again_and_again_break_the_pool() -> None:
    world = PoolWorld(one())
    world.agent.stillborn = 100
    future = world.submit(double, 1)
    world.settle()
    with pytest.raises(WorkerDied, match="signal 9"):
        future.result(0)
    assert len(world.agent.jobs) == UNREADY_MOST


def test_workers_that_end_before_they_begin_a_call_break_the_pool_in_the_end() -> None:
    world = PoolWorld(one(), manual=True)
    future = world.submit(double, 1)
    for _ in range(BARREN_MOST):
        world.settle()
        (worker,) = world.workers()
        assert worker.waiting == 1
        world.agent.kill(worker)
    world.settle()
    with pytest.raises(WorkerDied, match="before it took a call"):
        future.result(0)
    assert len(world.agent.jobs) == BARREN_MOST


def test_progress_is_in_the_future_and_told() -> None:
    world = PoolWorld(one(), manual=True)
    told: list[Progress] = []
    future = world.submit(double, 1, on_progress=told.append)
    world.settle()
    (worker,) = world.workers()
    worker.begin()
    worker.progress(1, 3, "one of three")
    world.settle()
    assert future.progress == Progress(1, 3, "one of three")
    assert told == [Progress(1, 3, "one of three")]
    assert not future.done()


def test_prints_of_workers_are_taken_or_left_on_the_host() -> None:
    for output, seen in (("inherit", [(1, b"hello\n")]), ("keep", [])):
        world = PoolWorld(PoolSettings(workers=1, output=output), manual=True)  # type: ignore[arg-type]
        world.submit(double, 1)
        world.settle()
        (job,) = world.agent.jobs.values()
        assert job.worker is not None
        job.worker.begin()
        job.worker.finish()
        world.settle()
        world.close()
        job.prints = b"hello\n"
        world.settle()
        assert world.prints == seen
        assert world.is_over


@pytest.mark.parametrize("seed", range(12))
def test_cut_anywhere_each_call_is_begun_once_and_answered_once(seed: int) -> None:
    rng = random.Random(seed)

    def cuts() -> Any:
        for _ in range(25):
            yield rng.randint(200, 4000), rng.randint(200, 4000)
        while True:
            yield None, None

    world = PoolWorld(PoolSettings(workers=rng.randint(1, 3)), cuts=cuts(), chunk=rng.choice((7, 100, 1 << 20)))
    futures = [world.submit(double, n) for n in range(60)]
    results = world.map(double, list(range(60)))
    world.settle()
    assert [future.result(0) for future in futures] == [2 * n for n in range(60)]
    assert list(results.results(None)) == [2 * n for n in range(60)]
    assert world.world.connections > 1
    begun = [count for job in world.agent.jobs.values() if job.worker for count in job.worker.made.values()]
    assert begun == [1] * 120
    world.close()
    world.settle()
    assert world.is_over


def test_an_agent_that_has_lost_its_journal_fails_the_calls_under_way_and_no_others() -> None:
    world = PoolWorld(one(), manual=True)
    under_way, waiting = world.submit(double, 1), world.submit(double, 2)
    world.settle()
    world.agent.incarnation = "j" * 32
    world.agent.jobs.clear()
    world.agent.by_key.clear()
    world.agent.manual_workers = False
    world.world.cut()
    world.settle()
    error = under_way.exception(0)
    assert isinstance(error, WorkerDied)
    assert error.ran == "unknown"
    assert waiting.result(0) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_a_closed_connection_fails_everything(workers: int) -> None:
    world = PoolWorld(PoolSettings(workers=workers), manual=True)
    futures = [world.submit(double, n) for n in range(workers + 1)]
    world.settle()
    world.world.session.close("closed by a test", now=world.world.now)
    while world.acts:
        world.acts.popleft()()
    for future in futures:
        error = future.exception(0)
        assert isinstance(error, BrokenExecutor)
        assert isinstance(error, HoldfastError)
    assert world.pool.broken is not None


def test_closing_waits_for_a_call_that_is_made_anew_by_value() -> None:
    world = PoolWorld(one(), lacking={double.__module__})
    future = world.submit(double, 4)
    world.close()
    world.settle()
    assert future.result(0) == 8
    assert world.is_over
    assert len(world.agent.jobs) == 1, "no worker was let go too early"
