"""What can happen to a job, in the past tense; ``jobs.machine`` answers each with instructions."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.types import Cause, ExitStatus, ShimId, Usage

Scope = Literal["main", "group", "tree"]


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the shim (or the keeper in its place) has recorded about the end, in decoded form.

    ``cause`` is the supervisor's word: EXITED, SIGNALED, TIMEOUT, STOPPED, CLIENT_LOST, OUTPUT_LIMIT, START_FAILED.
    ``by`` is who asked for it ("" where nobody did). ``status`` is None only where no process was made.
    """

    cause: Cause
    status: ExitStatus | None = None
    by: str = ""
    errno: int | None = None
    stage: str = ""
    stdin_bytes: int = 0
    started_unix_s: float | None = None
    ended_unix_s: float = 0.0
    usage: Usage | None = None
    tree: Literal["gone", "left", "stuck"] = "gone"
    left: tuple[int, ...] = ()
    supervisor: Literal["shim", "keeper", "agent"] = "shim"


class TakenOutput(msgspec.Struct, frozen=True):
    """One output channel of an ended job, taken over from its shim.

    ``inline`` holds the bytes themselves (up to 64 KiB); None: they are a file of the job's own. ``length`` is the
    absolute one, ``first`` the oldest offset kept, ``xxh3`` the XXH3-128 of what is kept (32 hex digits).
    """

    length: int = 0
    first: int = 0
    xxh3: str | None = None
    inline: bytes | None = None


class SlotFreed(msgspec.Struct, frozen=True):
    """It is this job's turn and this shim is free."""

    shim: ShimId


class Spawned(msgspec.Struct, frozen=True):
    """The shim has recorded STARTED."""

    pid: int
    start_ticks: int
    started_unix_s: float


class SpawnFailed(msgspec.Struct, frozen=True):
    """No process could be made; nothing ran. ``stage`` as in ``errors.SpawnFailed``."""

    errno: int | None
    stage: str
    reason: str = ""


class MainExited(msgspec.Struct, frozen=True):
    """The main process is gone, its tree not yet."""


class Exited(msgspec.Struct, frozen=True):
    """The EXIT record exists and both outputs have been taken over."""

    record: ExitRecord
    stdout: TakenOutput = TakenOutput()
    stderr: TakenOutput = TakenOutput()


class StopAsked(msgspec.Struct, frozen=True):
    """Somebody wants it ended. ``by`` is ``person:NAME`` or ``agent``; ``grace_s`` 0 means KILL at once."""

    by: str
    grace_s: float = 10.0


class LeaseExpired(msgspec.Struct, frozen=True):
    """The last attached client has been gone for as long as the job's policy allows."""

    grace_s: float = 10.0


class OutputLimit(msgspec.Struct, frozen=True):
    """A channel reached the most that this job may write."""

    channel: int
    grace_s: float = 0.0


class SignalAsked(msgspec.Struct, frozen=True):
    """Somebody wants a signal sent; nothing else is meant by it."""

    signum: int
    scope: Scope = "main"
    by: str = ""


class NotAfterPassed(msgspec.Struct, frozen=True):
    """The time after which it must not be started any more is over."""


class LeftOnPurpose(msgspec.Struct, frozen=True):
    """The last attached client gave the job up knowingly: that is no lost client, so from now on it is kept."""


class Adopted(msgspec.Struct, frozen=True):
    """The shim is dead, the keeper has inherited the tree, supervises on and will record its end."""


class NothingInherited(msgspec.Struct, frozen=True):
    """The shim is dead and nothing of this job came to the keeper, or recovery found no trace of a start.

    A job that was STARTING provably never ran and waits again; of one that ran, nothing can be known any more.
    """


class Attached(msgspec.Struct, frozen=True):
    """Recovery found its supervisor alive; what else is known (``Spawned``, ``MainExited``) follows by itself."""

    shim: ShimId
    attempt: int
    adopted: bool = False


class Lost(msgspec.Struct, frozen=True):
    """Its end cannot be known any more: ``host_restart``, ``supervisor``, ... Outputs are what is still there."""

    reason: str
    stdout: TakenOutput = TakenOutput()
    stderr: TakenOutput = TakenOutput()


class FoundDamaged(msgspec.Struct, frozen=True):
    """A record of it fails its checksum: nothing is concluded from it, and nothing is started."""

    reason: str
    stdout: TakenOutput = TakenOutput()
    stderr: TakenOutput = TakenOutput()


Stimulus = (
    SlotFreed
    | Spawned
    | SpawnFailed
    | MainExited
    | Exited
    | StopAsked
    | LeaseExpired
    | OutputLimit
    | SignalAsked
    | NotAfterPassed
    | LeftOnPurpose
    | Adopted
    | NothingInherited
    | Attached
    | Lost
    | FoundDamaged
)
