"""The journal as its users see it: both SQLite's (``store.journal``) and that of tests (``store.memory``) are one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from holdfast.errors import StorageError
from holdfast.store.rows import EventRow, JobRow, KeyRow
from holdfast.store.writes import Write
from holdfast.types import JobId, JobState

Done = Callable[[StorageError | None], None]
"""Called once per submit, in order of submits: None when it is committed (and flushed, if ``power`` was asked)."""
Finished = tuple[Done, StorageError | None]
OnGroup = Callable[[list[Finished]], None]
"""Called from the writer's threads with everything that one commit (or flush) has finished: wake a loop once."""


class JobJournal(Protocol):
    """See :class:`holdfast.store.journal.Journal` for what each method promises."""

    incarnation: str
    boot_id: str
    previous_boot_id: str | None
    clean_stop: bool

    def submit(
        self, writes: Sequence[Write], *, power: bool = False, at_once: bool = False, done: Done | None = None
    ) -> int: ...

    def job(self, job: JobId) -> JobRow | None: ...
    def body(self, job: JobId) -> bytes | None: ...
    def output(self, job: JobId, channel: int) -> bytes | None: ...
    def find(self, prefix: str, limit: int = 2, *, principals: Collection[str] | None = None) -> list[JobId]: ...
    def jobs(
        self,
        *,
        states: Collection[JobState] | None = None,
        principals: Collection[str] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]: ...
    def unfinished(self) -> list[JobRow]: ...
    def key(self, principal: str, key_hash: bytes) -> KeyRow | None: ...
    def events(self, after: int, limit: int = 1000) -> list[EventRow]: ...
    def last_event(self) -> int: ...
    def prunable(
        self, *, ended_before_unix_s: float, limit: int = 500, principals: Collection[str] | None = None
    ) -> list[JobId]: ...
    def spool_bytes(self) -> int: ...
    def meta(self, name: str) -> bytes | str | int | float | None: ...
    def close(self, *, clean: bool = True) -> None: ...
