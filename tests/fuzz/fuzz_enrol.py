"""Seeded fuzzer of enrolment: somebody stands between a client and an agent and does to their frames what it likes.

It cuts, repeats, drops and mutates frames, puts in ones of its own and ones from earlier connections, and changes
fields. What may come out: an answer, a refusal, or an error of ours. Any other exception, a key let in that was not
asked for in these very words by one who has the secret, a client that believes what the agent did not say, or a reply
of more than one small frame for each one fed, is a find.

    python -m tests.fuzz.fuzz_enrol --frames 1000000 --seed 7
"""

from __future__ import annotations

import json
import random
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from holdfast.errors import HoldfastError, Refused
from holdfast.wire.certificate import fingerprint
from holdfast.wire.enrol import EnrolClient, EnrolServer
from holdfast.wire.frames import FrameParser, FrameType, encode_frame
from holdfast.wire.invitation import Invitation
from holdfast.wire.limits import CONTROL_BYTES_BEFORE_WELCOME, PREFIX_BYTES
from holdfast.wire.phases import ALLOWED, Phase, Role
from holdfast.wire.request_types import RoleName
from tests.fuzz.campaign import Find, campaign
from tests.unit.wire.certificates import AGENT, CLIENT, OTHER

ROLES: Final[tuple[RoleName, ...]] = ("viewer", "runner", "operator", "admin")
NAMES: Final = ("ada@laptop", "eve@laptop", "x" * 128, "ö@ü")
MOST_REPLY_BYTES: Final = PREFIX_BYTES + CONTROL_BYTES_BEFORE_WELCOME


class Book:
    """The invitations of one agent; remembers who was let in."""

    def __init__(self, rng: random.Random, invitations: list[Invitation]) -> None:
        self._rng = rng
        self._open = {each.id: each for each in invitations}
        self.let_in: list[tuple[str, bytes, str]] = []

    def secret_of(self, invitation: str) -> bytes | None:
        found = self._open.get(invitation)
        return None if found is None else found.secret

    def role_of(self, invitation: str) -> RoleName | None:
        found = self._open.get(invitation)
        return None if found is None else found.role

    def failed(self, invitation: str) -> None:
        """Nothing is counted here."""

    def used(self, invitation: str, certificate: bytes, name: str) -> tuple[str, RoleName]:
        if self._rng.random() < 0.1:
            raise Refused("used up a moment ago", code=200)
        self.let_in.append((invitation, certificate, name))
        return name, self._open[invitation].role


class Between:
    """The one in the middle, with all that it has ever heard."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._heard: list[bytes] = []

    def passed(self, data: bytes) -> bytes:
        """What becomes of bytes on their way."""
        rng = self._rng
        if data:
            self._heard.append(data)
            del self._heard[: -50 if len(self._heard) > 60 else 0]
        match rng.randrange(12):
            case 0 if data:
                return self._with_other_bytes(data)
            case 1 if data:
                return self._with_other_field(data)
            case 2 if data:
                return data[: rng.randrange(len(data))]
            case 3 if self._heard:
                return rng.choice(self._heard)
            case 4:
                return self._invented()
            case 5:
                return data + data
            case _:
                return data

    def _with_other_bytes(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 2, 9))):
            changed[self._rng.randrange(len(changed))] = self._rng.randrange(256)
        return bytes(changed)

    def _with_other_field(self, data: bytes) -> bytes:
        """The same step with a field of another value, or of another step that was heard."""
        rng = self._rng
        try:
            told, other = (json.loads(each[PREFIX_BYTES:]) for each in (data, rng.choice(self._heard)))
            if rng.random() < 0.5:
                told.update(rng.sample(sorted(other.items()), 1))
            else:
                told[rng.choice(sorted(told))] = self._value()
            return framed(told)
        except (ValueError, AttributeError, TypeError):
            return data

    def _invented(self) -> bytes:
        rng = self._rng
        kind = rng.choice(("ask", "challenge", "proof", "enrolled", "refused", "other"))
        names = ("invitation", "certificate", "nonce", "name", "mac", "principal", "role", "host", "code", "text")
        told = {name: self._value() for name in rng.sample(names, rng.randrange(len(names)))}
        frame = framed({"enrol": kind, **told})
        if rng.random() < 0.2:
            return frame[:1] + bytes([rng.randrange(256)]) + frame[2:]
        return frame

    def _value(self) -> Any:
        nonce = b64encode(self._rng.randbytes(self._rng.choice((32, 32, 31, 0)))).decode()
        certificate = b64encode(self._rng.choice((CLIENT, OTHER, AGENT, OTHER[:-1], b""))).decode()
        values: tuple[Any, ...] = (
            nonce,
            nonce,
            certificate,
            "0" * 16,
            *NAMES,
            *ROLES,
            200,
            -1,
            None,
            [],
            "x" * 5000,
            {"a": [1]},
        )
        return self._rng.choice(values)


def framed(told: dict[str, Any]) -> bytes:
    """A step as a frame."""
    return encode_frame(FrameType.ENROL, header=json.dumps(told).encode())


def sent_by(side: EnrolClient | EnrolServer, other: Role, fed: int) -> bytes:
    """What a side says to ``fed`` frames' worth of bytes, which the other must be able to read."""
    data = side.data_to_send()
    if len(data) > MOST_REPLY_BYTES * max(1, fed):
        raise Find(f"{len(data)} bytes of reply")
    parser = FrameParser(ALLOWED[other, Phase.ENROL])
    parser.feed(data)
    while parser.next_frame() is not None:
        pass
    if parser.buffered_bytes:
        raise Find(f"half a frame was sent: {data.hex()}")
    return data


