"""The one thread that writes the journal, in groups.

A group is whatever arrived while the group before was being committed: one write alone is committed at once, and a
thousand at a time cost one commit. Nobody waits for a group to fill.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from holdfast.errors import ClosedError, StorageError
from holdfast.store import schema
from holdfast.store.flusher import Flush, Flusher
from holdfast.store.interface import Done, Finished, OnGroup
from holdfast.store.statements import NoSuchJob, Statements
from holdfast.store.writes import AppendEvent, InsertJob, MarkDone, Write

GROUP_SUBMITS: Final = 1000
"""Most submits of one commit: bounds how long the first of them waits (some 10 ms)."""

CHECKPOINT_PAGES: Final = 8000
"""Pages (2 KiB) in the log, by estimate, after which it is copied into the database."""

_PAGES_A_WRITE: Final = 3


class _Submit(NamedTuple):
    writes: list[Write]
    events: list[tuple[int, AppendEvent]]
    power: bool
    done: Done


class Writer:
    """Owns the writing connection and its thread; ``submit`` may be called from any thread.

    Args:
        db: The writing connection, autocommit, usable from another thread.
        path: The journal's path, for errors.
        boot: Number of this host boot in the table ``boot``.
        last_event: Highest event number ever given.
        on_group: Gets what one commit or flush has finished, on the thread that finished it.
        flush: See :class:`Flusher`.
    """

    def __init__(
        self, db: sqlite3.Connection, path: str, *, boot: int, last_event: int, on_group: OnGroup, flush: Flush
    ) -> None:
        self._db = db
        self._path = path
        self._statements = Statements(db, boot=boot)
        self._on_group = on_group
        self._queue: SimpleQueue[_Submit | None] = SimpleQueue()
        self._lock = threading.Lock()  # keeps event numbers in the order of the queue
        self._event = last_event
        self._closed = False
        self._failure: StorageError | None = None
        self._log_pages = 0
        self._finish_checkpoint = False
        self._flusher = Flusher(path, on_group=on_group, on_failure=self._stop_writing, flush=flush)
        self._thread = threading.Thread(target=self._run, name="holdfast-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> StorageError | None:
        """Why nothing is written any more, or None."""
        return self._failure

    def submit(self, writes: Sequence[Write], *, power: bool, done: Done) -> int:
        """See :meth:`Journal.submit`."""
        plain: list[Write] = []
        events: list[tuple[int, AppendEvent]] = []
        with self._lock:
            if self._closed:
                raise ClosedError("the journal is closed")
            number = self._event
            for write in writes:
                if type(write) is AppendEvent:
                    number += 1
                    events.append((number, write))
                else:
                    plain.append(write)
            self._event = number
            self._queue.put(_Submit(plain, events, power, done))
        return number

    def close(self) -> None:
        """Commits, flushes and answers everything submitted so far; ends both threads."""
        with self._lock:
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._flusher.close()

    def _run(self) -> None:
        get, get_nowait = self._queue.get, self._queue.get_nowait
        closing = False
        while not closing:
            group = []
            item = get()
            try:
                while item is not None:
                    group.append(item)
                    if len(group) == GROUP_SUBMITS:
                        break
                    item = get_nowait()
                else:
                    closing = True
            except Empty:
                pass
            if group:
                self._write(group)
            self._tend_log()

    def _write(self, group: list[_Submit]) -> None:
        error = self._failure
        if error is None:
            try:
                self._commit(group)
            except (sqlite3.Error, NoSuchJob, OverflowError) as exc:
                error = self._recover(exc)
                if error is None and len(group) > 1:
                    # One of them cannot be written; the others must not suffer for it.
                    for submit in group:
                        self._write([submit])
                    return
                if error is None:
                    error = StorageError(f"the journal refused a write: {exc}", path=self._path)
                    error.__cause__ = exc
        if error is not None:
            self._on_group([(submit.done, error) for submit in group])
            return
        now: list[Finished] = [(submit.done, None) for submit in group if not submit.power]
        if now:
            self._on_group(now)
        if len(now) < len(group):
            self._flusher.flush([submit.done for submit in group if submit.power])

    def _commit(self, group: list[_Submit]) -> None:
        apply = self._statements.apply
        events: list[tuple[int, AppendEvent]] = []
        pages = 3
        self._db.execute("BEGIN IMMEDIATE")
        for submit in group:
            events += submit.events
            for write in submit.writes:
                apply(write)
                pages += _PAGES_A_WRITE
                if type(write) is InsertJob:
                    pages += len(write.body) >> 11
                elif type(write) is MarkDone:
                    pages += (len(write.stdout or b"") + len(write.stderr or b"")) >> 11
        if events:
            self._statements.append_events(events)
        self._db.execute("COMMIT")
        self._log_pages += pages

    def _recover(self, exc: Exception) -> StorageError | None:
        """Undoes a failed transaction. Gives the error for the whole group, or None: one submit's own fault."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._statements.reload()
        except sqlite3.Error as second:
            return self._stop_writing(self._final(second))
        if schema.is_full(exc):
            error = StorageError("no room for the journal", path=self._path, full=True)
        elif schema.is_busy(exc):
            error = StorageError("the journal is locked by another program", path=self._path)
        elif isinstance(exc, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
            exc, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.ProgrammingError | sqlite3.InterfaceError
        ):
            return self._stop_writing(self._final(exc))
        else:
            return None
        error.__cause__ = exc
        return error

    def _final(self, exc: Exception) -> StorageError:
        error = StorageError(f"the journal cannot be written any more: {exc}", path=self._path, read_only=True)
        error.__cause__ = exc
        return error

    def _stop_writing(self, error: StorageError) -> StorageError:
        if self._failure is None:
            self._failure = error
        return self._failure

    def _tend_log(self) -> None:
        """Keeps the log short. The flusher's pass copies most of it and waits for the disk; what came meanwhile is a
        small rest, which only the writer can finish: then the log begins anew with its next write."""
        if self._finish_checkpoint:
            self._finish_checkpoint = False
            self._log_pages = 0
            try:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as exc:
                if not schema.is_full(exc) and not schema.is_busy(exc):
                    self._stop_writing(self._final(exc))
        elif self._log_pages >= CHECKPOINT_PAGES:
            self._log_pages = 0
            self._flusher.checkpoint(self._checkpointed)

    def _checkpointed(self) -> None:
        self._finish_checkpoint = True
