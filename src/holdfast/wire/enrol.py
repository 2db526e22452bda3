"""Enrolment: a key and an invitation become a principal, in four frames. No input, output, clock or randomness in here.

Rules (docs/spec/protocol.md, "Enrolment"; who attacks what is told there as well):

* The client compares the agent's key with the invitation's fingerprint before it sends a byte. There is no trust on
  first use.
* Neither side ever sends the secret. Each proves that it has it by an HMAC over everything that was agreed: both keys,
  both nonces, the name and the role. Standing in between and relaying to another agent gives an HMAC that no one takes,
  since the agent's key in it is another one.
* An invitation that does not exist costs and looks the same as a wrong proof: the comparison is made all the same.
* What is secret is compared with ``hmac.compare_digest`` and with nothing else.
* One connection is one try. After an answer, or a broken rule, a side is ``closed``.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from typing import Annotated, Final, Protocol, TypeVar

import msgspec
from msgspec import Meta

from holdfast.errors import (
    ConnectFailed,
    HoldfastError,
    IdentityError,
    LocalProtocolError,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    Unauthorized,
)
from holdfast.wire.certificate import fingerprint, key_digest
from holdfast.wire.codes import ErrorCode
from holdfast.wire.frames import FrameParser, FrameType, encode_frame
from holdfast.wire.invitation import Invitation
from holdfast.wire.limits import CERTIFICATE_BYTES, NONCE_BYTES, PRINCIPAL_CHARS, SECRET_BYTES
from holdfast.wire.messages import UnreadableHeader, clip, encode
from holdfast.wire.phases import ALLOWED, Phase, Role
from holdfast.wire.request_types import RoleName

T = TypeVar("T", bound="Step")

_MAC_BYTES: Final = 32
_CLIENT: Final = b"holdfast-enrol/1 client"
_AGENT: Final = b"holdfast-enrol/1 agent"
_NOBODY: Final = bytes(SECRET_BYTES)
"""Stands in for the secret of an invitation that does not exist, so that looking costs the same. It opens nothing."""
_NO: Final = (
    "this invitation is not known here, is over, was used by another key, or its secret is wrong: ask for a new one"
)

Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Mac = Annotated[bytes, Meta(min_length=_MAC_BYTES, max_length=_MAC_BYTES)]


class Step(msgspec.Struct, frozen=True, tag_field="enrol"):
    """Base of the headers of ENROL frames."""


class EnrolAsk(Step, frozen=True, tag="ask"):
    """Client, first: which invitation, and who wants in. ``name`` is a wish, ``user@machine``."""

    invitation: Annotated[str, Meta(min_length=16, max_length=16, pattern="^[0-9a-f]+$")]
    certificate: Annotated[bytes, Meta(min_length=1, max_length=CERTIFICATE_BYTES)]
    nonce: Nonce
    name: Annotated[str, Meta(min_length=1, max_length=PRINCIPAL_CHARS)]


class EnrolChallenge(Step, frozen=True, tag="challenge"):
    """Agent: the same for every invitation, known or not."""

    nonce: Nonce


class EnrolProof(Step, frozen=True, tag="proof"):
    """Client: the proof that it has the secret."""

    mac: Mac


class Enrolled(Step, frozen=True, tag="enrolled"):
    """Agent, last: the key is enrolled. ``mac`` proves that the agent has the secret, too."""

    mac: Mac
    principal: str
    role: RoleName
    host: str = ""


class EnrolRefused(Step, frozen=True, tag="refused"):
    """Agent, last: nothing was changed."""

    code: Annotated[int, Meta(ge=1, le=999)]
    text: str = ""


class Decide(Protocol):
    """What an ``EnrolServer`` asks of whoever keeps the invitations."""

    def secret_of(self, invitation: str) -> bytes | None:
        """The secret of an open invitation by its id; None: there is no such one."""

    def role_of(self, invitation: str) -> RoleName | None:
        """What the guest of an open invitation will be."""

    def failed(self, invitation: str) -> None:
        """A wrong proof came for this invitation, which need not exist."""

    def used(self, invitation: str, certificate: bytes, name: str) -> tuple[str, RoleName]:
        """A right proof came: enrol the key; gives its name here and its role.

        Raises:
            Refused: it is not taken after all: used up or over since, or a key that is not wanted.
        """


class _Side(ABC):
    """What both sides do: frames in, frames out, until closed."""

    def __init__(self, role: Role) -> None:
        self.result: Enrolled | None = None
        self.error: HoldfastError | None = None
        self._role = role
        self._parser = FrameParser(ALLOWED[role, Phase.ENROL])
        self._out: list[bytes] = []

    @property
    def closed(self) -> bool:
        """True once it is decided; ``data_to_send`` may still hold the last frame."""
        return self.result is not None or self.error is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come. Ignored once closed."""
        if self.closed:
            return
        if not data:
            self._ended()
            return
        self._parser.feed(data)
        try:
            while not self.closed and (frame := self._parser.next_frame()) is not None:
                if frame.stream or frame.channel or frame.position:
                    raise RemoteProtocolError("an ENROL frame has no stream, channel or position")
                self._received(frame.header)
        except RemoteProtocolError as error:
            self._broken(error)

    def data_to_send(self) -> bytes:
        """All that is to be sent now; empty when nothing is."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _send(self, step: Step) -> None:
        self._out.append(encode_frame(FrameType.ENROL, header=encode(step)))

    @abstractmethod
    def _received(self, header: bytes) -> None:
        """A frame's header came."""

    @abstractmethod
    def _ended(self) -> None:
        """Nothing more will come, and it is not decided."""

    @abstractmethod
    def _broken(self, error: RemoteProtocolError) -> None:
        """The peer broke the rules."""