def one_connection(rng: random.Random, between: Between, figures: Counter[str]) -> int:
    """One client, one agent, one in between; gives how many frames were passed."""
    invited = Invitation("", fingerprint(AGENT), rng.randbytes(16), rng.choice(ROLES), 2e9)
    claimed = invited
    honest = rng.random() < 0.7
    if not honest:
        secret, role = rng.choice((invited.secret, rng.randbytes(16), bytes(16))), rng.choice(ROLES)
        claimed = Invitation("", invited.fingerprint, secret, role, 2e9)
    shown = AGENT if rng.random() < 0.9 else OTHER
    book = Book(rng, [invited])
    name = rng.choice(NAMES)
    client = EnrolClient(claimed, certificate=CLIENT, agent_certificate=shown, name=name, nonce=rng.randbytes(32))
    own = AGENT if rng.random() < 0.9 else OTHER
    server = EnrolServer(agent_certificate=own, nonce=rng.randbytes(32), decide=book, host="web1")
    passed = 0
    for _ in range(4):
        for side, other, told in ((client, server, Role.AGENT), (server, client, Role.CLIENT)):
            data = sent_by(side, told, 2)
            if data and side is client and shown is not AGENT:
                raise Find("something was sent to an agent with another key")
            data = between.passed(data)
            passed += 1
            cut = rng.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                if piece:
                    other.receive_data(piece)
    for side in (client, server):
        side.receive_data(b"")
        sent_by(side, Role.AGENT, 2)
        if not side.closed or not (side.error is None or isinstance(side.error, HoldfastError)):
            raise Find(f"ended by {side.error!r}")
        figures[type(side.error).__name__ if side.error is not None else "enrolled"] += 1
    check(client, server, book, (claimed, invited, own, name))
    return passed


def check(
    client: EnrolClient, server: EnrolServer, book: Book, facts: tuple[Invitation, Invitation, bytes, str]
) -> None:
    """Who was let in is who asked, in these words; what the client believes is what the agent said."""
    claimed, invited, own, name = facts
    if book.let_in:
        if (claimed.secret, claimed.role, own) != (invited.secret, invited.role, AGENT):
            raise Find("somebody was let in without the right secret, role or agent")
        if book.let_in != [(invited.id, CLIENT, name)]:
            raise Find(f"let in: {book.let_in}")
    if (server.result is not None) != bool(book.let_in):
        raise Find("the agent says something else than what it did")
    if client.result is not None and client.result != server.result:
        raise Find(f"the client believes {client.result}")


def fuzz(frames: int, seed: int, say: Callable[[str], None] = print) -> Counter[str]:
    """Pass so many frames.

    Raises:
        Find: something came out that must not; the message tells the seed and the number of the connection.
    """
    rng = random.Random(seed)
    between = Between(rng)
    figures: Counter[str] = Counter()
    passed = 0
    while passed < frames:
        figures["connections"] += 1
        try:
            passed += one_connection(rng, between, figures)
        except Exception as error:
            where = f"seed {seed}, connection {figures['connections']}"
            raise Find(f"{where}: {type(error).__name__}: {error}") from error
    figures["frames"] = passed
    say(f"seed {seed}: {passed} frames, " + ", ".join(f"{name} {count}" for name, count in sorted(figures.items())))
    return figures


if __name__ == "__main__":
    sys.exit(campaign(fuzz, __doc__))
