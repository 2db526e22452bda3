"""Cut the connection after every byte of an exchange: each byte arrives once, in order, and nothing starts twice."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.client import calls
from holdfast.client.exchange import CallExchange
from holdfast.client.feed import JobFeed, ReadPlan
from holdfast.errors import OutcomeUnknown
from tests.client_world import World
from tests.memory_agent import Command, MemoryAgent

STDOUT = bytes(range(256)) * 3
STDERR = b"e" * 50
COMMANDS: dict[str, Command] = {
    "noisy": lambda _: (STDOUT, STDERR, 5),
    "cat": lambda stdin: (stdin, b"", 0),
    "big": lambda _: (b"0123456789abcdef" * 40_000, STDERR, 1),
}


def request(name: str, *, stdin: bool = False) -> calls.RunRequest:
    return calls.run_request([name], fresh_key=os.urandom(8).hex(), encode=os.fsencode, stdin=stdin)


def exchange_bytes(name: str, data: bytes | None = None) -> tuple[int, int]:
    """Bytes of the whole exchange without a cut, from client and from agent."""
    world = World(MemoryAgent(COMMANDS))
    feed = JobFeed.run(request(name, stdin=data is not None), collect=True, input=data)
    world.submit(feed)
    world.run(feed.poll_receipt)
    return world.sent_bytes, world.answered_bytes


def check_run(world: World, feed: JobFeed, stdout: bytes, stderr: bytes) -> None:
    receipt = world.run(feed.poll_receipt)
    assert (feed.collected(1), feed.collected(2)) == (stdout, stderr)
    assert [job.starts for job in world.agent.jobs.values()] == [1]
    assert world.agent.find(receipt.job) is not None


def test_a_cut_after_every_byte_from_the_agent() -> None:
    _, answered = exchange_bytes("noisy")
    for cut in range(answered + 1):
        world = World(MemoryAgent(COMMANDS), cuts=iter([(None, cut)]))
        feed = JobFeed.run(request("noisy"), collect=True)
        world.submit(feed)
        check_run(world, feed, STDOUT, STDERR)
        assert world.connections == (2 if cut < answered else 1)


def test_a_cut_after_every_byte_from_the_client() -> None:
    sent, _ = exchange_bytes("noisy")
    for cut in range(sent + 1):
        world = World(MemoryAgent(COMMANDS), cuts=iter([(cut, None)]))
        feed = JobFeed.run(request("noisy"), collect=True)
        world.submit(feed)
        check_run(world, feed, STDOUT, STDERR)


@pytest.mark.parametrize("direction", [0, 1])
def test_a_cut_after_every_byte_while_input_goes_up(direction: int) -> None:
    data = bytes(range(256)) * 2
    length = exchange_bytes("cat", data)[direction]
    for cut in range(length + 1):
        cuts = (cut, None) if direction == 0 else (None, cut)
        world = World(MemoryAgent(COMMANDS), cuts=iter([cuts]))
        feed = JobFeed.run(request("cat", stdin=True), collect=True, input=data)
        world.submit(feed)
        check_run(world, feed, data, b"")


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 300_000)), max_size=12),
    chunk=st.sampled_from([1 << 20, 65_536, 4096]),
)
def test_many_cuts_in_a_stream_that_is_handed_out(cuts: list[tuple[int, int]], chunk: int) -> None:
    world = World(MemoryAgent(COMMANDS), cuts=iter(cuts), chunk=chunk)
    feed = JobFeed.run(request("big"))
    world.submit(feed)
    got = {1: b"", 2: b""}
    while (item := world.run(feed.poll_output)) is not JobFeed.END:
        got[item[0]] += item[1]
    assert got == {1: COMMANDS["big"](b"")[0], 2: STDERR}
    assert feed.receipt is not None
    assert [job.starts for job in world.agent.jobs.values()] == [1]


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=60_000),
    cuts=st.lists(st.tuples(st.integers(150, 40_000), st.integers(150, 40_000)), max_size=12),
)
def test_many_cuts_while_input_and_output_flow(data: bytes, cuts: list[tuple[int, int]]) -> None:
    world = World(MemoryAgent(COMMANDS), cuts=iter(cuts))
    feed = JobFeed.run(request("cat", stdin=True), collect=True, input=data)
    world.submit(feed)
    check_run(world, feed, data, b"")


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 640_000),
    cuts=st.lists(st.tuples(st.none(), st.integers(0, 300_000)), max_size=8),
)
def test_a_reading_from_anywhere_is_resumed_there(start: int, cuts: list[tuple[None, int]]) -> None:
    agent = MemoryAgent(COMMANDS)
    job, _ = agent.submit(request("big").request, request("big").body)
    world = World(agent, cuts=iter(cuts))
    feed = JobFeed.read(job.id, ReadPlan((1,), {1: start}))
    world.submit(feed)
    got = b""
    while (item := world.run(feed.poll_output)) is not JobFeed.END:
        got += item[1]
    assert got == job.out[1][start:]


def test_a_signal_is_never_sent_twice() -> None:
    agent = MemoryAgent(COMMANDS)
    job, _ = agent.submit(calls.run_request(["sleep"], fresh_key="k", encode=os.fsencode).request, b"sleep\0")
    for cut in itertools.count(0, 7):
        agent.requests.clear()
        world = World(agent, cuts=iter([(None, cut)]))
        exchange = CallExchange(calls.signal(job.id, 15, "main"))
        world.submit(exchange)
        failed = None
        try:
            world.run(exchange.poll)
        except OutcomeUnknown as error:
            failed = error
        assert len(agent.requests) <= 1
        if failed is None and world.connections == 1:
            return
