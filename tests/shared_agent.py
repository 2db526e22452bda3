"""A memory agent that keeps shared objects: the real machine behind pretended connections, on a clock of the tests."""

from __future__ import annotations

from holdfast.coordination.core import Refusal
from holdfast.coordination.records import Answer, Asked, Renewed, Tick, encode
from holdfast.coordination.sessions import Pending
from holdfast.coordination.space import Space
from holdfast.wire import messages as m
from holdfast.wire.link import HelloReceived, LinkEvent
from tests.memory_agent import AgentConnection, MemoryAgent


class SharingAgent(MemoryAgent):
    """Keeps objects over connections, as a real one does over its own death."""

    def __init__(self) -> None:
        super().__init__({})
        self.space = Space()
        self.now = 100.0
        self.streams: dict[tuple[str, int], tuple[SharingConnection, int]] = {}
        self.unsent: list[Answer] = []
        self.swallow = False
        """Answers are kept and not sent, until the next connection asks again."""

    def connect(self, now: float) -> AgentConnection:
        return SharingConnection(self, now)

    def apply(self, record: Asked | Renewed | Tick) -> None:
        for effect in self.space.apply(encode(record), self.now):
            if isinstance(effect, Answer) and not self.swallow:
                self.tell(effect)

    def tell(self, answer: Answer) -> None:
        connection, stream = self.streams.pop((answer.instance, answer.number), (None, 0))
        if connection is None:
            return
        if answer.code:
            connection.link.fail(stream, m.Failure(answer.code, answer.text))
        else:
            assert answer.header is not None
            connection.link.respond(stream, answer.header, answer.body)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.apply(Tick())


class SharingConnection(AgentConnection):
    """One connection of it."""

    agent: SharingAgent
    instance = ""

    def _on(self, event: LinkEvent) -> None:
        if isinstance(event, HelloReceived):
            self.instance = event.hello.instance
        super()._on(event)

    def _request(self, stream: int, request: m.AnyRequest, body: bytes) -> None:
        agent, instance = self.agent, self.instance
        if isinstance(request, m.Numbered):
            agent.streams[instance, request.number] = (self, stream)
            known = agent.space.known(instance, request.number)
            if isinstance(known, Answer):
                agent.tell(known)
            elif not isinstance(known, Pending):
                agent.apply(Asked(instance, "me", request, body))
        elif isinstance(request, m.Renew):
            agent.apply(Renewed(instance, "me", request.ttl_s))
            self.link.respond(stream, m.RenewAnswer(agent.space.is_here(instance)))
        elif isinstance(request, (m.ObjectState, m.Leases)):
            try:
                self.link.respond(stream, agent.space.look(request, agent.now))
            except Refusal as refusal:
                self.link.fail(stream, m.Failure(refusal.code, str(refusal)))
        else:
            super()._request(stream, request, body)
