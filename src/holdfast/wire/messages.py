"""The typed JSON headers of every frame: greetings, requests, answers, events, errors.

Decoding is always into one of these types, never into free-form data: typed decoding refuses length bombs before it
allocates and costs 0.3 microseconds. Requests are must-understand (an unknown field is refused, so an old agent
cannot silently ignore a limit it was given); answers and events may grow fields freely.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from holdfast.errors import RemoteProtocolError
from holdfast.types import JobInfo, JobState, Receipt
from holdfast.wire.codes import ErrorCode
from holdfast.wire.coordination import (
    Acquire,
    AcquireAnswer,
    Await,
    AwaitAnswer,
    Drop,
    Flag,
    FlagAnswer,
    Hold,
    Join,
    LeaseInfo,
    Leases,
    LeasesAnswer,
    Meet,
    MeetAnswer,
    Notify,
    Numbered,
    NumberedAnswer,
    ObjectAsked,
    ObjectState,
    ObjectStateAnswer,
    Open,
    OpenAnswer,
    Put,
    PutAnswer,
    Release,
    Renew,
    RenewAnswer,
    Settle,
    ShutQueue,
    Step,
    Take,
    TakeAnswer,
    Withdraw,
)
from holdfast.wire.limits import KEY_BYTES, LABEL_BYTES, TEXT_BYTES
from holdfast.wire.plans import (
    Group,
    GroupInfo,
    Groups,
    GroupsAnswer,
    Plan,
    PlanInfo,
    Plans,
    PlansAnswer,
    Replan,
    Unplan,
)
from holdfast.wire.request_types import Request, RoleName
from holdfast.wire.requests import (
    REQUEST_NAMES,
    AnyRequest,
    Dial,
    Forget,
    Get,
    Invite,
    Leftovers,
    List,
    Principals,
    Prune,
    Read,
    Retry,
    Revoke,
    Shutdown,
    Signal,
    Status,
    Stop,
    Verify,
    Wait,
    Write,
)
from holdfast.wire.run import Run, pack_items, unpack_items

__all__ = [
    "REQUEST_NAMES",
    "Accepted",
    "AcceptedAnswer",
    "Acquire",
    "AcquireAnswer",
    "AnyEvent",
    "AnyRequest",
    "Await",
    "AwaitAnswer",
    "Close",
    "Dial",
    "DialAnswer",
    "DoneAnswer",
    "Drop",
    "End",
    "ErrorCode",
    "Event",
    "Failure",
    "Flag",
    "FlagAnswer",
    "Forget",
    "Get",
    "GoAway",
    "Group",
    "GroupInfo",
    "Groups",
    "GroupsAnswer",
    "Hello",
    "Hold",
    "Invite",
    "InviteAnswer",
    "JobAnswer",
    "JobsAnswer",
    "Join",
    "LeaseInfo",
    "Leases",
    "LeasesAnswer",
    "Leftover",
    "Leftovers",
    "LeftoversAnswer",
    "List",
    "Meet",
    "MeetAnswer",
    "Notify",
    "Numbered",
    "NumberedAnswer",
    "ObjectAsked",
    "ObjectState",
    "ObjectStateAnswer",
    "Open",
    "OpenAnswer",
    "Opened",
    "Plan",
    "PlanInfo",
    "Plans",
    "PlansAnswer",
    "PrincipalInfo",
    "Principals",
    "PrincipalsAnswer",
    "Progress",
    "Prune",
    "PruneAnswer",
    "Put",
    "PutAnswer",
    "Read",
    "ReadAnswer",
    "Release",
    "Renew",
    "RenewAnswer",
    "Replan",
    "Request",
    "ResultAnswer",
    "Retry",
    "Revoke",
    "RevokeAnswer",
    "RoleName",
    "Run",
    "Settle",
    "ShutQueue",
    "Shutdown",
    "Signal",
    "Started",
    "Status",
    "StatusAnswer",
    "Step",
    "Stop",
    "Take",
    "TakeAnswer",
    "Unplan",
    "UnreadableHeader",
    "Verify",
    "VerifyAnswer",
    "Wait",
    "Welcome",
    "Withdraw",
    "Write",
    "WriteAnswer",
    "clip",
    "decode",
    "decode_event",
    "decode_request",
    "encode",
    "pack_items",
    "unpack_items",
]

T = TypeVar("T")

Code = Annotated[int, Meta(ge=0, le=999)]


# --- greetings -------------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """First frame of a client. ``instance`` is random per client process and carries its leases over reconnects."""

    lowest: int
    highest: int
    instance: Annotated[str, Meta(min_length=16, max_length=64)]
    software: Annotated[str, Meta(max_length=128)] = ""
    features: tuple[Annotated[str, Meta(max_length=64)], ...] = ()


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent's answer; only now is a client connected. ``incarnation`` is the journal's, ``boot_id`` the host's.

    ``python``: version of the interpreter that runs functions there; ``worker``: how its command line begins.
    """

    protocol: int
    agent: str
    incarnation: str
    boot_id: str
    principal: str
    host: str = ""
    software: str = ""
    roles: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    unix_s: float = 0.0
    python: str = ""
    worker: tuple[str, ...] = ()


