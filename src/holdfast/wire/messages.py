"""The typed JSON headers of every frame: greetings, requests, answers, events, errors.

Decoding is always into one of these types, never into free-form data: typed decoding refuses length bombs before it
allocates and costs 0.3 microseconds. Requests are must-understand (an unknown field is refused, so an old agent
cannot silently ignore a limit it was given); answers and events may grow fields freely.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from holdfast.errors import RemoteProtocolError
from holdfast.types import (
    Durability,
    JobInfo,
    JobState,
    Receipt,
    Retention,
)

T = TypeVar("T")

Seconds = Annotated[float, Meta(ge=0, le=315_360_000)]
JobName = Annotated[str, Meta(min_length=1, max_length=64)]
Bytes = Annotated[int, Meta(ge=0, le=2**62)]


class ErrorCode(IntEnum):
    """Codes by hundreds: 1 connection, 2 identity, 3 request, 4 capacity, 5 agent."""

    PROTOCOL = 100
    TOO_LARGE = 101
    VERSION = 102
    DEADLINE = 103
    FLOW_CONTROL = 104
    TOO_MANY_STREAMS = 105
    RATE_LIMITED = 106
    IDLE = 107
    SHUTTING_DOWN = 108
    SUPERSEDED = 109
    UNAUTHENTICATED = 200
    FORBIDDEN = 201
    REVOKED = 202
    INVALID = 300
    UNSUPPORTED_FIELD = 301
    NOT_FOUND = 302
    KEY_REUSED = 303
    KEY_EXPIRED = 304
    EXPIRED = 305
    INCARNATION = 306
    OFFSET_GONE = 307
    OFFSET_AHEAD = 308
    DIGEST = 309
    STATE = 310
    QUEUE_FULL = 400
    QUOTA = 401
    DISK_FULL = 402
    BUSY = 403
    INTERNAL = 500
    JOURNAL_FAILED = 501


# --- greetings -------------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """First frame of a client. ``instance`` is random per client process and carries its leases over reconnects."""

    lowest: int
    highest: int
    instance: Annotated[str, Meta(min_length=16, max_length=64)]
    software: Annotated[str, Meta(max_length=128)] = ""
    features: tuple[Annotated[str, Meta(max_length=64)], ...] = ()


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent's answer; only now is a client connected. ``incarnation`` is the journal's, ``boot_id`` the host's."""

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


class GoAway(msgspec.Struct, frozen=True, omit_defaults=True):
    """No new streams from now on; those that are open go on."""

    code: int
    text: str = ""
    last_stream: int = 0
    retry_after_s: float | None = None


class Close(msgspec.Struct, frozen=True, omit_defaults=True):
    """Last frame of a connection; ``code`` 0 is an orderly end."""

    code: int = 0
    text: str = ""


# --- requests --------------------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op"):
    """Base of all requests."""


class Run(Request, frozen=True, tag="run"):
    """Submit a job. The body holds ``argc`` arguments, ``envc`` entries ``K=V``, then the directory if ``has_cwd``.

    Each item ends with NUL. Attached runs stay on this stream: EVT accepted, EVT started, DATA and END for each
    channel, then RES with the receipt; detached ones are answered by RES accepted.
    """

    key: Annotated[str, Meta(min_length=1, max_length=255)]
    argc: Annotated[int, Meta(ge=1, le=131_072)]
    envc: Annotated[int, Meta(ge=0, le=16_384)] = 0
    has_cwd: bool = False
    user_key: bool = False
    shell: bool = False
    umask: Annotated[int, Meta(ge=0, le=0o777)] | None = None
    user: Annotated[str, Meta(max_length=64)] | None = None
    groups: tuple[Annotated[str, Meta(max_length=64)], ...] = ()
    rlimits: dict[str, tuple[int, int]] = {}
    timeout_s: Seconds | None = None
    grace_s: Seconds = 10.0
    leave: bool = False
    stdin: bool = False
    on_disconnect: Literal["keep", "kill"] | Seconds | None = None
    retention: Retention = Retention()
    durability: Durability = "process"
    attach: bool = True
    credit: Bytes = 256 * 1024
    label: Annotated[str, Meta(max_length=255)] = ""
    not_after_unix_s: float | None = None
    incarnation: str | None = None
    hints: dict[str, str] = {}


class Get(Request, frozen=True, tag="get"):
    """One job's state. A unique prefix of four characters or more names it, too."""

    job: JobName


class List(Request, frozen=True, tag="list"):
    """Jobs, newest first; by default those that are not done."""

    all: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: str | None = None
    label: str | None = None
    prefix: str | None = None


