"""A connection: what is sent when, what a stalled or silent client costs, and how it ends."""

from __future__ import annotations

import pytest

from holdfast.agent.peer import STALLED_S
from holdfast.types import JobId
from holdfast.wire import limits
from holdfast.wire import messages as m
from tests.unit.agent.world import Client, World


def test_a_client_is_greeted_with_what_it_must_know(world: World, client: Client) -> None:
    welcome = client.link.welcomed
    assert welcome is not None
    assert (welcome.principal, welcome.host, welcome.boot_id) == ("eve", "here", "boot")
    assert welcome.incarnation == world.journal.incarnation


def test_events_wait_for_company_but_never_long(world: World, client: Client) -> None:
    stream = client.link.request(
        m.Run(key="k", argc=1, user_key=True), m.pack_items((b"x",)), reads={1: (0, 1000), 2: (0, 1000)}
    )
    world.settle()
    assert client.told(stream) == []
    world.advance(0.003)
    assert isinstance(client.told(stream)[0], m.Accepted)


def test_what_was_held_back_goes_before_what_follows(world: World, client: Client) -> None:
    stream = client.run("cmd")
    shim = world.shim_of(client.accepted(stream).job)
    shim.start()
    shim.write(1, b"x")
    shim.exit(0)
    world.settle()
    kinds = [type(event).__name__ for event in client.told(stream)]
    assert kinds == ["Accepted", "Started"]
    assert client.order(stream).index("DataReceived") > client.order(stream).index("EventReceived")
    assert client.order(stream)[-1] == "Answered"


def test_a_client_that_takes_nothing_is_cut_off_in_the_end(world: World, client: Client) -> None:
    client.peer.pause_writing()
    for _ in range(int(STALLED_S)):
        world.loop.now += 1.0
        client.peer.tick(world.loop.now)
        assert not client.transport.aborted
    world.loop.now += 1.5
    client.peer.tick(world.loop.now)
    assert client.transport.aborted


def test_a_client_that_is_slow_and_takes_something_stays(world: World, client: Client) -> None:
    for _ in range(10):
        client.peer.pause_writing()
        world.loop.now += STALLED_S / 2
        client.peer.resume_writing()
        client.peer.tick(world.loop.now)
        client.link.handle_timeout(now=world.loop.now)
        world.settle()
    assert not client.transport.aborted


def test_a_silent_client_is_pinged_and_given_up(world: World, client: Client) -> None:
    client.gone = True  # it neither reads nor writes
    for _ in range(int(limits.SILENCE_S) + 2):
        world.loop.now += 1.0
        client.peer.tick(world.loop.now)
    assert client.transport.closed
    client.gone = False
    client.cut()
    assert not world.service.peers


def test_rubbish_is_answered_with_close_and_counted(world: World, client: Client) -> None:
    client.peer.data_received(b"\x00" * 24)
    assert client.transport.closed
    assert world.service.counters["protocol_errors"] == 1


def test_the_end_of_a_stream_of_bytes_ends_the_connection(world: World, client: Client) -> None:
    stream, _ = world.start(client, on_disconnect=30.0)
    assert client.peer.eof_received() is False
    client.cut()
    (live,) = world.board.jobs.values()
    assert live.lease.deadline is not None
    assert live.readers == []
    assert client.is_open(stream)


def test_bytes_are_counted_both_ways(world: World, client: Client) -> None:
    world.job_done(client, out=b"b" * 1000)
    counters = world.service.counters
    assert counters["bytes_out"] == client.transport.total
    assert counters["bytes_in"] > 100


def test_cold_output_is_fetched_by_a_thread_and_delivered_whole(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job_done(client, out=b"c" * 600_000)
    cold = {"left": 2}

    def cached(self: object, offset: int, size: int) -> bool:
        cold["left"] -= 1
        return cold["left"] < 0

    monkeypatch.setattr("holdfast.jobs.output.OutputChannel.cached", cached)
    world.loop.hold_threads = True
    stream = client.read(job)
    assert client.data(stream) == b""
    while world.loop.run_threads():
        world.settle()
    world.settle()
    assert client.data(stream) == b"c" * 600_000


def test_a_reader_that_leaves_while_a_thread_fetches_its_bytes_is_no_trouble(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job_done(client, out=b"c" * 600_000)
    monkeypatch.setattr("holdfast.jobs.output.OutputChannel.cached", lambda self, offset, size: False)
    world.loop.hold_threads = True
    stream = client.read(job)
    client.link.cancel(stream)
    world.settle()
    monkeypatch.undo()
    world.loop.run_threads()
    world.settle()
    again = client.read(job)
    assert client.data(again) == b"c" * 600_000
    assert not world.board.jobs.get(JobId(job))
