"""Two links joined by nothing but byte strings, and the samples that the tests of this room share."""

from __future__ import annotations

from typing import TypeVar

from holdfast.types import Cause, ExitStatus, JobState, Receipt
from holdfast.wire import events
from holdfast.wire.certificate import fingerprint
from holdfast.wire.enrol import EnrolAsk, EnrolChallenge, EnrolClient, EnrolServer
from holdfast.wire.frames import Frame, FrameParser, FrameType, encode_frame
from holdfast.wire.invitation import Invitation
from holdfast.wire.link import Link, LinkClosed, LinkEvent
from holdfast.wire.messages import (
    Accepted,
    Close,
    End,
    Failure,
    Get,
    GoAway,
    Hello,
    Opened,
    ResultAnswer,
    Run,
    Started,
    Welcome,
    encode,
)
from holdfast.wire.phases import Phase, Role
from holdfast.wire.request_types import RoleName
from tests.unit.wire.certificates import AGENT, CLIENT

E = TypeVar("E", bound=LinkEvent)

HELLO = Hello(lowest=1, highest=1, instance="i" * 32)
WELCOME = Welcome(protocol=1, agent="a1", incarnation="inc", boot_id="boot", principal="ada")
RUN = Run(key="k", argc=1)
RUN_BODY = b"/bin/true\0"
ACCEPTED = Accepted(job="j" * 12, state=JobState.RUNNING, boot_id="boot", incarnation="inc")
STARTED = Started(job="j" * 12, pid=42, started_unix_s=1.5)
OPENED = Opened(job="j" * 12, state=JobState.DONE)
ASK = EnrolAsk("0" * 16, CLIENT, b"n" * 32, "ada@laptop")
RESULT = ResultAnswer(Receipt(job="j" * 12, cause=Cause.EXITED, exit=ExitStatus(code=0)))
EVERYTHING = dict.fromkeys(range(256), (1 << 32, 1 << 32))


class Pair:
    """A client and an agent in one process; ``pump`` carries bytes until both are silent."""

    def __init__(self, *, opened: bool = True, now: float = 0.0) -> None:
        self.now = now
        self.client = Link(Role.CLIENT, now=now, hello=HELLO)
        self.agent = Link(Role.AGENT, now=now)
        self.at_client: list[LinkEvent] = []
        self.at_agent: list[LinkEvent] = []
        if opened:
            self.pump()
            self.agent.welcome(WELCOME)
            self.pump()
            assert self.client.phase is self.agent.phase is Phase.OPEN
            self.at_client.clear()
            self.at_agent.clear()

    def pump(self) -> None:
        """Carry bytes both ways until there are none, and collect the events."""
        while True:
            up, down = self.client.data_to_send(), self.agent.data_to_send()
            if up:
                self.agent.receive_data(up, now=self.now)
            if down:
                self.client.receive_data(down, now=self.now)
            self.at_client += drain(self.client)
            self.at_agent += drain(self.agent)
            if not up and not down:
                return

    def run(self, *, credit: int = 1 << 18, stdin: bool = False) -> int:
        """Open a stream with an attached RUN, channels 1 and 2 ready on both sides; 0 too with ``stdin``."""
        reads = {1: (0, credit), 2: (0, credit)}
        stream = self.client.request(Run(key="k", argc=1, credit=credit, stdin=stdin), RUN_BODY, reads=reads)
        self.pump()
        self.agent.open_out(stream, 1, offset=0, limit=credit)
        self.agent.open_out(stream, 2, offset=0, limit=credit)
        if stdin:
            self.client.open_out(stream, 0, offset=0, limit=0)
            self.agent.expect(stream, 0, offset=0, limit=0)
            self.agent.grant(stream, 0, credit)
            self.pump()
        self.at_agent.clear()
        return stream


class Enrolling:
    """A side of an enrolment, with the face of a link."""

    def __init__(self, core: EnrolClient | EnrolServer) -> None:
        self.core = core
        self.phase = Phase.ENROL
        self._told = False

    @property
    def closed(self) -> bool:
        return self.core.closed

    def receive_data(self, data: bytes, *, now: float) -> None:
        self.core.receive_data(data)

    def data_to_send(self) -> bytes:
        return self.core.data_to_send()

    def next_event(self) -> LinkEvent | None:
        """LinkClosed, once, when it has failed."""
        error = self.core.error
        if error is None or self._told:
            return None
        self._told = True
        return LinkClosed(getattr(error, "code", -1), str(error))


class Book:
    """The invitations of an agent, as simple as can be: ``uses`` tells who came in, ``failures`` who did not."""

    def __init__(self, *invitations: Invitation) -> None:
        self.open = {each.id: each for each in invitations}
        self.uses: list[tuple[str, bytes, str]] = []
        self.failures: list[str] = []
        self.refusal: Exception | None = None

    def secret_of(self, invitation: str) -> bytes | None:
        return self.open[invitation].secret if invitation in self.open else None

    def role_of(self, invitation: str) -> RoleName | None:
        return self.open[invitation].role if invitation in self.open else None

    def failed(self, invitation: str) -> None:
        self.failures.append(invitation)

    def used(self, invitation: str, certificate: bytes, name: str) -> tuple[str, RoleName]:
        if self.refusal is not None:
            raise self.refusal
        self.uses.append((invitation, certificate, name))
        return f"{name}-2", self.open[invitation].role