class Read(Request, frozen=True, tag="read"):
    """Open channels for reading from absolute offsets, up to the present end or (``follow``) to the job's end.

    ``lease`` makes this reader count as an attached client. ``tail_lines`` replaces the offsets by the start of the
    last so many lines of each channel (lines are counted per channel, looking back at most 16 MiB).
    """

    job: JobName
    offsets: dict[Literal["1", "2"], Bytes]
    credit: Bytes = 256 * 1024
    follow: bool = True
    lease: bool = False
    tail_lines: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Write(Request, frozen=True, tag="write"):
    """Open a job's stdin for writing; EVT opened tells the committed size to go on from."""

    job: JobName


class Wait(Request, frozen=True, tag="wait"):
    """Answered when the job is done. ``lease`` makes the waiter count as an attached client."""

    job: JobName
    lease: bool = False


class Signal(Request, frozen=True, tag="signal"):
    """Send a signal to the main process, its process group, or every process of the job."""

    job: JobName
    signum: Annotated[int, Meta(ge=1, le=64)]
    scope: Literal["main", "group", "tree"] = "main"


class Stop(Request, frozen=True, tag="stop"):
    """TERM to every process of the job, ``grace_s`` seconds, then KILL; answered at once, watch with WAIT."""

    job: JobName
    grace_s: Seconds | None = None


class Retry(Request, frozen=True, tag="retry"):
    """A new job with the body of a finished one, under a new key."""

    job: JobName
    key: Annotated[str, Meta(min_length=1, max_length=255)]
    user_key: bool = False


class Forget(Request, frozen=True, tag="forget"):
    """Drop a finished job and its output before its time; the start key stays unless ``forget_key``."""

    job: JobName
    forget_key: bool = False


class Prune(Request, frozen=True, tag="prune"):
    """Drop finished jobs that ended longer than ``older_than_s`` ago (None: the agent's retention)."""

    older_than_s: Seconds | None = None


class Verify(Request, frozen=True, tag="verify"):
    """Read a finished job's kept output again and compare it with its receipt."""

    job: JobName


class Leftovers(Request, frozen=True, tag="leftovers"):
    """Live processes that came from finished or forgotten jobs; ``end`` kills them."""

    end: bool = False


class Status(Request, frozen=True, tag="status"):
    """What the agent is and does."""


class Shutdown(Request, frozen=True, tag="shutdown"):
    """End the agent; jobs go on under the keeper unless ``jobs``."""

    jobs: bool = False


AnyRequest = (
    Run
    | Get
    | List
    | Read
    | Write
    | Wait
    | Signal
    | Stop
    | Retry
    | Forget
    | Prune
    | Verify
    | Leftovers
    | Status
    | Shutdown
)
REQUEST_NAMES: Final = tuple(sorted(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__))

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


AnyEvent = Accepted | Started | Opened


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header of END: digest of the bytes from ``first`` on. ``partial``: this is the present end, not the channel's."""

    xxh3: str | None = None
    first: int = 0
    partial: bool = False


# --- answers ---------------------------------------------------------------------------------------------------------


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header of ERR. ``ran`` answers whether the command ran."""

    code: int
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


# --- codecs ----------------------------------------------------------------------------------------------------------

_encoder: Final = msgspec.json.Encoder()
encode = _encoder.encode

_REQUEST: Final = msgspec.json.Decoder(AnyRequest)
_EVENT: Final = msgspec.json.Decoder(AnyEvent)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


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
        raise UnreadableHeader(f"unreadable {type_.__name__} header: {exc}") from exc


def decode_request(header: bytes) -> AnyRequest:
    """A request; see ``decode`` for errors."""
    try:
        return _REQUEST.decode(header)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableHeader(f"unreadable request: {exc}", code=ErrorCode.INVALID) from exc


def decode_event(header: bytes) -> AnyEvent:
    """An event; see ``decode`` for errors."""
    try:
        return _EVENT.decode(header)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UnreadableHeader(f"unreadable event: {exc}") from exc


def pack_items(argv: tuple[bytes, ...], env: tuple[bytes, ...] = (), cwd: bytes | None = None) -> bytes:
    """The body of RUN: every item ended by NUL.

    Raises:
        ValueError: an item contains NUL, which no argument, variable or path can hold.
    """
    items = (*argv, *env) if cwd is None else (*argv, *env, cwd)
    packed = b"\0".join(items) + b"\0"
    if packed.count(b"\0") != len(items):
        raise ValueError("a NUL byte cannot be part of an argument, a variable or a directory")
    return packed


def unpack_items(run: Run, body: bytes) -> tuple[list[bytes], list[bytes], bytes | None]:
    """argv, environment and directory from the body of ``run``.

    Raises:
        RemoteProtocolError: the body does not hold exactly the announced items.
    """
    items = body.split(b"\0")
    if items.pop() != b"" or len(items) != run.argc + run.envc + run.has_cwd:
        raise RemoteProtocolError("the body of RUN does not hold the announced items", code=ErrorCode.INVALID)
    cwd = items.pop() if run.has_cwd else None
    return items[: run.argc], items[run.argc :], cwd
