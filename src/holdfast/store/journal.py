"""The journal: what the agent knows about its jobs, in one SQLite database with a write-ahead log.

Rules of this room:

* One thread writes, in groups (``store.writer``); another waits for the disk (``store.flusher``). Reading waits for
  neither: each reading thread has a connection of its own.
* A commit that fails for want of room fails for its callers alone. Any other failure of a commit or a flush stops the
  writer for good: what is on the disk is then unknown, and asking again would be answered from the page cache.
* The file is never made anew, and never repaired, behind anybody's back (``store.schema``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import msgspec

from holdfast.errors import ClosedError, JournalDamaged, StorageError
from holdfast.store import faults, schema
from holdfast.store.flusher import Flush
from holdfast.store.interface import Done, Finished, OnGroup
from holdfast.store.rows import EventRow, JobRow, KeyRow, LogRow, SnapshotRow
from holdfast.store.statements import STATE_NUMBER, STATES
from holdfast.store.writer import Writer
from holdfast.store.writes import Write
from holdfast.types import Cause, JobId, JobState, Receipt, ShimId

_BUSY_S: Final = 5.0
_CACHE_KIB: Final = 8192


_decode_receipt = msgspec.json.Decoder(Receipt).decode

_COLUMNS: Final = """j.id, j.seq, p.name, ifnull(a.state, 4), j.spec, j.body_hash, j.key_hash, j.accepted_unix_s,
b.boot_id, j.power, ifnull(r.attempt, a.attempt), a.shim, ifnull(r.pid, a.pid), a.start_ticks,
ifnull(r.started_unix_s, a.started_unix_s), r.ended_unix_s, r.cause, a.stop_cause, ifnull(a.stop_by, ''),
ifnull(a.stop_grace_s, 0.0), j.label, j.retry_of, j.not_after_unix_s, ifnull(r.spooled, 0), ifnull(r.spool_bytes, 0),
r.receipt"""
_NAMES: Final = "JOIN principal p ON p.number = j.principal JOIN boot b ON b.number = j.boot"
_JOB: Final = f"""SELECT {_COLUMNS} FROM job j {_NAMES}
LEFT JOIN active a ON a.seq = j.seq LEFT JOIN result r ON r.seq = j.seq"""
_ACTIVE: Final = f"""SELECT {_COLUMNS} FROM active a CROSS JOIN job j ON j.seq = a.seq {_NAMES}
LEFT JOIN result r ON r.seq = j.seq"""  # CROSS: in this order, from the few to the many


_log = logging.getLogger(__name__)


def _guarded(on_group: OnGroup) -> OnGroup:
    """A callback that fails is a bug of its owner; the journal's threads must live on."""

    def call(finished: list[Finished]) -> None:
        try:
            on_group(finished)
        except Exception:
            _log.exception("a callback of the journal failed")

    return call


def _call_each(finished: list[Finished]) -> None:
    for done, error in finished:
        try:
            done(error)
        except Exception:
            _log.exception("a callback of the journal failed")


def _ignore(error: StorageError | None) -> None:
    """For submits that nobody waits for; a journal that has failed says so to the next one that does."""


