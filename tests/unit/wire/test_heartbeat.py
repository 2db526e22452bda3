"""Greeting deadline, PINGs, silence and PING storms, on a clock that is only a number."""

from __future__ import annotations

import pytest

from holdfast.clock import ManualClock
from holdfast.wire.frames import FrameType
from holdfast.wire.heartbeat import Due, Heartbeat
from holdfast.wire.limits import HEARTBEAT_S, HELLO_DEADLINE_S, PINGS_BURST, SILENCE_S
from holdfast.wire.link import SILENT, Link, LinkClosed
from holdfast.wire.phases import Role
from tests.unit.wire.pair import HELLO, Pair, drain, frames_of, last, sample


def types(data: bytes) -> list[int]:
    return [frame.type for frame in frames_of(data)]


def test_silence_is_two_and_a_half_heartbeats() -> None:
    assert SILENCE_S == 2.5 * HEARTBEAT_S


def test_nothing_is_due_early() -> None:
    heartbeat = Heartbeat(now=0.0)
    assert heartbeat.due(HELLO_DEADLINE_S - 0.001) is None
    heartbeat.greeted = True
    assert heartbeat.due(HEARTBEAT_S - 0.001) is None
    assert heartbeat.due(HEARTBEAT_S) is Due.PING


@pytest.mark.parametrize("role", list(Role))
def test_a_peer_that_does_not_greet_is_left_after_five_seconds(role: Role) -> None:
    clock = ManualClock()
    link = Link(role, now=clock.now(), hello=HELLO if role is Role.CLIENT else None)
    link.data_to_send()
    assert link.next_deadline() == clock.now() + HELLO_DEADLINE_S
    clock.advance(HELLO_DEADLINE_S - 0.01)
    link.handle_timeout(now=clock.now())
    assert not link.closed
    clock.advance(0.01)
    link.handle_timeout(now=clock.now())
    assert last(drain(link), LinkClosed).code == 103
    assert types(link.data_to_send()) == ([FrameType.CLOSE] if role is Role.AGENT else [])
    assert link.next_deadline() is None


def test_bytes_that_are_no_greeting_do_not_move_the_deadline() -> None:
    link = Link(Role.AGENT, now=0.0)
    link.receive_data(sample(FrameType.HELLO, Role.AGENT)[:5], now=4.9)
    assert link.next_deadline() == HELLO_DEADLINE_S


def test_an_idle_pair_keeps_itself_alive_for_an_hour() -> None:
    pair, pings = Pair(), 0
    for second in range(3600):
        pair.now = float(second)
        pair.client.handle_timeout(now=pair.now)
        up = pair.client.data_to_send()
        pings += sum(kind == FrameType.PING for kind in types(up))
        if up:
            pair.agent.receive_data(up, now=pair.now)
        pair.agent.handle_timeout(now=pair.now)
        pair.pump()
    assert not pair.client.closed
    assert not pair.agent.closed
    assert pings == 3599 // HEARTBEAT_S
    assert pair.at_client == pair.at_agent == []


def test_writing_postpones_the_ping() -> None:
    client = Pair().client
    client.sent(now=9.0)
    client.handle_timeout(now=12.0)
    assert client.data_to_send() == b""
    client.handle_timeout(now=19.0)
    assert types(client.data_to_send()) == [FrameType.PING]


@pytest.mark.parametrize("role", list(Role))
def test_silence_ends_the_connection_without_a_word(role: Role) -> None:
    pair = Pair()
    link = pair.client if role is Role.CLIENT else pair.agent
    link.handle_timeout(now=10.0)
    link.handle_timeout(now=20.0)
    assert types(link.data_to_send()) == [FrameType.PING, FrameType.PING]
    assert link.next_deadline() == SILENCE_S
    link.handle_timeout(now=SILENCE_S)
    assert last(drain(link), LinkClosed).code == SILENT
    assert link.data_to_send() == b""
    link.handle_timeout(now=1000.0)
    assert drain(link) == []


def test_half_a_frame_is_a_sign_of_life() -> None:
    agent = Pair().agent
    agent.receive_data(sample(FrameType.REQ, Role.AGENT)[:3], now=24.0)
    agent.handle_timeout(now=SILENCE_S)
    assert not agent.closed


@pytest.mark.parametrize("role", list(Role))
def test_a_ping_storm_ends_the_connection(role: Role) -> None:
    pair = Pair()
    link = pair.client if role is Role.CLIENT else pair.agent
    ping = sample(FrameType.PING, role)
    link.receive_data(ping * PINGS_BURST, now=0.0)
    assert types(link.data_to_send()) == [FrameType.PONG] * PINGS_BURST
    link.receive_data(ping, now=0.9)
    assert last(drain(link), LinkClosed).code == 106


def test_one_ping_a_second_goes_on_for_ever() -> None:
    agent = Pair().agent
    for second in range(1000):
        agent.receive_data(sample(FrameType.PING, Role.AGENT), now=float(second))
    assert not agent.closed
