"""The output of one job as a value: digests, gaps, leaving early, giving up."""

from __future__ import annotations

import os

import pytest

from holdfast.client import calls
from holdfast.client.feed import JobFeed, ReadPlan
from holdfast.errors import ClosedError, ConnectFailed, OffsetGone, OutcomeUnknown, OutputMismatch
from holdfast.types import Cause, ExitStatus, Receipt
from holdfast.wire import messages as m
from tests.client_world import World
from tests.memory_agent import Command, MemoryAgent, MemoryJob

COMMANDS: dict[str, Command] = {
    "ok": lambda _: (b"0123456789" * 100, b"e", 0),
    "big": lambda _: (b"0123456789" * 100_000, b"", 0),
}


def request(name: str) -> calls.RunRequest:
    return calls.run_request([name], fresh_key=os.urandom(8).hex(), encode=os.fsencode)


def done_job(agent: MemoryAgent, *, first: int = 0) -> MemoryJob:
    run = request("ok")
    job, _ = agent.submit(run.request, run.body)
    job.first[1] = first
    agent.finish(job, job.out[1], job.out[2], ExitStatus(code=0), Cause.EXITED)
    return job


def read_all(world: World, feed: JobFeed) -> dict[int, bytes]:
    got = {1: b"", 2: b""}
    world.submit(feed)
    while (item := world.run(feed.poll_output)) is not JobFeed.END:
        got[item[0]] += item[1]
    return got


def test_a_digest_that_does_not_fit_is_told_after_the_bytes() -> None:
    agent = MemoryAgent(COMMANDS)
    agent.corrupt = True
    world = World(agent)
    feed = JobFeed.run(request("ok"))
    with pytest.raises(OutputMismatch) as caught:
        read_all(world, feed)
    assert isinstance(caught.value.receipt, Receipt)
    assert feed.delivered() == {1: 1000, 2: 1}


def test_a_digest_covers_only_what_was_read_from_its_start() -> None:
    agent = MemoryAgent(COMMANDS)
    job = done_job(agent)
    got = read_all(World(agent), JobFeed.read(job.id, ReadPlan(offsets={1: 995})))
    assert got == {1: b"56789", 2: b"e"}


def test_a_reading_from_the_beginning_starts_at_the_oldest_byte_kept() -> None:
    agent = MemoryAgent(COMMANDS)
    job = done_job(agent, first=900)
    assert read_all(World(agent), JobFeed.read(job.id, ReadPlan()))[1] == b"0123456789" * 10


def test_a_reading_from_an_offset_that_is_gone_says_so() -> None:
    agent = MemoryAgent(COMMANDS)
    job = done_job(agent, first=900)
    with pytest.raises(OffsetGone) as caught:
        read_all(World(agent), JobFeed.read(job.id, ReadPlan(offsets={1: 5})))
    assert caught.value.first == 900


def test_a_channel_that_has_ended_is_not_asked_for_again() -> None:
    agent = MemoryAgent(COMMANDS)
    world = World(agent)
    feed = JobFeed.run(request("big"))
    world.submit(feed)
    world.run(feed.poll_accepted)
    while world.step():  # stdout waits for credit, stderr is complete
        pass
    world.cut()
    while world.step():
        pass
    world.now = world.session.next_deadline() or 0.0
    while world.step():  # connected again, while the first window still waits for the caller
        pass
    got = b""
    while (item := world.run(feed.poll_output)) is not JobFeed.END:
        assert item[0] == 1
        got += item[1]
    assert got == b"0123456789" * 100_000
    (again,) = [each for each in agent.requests if isinstance(each, m.Read)]
    assert list(again.offsets) == ["1"]


def test_a_slow_caller_holds_no_more_than_the_window() -> None:
    world = World(MemoryAgent(COMMANDS))
    feed = JobFeed.run(request("big"))
    world.submit(feed)
    while world.step():
        pass
    assert sum(len(chunk) for _, chunk in feed._queue) == 256 * 1024


def test_who_stops_reading_a_run_stays_attached() -> None:
    agent = MemoryAgent(COMMANDS)
    world = World(agent)
    feed = JobFeed.run(request("big"))
    world.submit(feed)
    world.run(feed.poll_output)
    world.session.release(feed)
    receipt = world.run(feed.poll_receipt)
    assert receipt.stdout.bytes == 1_000_000
    assert agent.requests[-1] == m.Wait(receipt.job, True)


def test_an_abandoned_run_is_stopped_once_its_id_is_known() -> None:
    agent = MemoryAgent(COMMANDS)
    world = World(agent)
    feed = JobFeed.run(request("sleep"))
    world.submit(feed)
    while not agent.requests:
        world.step()
        if feed.asked and not feed.settled and feed.job is None:
            world.session.abandon(feed)
    while not any(job.stopped for job in agent.jobs.values()):
        assert world.step()
    assert feed.settled


def test_a_run_that_was_never_sent_is_simply_forgotten() -> None:
    agent = MemoryAgent(COMMANDS)
    world = World(agent)
    feed = JobFeed.run(request("sleep"))
    world.submit(feed)
    assert not world.session.abandon(feed)
    while world.step():
        pass
    assert agent.jobs == {}


def test_patience_ends_and_says_what_is_known() -> None:
    world = World(MemoryAgent(COMMANDS), reconnect_s=5.0)
    feed = JobFeed.run(request("sleep"))
    world.submit(feed)
    world.run(feed.poll_accepted)
    world.session.disconnected("cut", now=world.now)
    for _ in range(100):
        if feed.settled:
            break
        world.now = max(world.now, world.session.next_deadline() or 0.0)
        world.session.connect_failed(ConnectFailed("nobody there"), now=world.now)
    assert isinstance(feed.error, OutcomeUnknown)
    assert (feed.error.key, feed.error.ran) == (feed.key, "yes")
    assert world.session.next_deadline() is None


def test_closing_tells_whether_it_was_sent() -> None:
    world = World(MemoryAgent(COMMANDS))
    sent = JobFeed.run(request("sleep"))
    world.submit(sent)
    world.run(sent.poll_accepted)
    world.session.close("closed", now=world.now)
    assert isinstance(sent.error, ClosedError)
    assert sent.error.ran == "unknown"
    with pytest.raises(ClosedError) as caught:
        world.submit(JobFeed.run(request("sleep")))
    assert caught.value.ran == "no"
