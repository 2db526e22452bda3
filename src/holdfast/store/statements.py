"""Each write as SQL: one or two prepared statements on rows that are addressed by number."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from holdfast.store.writes import (
    AppendEvent,
    AppendLog,
    DeleteJob,
    DropEvents,
    DropKeys,
    ForgetKey,
    InsertJob,
    KeepSnapshot,
    MarkDone,
    MarkEnding,
    MarkQueued,
    MarkStarted,
    MarkStarting,
    ReplaceSpec,
    SetMeta,
    UpdateReceipt,
    Write,
)
from holdfast.types import JobId, JobState

STATES: Final = tuple(JobState)
STATE_NUMBER: Final[Mapping[JobState, int]] = {state: number for number, state in enumerate(STATES)}

_encode = msgspec.json.Encoder().encode

_INSERT_JOB = "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ACTIVE = "INSERT INTO active (seq, state, attempt, shim) VALUES (?, ?, ?, ?)"
_INSERT_KEY = "INSERT INTO key VALUES (?, ?, ?, ?, ?, ?, 0)"
_QUEUED = "UPDATE active SET state = 0, shim = NULL, pid = NULL, start_ticks = NULL WHERE seq = ?"
_STARTING = "UPDATE active SET state = 1, attempt = ?, shim = ? WHERE seq = ?"
_STARTED = "UPDATE active SET state = 2, pid = ?, start_ticks = ?, started_unix_s = ? WHERE seq = ?"
_ENDING = "UPDATE active SET state = ? WHERE seq = ?"
_STOP = "UPDATE active SET state = ?, stop_cause = ?, stop_by = ?, stop_grace_s = ? WHERE seq = ?"
_SPEC = "UPDATE job SET spec = ? WHERE seq = ? AND EXISTS (SELECT 1 FROM active WHERE active.seq = job.seq)"
_DONE = "DELETE FROM active WHERE seq = ?"
_RESULT = "INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECEIPT = "UPDATE result SET receipt = ? WHERE seq = ?"
_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?)"
_LOG = "INSERT INTO log VALUES (?, ?, ?, ?)"
_SNAPSHOT = "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)"


class NoSuchJob(Exception):
    """A write names a job that the journal does not have."""


class Statements:
    """Carries out writes on one connection, inside whatever transaction is open. Belongs to the writer's thread.

    Jobs that this process has inserted are addressed by row number without asking the index of ids again.
    """

    def __init__(self, db: sqlite3.Connection, *, boot: int) -> None:
        self._db = db
        self._boot = boot
        self._seqs: dict[JobId, int] = {}
        self._principals: dict[str, int] = {}
        self.reload()

    def reload(self) -> None:
        """Forgets what is remembered of the tables: after a rollback, memory may be ahead of them."""
        self._seqs.clear()
        self._principals.clear()
        newest = "SELECT max((SELECT value FROM meta WHERE name = '_last_seq'), ifnull(max(seq), 0)) FROM job"
        self._last_seq: int = self._db.execute(newest).fetchone()[0]

    def apply(self, write: Write) -> None:
        """Carries out one write (events have their own way, :meth:`append_events`).

        Raises:
            NoSuchJob: the job it names is not there.
            sqlite3.Error: whatever SQLite says.
        """
        _APPLY[type(write)](self, write)

    def append_events(self, events: list[tuple[int, AppendEvent]]) -> None:
        """Appends numbered events."""
        self._db.executemany(_EVENT, [(number, e.job, e.kind, e.unix_s, e.body) for number, e in events])

    def _seq(self, job: JobId) -> int:
        seq = self._seqs.get(job)
        if seq is None:
            row = self._db.execute("SELECT seq FROM job WHERE id = ?", (job,)).fetchone()
            if row is None:
                raise NoSuchJob(job)
            seq = self._seqs[job] = int(row[0])
        return seq

    def _principal(self, name: str) -> int:
        number = self._principals.get(name)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO principal (name) VALUES (?)", (name,))
            number = int(self._db.execute("SELECT number FROM principal WHERE name = ?", (name,)).fetchone()[0])
            self._principals[name] = number
        return number

    def _insert(self, w: InsertJob) -> None:
        principal = self._principal(w.principal)
        seq = self._last_seq + 1
        db = self._db
        generated = w.key_kind == "generated"
        db.execute(_INSERT_KEY, (principal, w.key_hash, w.job, w.body_hash, generated, w.key_born_unix_s))
        row = (
            seq,
            w.job,
            principal,
            self._boot,
            w.accepted_unix_s,
            w.durability == "power",
            w.label,
            w.retry_of,
            w.not_after_unix_s,
            w.body_hash,
            w.key_hash,
            w.spec,
            w.body,
        )
        db.execute(_INSERT_JOB, row)
        db.execute(_INSERT_ACTIVE, (seq, STATE_NUMBER[w.state], w.attempt, w.shim))
        self._last_seq = self._seqs[w.job] = seq

    def _move(self, sql: str, job: JobId, values: tuple[object, ...]) -> None:
        """Changes where a job stands; one that is DONE stands nowhere, so no late write can bring it back."""
        if self._db.execute(sql, (*values, self._seq(job))).rowcount != 1:
            raise NoSuchJob(f"{job} is done")

    def _queued(self, w: MarkQueued) -> None:
        self._move(_QUEUED, w.job, ())

    def _starting(self, w: MarkStarting) -> None:
        self._move(_STARTING, w.job, (w.attempt, w.shim))

    def _started(self, w: MarkStarted) -> None:
        self._move(_STARTED, w.job, (w.pid, w.start_ticks, w.started_unix_s))

    def _ending(self, w: MarkEnding) -> None:
        if w.cause is None:
            self._move(_ENDING, w.job, (STATE_NUMBER[w.state],))
        else:
            self._move(_STOP, w.job, (STATE_NUMBER[w.state], w.cause.value, w.by, w.grace_s))

    def _spec(self, w: ReplaceSpec) -> None:
        self._move(_SPEC, w.job, (w.spec,))

    def _done(self, w: MarkDone) -> None:
        self._move(_DONE, w.job, ())
        receipt = w.receipt
        row = (
            self._seq(w.job),
            receipt.cause.value,
            receipt.attempt,
            w.pid,
            receipt.started_unix_s,
            receipt.ended_unix_s,
            w.spooled,
            w.spool_bytes,
            _encode(receipt),
            w.stdout,
            w.stderr,
        )
        self._db.execute(_RESULT, row)
        del self._seqs[w.job]

    def _receipt(self, w: UpdateReceipt) -> None:
        if self._db.execute(_RECEIPT, (_encode(w.receipt), self._seq(w.job))).rowcount != 1:
            raise NoSuchJob(f"{w.job} is not done")
        self._seqs.pop(w.job, None)

    def _delete(self, w: DeleteJob) -> None:
        seq, db = self._seq(w.job), self._db
        if db.execute("DELETE FROM result WHERE seq = ?", (seq,)).rowcount != 1:
            raise NoSuchJob(f"{w.job} is not done")
        principal, key_hash = db.execute("SELECT principal, key_hash FROM job WHERE seq = ?", (seq,)).fetchone()
        if seq == self._last_seq:  # the number must stay used after its row is gone
            db.execute("UPDATE meta SET value = ? WHERE name = '_last_seq'", (seq,))
        db.execute("DELETE FROM job WHERE seq = ?", (seq,))
        verb = "DELETE FROM key" if w.forget_key else "UPDATE key SET forgotten = 1"
        db.execute(f"{verb} WHERE principal = ? AND key_hash = ?", (principal, key_hash))
        self._seqs.pop(w.job, None)

    def _forget_key(self, w: ForgetKey) -> None:
        self._db.execute(
            "DELETE FROM key WHERE principal = ? AND key_hash = ? AND forgotten",
            (self._principal(w.principal), w.key_hash),
        )

    def _drop_keys(self, w: DropKeys) -> None:
        self._db.execute(
            """DELETE FROM key WHERE (principal, key_hash) IN (SELECT principal, key_hash FROM key
            WHERE generated AND forgotten AND born_unix_s < ? LIMIT ?)""",
            (w.born_before_unix_s, w.limit),
        )

    def _drop_events(self, w: DropEvents) -> None:
        self._db.execute(
            "DELETE FROM event WHERE number <= ? AND number < (SELECT max(number) FROM event)", (w.through,)
        )

    def _meta(self, w: SetMeta) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (w.name, w.value))

    def _log(self, w: AppendLog) -> None:
        self._db.execute(_LOG, (w.machine, w.seq, w.at_s, w.event))

    def _snapshot(self, w: KeepSnapshot) -> None:
        self._db.execute(_SNAPSHOT, (w.machine, w.seq, w.at_s, w.body))
        self._db.execute("DELETE FROM log WHERE machine = ? AND seq <= ?", (w.machine, w.seq))


_APPLY: Final[Mapping[type[Write], Callable[[Statements, Any], None]]] = {
    InsertJob: Statements._insert,
    MarkQueued: Statements._queued,
    MarkStarting: Statements._starting,
    MarkStarted: Statements._started,
    MarkEnding: Statements._ending,
    ReplaceSpec: Statements._spec,
    MarkDone: Statements._done,
    UpdateReceipt: Statements._receipt,
    DeleteJob: Statements._delete,
    ForgetKey: Statements._forget_key,
    DropKeys: Statements._drop_keys,
    DropEvents: Statements._drop_events,
    SetMeta: Statements._meta,
    AppendLog: Statements._log,
    KeepSnapshot: Statements._snapshot,
}
