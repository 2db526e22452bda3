"""Seeded fuzzer of the protocol core: mutated and generated frames against a link, in both roles and all phases.

What may come out of a link that was fed anything at all: events, and a CLOSE whose error is a ``RemoteProtocolError``.
Any other exception, a frame the peer would refuse, data out of place or beyond its credit, an event after the last
one, or a reply larger than what was asked for, is a find; it is printed with the bytes that lead to it.

    python -m tests.fuzz.fuzz_frames --frames 1000000 --seed 7
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final

from holdfast.errors import RemoteProtocolError
from holdfast.types import Cause, ExitStatus, JobState, Receipt
from holdfast.wire import messages as m
from holdfast.wire.frames import FrameParser, FrameType, encode_frame
from holdfast.wire.link import DataReceived, HelloReceived, Link, LinkClosed, RequestReceived
from holdfast.wire.phases import ALLOWED, Phase, Role
from tests.fuzz.campaign import Find, campaign

HELLO: Final = m.Hello(1, 1, "f" * 32)
WELCOME: Final = m.Welcome(1, "a", "i", "b", "p")
REQUESTS: Final = (
    m.Run(key="k", argc=2, envc=1, has_cwd=True, stdin=True, credit=5000, hints={"a": "b"}, on_disconnect="keep"),
    m.Get("job"),
    m.List(all=True, limit=5),
    m.Read("job", {"1": 5, "2": 0}, follow=False),
    m.Signal("job", 9, "tree"),
    m.Retry("job", "key"),
)
HEADERS: Final[dict[int, list[bytes]]] = {
    FrameType.HELLO: [m.encode(HELLO), m.encode(m.Hello(2, 3, "f" * 32))],
    FrameType.WELCOME: [m.encode(WELCOME), m.encode(m.Welcome(9, "a", "i", "b", "p"))],
    FrameType.GOAWAY: [m.encode(m.GoAway(108, "x", 5, 1.0))],
    FrameType.CLOSE: [m.encode(m.Close(0, "bye"))],
    FrameType.REQ: [m.encode(request) for request in REQUESTS],
    FrameType.RES: [m.encode(m.ResultAnswer(Receipt("j", Cause.SIGNALED, ExitStatus(signal=9, core=True))))],
    FrameType.ERR: [m.encode(m.Failure(302, "no", "unknown", 1.0, 5))],
    FrameType.EVT: [
        m.encode(m.Accepted("j", JobState.QUEUED, "b", "i")),
        m.encode(m.Started("j", 1, 1.0)),
        m.encode(m.Opened("j", JobState.DONE, {"1": 5}, {"1": 0}, {"1": 0})),
    ],
    FrameType.END: [m.encode(m.End("0" * 32, 0, True)), b""],
}
ALL_HEADERS: Final = [header for headers in HEADERS.values() for header in headers]
TOKENS: Final = [
    b"[",
    b"{",
    b"}",
    b'"',
    b",",
    b":",
    b"null",
    b"-1",
    b"1e999",
    b"9" * 40,
    b"\\ud800",
    b"\xff",
    b"[" * 99,
]
SIZES: Final = [0, 1, 2, 4095, 4096, 4097, 65_535, 65_536, 262_144, 262_145, 2**20, 2**21, 2**31, 2**32 - 1]
POSITIONS: Final = [0, 1, 5, 4096, 5000, 9096, 65_536, 2**31, 2**62, 2**63, 2**64 - 1]


def a_link(role: Role, phase: Phase) -> Link:
    """A link in this phase, with a stream open and its channels ready."""
    link = Link(role, now=0.0, hello=HELLO if role is Role.CLIENT else None)
    if phase is not Phase.PRE:
        if role is Role.CLIENT:
            link.receive_data(encode_frame(FrameType.WELCOME, header=m.encode(WELCOME)), now=0.0)
            for _ in range(3):
                stream = link.request(m.Run(key="k", argc=1), b"x\0", reads={1: (0, 50_000), 2: (0, 50_000)})
                link.open_out(stream, 0, offset=0, limit=0)
        else:
            link.receive_data(encode_frame(FrameType.HELLO, header=m.encode(HELLO)), now=0.0)
            link.welcome(WELCOME)
        if phase is Phase.DRAIN:
            link.goaway(108)
        elif phase is Phase.CLOSED:
            link.close()
    while link.next_event() is not None:
        pass
    link.data_to_send()
    return link


def mutated(rng: random.Random, header: bytes) -> bytes:
    """A header with a few tokens, bytes or ends that do not belong there."""
    found = bytearray(header)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0:
                found[place:place] = rng.choice(TOKENS)
            case 1:
                del found[place : place + rng.randrange(1, 9)]
            case 2 if place < len(found):
                found[place] = rng.randrange(256)
            case _:
                other = rng.choice(ALL_HEADERS)
                found[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(found)


class Peer:
    """What a peer would know that speaks well most of the time: numbers, offsets and credits."""

    def __init__(self, rng: random.Random, role: Role, phase: Phase) -> None:
        self.rng = rng
        self.types = [int(kind) for kind in ALLOWED[role, phase]] or [int(kind) for kind in FrameType]
        self.to_agent = role is Role.AGENT
        self.newest = -1 if self.to_agent else 5
        self.offsets: dict[tuple[int, int], int] = {}
        self.limits: dict[tuple[int, int], int] = {}

    def frame(self) -> bytes:
        """One frame; in one of ten something about it is wrong."""
        rng, right = self.rng, self.rng.random() < 0.9
        type_ = rng.choice(self.types) if right or rng.random() < 0.5 else rng.randrange(256)
        if type_ in (FrameType.CLOSE, FrameType.PING) and rng.random() < 0.9:
            type_ = int(FrameType.DATA)
        stream, channel, position, body = 0, 0, rng.choice(POSITIONS), b""
        if type_ == FrameType.REQ:
            self.newest = stream = self.newest + 2
            body = bytes(rng.choice((0, 2, 4096, 9000)))
        elif type_ >= FrameType.REQ:
            stream = max(1, self.newest - rng.choice((0, 0, 0, 2, 4)))
        if type_ >= FrameType.DATA:
            channel = 0 if self.to_agent == (type_ != FrameType.CREDIT) else rng.choice((1, 2))
            if not self.to_agent and type_ == FrameType.ACK:
                channel = 0
        key = (stream, channel)
        if type_ == FrameType.DATA:
            body = bytes(rng.choice((1, 10, 100, 4096)))
            position = self.offsets.get(key, 0)
            self.offsets[key] = position + len(body)
        elif type_ == FrameType.END:
            position = self.offsets.get(key, 0)
        elif type_ == FrameType.GAP:
            position = self.offsets[key] = self.offsets.get(key, 0) + rng.choice((1, 5000))
        elif type_ == FrameType.CREDIT:
            position = self.limits[key] = self.limits.get(key, 5000) + rng.choice((4096, 10_000))
        elif type_ == FrameType.ACK:
            position = 0
        header = rng.choice(HEADERS.get(type_, [b""]))
        if not right and type_ not in self.types:
            header = rng.choice(ALL_HEADERS)
        if header and rng.random() < 0.05:
            header = mutated(rng, header)
        if not right:
            stream = rng.choice((stream, 0, 1, 2, stream + 2, 2**32 - 1))
            channel = rng.choice((channel, 0, 1, 2, 255))
            position = rng.choice((position, position + 1, *POSITIONS))
        stream, position = stream % 2**32, position % 2**64
        frame = bytearray(
            encode_frame(type_, channel=channel, stream=stream, position=position, header=header, body_bytes=len(body))
        )
        frame += body
        return bytes(frame) if right else self.damaged(frame)

    def damaged(self, frame: bytearray) -> bytes:
        """Sometimes a flipped bit, a length from elsewhere, or a missing end."""
        rng = self.rng
        match rng.randrange(8):
            case 0:
                frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
            case 1:
                frame[4:8] = rng.choice(SIZES).to_bytes(4, "big")
            case 2:
                frame[8:12] = rng.choice(SIZES).to_bytes(4, "big")
            case 3:
                del frame[rng.randrange(len(frame)) :]
            case _:
                pass
        return bytes(frame)


def check_reply(role: Role, reply: bytes) -> None:
    """What we send must be something that a peer in an open connection takes."""
    other = Role.AGENT if role is Role.CLIENT else Role.CLIENT
    bounds = {**ALLOWED[other, Phase.PRE], **ALLOWED[other, Phase.OPEN]}
    parser = FrameParser(bounds)
    parser.feed(reply)
    while parser.next_frame() is not None:
        pass
    if parser.buffered_bytes:
        raise Find(f"half a frame was sent: {reply.hex()}")


def act(rng: random.Random, link: Link, event: object) -> None:
    """Answer as a careless agent would."""
    if isinstance(event, HelloReceived):
        link.welcome(WELCOME)
    elif isinstance(event, RequestReceived) and rng.random() < 0.9:
        link.expect(event.stream, 0, offset=0, limit=50_000)
        for channel in (1, 2):
            link.open_out(event.stream, channel, offset=0, limit=5000)
        if rng.random() < 0.3:
            link.respond(event.stream, m.DoneAnswer())


def one_connection(rng: random.Random, frames: int, figures: Counter[str]) -> int:
    """Feed one link until it closes or has had so many frames; gives how many it had."""
    phases = [key for key in ALLOWED if key[1] is not Phase.ENROL]  # which no link is ever in: see fuzz_enrol
    role, phase = rng.choice([key for key in phases for _ in range(1 if key[1] is Phase.CLOSED else 5)])
    link = a_link(role, phase)
    peer = Peer(rng, role, phase)
    offsets: dict[tuple[int, int], int] = {}
    now, fed, over = 0.0, 0, phase is Phase.CLOSED
    while fed < frames:
        batch = [peer.frame() for _ in range(rng.randrange(1, 5))]
        wire = b"".join(batch)
        fed += len(batch)
        now += rng.choice((0.0, 0.1, 1.0))
        cut = rng.randrange(len(wire) + 1)
        for chunk in (wire[:cut], bytearray(wire[cut:])):
            if chunk:
                link.receive_data(chunk, now=now)
        link.handle_timeout(now=now)
        while (event := link.next_event()) is not None:
            figures[type(event).__name__] += 1
            if over:
                raise Find(f"{event} after the last event")
            if isinstance(event, LinkClosed):
                over = True
                if event.error is not None:
                    if not isinstance(event.error, RemoteProtocolError):
                        raise Find(f"closed by {event.error!r}")
                    figures[f"error {event.code}"] += 1
            elif isinstance(event, DataReceived):
                key = (event.stream, event.channel)
                if event.offset < offsets.get(key, 0):
                    raise Find(f"bytes told twice: {event}")
                offsets[key] = event.offset + len(event.data)
            if not link.closed:
                act(rng, link, event)
        reply = link.data_to_send()
        check_reply(role, reply)
        if len(reply) > 8 * len(wire) + 4096:
            raise Find(f"{len(reply)} bytes of reply to {len(wire)}")
        if link.closed != over:
            raise Find("closed without saying so")
        if over:
            break
    figures["connections"] += 1
    return fed


def fuzz(frames: int, seed: int, say: Callable[[str], None] = print) -> Counter[str]:
    """Run so many frames.

    Raises:
        Find: something came out that must not; the message tells the seed of the connection.
    """
    rng = random.Random(seed)
    figures: Counter[str] = Counter()
    fed = 0
    while fed < frames:
        connection_seed = rng.randrange(2**63)
        try:
            fed += one_connection(random.Random(connection_seed), min(200, frames - fed + 4), figures)
        except Exception as error:
            raise Find(f"seed {seed}, connection seed {connection_seed}: {type(error).__name__}: {error}") from error
    figures["frames"] = fed
    say(f"seed {seed}: {fed} frames, " + ", ".join(f"{name} {count}" for name, count in sorted(figures.items())))
    return figures


if __name__ == "__main__":
    sys.exit(campaign(fuzz, __doc__))
