"""Shared objects of a real agent: contention, cuts, deaths of clients and of the agent, jobs that hold."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from holdfast.client.calls import uuid7
from holdfast.types import Cause
from holdfast.wire import coordination as c
from holdfast.wire import messages as m
from tests.e2e.harness import procfs
from tests.e2e.harness.sharer import Sharer
from tests.e2e.harness.sharing import Sharing
from tests.e2e.harness.storm import Killer
from tests.e2e.harness.world import World, eventually

FEW_KILLS = 5
Join = Callable[[], Sharer]


@pytest.fixture
def path(world: World) -> str:
    """The socket of an agent that runs."""
    world.connect()
    return world.agent.socket_path


@pytest.fixture
def join(path: str) -> Iterator[Join]:
    """Gives clients, and lets them go at the end."""
    joined: list[Sharer] = []

    def one() -> Sharer:
        joined.append(Sharer(path))
        return joined[-1]

    yield one
    for sharer in joined:
        sharer.cut()


def kill_agent(world: World) -> None:
    world.kill(world.agent_pid())
    world.serving_again(10.0)


def test_two_clients_one_lock(join: Join) -> None:
    anna, bert = join(), join()
    assert anna.open("db")
    assert not bert.open("db")
    first = anna.lock("db")
    waiting = bert.want("db")
    assert not bert.told(waiting, 0.1)
    anna.release("db")
    assert bert.got(waiting) > first
    bert.release("db")


def test_a_cut_while_holding_and_while_waiting_changes_nothing(join: Join) -> None:
    anna, bert, carl = join(), join(), join()
    anna.open("db")
    first = anna.lock("db")
    second = bert.want("db")
    assert not bert.told(second, 0.05)
    third = carl.want("db")
    for sharer in (anna, bert, carl, bert):
        sharer.connect()
    assert not carl.told(third, 0.05)
    anna.release("db")
    token = bert.got(second)
    assert token > first
    assert not carl.told(third, 0.05)
    bert.release("db")
    assert carl.got(third) > token


def test_kills_of_the_agent_while_held_and_while_waited_for(world: World, join: Join) -> None:
    anna, *others = (join() for _ in range(4))
    anna.open("db")
    tokens = [anna.lock("db")]
    waits = []
    for other in others:
        waits.append(other.want("db"))
        assert not other.told(waits[-1], 0.05)
    kill_agent(world)
    holder = anna
    for other, wait in zip(others, waits, strict=True):
        for each in others:
            each.connect()
        assert not other.told(wait, 0.05), "two holders"
        holder.release("db")
        tokens.append(other.got(wait))
        holder = other
        if other is others[0]:
            kill_agent(world)
    holder.release("db")
    assert tokens == sorted(set(tokens))


def test_an_agent_that_was_stopped_knows_who_holds(world: World, join: Join) -> None:
    anna, bert = join(), join()
    anna.open("db")
    first = anna.lock("db")
    assert world.cli("agent", "stop").returncode == 0
    world.cli("agent", "start")
    waiting = bert.send(c.Acquire(1, {"db": 1}, number=1), b"", 1)
    bert.number = 1
    assert not bert.told(waiting, 0.2)
    anna.release("db")
    assert bert.got(waiting) > first


def test_what_a_killed_client_held_is_given_back(join: Join) -> None:
    anna, bert = join(), join()
    anna.open("db")
    anna.answer(anna.plain(c.Renew(3.0)), c.RenewAnswer)
    anna.lock("db")
    waiting = bert.want("db")
    begin = time.monotonic()
    anna.cut()
    bert.got(waiting)
    assert time.monotonic() - begin >= 3.0
    anna.connect()
    assert not anna.answer(anna.plain(c.Renew()), c.RenewAnswer).known
    assert anna.failure(anna.ask(c.Release, 1, "db")).code == m.ErrorCode.LEASE_LOST


def test_items_of_a_durable_queue_survive_the_agent_and_come_until_they_are_acknowledged(
    world: World, join: Join
) -> None:
    anna = join()
    anna.open("q", "queue", durable=True, visible_s=60.0)
    for number in range(20):
        anna.answer(anna.ask(c.Put, "q", body=b"%d" % number), c.PutAnswer)
    taken = anna.ask(c.Take, "q")
    answer, value = anna.answer_and_body(taken, c.TakeAnswer)
    assert value == b"0"
    kill_agent(world)
    anna.connect()
    anna.answer(anna.ask(c.Settle, "q", "ack", answer.item, answer.delivery), c.NumberedAnswer)
    bert = join()
    values = [bert.answer_and_body(bert.ask(c.Take, "q"), c.TakeAnswer)[1] for _ in range(19)]
    assert values == [b"%d" % number for number in range(1, 20)]
    assert bert.answer(bert.ask(c.Take, "q", wait=False), c.TakeAnswer).why == "empty"
    bert.answer(bert.ask(c.Drop, "q", forget=True), c.NumberedAnswer)


# --- jobs ------------------------------------------------------------------------------------------------------------


def start(sharer: Sharer, script: str, **options: object) -> str:
    """A detached job that holds ``db``."""
    argv = (b"sh", b"-c", script.encode())
    key = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    run = m.Run(key=key, argc=3, attach=False, hold=c.Hold(1, ("db",)), **options)  # type: ignore[arg-type]
    return sharer.answer(sharer.plain(run, m.pack_items(argv)), m.AcceptedAnswer).job


def receipt_of(sharer: Sharer, job: str) -> m.ResultAnswer:
    return sharer.answer(sharer.plain(m.Wait(job)), m.ResultAnswer)


def test_a_job_that_holds_through_a_kill_of_its_client_and_of_the_agent(world: World, join: Join) -> None:
    anna, bert = join(), join()
    anna.open("db")
    anna.answer(anna.plain(c.Renew(3.0)), c.RenewAnswer)
    token = anna.lock("db")
    out = world.tmp_path / "fence"
    job = start(anna, f"echo $HOLDFAST_FENCE > {out}; sleep 4.5; echo end >> {out}")
    anna.cut()
    waiting = bert.want("db")
    kill_agent(world)
    assert bert.got(waiting) > token
    assert out.read_text() == f"{token}\nend\n"
    assert receipt_of(bert, job).receipt.returncode == 0


def test_nobody_gets_a_lock_before_the_whole_tree_of_its_job_is_dead(world: World, join: Join) -> None:
    anna = join()
    anna.open("db")
    anna.lock("db")
    begin = time.monotonic()
    job = start(anna, "(trap '' TERM; sleep 60) >/dev/null 2>&1 & echo ok")
    waiting = anna.want("db", owner=2)
    anna.got(waiting)
    assert time.monotonic() - begin >= 2.0  # that long the rest may stay, before TERM
    assert procfs.carrying(f"HOLDFAST_JOB_ID={job}") == []


def test_a_job_whose_supervisors_were_killed_holds_until_its_processes_are_gone(world: World, join: Join) -> None:
    anna, bert = join(), join()
    anna.open("db")
    anna.lock("db")
    pidfile = world.tmp_path / "pid"
    job = start(anna, f"trap '' HUP; echo $$ > {pidfile}.new; mv {pidfile}.new {pidfile}; exec sleep 2.5")
    pid = int(eventually(lambda: pidfile.exists() and pidfile.read_text(), "the command"))
    waiting = bert.want("db")
    found = procfs.stat(pid)
    assert found is not None
    keeper = world.keeper_pid()
    os.kill(keeper, signal.SIGSTOP)
    os.kill(found.parent, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    world.kill(keeper)
    bert.got(waiting)
    assert not procfs.alive(pid)
    assert receipt_of(bert, job).receipt.cause in (Cause.EXITED, Cause.LOST)
    world.reap()


def test_a_start_by_who_does_not_hold_is_refused(join: Join) -> None:
    anna = join()
    anna.open("db")
    run = m.Run(key=uuid7(time.time_ns() // 1_000_000, os.urandom(10)), argc=1, hold=c.Hold(1, ("db",)), attach=False)
    failure = anna.failure(anna.plain(run, m.pack_items((b"true",))))
    assert (failure.code, failure.ran) == (m.ErrorCode.NOT_HOLDER, "no")


# --- storms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time_limit", [120], indirect=True)
def test_kills_with_locks_and_queues_alive(world: World, path: str, seed: int) -> None:
    killer = Killer(world)
    with Sharing(path, seed=seed) as sharing:
        time.sleep(0.3)
        killer.storm(("agent",), FEW_KILLS, most_pause_s=0.6)
    print(f"{sharing.grants} grants, {len(sharing.put)} items, back after {killer.slowest_s:.2f} s at the most")
    sharing.check()