class EnrolClient(_Side):
    """The side that wants in.

    Args:
        invitation: What the admin gave.
        certificate: Our own, DER; its key is what is enrolled.
        agent_certificate: The one that the agent showed in the handshake of this connection, DER.
        name: How we would like to be called there, 1 to ``limits.PRINCIPAL_CHARS`` characters.
        nonce: ``limits.NONCE_BYTES`` fresh random bytes.

    Attributes:
        result: What the agent made of us, proved; None so far, or never.
        error: Why it did not come about: ``Unauthorized`` (another key, a wrong, used or expired invitation),
            ``Refused``, ``ConnectFailed`` (it ended before the proof was sent), ``OutcomeUnknown`` (after it),
            ``RemoteProtocolError``. At once when the agent's key is not the invitation's: then nothing is ever sent.

    Raises:
        IdentityError: ``certificate`` is none.
        LocalProtocolError: ``name`` cannot be asked for.
    """

    def __init__(
        self, invitation: Invitation, *, certificate: bytes, agent_certificate: bytes, name: str, nonce: bytes
    ) -> None:
        super().__init__(Role.CLIENT)
        key_digest(certificate)
        if not 1 <= len(name) <= PRINCIPAL_CHARS or not name.isprintable():
            raise LocalProtocolError(f"a name must have 1 to {PRINCIPAL_CHARS} characters that can be printed")
        self._invitation = invitation
        self._transcript: tuple[bytes, ...] | None = None
        try:
            shown = fingerprint(agent_certificate)
        except IdentityError as error:
            self.error = error
            return
        if not hmac.compare_digest(shown, invitation.fingerprint):
            self.error = Unauthorized(
                f"the agent's key {shown} is not the one of the invitation, {invitation.fingerprint}; nothing was "
                "sent. This is another agent, or somebody stands in between: check the address, ask for a new "
                "invitation",
                code=ErrorCode.UNAUTHENTICATED,
            )
            return
        self._ask = EnrolAsk(invitation.id, certificate, nonce, name)
        self._agent_key = key_digest(agent_certificate)
        self._send(self._ask)

    def _received(self, header: bytes) -> None:
        step = _read(header, EnrolChallenge if self._transcript is None else Enrolled, EnrolRefused)
        match step:
            case EnrolChallenge():
                self._transcript = transcript(self._ask, self._agent_key, step.nonce, self._invitation.role)
                self._send(EnrolProof(_mac(self._invitation.secret, _CLIENT, *self._transcript)))
            case Enrolled():
                assert self._transcript is not None
                self._enrolled(step, self._transcript)
            case EnrolRefused():
                kind = Unauthorized if 200 <= step.code < 300 else Refused
                self.error = kind(clip(step.text) or f"the agent refused with code {step.code}", code=step.code)

    def _enrolled(self, step: Enrolled, agreed: tuple[bytes, ...]) -> None:
        if hmac.compare_digest(step.mac, _agent_mac(self._invitation.secret, agreed, step)):
            self.result = step
        else:
            self.error = Unauthorized(
                "the agent says that it enrolled this key, but does not prove that it knows the invitation",
                code=ErrorCode.UNAUTHENTICATED, ran="unknown",
            )  # fmt: skip

    def _ended(self) -> None:
        if self._transcript is None:
            self.error = ConnectFailed("the agent ended the connection before anything was changed")
        else:
            self.error = OutcomeUnknown(
                "the connection ended before the agent's answer came: the key may be enrolled. The same invitation "
                "with the same key gives the same answer until it expires: do it again"
            )

    def _broken(self, error: RemoteProtocolError) -> None:
        self.error = error


