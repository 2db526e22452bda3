"""The core of a client by itself: final refusals, the back-off, and changes of the network."""

from __future__ import annotations

import os

import pytest

from holdfast.client import calls
from holdfast.client.exchange import CallExchange
from holdfast.client.feed import JobFeed
from holdfast.client.session import PROBE_EVERY_S, Phase, Session
from holdfast.errors import ConnectFailed, HoldfastError, KeyChanged, Unauthorized
from holdfast.types import JobState
from holdfast.wire import messages as m
from holdfast.wire.events import HelloReceived, RequestReceived
from holdfast.wire.frames import FrameParser, FrameType
from holdfast.wire.limits import SILENCE_S
from holdfast.wire.link import Link
from holdfast.wire.phases import ALLOWED, Role
from holdfast.wire.phases import Phase as LinkPhase

WELCOME = m.Welcome(1, "a" * 32, "i" * 32, "b" * 32, "anna@desk")
RETRY_MOST_S = 0.05


class Duel:
    """A session, and the agent's end of its connections, on a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.session = Session(instance="c" * 32, software="holdfast/0.1.0", random=lambda: 0.9, connect_s=50.0)
        self.agent = Link(Role.AGENT, now=self.now)
        self.session.open(now=self.now)

    def connect(self) -> None:
        assert self.session.wants_connection(now=self.now)
        self.agent = Link(Role.AGENT, now=self.now)
        self.session.connected(now=self.now)
        assert isinstance(self.heard()[0], HelloReceived)

    def welcome(self) -> None:
        self.connect()
        self.agent.welcome(WELCOME)
        self.say()
        assert self.session.phase is Phase.OPEN

    def heard(self) -> list[object]:
        """What the agent is told now."""
        self.agent.receive_data(self.session.data_to_send(), now=self.now)
        events: list[object] = []
        while (event := self.agent.next_event()) is not None:
            events.append(event)
        return events

    def say(self) -> None:
        self.session.receive_data(self.agent.data_to_send(), now=self.now)

    def cut(self) -> float:
        """Break the connection; the time until the next attempt."""
        self.session.disconnected("a cut", now=self.now)
        return self.wait()

    def wait(self) -> float:
        """Sleep until the next attempt."""
        at = self.session.next_deadline()
        assert self.session.phase is Phase.DOWN
        assert at is not None
        before, self.now = self.now, at
        return at - before

    def run(self) -> JobFeed:
        request = calls.run_request(["x"], fresh_key="k", encode=os.fsencode)
        feed = JobFeed.run(request, collect=True)
        self.session.submit(feed, now=self.now)
        return feed


def frames(data: bytes) -> list[int]:
    parser = FrameParser(ALLOWED[Role.AGENT, LinkPhase.OPEN])
    parser.feed(data)
    found = []
    while (frame := parser.next_frame()) is not None:
        found.append(frame.type)
    return found


@pytest.mark.parametrize("code", [200, 201, 202])
def test_a_refusal_while_greeting_again_is_final(code: int) -> None:
    duel = Duel()
    duel.welcome()
    feed = duel.run()
    duel.heard()
    duel.cut()
    duel.connect()
    duel.agent.close(code, "not you")
    duel.say()
    assert isinstance(feed.error, Unauthorized)
    assert (feed.error.code, feed.error.ran) == (code, "unknown")
    assert (duel.session.phase, duel.session.next_deadline()) == (Phase.IDLE, None)


def test_a_client_that_is_revoked_is_told_so_and_does_not_come_back() -> None:
    duel = Duel()
    duel.welcome()
    feed, waiting = duel.run(), CallExchange(calls.status())
    duel.heard()
    duel.session.submit(waiting, now=duel.now)
    duel.agent.close(202, "revoked")
    duel.say()
    for exchange in (feed, waiting):
        assert isinstance(exchange.error, Unauthorized)
        assert (str(exchange.error), exchange.error.code, exchange.error.ran) == ("revoked", 202, "unknown")
    assert feed.error is not waiting.error
    assert not duel.session.wants_connection(now=duel.now + 1e6)


@pytest.mark.parametrize("error", [Unauthorized("no", code=200), KeyChanged("another key"), HoldfastError("bad file")])
def test_a_way_that_is_closed_for_good_ends_what_was_under_way(error: HoldfastError) -> None:
    duel = Duel()
    duel.welcome()
    feed = duel.run()
    duel.heard()
    duel.cut()
    unsent = CallExchange(calls.status())
    duel.session.submit(unsent, now=duel.now)
    duel.session.connect_failed(error, now=duel.now)
    for exchange, ran in ((feed, "unknown"), (unsent, "no")):
        assert type(exchange.error) is type(error)
        assert (str(exchange.error), exchange.error.ran) == (str(error), ran)
    assert duel.session.refusal is error
    assert duel.session.phase is Phase.IDLE


def test_an_alert_after_the_handshake_is_final_and_a_broken_one_is_not() -> None:
    duel = Duel()
    duel.welcome()
    feed = duel.run()
    duel.session.disconnected("bad record", now=duel.now)
    assert (duel.session.phase, feed.error) == (Phase.DOWN, None)
    duel.wait()
    duel.connect()
    duel.session.refused(Unauthorized("certificate unknown", code=200), now=duel.now)
    assert isinstance(feed.error, Unauthorized)
    assert not duel.session.transport_wanted


def test_something_new_may_be_asked_after_a_refusal() -> None:
    duel = Duel()
    duel.session.refused(Unauthorized("no", code=200), now=duel.now)
    duel.session.submit(CallExchange(calls.status()), now=duel.now)
    duel.welcome()


def test_being_welcomed_is_no_progress() -> None:
    duel = Duel()
    duel.welcome()
    duel.run()
    delays = []
    for _ in range(8):
        delays.append(duel.cut())
        duel.welcome()
        duel.heard()
    assert delays[0] <= RETRY_MOST_S
    assert all(delay > RETRY_MOST_S for delay in delays[1:])
    assert delays[-1] > 10


@pytest.mark.parametrize("what", ["accepted", "data", "answer"])
def test_the_first_new_byte_or_answer_starts_the_back_off_over(what: str) -> None:
    duel = Duel()
    duel.welcome()
    duel.run()
    duel.heard()
    for _ in range(4):
        duel.cut()
        duel.welcome()
        requests = [event.stream for event in duel.heard() if isinstance(event, RequestReceived)]
    if what == "accepted":
        duel.agent.event(requests[0], 1, m.Accepted("job000000001", JobState.QUEUED, "b" * 32, "i" * 32))
    elif what == "data":
        duel.agent.open_out(requests[0], 1, offset=0, limit=100)
        duel.agent.send_data(requests[0], 1, b"x")
    else:
        duel.agent.fail(requests[0], m.Failure(300, "no"))
    duel.say()
    duel.run()
    assert duel.cut() <= RETRY_MOST_S


def test_credit_and_an_old_acknowledgement_are_no_progress() -> None:
    duel = Duel()
    duel.welcome()
    request = calls.run_request(["x"], fresh_key="k", encode=os.fsencode, stdin=True)
    duel.session.submit(JobFeed.run(request, collect=True, input=b"abc"), now=duel.now)
    duel.heard()
    for _ in range(3):
        duel.cut()
        duel.welcome()
        stream = next(event.stream for event in duel.heard() if isinstance(event, RequestReceived))
        duel.agent.expect(stream, 0, offset=0, limit=1)
        duel.agent.grant(stream, 0, 65_536)
        duel.agent.ack(stream, 0, 0)
        duel.say()
    duel.heard()
    assert duel.cut() > RETRY_MOST_S
    duel.welcome()
    stream = next(event.stream for event in duel.heard() if isinstance(event, RequestReceived))
    duel.agent.expect(stream, 0, offset=0, limit=1)
    duel.agent.grant(stream, 0, 65_536)
    duel.say()
    duel.heard()
    duel.agent.ack(stream, 0, 3)
    duel.say()
    assert duel.cut() <= RETRY_MOST_S


def down_for_long(duel: Duel) -> float:
    """Failed attempts until the next one is far away; when that is."""
    duel.session.submit(CallExchange(calls.status()), now=duel.now)
    while True:
        duel.session.connect_failed(ConnectFailed("no route"), now=duel.now)
        at = duel.session.next_deadline()
        assert at is not None
        if at - duel.now > 2:
            return at
        duel.now = at


def test_a_change_of_the_network_is_worth_an_attempt_at_once() -> None:
    duel = Duel()
    later = down_for_long(duel)
    duel.now += 1.0
    duel.session.network_changed(now=duel.now)
    assert duel.session.wants_connection(now=duel.now)
    duel.session.connect_failed(ConnectFailed("no route"), now=duel.now)
    at = duel.session.next_deadline()
    assert at is not None
    assert at - duel.now > 2, "the back-off itself goes on"
    assert later > duel.now


def test_a_network_that_changes_all_the_time_is_no_reason_to_hammer() -> None:
    duel = Duel()
    down_for_long(duel)
    duel.session.network_changed(now=duel.now)
    assert not duel.session.wants_connection(now=duel.now + 0.099)
    assert duel.session.wants_connection(now=duel.now + 0.1)


def test_what_the_agent_asked_to_wait_is_waited() -> None:
    duel = Duel()
    duel.welcome()
    duel.run()
    duel.heard()
    duel.agent.goaway(108, "later", 9.0)
    duel.say()
    duel.session.disconnected("it left", now=duel.now)
    duel.session.network_changed(now=duel.now + 1)
    assert duel.session.next_deadline() == duel.now + 9.0


def test_an_open_connection_is_probed_after_a_change_and_lost_without_an_answer() -> None:
    duel = Duel()
    duel.welcome()
    feed = duel.run()
    duel.heard()
    duel.session.network_changed(now=duel.now)
    assert frames(duel.session.data_to_send()) == [FrameType.PING]
    deadline = duel.session.next_deadline()
    assert deadline is not None
    assert deadline <= duel.now + 2.0 < duel.now + SILENCE_S
    duel.now = deadline
    duel.session.handle_timeout(now=duel.now)
    assert (duel.session.phase, feed.error) == (Phase.DOWN, None)


def test_probes_are_few() -> None:
    duel = Duel()
    duel.welcome()
    sent = 0
    end = duel.now + 20 * PROBE_EVERY_S
    while duel.now < end:
        duel.session.network_changed(now=duel.now)
        asked = duel.session.data_to_send()
        sent += len(frames(asked))
        if asked:
            duel.agent.receive_data(asked, now=duel.now)
        if answer := duel.agent.data_to_send():
            duel.session.receive_data(answer, now=duel.now)
        duel.now += 0.05
    assert 10 <= sent <= 21
    assert duel.session.phase is Phase.OPEN


def test_the_last_of_many_changes_is_probed_too() -> None:
    duel = Duel()
    duel.welcome()
    duel.session.network_changed(now=duel.now)
    duel.heard()
    duel.say()
    duel.session.network_changed(now=duel.now + 0.1)
    assert not duel.session.data_to_send()
    assert duel.session.next_deadline() == duel.now + PROBE_EVERY_S
    duel.session.handle_timeout(now=duel.now + PROBE_EVERY_S)
    assert frames(duel.session.data_to_send()) == [FrameType.PING]


def test_a_mistake_of_ours_is_told_to_who_waits_and_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    duel = Duel()
    duel.welcome()
    call = CallExchange(calls.status())
    duel.session.submit(call, now=duel.now)
    duel.heard()
    monkeypatch.setattr(CallExchange, "failed", _stumbles)
    duel.agent.fail(1, m.Failure(m.ErrorCode.INVALID, "no"))
    duel.say()
    with pytest.raises(HoldfastError, match="a mistake of this client: AttributeError: planted") as caught:
        call.poll()
    assert isinstance(caught.value.__cause__, AttributeError)
    monkeypatch.undo()
    again = CallExchange(calls.status())
    duel.session.submit(again, now=duel.now)
    duel.welcome()
    assert [type(event) for event in duel.heard()] == [RequestReceived]


def _stumbles(*_: object) -> None:
    raise AttributeError("planted")
