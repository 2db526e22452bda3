"""What the journal gives back: one immutable record per row, times in Unix seconds."""

from __future__ import annotations

import msgspec

from holdfast.store.writes import KeyKind
from holdfast.types import Cause, Durability, JobId, JobState, Receipt, ShimId


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the journal knows it. Its body and inline outputs are read apart (``Journal.body``, ``.output``).

    ``seq`` gives the order of acceptance and is never used again. ``boot_id`` is the host's boot during which the job
    was accepted. ``stop_cause``, ``stop_by`` and ``stop_grace_s`` hold what was asked while it was starting or ending.
    """

    job: JobId
    seq: int
    principal: str
    state: JobState
    spec: bytes
    body_hash: bytes
    key_hash: bytes
    accepted_unix_s: float
    boot_id: str
    durability: Durability = "process"
    attempt: int = 0
    shim: ShimId | None = None
    pid: int | None = None
    start_ticks: int | None = None
    started_unix_s: float | None = None
    ended_unix_s: float | None = None
    cause: Cause | None = None
    stop_cause: Cause | None = None
    stop_by: str = ""
    stop_grace_s: float = 0.0
    label: str = ""
    retry_of: JobId | None = None
    not_after_unix_s: float | None = None
    spooled: int = 0
    spool_bytes: int = 0
    receipt: Receipt | None = None

    def is_spooled(self, channel: int) -> bool:
        """Whether this channel's output is kept as a file (else it is in the journal, or there is none)."""
        return bool(self.spooled >> channel & 1)


class KeyRow(msgspec.Struct, frozen=True):
    """A start key that was used. ``forgotten``: its job was pruned, so nothing but this is known of it any more."""

    job: JobId
    body_hash: bytes
    kind: KeyKind
    born_unix_s: float
    forgotten: bool = False


class EventRow(msgspec.Struct, frozen=True):
    """One line of the event log; ``body`` is JSON."""

    number: int
    job: JobId | None
    kind: str
    unix_s: float
    body: bytes = b""


class LogRow(msgspec.Struct, frozen=True):
    """One event of a recorded machine; see ``writes.AppendLog``."""

    seq: int
    at_s: float
    event: bytes


class SnapshotRow(msgspec.Struct, frozen=True):
    """A recorded machine as it was after event ``seq``."""

    seq: int
    at_s: float
    body: bytes