class EnrolServer(_Side):
    """The side that lets in.

    Args:
        agent_certificate: Our own, as shown in the handshake, DER.
        nonce: ``limits.NONCE_BYTES`` fresh random bytes.
        decide: Keeps the invitations.
        host: Our host's name, told to whoever is let in.

    Attributes:
        result: What was told to the one who was let in.
        error: Why nobody was: ``Unauthorized`` (a wrong proof, or an invitation that is none), the ``Refused`` of
            ``decide``, ``ConnectFailed`` (the client ended early, no harm), ``RemoteProtocolError``.
    """

    def __init__(self, *, agent_certificate: bytes, nonce: bytes, decide: Decide, host: str = "") -> None:
        super().__init__(Role.AGENT)
        self._agent_key = key_digest(agent_certificate)
        self._nonce = nonce
        self._decide = decide
        self._host = host
        self._ask: EnrolAsk | None = None

    @property
    def invitation(self) -> str:
        """Id of the invitation that the client named, once it has; no secret, for the audit trail."""
        return "" if self._ask is None else self._ask.invitation

    def _received(self, header: bytes) -> None:
        if self._ask is None:
            ask = _read(header, EnrolAsk)
            try:
                key_digest(ask.certificate)
            except IdentityError as error:
                raise RemoteProtocolError(str(error)) from None
            self._ask = ask
            self._send(EnrolChallenge(self._nonce))
            return
        proof = _read(header, EnrolProof)
        try:
            self._let_in(self._ask, proof)
        except Refused as error:
            self._refuse(error)
        except HoldfastError as error:
            self._refuse(Refused(f"the agent could not keep it: {error}", code=ErrorCode.JOURNAL_FAILED))

    def _let_in(self, ask: EnrolAsk, proof: EnrolProof) -> None:
        """Check the proof and enrol the key; all invitations are alike until the comparison is made."""
        secret, role = self._decide.secret_of(ask.invitation), self._decide.role_of(ask.invitation)
        agreed = transcript(ask, self._agent_key, self._nonce, role or "operator")
        right = hmac.compare_digest(proof.mac, _mac(secret or _NOBODY, _CLIENT, *agreed))
        if secret is None or role is None or not right:
            self._decide.failed(ask.invitation)
            raise Unauthorized(_NO, code=ErrorCode.UNAUTHENTICATED)
        principal, role = self._decide.used(ask.invitation, ask.certificate, ask.name)
        unproved = Enrolled(bytes(_MAC_BYTES), principal, role, self._host)
        self.result = msgspec.structs.replace(unproved, mac=_agent_mac(secret, agreed, unproved))
        self._send(self.result)

    def _refuse(self, error: Refused | RemoteProtocolError) -> None:
        self.error = error
        self._send(EnrolRefused(error.code, clip(str(error))))

    def _ended(self) -> None:
        self.error = ConnectFailed("the client ended the connection before it was enrolled")

    def _broken(self, error: RemoteProtocolError) -> None:
        self._refuse(error)


def transcript(ask: EnrolAsk, agent_key: bytes, nonce: bytes, role: RoleName) -> tuple[bytes, ...]:
    """What both sides put under their HMAC, in this order."""
    return (
        ask.invitation.encode("ascii"),
        agent_key,
        hashlib.sha256(ask.certificate).digest(),
        ask.name.encode(),
        ask.nonce,
        nonce,
        role.encode("ascii"),
    )


def _agent_mac(secret: bytes, agreed: tuple[bytes, ...], told: Enrolled) -> bytes:
    """The agent's proof, which covers what it tells as well."""
    parts = (told.principal, told.role, told.host)
    return _mac(secret, _AGENT, *agreed, *(part.encode() for part in parts))


def _mac(secret: bytes, label: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 over a label and parts, each behind its length in four bytes: no two lists read the same."""
    text = b"".join(len(part).to_bytes(4, "big") + part for part in (label, *parts))
    return hmac.digest(secret, text, "sha256")


_STEP: Final = msgspec.json.Decoder(EnrolAsk | EnrolChallenge | EnrolProof | Enrolled | EnrolRefused)


def _read(header: bytes, *expected: type[T]) -> T:
    """A header as the step, or one of the steps, that may come now.

    Always decoded as one of all steps: of a single type msgspec takes a header without ``enrol``, too.
    """
    try:
        step = _STEP.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableHeader(clip(f"unreadable ENROL header: {exc}")) from exc
    if not isinstance(step, expected):
        raise RemoteProtocolError("a step of the enrolment came that is not the next")
    return step
