"""Greeting deadline, PINGs, silence and PING storms, on a clock that is only a number."""

from __future__ import annotations

import pytest

from holdfast.clock import ManualClock
from holdfast.wire.frames import FrameType
from holdfast.wire.heartbeat import Due, Heartbeat
from holdfast.wire.limits import HEARTBEAT_S, HELLO_DEADLINE_S, PINGS_BURST, PROBE_S, SILENCE_S
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


@pytest.mark.parametrize("role", list(Role))
def test_the_greeting_may_be_given_another_time(role: Role) -> None:
    link = Link(role, now=100.0, hello=HELLO if role is Role.CLIENT else None, greeting_s=60.0)
    assert link.next_deadline() == 160.0
    link.handle_timeout(now=159.9)
    assert not link.closed
    link.handle_timeout(now=160.0)
    closed = last(drain(link), LinkClosed)
    assert (closed.code, closed.text) == (103, "no greeting within 60 s")


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


# --- probes ----------------------------------------------------------------------------------------------------------


def test_a_probe_is_sent_at_once_and_answered() -> None:
    pair = Pair()
    pair.now = 3.0
    pair.client.probe(pair.now)
    assert pair.client.next_deadline() == 3.0 + PROBE_S
    pair.pump()
    assert pair.client.next_deadline() == 3.0 + HEARTBEAT_S
    pair.client.handle_timeout(now=3.0 + PROBE_S)
    assert not pair.client.closed
    assert pair.client.data_to_send() == b""


@pytest.mark.parametrize("role", list(Role))
def test_a_link_that_does_not_answer_a_probe_is_silent(role: Role) -> None:
    pair = Pair()
    link = pair.client if role is Role.CLIENT else pair.agent
    link.probe(3.0)
    assert types(link.data_to_send()) == [FrameType.PING]
    link.handle_timeout(now=3.0 + PROBE_S - 0.01)
    assert not link.closed
    link.handle_timeout(now=3.0 + PROBE_S)
    closed = last(drain(link), LinkClosed)
    assert (closed.code, closed.error) == (SILENT, None)
    assert "after the network changed" in closed.text
    assert link.data_to_send() == b""


def test_any_bytes_answer_a_probe_even_in_the_same_instant() -> None:
    client = Pair().client
    client.probe(3.0)
    client.receive_data(sample(FrameType.PONG, Role.CLIENT)[:1], now=3.0)
    client.handle_timeout(now=3.0 + PROBE_S)
    assert not client.closed


def test_bytes_from_before_a_probe_are_no_answer() -> None:
    client = Pair().client
    client.receive_data(sample(FrameType.PONG, Role.CLIENT), now=3.0)
    client.probe(3.0)
    client.handle_timeout(now=3.0 + PROBE_S)
    assert client.closed


def test_a_second_change_does_not_give_the_peer_more_time() -> None:
    client = Pair().client
    client.probe(3.0)
    client.probe(4.5)
    assert types(client.data_to_send()) == [FrameType.PING]
    client.handle_timeout(now=3.0 + PROBE_S)
    assert client.closed


def test_a_network_that_flaps_makes_no_storm_of_pings() -> None:
    """Changes every 10 ms for a minute, answered at once: the peer never has to refuse a PING."""
    pair = Pair()
    pings = 0
    for tick in range(6000):
        pair.now = tick / 100
        pair.client.probe(pair.now)
        up = pair.client.data_to_send()
        pings += len(types(up))
        if up:
            pair.agent.receive_data(up, now=pair.now)
        pair.pump()
        assert not pair.agent.closed
    assert 55 <= pings <= 61
    pair.client.probe(59.999)  # the last change is looked at as well, when the next PING may go
    deadline = pair.client.next_deadline()
    assert deadline is not None
    assert deadline <= 61.0
    pair.client.handle_timeout(now=deadline)
    assert types(pair.client.data_to_send()) == [FrameType.PING]
    pair.client.handle_timeout(now=deadline + PROBE_S)
    assert pair.client.closed


def test_a_probe_before_the_greeting_or_after_the_end_does_nothing() -> None:
    client = Link(Role.CLIENT, now=0.0, hello=HELLO)
    client.data_to_send()
    client.probe(1.0)
    assert client.data_to_send() == b""
    assert client.next_deadline() == HELLO_DEADLINE_S
    client = Pair().client
    client.close()
    client.data_to_send()
    client.probe(1.0)
    assert client.data_to_send() == b""
    assert client.next_deadline() is None
