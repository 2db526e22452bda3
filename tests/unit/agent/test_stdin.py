"""Stdin: in order, each byte once, a true end, over cuts and restarts of everybody."""

from __future__ import annotations

from holdfast.agent.stdin import WINDOW_BYTES
from holdfast.keeper import messages
from holdfast.types import JobState
from holdfast.wire import messages as m
from holdfast.wire.events import NO_END, CreditReceived, EventReceived
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.fake_shims import FakeShim
from tests.unit.agent.world import Client, World


def credit(client: Client, stream: int) -> int:
    """What the agent takes now."""
    return max((e.limit for e in client.events if isinstance(e, CreditReceived) and e.stream == stream), default=0)


def feed(world: World, client: Client, stream: int, data: bytes, *, end: bool = False) -> None:
    """Send bytes on an open stdin, and perhaps its end."""
    client.link.offer(stream, 0, (client.link.out_offset(stream, 0) or 0) + len(data))
    while (turn := client.link.next_turn()) is not None:
        chunk, data = data[: turn.size], data[turn.size :]
        client.link.send_data(stream, 0, chunk)
    if end:
        client.link.send_end(stream, 0, client.link.out_offset(stream, 0) or 0, NO_END)
    world.settle()


def told(shim: FakeShim) -> list[messages.Stdin]:
    return [message for message in shim.heard if isinstance(message, messages.Stdin)]


def started(world: World, client: Client) -> tuple[int, FakeShim]:
    return world.start(client, "cat", stdin=True)


def test_nothing_is_taken_before_the_command_runs(world: World, client: Client) -> None:
    """A shim that dies before the start takes its file with it, and what was acknowledged would be gone."""
    stream = client.run("cat", stdin=True)
    shim = world.shim_of(client.accepted(stream).job)
    assert credit(client, stream) == 0
    assert not (shim.directory / "in").exists()
    shim.start()
    world.settle()
    assert credit(client, stream) == WINDOW_BYTES


def test_who_may_send_input_knows_the_job(world: World, client: Client) -> None:
    """Else a client that was cut would start over with a RUN and its first byte, and not ask what has come."""
    stream = client.run("cat", stdin=True)
    next(shim for shim in world.keeper.shims if shim.run is not None).start()
    world.settle()
    assert CreditReceived.__name__ in client.order(stream)
    first = client.order(stream).index(CreditReceived.__name__)
    told = [event.event for event in client.events[:first] if isinstance(event, EventReceived)]
    assert [event.job for event in told if isinstance(event, m.Accepted)] == [client.accepted(stream).job]


def test_bytes_are_committed_before_they_are_acknowledged_and_the_end_is_passed_on(
    world: World, client: Client
) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"hello ")
    assert client.acked(stream) == 6
    feed(world, client, stream, b"world", end=True)
    assert (shim.directory / "in").read_bytes() == b"hello world"
    assert told(shim)[-1] == messages.Stdin(11, True)
    assert client.is_open(stream), "the run goes on"


def test_the_window_moves_on(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"x" * WINDOW_BYTES)
    assert client.acked(stream) == WINDOW_BYTES
    assert credit(client, stream) >= WINDOW_BYTES + WINDOW_BYTES // 2
    assert told(shim)[-1].length == WINDOW_BYTES


def test_a_writer_that_was_cut_goes_on_from_what_is_committed(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"first ")
    job = client.accepted(stream).job
    client.cut()
    back = world.client()
    again = back.ask(m.Write(job), feeds=6)
    (opened,) = back.told(again)
    assert opened.offsets == {"0": 6}
    feed(world, back, again, b"second", end=True)
    assert (shim.directory / "in").read_bytes() == b"first second"
    assert back.answer(again, m.WriteAnswer).committed == 12
    late = back.ask(m.Write(job))
    assert back.answer(late, m.WriteAnswer).committed == 12


def test_a_newer_writer_supersedes_the_older_one(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    other = world.client("j" * 16)
    again = other.ask(m.Write(client.accepted(stream).job), feeds=0)
    feed(world, client, stream, b"old")
    assert (shim.directory / "in").read_bytes() == b""
    feed(world, other, again, b"new")
    assert (shim.directory / "in").read_bytes() == b"new"


def test_a_job_without_stdin_takes_none(world: World, client: Client) -> None:
    stream, _ = world.start(client)
    failure = client.failure(client.ask(m.Write(client.accepted(stream).job)))
    assert (failure.code, failure.ran) == (ErrorCode.STATE, "yes")


def test_a_writer_is_answered_when_the_job_ends_first(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    writer = client.ask(m.Write(client.accepted(stream).job))
    world.finish(shim)
    assert client.answer(writer, m.WriteAnswer).committed == 0
    assert client.receipt(stream)


def test_bytes_and_end_between_a_shims_death_and_the_adoption_reach_the_command(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"one ")
    shim.die()
    world.settle()
    feed(world, client, stream, b"two", end=True)
    world.keeper.bury(shim, adopted=True)
    world.settle()
    assert (shim.directory / "in").read_bytes() == b"one two"
    assert told(shim)[-1] == messages.Stdin(7, True)


def test_stdin_goes_on_after_a_restart_of_the_agent(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"before ")
    job = client.accepted(stream).job
    world.restart()
    back = world.client()
    again = back.ask(m.Write(job), feeds=7)
    assert back.told(again)[0].offsets == {"0": 7}
    feed(world, back, again, b"after", end=True)
    assert (shim.directory / "in").read_bytes() == b"before after"
    assert told(shim)[-1] == messages.Stdin(12, True)


def test_an_end_that_was_noted_is_known_after_a_restart(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    feed(world, client, stream, b"all", end=True)
    job = client.accepted(stream).job
    shim.note(stdin_bytes=3, stdin_ended=True)
    world.restart()
    back = world.client()
    assert back.answer(back.ask(m.Write(job)), m.WriteAnswer).committed == 3


def test_the_next_job_of_a_shim_gets_a_stdin_of_its_own(world: World, client: Client) -> None:
    """RELEASE, which removes the file of the job before, travels with the next RUN."""
    stream, shim = started(world, client)
    feed(world, client, stream, b"of the first", end=True)
    world.finish(shim)
    second, again = started(world, client)
    assert again is shim
    feed(world, client, second, b"2nd", end=True)
    assert (shim.directory / "in").read_bytes() == b"2nd"


def test_a_full_disk_fails_the_writer_and_not_the_job(world: World, client: Client) -> None:
    stream, shim = started(world, client)
    writer = client.ask(m.Write(client.accepted(stream).job), feeds=0)
    (live,) = world.board.jobs.values()
    assert live.stdin is not None
    assert live.stdin.spool is not None
    live.stdin.spool.close()  # every write fails from here on
    feed(world, client, writer, b"x")
    assert client.failure(writer).ran == "yes"
    assert live.job.state is JobState.RUNNING
    world.finish(shim)
    assert client.receipt(stream)
