"""Two linked links against a simple model: any order of asking, sending, granting, cancelling, delivering in pieces."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.types import JobState
from holdfast.wire.limits import CREDIT_STEP_BYTES
from holdfast.wire.link import (
    AckReceived,
    Answered,
    Cancelled,
    DataReceived,
    EndReceived,
    Failed,
    GapReceived,
    GoAwayReceived,
    Link,
    LinkClosed,
    RequestReceived,
)
from holdfast.wire.messages import ReadAnswer, Run
from holdfast.wire.phases import Phase
from tests.unit.wire.pair import RUN_BODY, Pair, drain


def content(stream: int, channel: int, start: int, end: int) -> bytes:
    """What a channel holds: each byte follows from its place, so a wrong one is seen."""
    return bytes((stream * 7 + channel * 31 + place) & 0xFF for place in range(start, end))


class Channel:
    """One direction of one channel, as both ends ought to see it."""

    def __init__(self, limit: int) -> None:
        self.made = 0
        self.granted = limit
        self.received = 0
        self.gap_at: set[int] = set()
        self.finished = False
        self.ended = False


class Linked(RuleBasedStateMachine):
    """The rules act on one side; ``deliver`` carries some bytes of one direction to the other."""

    @initialize()
    def connect(self) -> None:
        pair = Pair()
        self.client, self.agent = pair.client, pair.agent
        self.now = 0.0
        self.up = bytearray()
        self.down = bytearray()
        self.asked: set[int] = set()
        self.at_agent: set[int] = set()
        self.cancelled: set[int] = set()
        self.closed_streams: dict[int, str] = {}
        self.channels: dict[tuple[int, int], Channel] = {}
        self.draining = False

    # --- what the client does ----------------------------------------------------------------------------------------

    @rule(credit=st.integers(0, 20_000))
    def ask(self, credit: int) -> None:
        if self.client.phase is not Phase.OPEN:
            return
        run = Run(key="k", argc=1, credit=credit, stdin=True)
        stream = self.client.request(run, RUN_BODY, reads={1: (0, credit), 2: (0, credit)})
        self.client.open_out(stream, 0, offset=0, limit=0)
        self.asked.add(stream)
        for channel in (0, 1, 2):
            self.channels[stream, channel] = Channel(credit if channel else 0)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), more=st.integers(0, 3 * CREDIT_STEP_BYTES))
    def grant(self, data: st.DataObject, more: int) -> None:
        stream, channel = data.draw(st.sampled_from([(s, c) for s in sorted(self.asked) for c in (1, 2)]))
        model = self.channels[stream, channel]
        before = len(self.client._out)
        self.client.grant(stream, channel, max(model.granted, model.received) + more)
        if len(self.client._out) > before:
            model.granted = max(model.granted, model.received) + more

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(sorted(self.asked)))
        self.client.cancel(stream)
        self.asked.discard(stream)
        self.cancelled.add(stream)

    # --- what the agent does -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.at_agent)
    @rule(data=st.data(), size=st.integers(1, 30_000))
    def produce(self, data: st.DataObject, size: int) -> None:
        stream, channel = data.draw(st.sampled_from([(s, c) for s in sorted(self.at_agent) for c in (1, 2)]))
        model = self.channels[stream, channel]
        if not model.finished:
            model.made += size
            self.agent.offer(stream, channel, model.made)

    @precondition(lambda self: self.at_agent)
    @rule(data=st.data(), skip=st.integers(1, 10_000))
    def lose_the_oldest(self, data: st.DataObject, skip: int) -> None:
        stream, channel = data.draw(st.sampled_from([(s, c) for s in sorted(self.at_agent) for c in (1, 2)]))
        model, offset = self.channels[stream, channel], self.agent.out_offset(stream, channel)
        if offset is not None:
            self.agent.send_gap(stream, channel, offset + skip)
            model.made = max(model.made, offset + skip)
            model.gap_at.add(offset + skip)
            self.agent.offer(stream, channel, model.made)

    @rule(turns=st.integers(1, 5))
    def serve(self, turns: int) -> None:
        self.take_turns(self.agent, turns)

    @precondition(lambda self: self.at_agent)
    @rule(data=st.data())
    def finish_a_channel(self, data: st.DataObject) -> None:
        stream, channel = data.draw(st.sampled_from([(s, c) for s in sorted(self.at_agent) for c in (1, 2)]))
        model = self.channels[stream, channel]
        if self.agent.out_offset(stream, channel) == model.made:
            self.agent.send_end(stream, channel, model.made)
            model.finished = True

    @precondition(lambda self: self.at_agent)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(sorted(self.at_agent)))
        self.agent.respond(stream, ReadAnswer(JobState.DONE))
        self.at_agent.discard(stream)

    @precondition(lambda self: self.at_agent)
    @rule(data=st.data(), more=st.integers(0, 3 * CREDIT_STEP_BYTES))
    def want_input(self, data: st.DataObject, more: int) -> None:
        stream = data.draw(st.sampled_from(sorted(self.at_agent)))
        model = self.channels[stream, 0]
        before = len(self.agent._out)
        self.agent.grant(stream, 0, model.granted + more)
        if len(self.agent._out) > before:
            model.granted += more
        self.agent.ack(stream, 0, model.received)

    @rule()
    def restart(self) -> None:
        self.agent.goaway(108, "restarting")
        self.draining = True

    # --- input, time, delivery ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), size=st.integers(1, 10_000))
    def type_input(self, data: st.DataObject, size: int) -> None:
        stream = data.draw(st.sampled_from(sorted(self.asked)))
        if self.client.out_offset(stream, 0) is not None:
            self.channels[stream, 0].made += size
            self.client.offer(stream, 0, self.channels[stream, 0].made)
            self.take_turns(self.client, 3)

    @rule(seconds=st.sampled_from([0.1, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.deliver_all()
        self.now += seconds
        for link in (self.client, self.agent):
            link.handle_timeout(now=self.now)
        self.deliver_all()

    @rule(count=st.integers(1, 40_000))
    def deliver_up(self, count: int) -> None:
        self.collect()
        self.carry(self.agent, self.up, count)

    @rule(count=st.integers(1, 40_000))
    def deliver_down(self, count: int) -> None:
        self.collect()
        self.carry(self.client, self.down, count)

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def nobody_broke_the_rules(self) -> None:
        if hasattr(self, "client"):
            assert not self.client.closed
            assert not self.agent.closed
            assert self.client.open_streams == len(self.asked)

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        self.deliver_all()
        for stream in sorted(self.at_agent):
            for channel in (1, 2):
                model = self.channels[stream, channel]
                self.client.grant(stream, channel, model.made + CREDIT_STEP_BYTES + model.granted)
                model.granted = model.made + CREDIT_STEP_BYTES + model.granted
        self.deliver_all()
        self.take_turns(self.agent, 1 << 20)
        self.deliver_all()
        for stream in sorted(self.at_agent):
            for channel in (1, 2):
                assert self.channels[stream, channel].received == self.channels[stream, channel].made
            self.agent.respond(stream, ReadAnswer(JobState.DONE))
        self.deliver_all()
        self.nobody_broke_the_rules()
        assert self.client.open_streams == self.agent.open_streams == 0

    # --- machinery ---------------------------------------------------------------------------------------------------

    def take_turns(self, link: Link, turns: int) -> None:
        for _ in range(turns):
            turn = link.next_turn()
            if turn is None:
                return
            assert turn.size > 0
            assert turn.stream in (self.at_agent if link is self.agent else self.asked), (
                "a turn of a stream that is over"
            )
            data = content(turn.stream, turn.channel, turn.offset, turn.offset + turn.size)
            link.send_data(turn.stream, turn.channel, data)

    def collect(self) -> None:
        self.up += self.client.data_to_send()
        self.down += self.agent.data_to_send()

    def carry(self, link: Link, wire: bytearray, count: int) -> None:
        piece = bytes(wire[:count])
        del wire[:count]
        if piece:
            link.receive_data(piece, now=self.now)
        for event in drain(link):
            self.told(event)

    def deliver_all(self) -> None:
        self.collect()
        while self.up or self.down:
            self.carry(self.agent, self.up, len(self.up))
            self.carry(self.client, self.down, len(self.down))
            self.collect()

    def told(self, event: object) -> None:
        assert not isinstance(event, LinkClosed), event
        if isinstance(event, RequestReceived):
            assert not self.draining
            self.at_agent.add(event.stream)
            assert isinstance(event.request, Run)
            for channel in (1, 2):
                self.agent.open_out(event.stream, channel, offset=0, limit=event.request.credit)
            self.agent.expect(event.stream, 0, offset=0, limit=0)
        elif isinstance(event, DataReceived):
            model = self.channels[event.stream, event.channel]
            assert event.offset == model.received
            assert event.data == content(event.stream, event.channel, event.offset, event.offset + len(event.data))
            model.received += len(event.data)
            assert model.received <= max(model.granted, *model.gap_at, 0)
        elif isinstance(event, GapReceived):
            model = self.channels[event.stream, event.channel]
            assert event.offset in model.gap_at
            assert event.offset > model.received
            model.received = event.offset
        elif isinstance(event, EndReceived):
            model = self.channels[event.stream, event.channel]
            assert event.length == model.received == model.made
            assert not model.ended
            model.ended = True
        elif isinstance(event, Answered | Failed):
            assert event.stream in self.asked
            self.asked.discard(event.stream)
            if isinstance(event, Failed):
                assert event.failure.code == 108
                assert self.draining
        elif isinstance(event, Cancelled):
            assert event.stream in self.cancelled
            self.at_agent.discard(event.stream)
        elif isinstance(event, AckReceived):
            assert event.offset <= self.channels[event.stream, 0].made
        elif isinstance(event, GoAwayReceived):
            assert self.draining


Linked.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestLinked = Linked.TestCase
