"""Locks, queues and the rest from the client's side, on both faces; what a cut and a lost lease mean for them."""

from __future__ import annotations

import asyncio
import pickle
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.client import aio, identity, sync
from holdfast.client.coordination import asks, values
from holdfast.client.coordination.ledger import Ledger
from holdfast.errors import (
    BrokenBarrier,
    Conflict,
    DeadlockError,
    LeaseLost,
    NotFound,
    NotHeld,
    QueueEmpty,
    QueueFull,
    QueueShutDown,
)
from holdfast.functions.errors import CallRefused, CallTooLarge
from holdfast.wire import messages as m
from tests.shared_agent import SharingAgent
from tests.socket_agent import SocketAgent, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SocketAgent]:
    with serving(tmp_path / "agent.sock", SharingAgent()) as running:
        yield running


@pytest.fixture
def agent(served: SocketAgent) -> SharingAgent:
    assert isinstance(served.agent, SharingAgent)
    return served.agent


@pytest.fixture
def host(served: SocketAgent) -> Iterator[sync.Host]:
    with holdfast.connect(served.address) as host:
        yield host


@pytest.fixture
def other(served: SocketAgent, host: sync.Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[sync.Host]:
    """Another client process, as far as the agent can see."""
    monkeypatch.setattr(identity, "_instance", "f" * 32)
    with holdfast.connect(served.address) as other:
        yield other


def thread(target: Callable[[], object]) -> threading.Thread:
    started = threading.Thread(target=target)
    started.start()
    return started


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread is doing; the test's own time limit ends it."""
    while not condition():
        threading.Event().wait(0.001)


def test_a_lock_is_one_for_all(host: sync.Host, other: sync.Host) -> None:
    mine, theirs = host.lock("db"), other.lock("db")
    with mine as held:
        assert held is True
        assert theirs.acquire(blocking=False) is False
        assert mine.locked()
        first = mine.token
    assert theirs.acquire()
    assert theirs.token > first
    theirs.release()
    assert not mine.locked()
    with pytest.raises(NotHeld):
        _ = theirs.token


def test_each_operation_is_one_request(host: sync.Host, agent: SharingAgent) -> None:
    lock = host.lock("db")
    for _ in range(3):
        lock.acquire()
        lock.release()
    kinds = [type(request).__name__ for request in agent.requests]
    assert kinds == ["Open"] + ["Acquire", "Release"] * 3


def test_answers_are_seen_and_forgotten(host: sync.Host, agent: SharingAgent) -> None:
    lock = host.lock("db")
    for _ in range(50):
        with lock:
            pass
    (session,) = agent.space._core.sessions.values()
    assert len(session.answers) == 1, "only the last one is not known to have come"


def test_what_is_not_held_cannot_be_given_back(host: sync.Host, other: sync.Host) -> None:
    lock = host.lock("db")
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()
    with lock, pytest.raises(NotHeld, match="is held by"):
        other.lock("db").release()
    with pytest.raises(RuntimeError, match="un-acquired"):
        host.rlock("again").release()
    bounded = host.bounded_semaphore("two", 2)
    with pytest.raises(ValueError, match="too many times"):
        bounded.release()


def test_any_thread_of_the_client_may_give_a_lock_back(host: sync.Host) -> None:
    lock = host.lock("db")
    thread(lock.acquire).join()
    lock.release()
    assert lock.acquire(timeout=5)


def test_another_description_is_a_conflict(host: sync.Host) -> None:
    host.lock("name")
    host.semaphore("units", 3)
    for make in (lambda: host.event("name"), lambda: host.semaphore("units", 4), lambda: host.queue("units")):
        # This process has it open already, and finds out by its own word for it.
        with pytest.raises(Conflict, match="is a "):
            make().state()


def test_a_lock_is_recursive_where_it_says_so(host: sync.Host) -> None:
    lock = host.rlock("again")
    with lock, lock:
        assert "count=2" in repr(lock)
    assert "unlocked" in repr(lock)


def test_a_circle_is_told_with_names(host: sync.Host) -> None:
    first, second = host.lock("first"), host.lock("second")
    ready, go = threading.Event(), threading.Event()

    def backwards() -> None:
        with second:
            ready.set()
            go.wait()
            with first:
                pass

    started = thread(backwards)
    ready.wait()
    with first:
        go.set()
        until(lambda: any(lease.waiting for lease in host.leases()))
        with pytest.raises(
            DeadlockError, match=r"waits for 'second', held by (?s:.*)waits for 'first', held by"
        ) as caught:
            second.acquire()
    assert len(caught.value.circle) == 2
    started.join()


def test_a_time_limit_is_the_agents(host: sync.Host, agent: SharingAgent) -> None:
    lock = host.lock("db")
    lock.acquire()
    results: list[bool] = []
    started = thread(lambda: results.append(lock.acquire(timeout=5)))
    until(lambda: bool(agent.space.counts["waiting"]))
    agent.pass_time(6)
    host.status()  # so that the pretended agent sends what it has
    started.join()
    assert results == [False]


def test_a_condition(host: sync.Host) -> None:
    condition = host.condition("news")
    results: list[object] = []

    def wait() -> None:
        with condition:
            results.append(condition.wait_for(lambda: results, timeout=20) or condition.wait(20))

    started = thread(wait)
    until(lambda: condition.state().waiting == 1)
    with condition:
        results.append("told")
        condition.notify_all()
    started.join()
    assert results == ["told", ["told", ...]] or results[0] == "told"
    with pytest.raises(RuntimeError, match="un-acquired"):
        condition.notify()
    with pytest.raises(RuntimeError, match="un-acquired"):
        condition.wait()


def test_an_event(host: sync.Host, other: sync.Host) -> None:
    mine, theirs = host.event("go"), other.event("go")
    assert mine.wait(timeout=0) is False
    results: list[bool] = []
    started = thread(lambda: results.append(theirs.wait()))
    until(lambda: mine.state().waiting == 1)
    mine.set()
    started.join()
    assert results == [True]
    assert theirs.is_set()
    theirs.clear()
    assert not mine.is_set()


def test_a_barrier_and_its_action(host: sync.Host) -> None:
    acted: list[str] = []
    barrier = host.barrier("start", 3, lambda: acted.append("once"))
    places: list[int] = []
    threads = [thread(lambda: places.append(barrier.wait())) for _ in range(3)]
    for each in threads:
        each.join()
    assert sorted(places) == [0, 1, 2]
    assert acted == ["once"]
    barrier.abort()
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken


def test_an_action_that_fails_breaks_the_barrier(host: sync.Host) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    barrier = host.barrier("start", 1, fail)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    with pytest.raises(BrokenBarrier):
        barrier.wait()


def test_several_at_once(host: sync.Host) -> None:
    a, b = host.lock("a"), host.semaphore("b", 2)
    with host.acquire_all(a, b) as both:
        assert both.token == a.token == b.token
        assert b.value == 1
    assert not a.locked()
    with a, pytest.raises(TimeoutError, match="together"):
        with host.acquire_all(b, a, timeout=0):
            pass
    assert b.value == 2


def test_a_queue_is_that_of_the_standard_library(host: sync.Host) -> None:
    buns = host.queue("buns", maxsize=2)
    buns.put({"n": (1, 2)})
    buns.put(b"two")
    assert buns.full()
    with pytest.raises(queue.Full):
        buns.put_nowait(3)
    with pytest.raises(QueueFull):
        buns.put(3, timeout=0)
    assert [buns.get(), buns.get()] == [{"n": (1, 2)}, b"two"]
    with pytest.raises(queue.Empty):
        buns.get_nowait()
    with pytest.raises(QueueEmpty):
        buns.get(timeout=0)
    assert buns.join(timeout=0) is False
    buns.task_done()
    buns.task_done()
    assert buns.join() is True
    with pytest.raises(ValueError, match="too many times"):
        buns.task_done()
    with pytest.raises(ValueError, match="non-negative"):
        buns.get(timeout=-1)
    buns.shutdown()
    with pytest.raises(QueueShutDown):
        buns.put(1)
    with pytest.raises(QueueShutDown):
        buns.get()


def test_orders(host: sync.Host) -> None:
    stack, ranks = host.queue("stack", order="lifo"), host.queue("ranks", order="priority")
    for number in (2, 1, 3):
        stack.put(number)
        ranks.put((number, str(number)))
    ranks.put("first of all", priority=-1)
    assert [stack.get() for _ in range(3)] == [3, 1, 2]
    assert [ranks.get() for _ in range(4)] == ["first of all", (1, "1"), (2, "2"), (3, "3")]
    for text in ("b", ("a", 2), "a", ("a", 1)):
        ranks.put(text)
    assert [ranks.get() for _ in range(4)] == ["a", ("a", 1), ("a", 2), "b"]
    with pytest.raises(TypeError, match="a dict has no place in a line"):
        ranks.put({})


def test_work_that_fails_comes_back(host: sync.Host) -> None:
    work = host.queue("work", durable=True)
    work.put("a")
    with pytest.raises(ZeroDivisionError), work.take() as item:
        raise ZeroDivisionError
    assert item.delivery == 1
    with work.take() as item:
        assert (item.value, item.delivery) == ("a", 2)
    assert work.state().out == work.qsize() == 0
    with pytest.raises(NotHeld):
        item.ack()
    work.put("b")
    assert work.get() == "b"
    assert work.state().out == 1
    work.task_done()
    assert work.state().out == 0


def test_values_that_are_not_plain_are_refused_or_pickled(host: sync.Host) -> None:
    plain = host.queue("plain")
    with pytest.raises(CallRefused, match="complex"):
        plain.put(1j)
    with pytest.raises(CallTooLarge, match="ITEM_BYTES"):
        plain.put(b"x" * (2 << 20))
    any_ = host.queue("any", values="pickle")
    any_.put(1j)
    assert any_.get() == 1j
    assert values.decode(values.encode([1], "pickle", "q"), "plain", "q") == [1]
    with pytest.raises(CallRefused, match="pickles run code"):
        values.decode(values.encode(1j, "pickle", "q"), "plain", "q")
    with pytest.raises(CallRefused, match="was not put by"):
        values.decode(b"\xff", "pickle", "q")


@pytest.mark.parametrize("swallowed", [False, True], ids=["not asked", "not answered"])
def test_a_cut_changes_nothing(host: sync.Host, served: SocketAgent, agent: SharingAgent, swallowed: bool) -> None:
    lock, buns = host.lock("db"), host.queue("buns")
    buns.put(0)
    agent.swallow = swallowed
    served.mute = not swallowed
    results: list[object] = []

    def work() -> None:
        with lock:
            results.append(lock.token)
        buns.put(1)
        results.append(buns.get())
        results.append(buns.get())

    started = thread(work)
    if swallowed:
        until(lambda: agent.space.last_token == 1)
    else:
        served.swallowed.wait()
    agent.swallow = served.mute = False
    served.cut()
    started.join()
    assert results == [1, 0, 1]
    assert buns.qsize() == 0


def test_an_interrupted_wait_holds_nothing(
    host: sync.Host, agent: SharingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = host.lock("db")
    wait = type(host._connection).wait

    def interrupted(self: Any, exchange: Any, poll: Any, timeout: float | None = None) -> Any:
        wait(self, exchange, poll, timeout)  # granted, and Ctrl-C comes before it is told
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(type(host._connection), "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lock.acquire()
    assert lock.acquire(timeout=10)
    assert [type(request).__name__ for request in agent.requests][-2:] == ["Withdraw", "Acquire"]


def test_a_forgotten_object_is_made_anew(host: sync.Host, agent: SharingAgent) -> None:
    lock = host.lock("db")
    lock.forget()
    with lock:
        assert agent.space.principal_of("db") == "me"
    with pytest.raises(NotFound):
        host._connection.call(holdfast.client.calls.object_state("nothing"))


def test_a_lost_lease_is_told(host: sync.Host, agent: SharingAgent) -> None:
    told: list[str] = []
    lock = host.lock("db", on_lost=lambda: told.append("lost"))
    lock.acquire()
    assert lock.lost is False
    agent.pass_time(1000)
    with pytest.raises(LeaseLost):
        lock.release()
    assert told == ["lost"]
    with pytest.raises(LeaseLost):
        lock.check()
    with pytest.raises(LeaseLost), lock:
        agent.pass_time(1000)
    assert lock.acquire(timeout=10)


def test_a_task_that_loses_its_lock_ends(served: SocketAgent, agent: SharingAgent) -> None:
    async def main() -> None:
        async with aio.connect(served.address) as host:
            lock = host.lock("db")

            async def hold() -> None:
                async with lock:
                    agent.pass_time(1000)
                    with pytest.raises(LeaseLost):
                        await host.lock("db").release()
                    await asyncio.sleep(1000)

            with pytest.raises(LeaseLost):
                await hold()
            assert await lock.acquire(timeout=10)

    asyncio.run(main())


def test_tasks_are_owners(served: SocketAgent) -> None:
    async def main() -> None:
        async with aio.connect(served.address) as host:
            lock, again, buns = host.lock("db"), host.rlock("again"), host.queue("buns", maxsize=1)
            order: list[int] = []

            async def hold(number: int) -> None:
                async with lock, again, again:
                    order.append(number)
                    await buns.put(number)
                    await buns.get()

            await asyncio.gather(*[hold(number) for number in range(5)])
            assert order == [0, 1, 2, 3, 4]
            condition = host.condition("news")

            async def wait() -> bool:
                async with condition:
                    return await condition.wait(20)

            waiting = asyncio.create_task(wait())
            while (await condition.state()).waiting == 0:
                pass
            async with condition:
                await condition.notify()
            assert await waiting
            barrier = host.barrier("start", 2)
            assert sorted(await asyncio.gather(barrier.wait(), barrier.wait())) == [0, 1]
            assert await barrier.n_waiting == 0
            event = host.event("go")
            assert await event.wait(0) is False
            await event.set()
            assert await event.is_set()
            semaphore = host.semaphore("three", 3)
            async with semaphore, host.acquire_all(lock, semaphore):
                assert await semaphore.value == 1

    asyncio.run(main())


def test_a_cancelled_wait_holds_nothing(served: SocketAgent) -> None:
    async def main() -> None:
        async with aio.connect(served.address) as host:
            lock = host.lock("db")
            async with lock:
                waiting = asyncio.create_task(lock.acquire())
                while not any(lease.waiting for lease in await host.leases()):
                    pass
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            assert await lock.acquire(timeout=10)

    asyncio.run(main())


def test_handles_go_to_other_processes(host: sync.Host) -> None:
    lock = host.lock("db")
    with lock:
        copy = pickle.loads(pickle.dumps(lock))
        assert copy.name == "db"
        assert copy.locked()
        condition = pickle.loads(pickle.dumps(host.condition("news", host.lock("plain"))))
        assert condition.lock.name == "plain"
        buns = pickle.loads(pickle.dumps(host.queue("buns", maxsize=3)))
        buns.put(1)
        assert host.queue("buns", maxsize=3).get() == 1
    for each in (copy, condition, buns):
        each._place.desk().connection.close()


def test_the_lease_is_counted_on_the_safe_side() -> None:
    ledger = Ledger(ttl_s=15.0)
    ledger.heard(asked_at=100.0)
    ledger.took(1, "db", 7, 1, None)
    assert ledger.renew_in_s(100.0) == 5.0
    assert ledger.over_in_s(100.0) == 13.0
    assert ledger.check(112.9) == []
    assert [holding.token for holding in ledger.check(113.1)] == [7]
    assert ledger.count(1, "db") == 0


def test_no_number_is_used_twice_and_none_is_told_twice() -> None:
    ledger = Ledger()
    first = ledger.numbered(asks.drop("a"))
    ledger.saw(first.number, asked_at=0.0)
    second = ledger.numbered(asks.drop("a"))
    assert second.number > first.number
    assert second.seen == (first.number,)
    ledger.unasked(second)
    assert ledger.numbered(asks.drop("a")).seen == (first.number,)
    assert ledger.numbered(asks.drop("a")).seen == ()
    assert isinstance(second, m.Drop)