INVITATION = Invitation("tls://web1:7420", fingerprint(AGENT), b"s" * 16, "operator", 2e9)


def enrol_client(invitation: Invitation = INVITATION, *, agent: bytes = AGENT, nonce: bytes = b"c" * 32) -> EnrolClient:
    """A client that wants in."""
    return EnrolClient(invitation, certificate=CLIENT, agent_certificate=agent, name="ada@laptop", nonce=nonce)


def enrol_server(book: Book | None = None, *, agent: bytes = AGENT, nonce: bytes = b"a" * 32) -> EnrolServer:
    """An agent with ``INVITATION`` open."""
    return EnrolServer(agent_certificate=agent, nonce=nonce, decide=book or Book(INVITATION), host="web1")


def drain(link: Link | Enrolling) -> list[LinkEvent]:
    """All events of a link."""
    found: list[LinkEvent] = []
    while (event := link.next_event()) is not None:
        found.append(event)
    return found


def last(found: list[LinkEvent], kind: type[E]) -> E:
    """The last event, which must be of this type."""
    assert found, "no event at all"
    assert isinstance(found[-1], kind), found[-1]
    return found[-1]


def frames_of(data: bytes) -> list[Frame]:
    """All frames of a byte string, which must hold nothing else."""
    parser = FrameParser(EVERYTHING)
    parser.feed(data)
    found = []
    while (frame := parser.next_frame()) is not None:
        found.append(frame)
    assert parser.buffered_bytes == 0
    return found


def side_in(role: Role, phase: Phase) -> Link | Enrolling:
    """As ``link_in``, in any phase there is."""
    if phase is not Phase.ENROL:
        return link_in(role, phase)
    side = Enrolling(enrol_client() if role is Role.CLIENT else enrol_server())
    side.data_to_send()
    return side


def link_in(role: Role, phase: Phase) -> Link:
    """A link in this phase, nothing to send, no events; OPEN and DRAIN have stream 1 open with all channels."""
    if phase is Phase.PRE:
        link = Link(role, now=0.0, hello=HELLO if role is Role.CLIENT else None)
        link.data_to_send()
        return link
    pair = Pair()
    pair.run(stdin=True)
    link = pair.client if role is Role.CLIENT else pair.agent
    if phase is Phase.DRAIN:
        pair.agent.goaway(108)
        pair.pump()
    if phase is Phase.CLOSED:
        link.close()
    link.data_to_send()
    drain(link)
    assert link.phase is phase
    return link


def sample(type_: int, role: Role) -> bytes:
    """A legal frame of this type, as a receiver in ``role`` could get it on stream 1 in ``link_in``."""
    sending = 0 if role is Role.AGENT else 1
    receiving = 1 if role is Role.AGENT else 0
    bodies = {FrameType.REQ: RUN_BODY, FrameType.DATA: b"data"}
    headers = {
        FrameType.HELLO: encode(HELLO),
        FrameType.WELCOME: encode(WELCOME),
        FrameType.GOAWAY: encode(GoAway(108, "restart")),
        FrameType.CLOSE: encode(Close()),
        FrameType.ENROL: encode(ASK if role is Role.AGENT else EnrolChallenge(b"n" * 32)),
        FrameType.REQ: encode(RUN),
        FrameType.RES: encode(RESULT),
        FrameType.ERR: encode(Failure(302, "no such job")),
        FrameType.EVT: encode(ACCEPTED),
        FrameType.END: encode(End(xxh3="0" * 32)),
    }
    channels = {FrameType.DATA: sending, FrameType.END: sending, FrameType.GAP: sending}
    channels |= {FrameType.CREDIT: receiving, FrameType.ACK: receiving}
    positions = {FrameType.CREDIT: 1 << 20, FrameType.GAP: 5000, FrameType.PING: 7, FrameType.PONG: 7}
    kind = FrameType(type_)
    stream = 0 if kind < FrameType.REQ else 3 if kind is FrameType.REQ else 1
    body = bodies.get(kind, b"")
    return (
        encode_frame(
            kind,
            channel=channels.get(kind, 0),
            stream=stream,
            position=positions.get(kind, 0),
            header=headers.get(kind, b""),
            body_bytes=len(body),
        )
        + body
    )


__all__ = [
    "ACCEPTED",
    "ASK",
    "EVERYTHING",
    "HELLO",
    "INVITATION",
    "OPENED",
    "RESULT",
    "RUN",
    "RUN_BODY",
    "STARTED",
    "WELCOME",
    "Book",
    "Enrolling",
    "Get",
    "Pair",
    "drain",
    "enrol_client",
    "enrol_server",
    "events",
    "frames_of",
    "last",
    "link_in",
    "sample",
    "side_in",
]
