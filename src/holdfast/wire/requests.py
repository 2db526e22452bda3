"""Every request of a client, and the body of RUN.

Requests are must-understand: an unknown field, at any depth, is refused (301), so an old agent cannot silently ignore
a limit it was given. What may be ignored goes into ``hints``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from holdfast.errors import RemoteProtocolError
from holdfast.types import Durability, Retention
from holdfast.wire import limits
from holdfast.wire.codes import ErrorCode

Seconds = Annotated[float, Meta(ge=0, le=limits.SECONDS)]
JobName = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS)]
Bytes = Annotated[int, Meta(ge=0, le=limits.OFFSET)]
Key = Annotated[str, Meta(min_length=1, max_length=limits.KEY_BYTES)]
"""Counted in characters here and in UTF-8 bytes by ``messages.decode_request``."""
Name = Annotated[str, Meta(max_length=limits.NAME_CHARS)]
PrincipalName = Annotated[str, Meta(min_length=1, max_length=limits.PRINCIPAL_CHARS)]
RoleName = Literal["viewer", "runner", "operator", "admin"]

if TYPE_CHECKING:
    RetentionAsked = Retention
else:

    class RetentionAsked(Retention, frozen=True, forbid_unknown_fields=True):
        """``Retention``, must-understand. A plain one encodes the same, so callers give that."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op"):
    """Base of all requests."""


class Run(Request, frozen=True, tag="run"):
    """Submit a job. The body holds ``argc`` arguments, ``envc`` entries ``K=V``, then the directory if ``has_cwd``.

    Each item ends with NUL. Attached runs stay on this stream: EVT accepted, EVT started, DATA and END for each
    channel, then RES with the receipt; detached ones are answered by RES accepted.
    """

    key: Key
    argc: Annotated[int, Meta(ge=1, le=limits.ARGV_ITEMS)]
    envc: Annotated[int, Meta(ge=0, le=limits.ENV_ITEMS)] = 0
    has_cwd: bool = False
    user_key: bool = False
    shell: bool = False
    umask: Annotated[int, Meta(ge=0, le=0o777)] | None = None
    user: Name | None = None
    groups: tuple[Name, ...] = ()
    rlimits: dict[str, tuple[int, int]] = {}
    timeout_s: Seconds | None = None
    grace_s: Seconds = 10.0
    leave: bool = False
    stdin: bool = False
    on_disconnect: Literal["keep", "kill"] | Seconds | None = None
    retention: RetentionAsked = RetentionAsked()
    durability: Durability = "process"
    attach: bool = True
    credit: Bytes = limits.INITIAL_WINDOW_BYTES
    label: Annotated[str, Meta(max_length=limits.LABEL_BYTES)] = ""
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
    credit: Bytes = limits.INITIAL_WINDOW_BYTES
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
    key: Key
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


class Invite(Request, frozen=True, tag="invite"):
    """Open an invitation: one more principal may enrol with ``role`` within ``ttl_s`` seconds."""

    role: RoleName = "operator"
    ttl_s: Annotated[float, Meta(ge=1, le=limits.INVITATION_S)] = 600.0
    address: Annotated[str, Meta(max_length=limits.ADDRESS_CHARS)] = ""


class Principals(Request, frozen=True, tag="principals"):
    """Everybody who is or was enrolled here."""


class Revoke(Request, frozen=True, tag="revoke"):
    """Withdraw a principal's key at once and for good; its connections end, its jobs go on unless ``jobs``."""

    principal: PrincipalName
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
    | Invite
    | Principals
    | Revoke
)
REQUEST_NAMES: Final = tuple(sorted(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__))


# --- the body of RUN -------------------------------------------------------------------------------------------------


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
    announced = run.argc + run.envc + run.has_cwd
    if not body.endswith(b"\0") or body.count(b"\0") != announced:  # counted first: two million NULs make no list
        raise RemoteProtocolError("the body of RUN does not hold the announced items", code=ErrorCode.INVALID)
    items = body.split(b"\0")
    items.pop()
    cwd = items.pop() if run.has_cwd else None
    return items[: run.argc], items[run.argc :], cwd
