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
from holdfast.store.statements import Statements
from holdfast.store.writes import AppendEvent, AppendLog, DropEvents, InsertJob, KeepSnapshot, MarkDone, Write

GROUP_SUBMITS: Final = 1000
"""Most submits of one commit: bounds how long the first of them waits (some 10 ms)."""

CHECKPOINT_PAGES: Final = 8000
"""Pages (2 KiB) in the log, by estimate, after which it is copied into the database."""

_PAGES_A_WRITE: Final = 3


_FAULTS_OF_A_WRITE: Final = (
    sqlite3.IntegrityError,  # a key or a job id that is there already
    sqlite3.DataError,  # longer than SQLite's longest value
    sqlite3.ProgrammingError,  # not a value that SQLite knows
)


class _Submit(NamedTuple):
    writes: list[Write]
    events: list[tuple[int, AppendEvent]]
    power: bool
    done: Done


_NOTHING: Final = _Submit([], [], False, lambda error: None)
"""Wakes the thread to tend the log."""


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
        self._pending = 0  # submits in the queue or being written
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

    def submit(self, writes: Sequence[Write], *, power: bool, at_once: bool, done: Done) -> int:
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
            submit = _Submit(plain, events, power, done)
            if not at_once or self._pending or power:
                self._pending += 1
                self._queue.put(submit)
                return number
            # Nothing is before it and the thread is asleep: nobody else writes while we hold the lock.
            error, _ = self._try([submit])
            if self._log_is_long():
                self._pending += 1
                self._queue.put(_NOTHING)
        done(error)
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
            self._write(group)
            self._tend_log()
            with self._lock:
                self._pending -= len(group)

    def _write(self, group: list[_Submit]) -> None:
        error, one_at_fault = self._try(group)
        if one_at_fault and len(group) > 1:  # the others must not suffer for it
            for submit in group:
                self._write([submit])
        elif error is not None:
            self._on_group([(submit.done, error) for submit in group])
        else:
            now: list[Finished] = [(submit.done, None) for submit in group if not submit.power]
            if now:
                self._on_group(now)
            if len(now) < len(group):
                self._flusher.flush([submit.done for submit in group if submit.power])

    def _try(self, group: list[_Submit]) -> tuple[StorageError | None, bool]:
        """Commits a group. Gives the error, and whether it lies in one of the writes rather than in the journal."""
        if self._failure is not None:
            return self._failure, False
        try:
            self._commit(group)
        except Exception as exc:  # whatever a write holds, this thread goes on
            return self._recover(exc)
        return None, False

    def _commit(self, group: list[_Submit]) -> None:
        apply = self._statements.apply
        events: list[tuple[int, AppendEvent]] = []
        pages = 0
        self._db.execute("BEGIN IMMEDIATE")
        for submit in group:
            for write in submit.writes:
                if type(write) is DropEvents and events:  # it looks at the newest
                    self._statements.append_events(events)
                    events = []
                apply(write)
                if type(write) is AppendLog:  # one page, and it is no step of a job
                    pages += 1 + (len(write.event) >> 11)
                    continue
                pages += _PAGES_A_WRITE
                if type(write) is InsertJob:
                    pages += len(write.body) >> 11
                elif type(write) is MarkDone:
                    pages += (len(write.stdout or b"") + len(write.stderr or b"")) >> 11
                elif type(write) is KeepSnapshot:
                    pages += len(write.body) >> 11
            events += submit.events
        if events:
            pages += _PAGES_A_WRITE
            self._statements.append_events(events)
        self._db.execute("COMMIT")
        self._log_pages += pages

    def _recover(self, exc: Exception) -> tuple[StorageError, bool]:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._statements.reload()
        except sqlite3.Error as second:
            return self._stop(second), False
        one_at_fault = False
        if schema.is_full(exc):
            error = StorageError("no room for the journal", path=self._path, full=True)
        elif schema.is_busy(exc):
            error = StorageError("the journal is locked by another program", path=self._path)
        elif isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, _FAULTS_OF_A_WRITE):
            return self._stop(exc), False
        else:
            error = StorageError(f"the journal refused a write: {exc!r}", path=self._path)
            one_at_fault = True
        error.__cause__ = exc
        return error, one_at_fault

    def _stop(self, exc: Exception) -> StorageError:
        error = StorageError(f"the journal cannot be written any more: {exc}", path=self._path, read_only=True)
        error.__cause__ = exc
        self._stop_writing(error)
        return error

    def _stop_writing(self, error: StorageError) -> None:
        """Final: the first failure is the one that every later write is answered with."""
        if self._failure is None:
            self._failure = error

    def _tend_log(self) -> None:
        """Keeps the log short. The flusher's pass copies most of it and waits for the disk; what came meanwhile is a
        small rest, which only the writer can finish: then the log begins anew with its next write."""
        if not self._log_is_long():
            return
        if self._finish_checkpoint:
            self._finish_checkpoint = False
            self._log_pages = 0
            try:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as exc:
                if not schema.is_full(exc) and not schema.is_busy(exc):
                    self._stop(exc)
        else:
            self._log_pages = 0
            self._flusher.checkpoint(self._checkpointed)

    def _log_is_long(self) -> bool:
        return self._finish_checkpoint or self._log_pages >= CHECKPOINT_PAGES

    def _checkpointed(self) -> None:
        self._finish_checkpoint = True