class GoAway(msgspec.Struct, frozen=True, omit_defaults=True):
    """No new streams from now on; those that are open go on."""

    code: Code
    text: str = ""
    last_stream: int = 0
    retry_after_s: float | None = None


class Close(msgspec.Struct, frozen=True, omit_defaults=True):
    """Last frame of a connection; ``code`` 0 is an orderly end."""

    code: Code = 0
    text: str = ""


# --- events ----------------------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="event"):
    """Base of all events of a stream."""


class Accepted(Event, frozen=True, tag="accepted"):
    """The job is in the journal. ``deduplicated``: this key was known, nothing new was or will be started by it."""

    job: str
    state: JobState
    boot_id: str
    incarnation: str
    deduplicated: bool = False
    queued_before: int = 0


class Started(Event, frozen=True, tag="started"):
    """The command has been spawned."""

    job: str
    pid: int
    started_unix_s: float
    attempt: int = 1


class Opened(Event, frozen=True, tag="opened"):
    """A READ or WRITE is open. ``lengths``: present length of each channel; ``first``: oldest offset still kept."""

    job: str
    state: JobState
    lengths: dict[str, int] = {}
    first: dict[str, int] = {}
    offsets: dict[str, int] = {}


class Progress(Event, frozen=True, tag="progress"):
    """How far a job is, in its own words: ``done`` of ``total`` (0: not known), and what it is doing."""

    job: str
    done: float
    total: float = 0.0
    text: str = ""


AnyEvent = Accepted | Started | Opened | Progress


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header of END: digest of the bytes from ``first`` on. ``partial``: this is the present end, not the channel's."""

    xxh3: str | None = None
    first: int = 0
    partial: bool = False


# --- answers ---------------------------------------------------------------------------------------------------------


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header of ERR. ``ran`` answers whether the command ran."""

    code: Code
    text: str
    ran: Literal["no", "yes", "unknown"] = "no"
    retry_after_s: float | None = None
    first: int | None = None


class AcceptedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to RUN without ``attach`` and to RETRY."""

    job: str
    state: JobState
    boot_id: str
    incarnation: str
    deduplicated: bool = False


class JobAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to GET."""

    job: JobInfo


class JobsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to LIST; ``more`` tells that older ones follow (ask with ``before`` = the last id)."""

    jobs: tuple[JobInfo, ...] = ()
    more: bool = False


class ResultAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to an attached RUN and to WAIT."""

    receipt: Receipt


class ReadAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to READ: the state when the last byte was sent; the receipt if the job is done."""

    state: JobState
    receipt: Receipt | None = None


class WriteAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to WRITE: all is committed and the end is recorded."""

    committed: int


class DialAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to DIAL: the conversation is over.

    Attributes:
        gone: The worker's process has ended; False: it is there and can be asked again.
        started: Number of the last call that the worker has begun, by the record it keeps; 0: none, or not known.
        finished: Number of the last call that it has ended; all before it have ended, too.
        why: ``timeout``: it ended itself, since its call took too long; ``unrecorded``: there is no record, so every
            call that was sent to it may have been begun; else empty.
        where: Of a timeout: what it was doing then, as Python prints it.
    """

    gone: bool
    started: int = 0
    finished: int = 0
    why: str = ""
    where: str = ""


class DoneAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to SIGNAL, STOP, FORGET, SHUTDOWN: ``state`` of the job when it was carried out."""

    state: JobState | None = None
    text: str = ""


class PruneAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to PRUNE."""

    jobs: int = 0
    freed_bytes: int = 0


class VerifyAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to VERIFY: the receipt (with SHA-256) and what differs from it, one line each."""

    receipt: Receipt
    mismatches: tuple[str, ...] = ()


class Leftover(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process that outlived its job."""

    pid: int
    job: str
    name: str = ""
    command: tuple[str, ...] = ()
    started_unix_s: float = 0.0
    user_s: float = 0.0
    rss_bytes: int = 0
    owner: str = ""
    ended: bool = False


class LeftoversAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to LEFTOVERS."""

    processes: tuple[Leftover, ...] = ()


class StatusAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to STATUS."""

    agent: dict[str, Any]
    keeper: dict[str, Any]
    socket: str
    state_dir: str
    jobs: dict[str, int]
    counters: dict[str, int]
    listeners: list[str] = []
    network: dict[str, int] = {}
    disk: dict[str, int] = {}
    policy: str = ""


class InviteAnswer(msgspec.Struct, frozen=True):
    """Answer to INVITE. ``invitation`` is a secret: who reads it first can enrol with ``role``."""

    invitation: str
    id: str
    role: RoleName
    expires_unix_s: float

    def __repr__(self) -> str:
        """Without the secret: an answer may end in a log or a traceback."""
        return f"InviteAnswer(id={self.id!r}, role={self.role!r}, expires_unix_s={self.expires_unix_s!r})"


class PrincipalInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One principal. A revoked one stays listed, and its name is never given to another key."""

    name: str
    fingerprint: str
    role: str
    state: Literal["active", "revoked"] = "active"
    enrolled_unix_s: float = 0.0
    seen_unix_s: float | None = None
    revoked_unix_s: float | None = None
    connections: int = 0


class PrincipalsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to PRINCIPALS."""

    principals: tuple[PrincipalInfo, ...] = ()


class RevokeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to REVOKE: what was ended with the key."""

    principal: str
    connections: int = 0
    jobs_cancelled: int = 0
    jobs_stopped: int = 0


# --- codecs ----------------------------------------------------------------------------------------------------------

_encoder: Final = msgspec.json.Encoder()
encode = _encoder.encode

_REQUEST: Final = msgspec.json.Decoder(AnyRequest)
_EVENT: Final = msgspec.json.Decoder(AnyEvent)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def clip(text: str) -> str:
    """``text`` as it may travel: at most ``limits.TEXT_BYTES`` of UTF-8, without control characters.

    So a CLOSE stays below the 4 KiB that any peer accepts, and a field name of the peer's own, quoted in a message,
    can neither blow up the answer nor reach a terminal as an escape sequence.
    """
    if len(text) * 4 <= TEXT_BYTES and text.isprintable():
        return text
    plain = "".join(c if c.isprintable() or c == "\n" else "?" for c in text[:TEXT_BYTES])
    return plain.encode("utf-8", "replace")[:TEXT_BYTES].decode("utf-8", "ignore")


class UnreadableHeader(RemoteProtocolError):
    """A header that is not JSON of the declared type."""


def decode(header: bytes, type_: type[T]) -> T:
    """A header as one of the types above.

    Raises:
        UnreadableHeader: not UTF-8, not JSON, nested too deeply, or not of this type.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        return decoder.decode(header)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableHeader(clip(f"unreadable {type_.__name__} header: {exc}")) from exc


def decode_request(header: bytes) -> AnyRequest:
    """A request.

    Raises:
        UnreadableHeader: as for ``decode``, with code 301 for a request or field that this version does not know, and
            300 for everything else.
    """
    try:
        request: AnyRequest = _REQUEST.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        reason = str(exc)
        unknown = reason.startswith("Object contains unknown field") or reason.endswith("at `$.op`")
        code = ErrorCode.UNSUPPORTED_FIELD if unknown else ErrorCode.INVALID
        raise UnreadableHeader(clip(f"unreadable request: {reason}"), code=code) from exc
    if isinstance(request, (Run, Retry)):
        _check_bytes("key", request.key, KEY_BYTES)
        if isinstance(request, Run):
            _check_bytes("label", request.label, LABEL_BYTES)
    return request


def _check_bytes(name: str, text: str, most: int) -> None:
    if not text.isascii() and len(text.encode()) > most:
        raise UnreadableHeader(f"{name} of {len(text.encode())} bytes; the limit is {most}", code=ErrorCode.INVALID)


def decode_event(header: bytes) -> AnyEvent:
    """An event; see ``decode`` for errors."""
    try:
        return _EVENT.decode(header)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableHeader(clip(f"unreadable event: {exc}")) from exc
