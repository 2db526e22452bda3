"""What can be written to the journal: small immutable orders, most of them one step of one job.

A list of them handed to :meth:`Journal.submit` is one transaction: all of it is there afterwards, or none. They hold
values only; the journal turns each into one or two prepared statements (``store/statements.py``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.types import Cause, Durability, JobId, JobState, Receipt, ShimId

KeyKind = Literal["user", "generated"]
"""``user`` keys are remembered until they are forgotten by name; ``generated`` ones until their horizon."""

INLINE_OUTPUT_BYTES = 64 * 1024
"""Most bytes of one channel kept in the journal row; longer outputs are files."""


class InsertJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job was accepted. Writes the job, its input and its start key.

    ``state`` is QUEUED, or STARTING with ``attempt`` and ``shim`` when a shim was free at once (one transaction less).
    ``body`` and ``spec`` are opaque here (``jobs.body``, ``jobs.spec``). ``key_hash`` and ``body_hash`` are SHA-256.
    A key that this principal has used already fails the transaction: the journal never holds two jobs of one key.
    """

    job: JobId
    principal: str
    body: bytes
    spec: bytes
    body_hash: bytes
    key_hash: bytes
    accepted_unix_s: float
    key_kind: KeyKind = "generated"
    key_born_unix_s: float = 0.0
    durability: Durability = "process"
    state: JobState = JobState.QUEUED
    attempt: int = 0
    shim: ShimId | None = None
    label: str = ""
    retry_of: JobId | None = None
    not_after_unix_s: float | None = None


class MarkQueued(msgspec.Struct, frozen=True):
    """The attempt provably never ran: the job waits for a shim again (its attempt number stays)."""

    job: JobId


class MarkStarting(msgspec.Struct, frozen=True):
    """This shim is about to be asked to spawn attempt ``attempt`` (counted from 1)."""

    job: JobId
    attempt: int
    shim: ShimId


class MarkStarted(msgspec.Struct, frozen=True):
    """The command runs. ``start_ticks``: field 22 of /proc/PID/stat; pid, ticks and boot id name a process for ever."""

    job: JobId
    pid: int
    start_ticks: int
    started_unix_s: float


class MarkEnding(msgspec.Struct, frozen=True):
    """The job is being ended, or will be as soon as it has started (``state`` STARTING).

    ``cause`` None: nobody asked, its main process is gone and its tree is not yet.
    """

    job: JobId
    state: JobState = JobState.ENDING
    cause: Cause | None = None
    by: str = ""
    grace_s: float = 0.0


class ReplaceSpec(msgspec.Struct, frozen=True):
    """What was asked for was changed by who asked. The job must not be DONE; its body and body hash stay."""

    job: JobId
    spec: bytes


class MarkDone(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job. ``stdout`` and ``stderr`` are inline outputs of up to ``INLINE_OUTPUT_BYTES``, or None.

    ``spooled`` has bit N set where channel N is kept as a file; ``spool_bytes`` is what these files hold together.
    """

    job: JobId
    receipt: Receipt
    stdout: bytes | None = None
    stderr: bytes | None = None
    spooled: int = 0
    spool_bytes: int = 0
    pid: int | None = None


class UpdateReceipt(msgspec.Struct, frozen=True):
    """The receipt with more in it than before: SHA-256 digests come later. The job must be DONE."""

    job: JobId
    receipt: Receipt


class DeleteJob(msgspec.Struct, frozen=True):
    """Drops a finished job. Its key stays (and answers "forgotten job") unless ``forget_key``."""

    job: JobId
    forget_key: bool = False


class ForgetKey(msgspec.Struct, frozen=True):
    """Forgets a key whose job is gone already; that of a job still there goes with :class:`DeleteJob`."""

    principal: str
    key_hash: bytes


class DropKeys(msgspec.Struct, frozen=True):
    """Forgets generated keys born before this time whose job is gone: they are past their horizon anyway."""

    born_before_unix_s: float
    limit: int = 1000


class AppendEvent(msgspec.Struct, frozen=True):
    """One line of the event log. ``body`` is JSON of at most 4 KiB; the number is given by :meth:`Journal.submit`."""

    job: JobId | None
    kind: str
    unix_s: float
    body: bytes = b""


class DropEvents(msgspec.Struct, frozen=True):
    """Drops events up to and including ``through``; the newest event always stays, so numbers are never used again."""

    through: int


class SetMeta(msgspec.Struct, frozen=True):
    """One named value of the agent (names with a leading underscore are the journal's own)."""

    name: str
    value: bytes | str | int | float | None


class AppendLog(msgspec.Struct, frozen=True):
    """One event of a recorded machine, as it was decided to happen. Its meaning is the machine's own.

    Attributes:
        machine: Whose log this is, by name.
        seq: Counts the events of this machine from 1 on; given by who records them. Those that could not be written are
            left out.
        at_s: Recorded clock (``agent.recorded``), never less than that of the event before.
    """

    machine: str
    seq: int
    at_s: float
    event: bytes


class KeepSnapshot(msgspec.Struct, frozen=True):
    """A machine as it is after event ``seq``: takes the place of the snapshot before and of the log up to there."""

    machine: str
    seq: int
    at_s: float
    body: bytes


Write = (
    InsertJob
    | MarkQueued
    | MarkStarting
    | MarkStarted
    | MarkEnding
    | ReplaceSpec
    | MarkDone
    | UpdateReceipt
    | DeleteJob
    | ForgetKey
    | DropKeys
    | AppendEvent
    | DropEvents
    | SetMeta
    | AppendLog
    | KeepSnapshot
)
