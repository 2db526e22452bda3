"""Every request of a client, and the body of RUN.

Requests are must-understand: an unknown field, at any depth, is refused (301), so an old agent cannot silently ignore
a limit it was given. What may be ignored goes into ``hints``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from holdfast.wire import limits
from holdfast.wire.coordination import (
    Acquire,
    Await,
    Drop,
    Flag,
    Join,
    Leases,
    Meet,
    Notify,
    ObjectState,
    Open,
    Put,
    Release,
    Renew,
    Settle,
    ShutQueue,
    Take,
    Withdraw,
)
from holdfast.wire.plans import Group, Groups, Plan, Plans, Replan, Unplan
from holdfast.wire.request_types import (
    Bytes,
    JobName,
    Key,
    PrincipalName,
    Request,
    RoleName,
    Seconds,
)
from holdfast.wire.run import Run


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


class Dial(Request, frozen=True, tag="dial"):
    """Speak with the worker that is this job's main process: channel 0 goes to it, channel 1 comes from it.

    EVT opened tells that both ends are there. The bytes between them are theirs alone; the agent does not look into
    them. Answered when the worker has gone, or either end was lost: then both begin anew with another DIAL.
    """

    job: JobName
    credit: Bytes = limits.INITIAL_WINDOW_BYTES


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
    | Open
    | Drop
    | Acquire
    | Release
    | Await
    | Notify
    | Flag
    | Meet
    | Put
    | Take
    | Settle
    | Join
    | ShutQueue
    | Withdraw
    | Renew
    | ObjectState
    | Leases
    | Plan
    | Unplan
    | Replan
    | Plans
    | Group
    | Groups
    | Dial
)
REQUEST_NAMES: Final = tuple(sorted(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__))
