"""What is done to jobs: stop, signal, wait, list, get, forget; and who holds their leases."""

from __future__ import annotations

import os

import pytest

from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import Cause, JobId, JobState
from holdfast.wire import messages as m
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.world import Client, World


def orders(shim_heard: list[messages.Message], kind: type) -> list[messages.Message]:
    return [message for message in shim_heard if isinstance(message, kind)]


# --- stop and signal ------------------------------------------------------------------------------------------------


def test_stopping_a_waiting_job_cancels_it(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    client = world.client()
    world.start(client)
    waiting = client.run("waits")
    client.ask(m.Stop(client.accepted(waiting).job))
    receipt = client.receipt(waiting)
    assert (receipt.cause, receipt.ended_by, receipt.started) == (Cause.CANCELLED, "person:eve", False)
    assert world.board.admission.waiting == 0


def test_a_stop_that_comes_while_starting_is_delivered_after_the_start(world: World, client: Client) -> None:
    stream = client.run("cmd")
    job = client.accepted(stream).job
    shim = world.shim_of(job)
    client.ask(m.Stop(job, grace_s=3))
    assert not orders(shim.heard, messages.Stop)
    shim.start()
    world.settle()
    assert orders(shim.heard, messages.Stop) == [messages.Stop(control.STOPPED, "person:eve", 3000)]


def test_a_running_job_is_stopped_once_and_a_shorter_patience_wins(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    job = client.accepted(stream).job
    assert client.answer(client.ask(m.Stop(job)), m.DoneAnswer).state is JobState.ENDING
    client.ask(m.Stop(job, grace_s=20))
    client.ask(m.Stop(job, grace_s=0))
    assert [message.grace_ms for message in orders(shim.heard, messages.Stop)] == [10_000, 0]  # type: ignore[union-attr]
    world.finish(shim, signum=9, cause=control.STOPPED, by="person:eve")
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.ended_by, receipt.returncode) == (Cause.STOPPED, "person:eve", -9)
    assert client.answer(client.ask(m.Stop(job)), m.DoneAnswer).state is JobState.DONE


@pytest.mark.parametrize(
    ("scope", "number"), [("main", messages.MAIN), ("group", messages.GROUP), ("tree", messages.TREE)]
)
def test_a_signal_reaches_the_shim_with_its_scope(world: World, client: Client, scope: str, number: int) -> None:
    stream, shim = world.start(client)
    client.ask(m.Signal(client.accepted(stream).job, 10, scope))  # type: ignore[arg-type]
    assert orders(shim.heard, messages.Signal) == [messages.Signal(10, number)]


def test_a_job_ended_by_a_signal_names_who_sent_it(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    client.ask(m.Signal(client.accepted(stream).job, 15))
    world.finish(shim, signum=15)
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.ended_by) == (Cause.SIGNALED, "person:eve")


def test_signals_are_refused_where_nothing_runs(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    client = world.client()
    stream, shim = world.start(client)
    waiting = client.run("waits")
    queued = client.failure(client.ask(m.Signal(client.accepted(waiting).job, 15)))
    assert (queued.code, queued.ran) == (ErrorCode.STATE, "no")
    world.finish(shim)
    done = client.failure(client.ask(m.Signal(client.accepted(stream).job, 15)))
    assert (done.code, done.ran) == (ErrorCode.STATE, "yes")


# --- leases ---------------------------------------------------------------------------------------------------------


def test_a_lost_client_ends_its_job_after_the_time_it_was_given(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect=30.0)
    job = client.accepted(stream).job
    client.cut()
    world.advance(29)
    assert not orders(shim.heard, messages.Stop)
    world.advance(2)
    assert orders(shim.heard, messages.Stop) == [messages.Stop(control.CLIENT_LOST, "lost-client", 10_000)]
    world.finish(shim, signum=15, cause=control.CLIENT_LOST, by="lost-client")
    row = world.journal.job(JobId(job))
    assert row is not None
    assert row.receipt is not None
    assert row.receipt.ended_by == "lost-client"


def test_an_attached_run_lasts_a_minute_without_its_client_by_default(world: World, client: Client) -> None:
    _, shim = world.start(client)
    client.cut()
    world.advance(59.9)
    assert not orders(shim.heard, messages.Stop)
    world.advance(0.2)
    assert orders(shim.heard, messages.Stop)


def test_a_client_that_comes_back_saves_its_job(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect=30.0)
    client.cut()
    world.advance(20)
    back = world.client()
    back.read(client.accepted(stream).job, lease=True)
    world.advance(1000)
    assert not orders(shim.heard, messages.Stop)
    back.cut()
    world.advance(31)
    assert orders(shim.heard, messages.Stop)


def test_one_of_two_attached_clients_may_go(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect="kill")
    other = world.client("j" * 16)
    other.ask(m.Wait(client.accepted(stream).job, lease=True))
    client.cut()
    world.advance(100)
    assert not orders(shim.heard, messages.Stop)
    other.cut()
    world.advance(0.1)
    assert orders(shim.heard, messages.Stop)


def test_a_reader_without_a_lease_holds_nothing(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect=30.0)
    other = world.client("j" * 16)
    other.read(client.accepted(stream).job)
    client.cut()
    world.advance(31)
    assert orders(shim.heard, messages.Stop)


def test_a_stream_given_up_on_purpose_keeps_its_job(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect=30.0)
    client.link.cancel(stream)
    world.settle()
    client.cut()
    world.advance(1000)
    assert not orders(shim.heard, messages.Stop)


def test_a_job_left_on_purpose_is_kept_by_the_next_agent_too(world: World, client: Client) -> None:
    stream, shim = world.start(client, on_disconnect=30.0)
    job = client.accepted(stream).job
    client.link.cancel(stream)
    world.settle()
    world.crash()
    world.recover()
    world.advance(1000)
    assert not orders(shim.heard, messages.Stop)
    assert world.board.jobs[JobId(job)].job.spec.on_disconnect == "keep"


def test_a_lost_client_cancels_what_still_waits(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    world.start(world.client("j" * 16))
    client = world.client()
    waiting = client.run("waits", on_disconnect="kill")
    job = client.accepted(waiting).job
    client.cut()
    world.advance(0.1)
    row = world.journal.job(JobId(job))
    assert row is not None
    assert row.cause is Cause.CANCELLED


# --- wait, get, list ------------------------------------------------------------------------------------------------


def test_waiting_for_a_job_gives_its_receipt_now_or_later(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    job = client.accepted(stream).job
    waiter = client.ask(m.Wait(job))
    assert client.is_open(waiter)
    given_up = client.ask(m.Wait(job))
    client.link.cancel(given_up)
    world.settle()
    world.finish(shim, 2)
    assert client.receipt(waiter).returncode == 2
    assert client.is_open(given_up)
    assert client.receipt(client.ask(m.Wait(job))).returncode == 2


def test_a_job_is_named_by_an_unambiguous_beginning(world: World, client: Client) -> None:
    job = world.job_done(client)
    assert client.answer(client.ask(m.Get(job[:6])), m.JobAnswer).job.job == job
    assert client.failure(client.ask(m.Get(job[:3]))).code == ErrorCode.NOT_FOUND
    assert client.failure(client.ask(m.Get("zzzzzzzzzzzz"))).code == ErrorCode.NOT_FOUND
    assert client.failure(client.ask(m.Get("../../etc"))).code == ErrorCode.NOT_FOUND


def test_a_list_shows_what_lives_and_pages_through_all(world: World, client: Client) -> None:
    done = [world.job_done(client, label="a" if n % 2 else "b") for n in range(5)]
    stream, _ = world.start(client)
    running = client.accepted(stream).job
    live = client.answer(client.ask(m.List()), m.JobsAnswer)
    assert [info.job for info in live.jobs] == [running]
    assert live.jobs[0].clients == 1
    seen: list[str] = []
    before = None
    for _ in range(10):
        page = client.answer(client.ask(m.List(all=True, limit=2, before=before)), m.JobsAnswer)
        seen += [info.job for info in page.jobs]
        if not page.more:
            break
        before = page.jobs[-1].job
    assert seen == [running, *reversed(done)]
    labelled = client.answer(client.ask(m.List(all=True, label="a")), m.JobsAnswer)
    assert [info.job for info in labelled.jobs] == [done[3], done[1]]
    prefixed = client.answer(client.ask(m.List(all=True, prefix=done[0][:8])), m.JobsAnswer)
    assert [info.job for info in prefixed.jobs] == [done[0]]


def test_a_running_job_is_not_forgotten(world: World, client: Client) -> None:
    stream, _ = world.start(client)
    failure = client.failure(client.ask(m.Forget(client.accepted(stream).job)))
    assert (failure.code, failure.ran) == (ErrorCode.STATE, "yes")


def test_status_counts_jobs_bytes_and_processes(world: World, client: Client) -> None:
    world.job_done(client, out=b"x" * 100)
    world.start(client)
    status = client.answer(client.ask(m.Status()), m.StatusAnswer)
    assert status.jobs == {"queued": 0, "starting": 0, "running": 1, "ending": 0}
    counters = status.counters
    assert counters["accepted"] == counters["started"] == 2
    assert counters["done"] == 1
    assert counters["clients"] == 1
    assert counters["requests"] == 3
    assert counters["bytes_in"] > 0
    assert counters["bytes_out"] > 100
    assert status.keeper == {"pid": world.keeper.pid}


def test_shutdown_is_answered_before_it_begins(world: World, client: Client) -> None:
    asked: list[bool] = []
    world.service.on_shutdown = asked.append
    assert client.answer(client.ask(m.Shutdown(jobs=True)), m.DoneAnswer)
    assert asked == [True]


def test_a_mistake_of_ours_costs_one_request_and_not_the_connection(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.journal, "find", broken)
    failure = client.failure(client.ask(m.Get("abcdefgh")))
    assert (failure.code, failure.ran) == (ErrorCode.INTERNAL, "unknown")
    assert not client.gone
    assert any("a bug" in line for line in world.log)


def test_asking_about_finished_jobs_leaves_no_file_open(world: World, client: Client) -> None:
    job = world.job_done(client, out=b"f" * 100_000, key="build")
    client.ask(m.Verify(job))
    before = len(os.listdir("/proc/self/fd"))
    for request in (
        m.Get(job),
        m.Wait(job),
        m.Stop(job),
        m.Signal(job, 15),
        m.Write(job),
        m.Read(job, {"1": 10_000_000}),
        m.Verify(job),
    ):
        client.ask(request)
    client.run("cmd", key="build", attach=False)
    client.read(job)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_beginning_that_several_jobs_share_is_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(("same00000001", "same00000002"))
    monkeypatch.setattr("holdfast.agent.starts.new_job_id", lambda random: next(ids))
    for _ in range(2):
        world.job_done(client)
    failure = client.failure(client.ask(m.Get("same")))
    assert failure.code == ErrorCode.NOT_FOUND
    assert "several" in failure.text
    assert client.answer(client.ask(m.Get("same00000002")), m.JobAnswer).job.job == "same00000002"


def test_a_detached_job_with_a_deadline_lasts_until_then_unless_somebody_attaches(world: World, client: Client) -> None:
    shim = world.shim_of(client.answer(client.run("cmd", attach=False, on_disconnect=30.0), m.AcceptedAnswer).job)
    shim.start()
    world.settle()
    world.advance(29.9)
    assert not orders(shim.heard, messages.Stop)
    world.advance(0.2)
    assert orders(shim.heard, messages.Stop)