class Journal:
    """The journal of one agent. All methods may be called from any thread; reads are short and indexed.

    Attributes:
        incarnation: Made with the journal, 32 hex digits: another one means that keys have no memory here.
        boot_id: The host's boot, as given at opening.
        previous_boot_id: The boot during which it was last open; None: never before.
        clean_stop: Whether it was closed in order the last time (True for a new one).
    """

    def __init__(
        self, path: str, db: sqlite3.Connection, *, boot_id: str, now_unix_s: float, on_group: OnGroup, flush: Flush
    ) -> None:
        self._path = path
        self._db = db
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._local = threading.local()
        self._closed = False
        self.boot_id = boot_id
        read = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE '\\_%' ESCAPE '\\'"))
        self.incarnation: str = read["_incarnation"]
        self.previous_boot_id: str | None = read.get("_boot_id")
        self.clean_stop = bool(read.get("_clean_stop", True))
        db.execute("BEGIN IMMEDIATE")
        for table in schema.MACHINE_TABLES:
            db.execute(table)
        db.execute("INSERT OR IGNORE INTO boot (boot_id) VALUES (?)", (boot_id,))
        values = [("_boot_id", boot_id), ("_clean_stop", 0), ("_opened_unix_s", now_unix_s)]
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
        boot: int = db.execute("SELECT number FROM boot WHERE boot_id = ?", (boot_id,)).fetchone()[0]
        db.execute("COMMIT")
        last_event: int = db.execute("SELECT ifnull(max(number), 0) FROM event").fetchone()[0]
        faults.flush_directory(os.path.dirname(path) or ".")  # the log's name, before anything relies on flushing it
        self._writer = Writer(db, path, boot=boot, last_event=last_event, on_group=on_group, flush=flush)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        boot_id: str,
        now_unix_s: float,
        random_bytes: Callable[[int], bytes],
        on_group: OnGroup | None = None,
        flush: Flush = os.fdatasync,
    ) -> Journal:
        """Opens a journal; makes it if there is none. The caller holds the state directory's lock.

        Args:
            path: The file. ``-wal`` and ``-shm`` lie beside it.
            boot_id: /proc/sys/kernel/random/boot_id.
            now_unix_s: For the record.
            random_bytes: Makes the incarnation of a new journal.
            on_group: Gets everything that one commit (or one flush) has finished in one call, on a thread of the
                journal, instead of each ``done`` being called there: an event loop is woken once a group.
            flush: Flushes a descriptor; for tests.

        Raises:
            JournalDamaged: the file is not a journal, or not whole. It has not been changed.
            StorageError: it cannot be read or made, or is of a newer version.
        """
        path = os.fspath(path)
        if not os.path.exists(path):
            if os.path.exists(f"{path}-wal"):
                raise JournalDamaged("the journal is gone and its log is still there", path=path)
            schema.make(path, now_unix_s=now_unix_s, random_bytes=random_bytes)
        schema.check(path)
        db = None
        try:
            db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            for setting in (
                "journal_mode = WAL",
                "synchronous = NORMAL",  # flushes at checkpoints; commits are flushed by the flusher, where asked
                "wal_autocheckpoint = 0",
                f"cache_size = -{_CACHE_KIB}",
                "journal_size_limit = 67108864",
                "temp_store = MEMORY",
            ):
                db.execute(f"PRAGMA {setting}").fetchone()
            return cls(
                path, db, boot_id=boot_id, now_unix_s=now_unix_s, on_group=_guarded(on_group or _call_each), flush=flush
            )
        except (sqlite3.Error, OSError) as exc:
            if db is not None:
                db.close()
            if isinstance(exc, OSError):
                raise StorageError(f"cannot open the journal: {exc.strerror}", path=path) from exc
            raise schema.damaged_or_unreadable(exc, path) from exc

    @property
    def failure(self) -> StorageError | None:
        """Why this journal takes no writes any more, or None."""
        return self._writer.failure

    def submit(
        self, writes: Sequence[Write], *, power: bool = False, at_once: bool = False, done: Done | None = None
    ) -> int:
        """Writes all of these, or none of them, soon. Returns without waiting for the disk.

        Args:
            writes: One transaction, carried out in order (events last).
            power: Answer only when it is flushed as well: it then survives a power failure. Without it, it survives
                the death of any process.
            at_once: If nothing else is being written, commit on the calling thread (some 50 us, no fsync) and call
                ``done`` before returning: saves two changes of thread while little is going on. Else, and for
                ``power``, as without it.
            done: Called once: None, or why it was not written (``.full``: room may come back; ``.read_only``: never
                again). On a thread of the journal, unless ``on_group`` was given. Submits of the same durability are
                answered in order.

        Returns:
            Number of the last event among the writes (they are numbered without gaps, in order), or of the last
            event submitted before. Numbers of failed submits are never used again.

        Raises:
            ClosedError: the journal is closed.
        """
        return self._writer.submit(writes, power=power, at_once=at_once, done=done or _ignore)

    def job(self, job: JobId) -> JobRow | None:
        """One job, or None."""
        for row in self._read(f"{_JOB} WHERE j.id = ?", (job,)):
            return _job_row(row)
        return None

    def body(self, job: JobId) -> bytes | None:
        """The body as it was given to ``InsertJob``, or None: no such job."""
        body: bytes | None = self._one("SELECT body FROM job WHERE id = ?", (job,))
        return body

    def output(self, job: JobId, channel: int) -> bytes | None:
        """The inline output of channel 1 or 2, or None: not done, or kept as a file, or nothing was written."""
        column = {1: "out", 2: "err"}[channel]
        sql = f"SELECT r.{column} FROM job j JOIN result r ON r.seq = j.seq WHERE j.id = ?"
        output: bytes | None = self._one(sql, (job,))
        return output

    def find(self, prefix: str, limit: int = 2, *, principals: Collection[str] | None = None) -> list[JobId]:
        """Ids that begin with ``prefix``, at most ``limit``: two are enough to see that it is not unique.

        ``principals``: only jobs of these; None: everybody's.
        """
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
        theirs, names = _of_principals("job", principals)
        sql = f"SELECT id FROM job WHERE id >= ? AND id < ?{theirs} ORDER BY id LIMIT ?"
        rows = self._read(sql, (prefix, end, *names, limit))
        return [JobId(row[0]) for row in rows]

    def jobs(
        self,
        *,
        states: Collection[JobState] | None = None,
        principals: Collection[str] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        """A page of jobs, newest first.

        Args:
            states: Only these; None: all.
            principals: Only jobs of these; None: everybody's.
            before: ``seq`` of the last row of the page before; None: the first page.
            limit: Most rows, 1 to 1 000.
        """
        where: list[str] = []
        values: list[object] = []
        select = _JOB
        if states is not None:
            numbers = sorted(STATE_NUMBER[state] for state in states)
            if STATE_NUMBER[JobState.DONE] not in numbers:
                select = _ACTIVE
            where.append(f"ifnull(a.state, 4) IN ({', '.join(map(str, numbers))})")
        theirs, names = _of_principals("j", principals)
        if theirs:
            where.append(theirs.removeprefix(" AND "))
            values.extend(names)
        if before is not None:
            where.append("j.seq < ?")
            values.append(before)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        rows = self._read(f"{select}{condition} ORDER BY j.seq DESC LIMIT ?", (*values, limit))
        return [_job_row(row) for row in rows]

    def unfinished(self) -> list[JobRow]:
        """Every job that is not DONE, oldest first: what recovery begins with."""
        return [_job_row(row) for row in self._read(f"{_ACTIVE} ORDER BY a.seq", ())]

    def key(self, principal: str, key_hash: bytes) -> KeyRow | None:
        """What a start key was used for, or None: never used here (or forgotten)."""
        rows = self._read(
            """SELECT job, body_hash, generated, born_unix_s, forgotten FROM key
            WHERE principal = (SELECT number FROM principal WHERE name = ?) AND key_hash = ?""",
            (principal, key_hash),
        )
        for job, body_hash, generated, born, forgotten in rows:
            return KeyRow(JobId(job), body_hash, "generated" if generated else "user", born, bool(forgotten))
        return None

    def events(self, after: int, limit: int = 1000) -> list[EventRow]:
        """Events with numbers above ``after``, in order, at most ``limit``."""
        rows = self._read("SELECT * FROM event WHERE number > ? ORDER BY number LIMIT ?", (after, limit))
        return [EventRow(*row) for row in rows]

    def last_event(self) -> int:
        """Number of the newest committed event, 0: none yet."""
        return self._one("SELECT ifnull(max(number), 0) FROM event", ()) or 0

    def prunable(
        self, *, ended_before_unix_s: float, limit: int = 500, principals: Collection[str] | None = None
    ) -> list[JobId]:
        """Finished jobs that ended before this time, oldest end first. ``principals``: only of these."""
        theirs, names = _of_principals("job", principals)
        rows = self._read(
            f"SELECT id FROM result JOIN job USING (seq) WHERE ended_unix_s < ?{theirs} ORDER BY ended_unix_s LIMIT ?",
            (ended_before_unix_s, *names, limit),
        )
        return [JobId(row[0]) for row in rows]

    def spool_bytes(self) -> int:
        """Bytes of all kept output files, as recorded."""
        return self._one("SELECT ifnull(sum(spool_bytes), 0) FROM result WHERE spooled > 0", ()) or 0

    def meta(self, name: str) -> bytes | str | int | float | None:
        """A value of ``SetMeta``, or None."""
        value: bytes | str | int | float | None = self._one("SELECT value FROM meta WHERE name = ?", (name,))
        return value

    def log(self, machine: str, after: int, limit: int = 1000) -> list[LogRow]:
        """Events of a recorded machine with ``seq`` above ``after``, in order, at most ``limit``."""
        rows = self._read(
            "SELECT seq, at_s, event FROM log WHERE machine = ? AND seq > ? ORDER BY seq LIMIT ?",
            (machine, after, limit),
        )
        return [LogRow(*row) for row in rows]

    def snapshot(self, machine: str) -> SnapshotRow | None:
        """What was kept of a recorded machine last, or None: nothing was."""
        for row in self._read("SELECT seq, at_s, body FROM snapshot WHERE machine = ?", (machine,)):
            return SnapshotRow(*row)
        return None

    def recorded_until(self) -> float | None:
        """The latest time of the recorded clock that any machine has seen, or None: there was no event yet."""
        newest = "SELECT max(at_s) FROM (SELECT at_s FROM log UNION ALL SELECT at_s FROM snapshot)"
        until: float | None = self._one(newest, ())
        return until

    def close(self, *, clean: bool = True) -> None:
        """Commits and answers what was submitted, then closes. A second call does nothing.

        Args:
            clean: The agent has done all it wanted to; the next opening sees ``clean_stop``.
        """
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        try:
            if clean and self._writer.failure is None:
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('_clean_stop', 1)")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass  # then the next opening finds the log and an unclean stop, which is what happened
        with self._readers_lock:
            for connection in (*self._readers, self._db):
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            self._readers.clear()

    def _reader(self) -> sqlite3.Connection:
        if self._closed:
            raise ClosedError("the journal is closed")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                f"{schema.uri(self._path)}?mode=ro",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._local.connection = connection
            with self._readers_lock:
                self._readers.append(connection)
        return connection

    def _read(self, sql: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._reader().execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            raise schema.damaged_or_unreadable(exc, self._path) from exc

    def _one(self, sql: str, values: Sequence[object]) -> Any:
        for row in self._read(sql, values):
            return row[0]
        return None


def _of_principals(table: str, principals: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """A condition on whose jobs these are, and its values; empty: everybody's."""
    if principals is None:
        return "", ()
    marks = ", ".join("?" * len(principals))
    return f" AND {table}.principal IN (SELECT number FROM principal WHERE name IN ({marks}))", tuple(principals)


def _job_row(row: tuple[Any, ...]) -> JobRow:
    return JobRow(
        job=JobId(row[0]),
        seq=row[1],
        principal=row[2],
        state=STATES[row[3]],
        spec=row[4],
        body_hash=row[5],
        key_hash=row[6],
        accepted_unix_s=row[7],
        boot_id=row[8],
        durability="power" if row[9] else "process",
        attempt=row[10],
        shim=None if row[11] is None else ShimId(row[11]),
        pid=row[12],
        start_ticks=row[13],
        started_unix_s=row[14],
        ended_unix_s=row[15],
        cause=None if row[16] is None else Cause(row[16]),
        stop_cause=None if row[17] is None else Cause(row[17]),
        stop_by=row[18],
        stop_grace_s=row[19],
        label=row[20],
        retry_of=None if row[21] is None else JobId(row[21]),
        not_after_unix_s=row[22],
        spooled=row[23],
        spool_bytes=row[24],
        receipt=None if row[25] is None else _decode_receipt(row[25]),
    )
