"""The thread that waits for the disk so that nobody else has to: it flushes the journal's log and moves it into place.

A group that asked for ``power`` is committed by the writer like any other, and answered from here, after fdatasync(2)
of the write-ahead log; groups that come in the meantime share the next flush. Flushing through a descriptor of our own
does what ``synchronous=FULL`` would, without making ``process`` writes wait for it.

The error of a failed flush is final: the kernel has marked the pages clean and would call the next one a success
(fsync(2); https://lwn.net/Articles/752063/).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from holdfast.errors import StorageError
from holdfast.store import schema
from holdfast.store.interface import Done, OnGroup

Flush = Callable[[int], None]

_CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"


class Flusher:
    """Owns one thread, one descriptor of the log and one connection for checkpoints.

    Args:
        path: The journal.
        on_group: Gets what one flush has finished.
        on_failure: Told once when a flush or checkpoint failed for good.
        flush: ``os.fdatasync``, or what a test puts in its place.
    """

    def __init__(
        self, path: str, *, on_group: OnGroup, on_failure: Callable[[StorageError], None], flush: Flush
    ) -> None:
        self._path = path
        self._on_group = on_group
        self._on_failure = on_failure
        self._flush = flush
        self._queue: SimpleQueue[list[Done] | None] = SimpleQueue()
        self._checkpointed: Callable[[], None] | None = None
        self.failure: StorageError | None = None
        self.log_fd = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="holdfast-flusher", daemon=True)
        self._thread.start()

    def flush(self, waiting: list[Done]) -> None:
        """Answers these after a flush that begins from now on."""
        self._queue.put(waiting)

    def checkpoint(self, finished: Callable[[], None]) -> None:
        """Copies the log into the database (readers and the writer go on meanwhile), then calls ``finished``."""
        self._checkpointed = finished
        self._queue.put([])

    def close(self) -> None:
        """Answers everything asked so far and ends the thread."""
        self._queue.put(None)
        self._thread.join()
        os.close(self.log_fd)

    def _run(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            db.execute("SELECT 1 FROM sqlite_schema").fetchone()  # opens its files now, not at the first checkpoint
            while True:
                asked = [self._queue.get()]
                while not self._queue.empty():
                    asked.append(self._queue.get())
                waiting = [done for group in asked if group is not None for done in group]
                if waiting:
                    self._flush_once(waiting)
                finished, self._checkpointed = self._checkpointed, None
                if finished is not None:
                    self._checkpoint(db)
                    finished()
                if None in asked:
                    return
        finally:
            db.close()

    def _flush_once(self, waiting: list[Done]) -> None:
        if self.failure is None:
            try:
                self._flush(self.log_fd)
            except OSError as exc:
                self._fail(f"the journal's log could not be flushed: {exc.strerror}", exc)
        self._on_group([(done, self.failure) for done in waiting])

    def _checkpoint(self, db: sqlite3.Connection) -> None:
        if self.failure is not None:
            return
        try:
            db.execute(_CHECKPOINT).fetchone()
        except sqlite3.Error as exc:
            # No room: the log simply stays as long as it is. Busy: the writer was quicker.
            if not schema.is_full(exc) and not schema.is_busy(exc):
                self._fail(f"the journal's log could not be moved into place: {exc}", exc)

    def _fail(self, message: str, exc: Exception) -> None:
        self.failure = StorageError(message, path=self._path, read_only=True)
        self.failure.__cause__ = exc
        self._on_failure(self.failure)
