"""The journal without a disk, for tests: the same promises in dictionaries, answered before ``submit`` returns.

``tests/conformance/test_store.py`` holds both to the same behaviour.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from holdfast.errors import ClosedError, StorageError
from holdfast.store.interface import Done, OnGroup
from holdfast.store.rows import EventRow, JobRow, KeyRow, LogRow, SnapshotRow
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

_PATH = ":memory:"


class _Refused(Exception):
    """A write that the tables do not allow."""


class _Tables:
    """Everything that a transaction changes; copied before one begins, so that it can be undone."""

    def __init__(self) -> None:
        self.rows: dict[JobId, JobRow] = {}
        self.bodies: dict[JobId, bytes] = {}
        self.outputs: dict[tuple[JobId, int], bytes] = {}
        self.keys: dict[tuple[str, bytes], KeyRow] = {}
        self.events: dict[int, EventRow] = {}
        self.meta: dict[str, bytes | str | int | float | None] = {}
        self.log: dict[tuple[str, int], LogRow] = {}
        self.snapshots: dict[str, SnapshotRow] = {}
        self.last_seq = 0


class MemoryJournal:
    """See :class:`holdfast.store.journal.Journal`.

    Attributes:
        fail: If set, every submit fails with it.
    """

    def __init__(
        self, *, boot_id: str = "boot", random_bytes: Callable[[int], bytes] = bytes, on_group: OnGroup | None = None
    ) -> None:
        self._tables = _Tables()
        self._on_group = on_group
        self._event = 0
        self._closed = False
        self.fail: StorageError | None = None
        self.incarnation = random_bytes(16).hex()
        self.boot_id = boot_id
        self.previous_boot_id: str | None = None
        self.clean_stop = True

    def reopened(self, *, boot_id: str, clean: bool = False) -> MemoryJournal:
        """Another one with the same contents, as after a restart of the agent."""
        other = MemoryJournal(boot_id=boot_id, on_group=self._on_group)
        other._tables = copy.deepcopy(self._tables)
        other._event = self.last_event()
        other.incarnation, other.previous_boot_id, other.clean_stop = self.incarnation, self.boot_id, clean
        return other

    def submit(
        self, writes: Sequence[Write], *, power: bool = False, at_once: bool = False, done: Done | None = None
    ) -> int:
        if self._closed:
            raise ClosedError("the journal is closed")
        error = self.fail
        first = self._event
        self._event += sum(type(write) is AppendEvent for write in writes)
        if error is None:
            before = copy.copy(self._tables)
            for name, table in vars(before).items():
                setattr(before, name, copy.copy(table))
            try:
                for write in sorted(writes, key=lambda write: type(write) is AppendEvent):
                    if type(write) is AppendEvent:
                        first += 1
                        event = EventRow(first, write.job, write.kind, write.unix_s, write.body)
                        self._tables.events[first] = event
                    else:
                        _APPLY[type(write)](self, write)
            except _Refused as exc:
                self._tables = before
                error = StorageError(f"the journal refused a write: {exc}", path=_PATH)
        if done is not None:
            if self._on_group is not None:
                self._on_group([(done, error)])
            else:
                done(error)
        return self._event

    def job(self, job: JobId) -> JobRow | None:
        return self._tables.rows.get(job)

    def body(self, job: JobId) -> bytes | None:
        return self._tables.bodies.get(job)

    def output(self, job: JobId, channel: int) -> bytes | None:
        return self._tables.outputs.get((job, channel))

    def find(self, prefix: str, limit: int = 2, *, principals: Collection[str] | None = None) -> list[JobId]:
        return sorted(
            job
            for job, row in self._tables.rows.items()
            if job.startswith(prefix) and (principals is None or row.principal in principals)
        )[:limit]

    def jobs(
        self,
        *,
        states: Collection[JobState] | None = None,
        principals: Collection[str] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        rows = [
            row
            for row in self._tables.rows.values()
            if (states is None or row.state in states)
            and (principals is None or row.principal in principals)
            and (before is None or row.seq < before)
        ]
        return sorted(rows, key=lambda row: -row.seq)[:limit]

    def unfinished(self) -> list[JobRow]:
        return [row for row in reversed(self.jobs(limit=len(self._tables.rows))) if row.state is not JobState.DONE]

    def key(self, principal: str, key_hash: bytes) -> KeyRow | None:
        return self._tables.keys.get((principal, key_hash))

    def events(self, after: int, limit: int = 1000) -> list[EventRow]:
        numbers = sorted(number for number in self._tables.events if number > after)
        return [self._tables.events[number] for number in numbers[:limit]]

    def last_event(self) -> int:
        return max(self._tables.events, default=0)

    def prunable(
        self, *, ended_before_unix_s: float, limit: int = 500, principals: Collection[str] | None = None
    ) -> list[JobId]:
        ended = [
            (row.ended_unix_s, row.job)
            for row in self._tables.rows.values()
            if row.ended_unix_s is not None and (principals is None or row.principal in principals)
        ]
        return [job for at, job in sorted(ended) if at < ended_before_unix_s][:limit]

    def spool_bytes(self) -> int:
        return sum(row.spool_bytes for row in self._tables.rows.values())

    def meta(self, name: str) -> bytes | str | int | float | None:
        return self._tables.meta.get(name)

    def log(self, machine: str, after: int, limit: int = 1000) -> list[LogRow]:
        rows = [row for (name, seq), row in self._tables.log.items() if name == machine and seq > after]
        return sorted(rows, key=lambda row: row.seq)[:limit]

    def snapshot(self, machine: str) -> SnapshotRow | None:
        return self._tables.snapshots.get(machine)

    def recorded_until(self) -> float | None:
        times = [row.at_s for row in self._tables.log.values()]
        times += [row.at_s for row in self._tables.snapshots.values()]
        return max(times, default=None)

    def close(self, *, clean: bool = True) -> None:
        self._closed = True

    # -- writes ------------------------------------------------------------------------------------------------------

    def _insert(self, w: InsertJob) -> None:
        tables = self._tables
        if (w.principal, w.key_hash) in tables.keys or w.job in tables.rows:
            raise _Refused(f"{w.job} or its key is there already")
        tables.last_seq += 1
        tables.keys[w.principal, w.key_hash] = KeyRow(w.job, w.body_hash, w.key_kind, w.key_born_unix_s)
        tables.bodies[w.job] = w.body
        tables.rows[w.job] = JobRow(
            job=w.job,
            seq=tables.last_seq,
            principal=w.principal,
            state=w.state,
            spec=w.spec,
            body_hash=w.body_hash,
            key_hash=w.key_hash,
            accepted_unix_s=w.accepted_unix_s,
            boot_id=self.boot_id,
            durability=w.durability,
            attempt=w.attempt,
            shim=w.shim,
            label=w.label,
            retry_of=w.retry_of,
            not_after_unix_s=w.not_after_unix_s,
        )

    def _change(self, job: JobId, **values: Any) -> None:
        row = self._tables.rows.get(job)
        if row is None or row.state is JobState.DONE:
            raise _Refused(f"{job} is done or unknown")
        self._tables.rows[job] = msgspec.structs.replace(row, **values)

    def _done_row(self, job: JobId) -> JobRow:
        row = self._tables.rows.get(job)
        if row is None or row.state is not JobState.DONE:
            raise _Refused(f"{job} is not done")
        return row

    def _queued(self, w: MarkQueued) -> None:
        self._change(w.job, state=JobState.QUEUED, shim=None, pid=None, start_ticks=None)

    def _starting(self, w: MarkStarting) -> None:
        self._change(w.job, state=JobState.STARTING, attempt=w.attempt, shim=w.shim)

    def _started(self, w: MarkStarted) -> None:
        self._change(
            w.job, state=JobState.RUNNING, pid=w.pid, start_ticks=w.start_ticks, started_unix_s=w.started_unix_s
        )

    def _ending(self, w: MarkEnding) -> None:
        stop = {} if w.cause is None else {"stop_cause": w.cause, "stop_by": w.by, "stop_grace_s": w.grace_s}
        self._change(w.job, state=w.state, **stop)

    def _spec(self, w: ReplaceSpec) -> None:
        self._change(w.job, spec=w.spec)

    def _done(self, w: MarkDone) -> None:
        receipt = w.receipt
        self._change(
            w.job,
            state=JobState.DONE,
            cause=receipt.cause,
            attempt=receipt.attempt,
            shim=None,
            pid=w.pid,
            start_ticks=None,
            started_unix_s=receipt.started_unix_s,
            ended_unix_s=receipt.ended_unix_s,
            stop_cause=None,
            stop_by="",
            stop_grace_s=0.0,
            spooled=w.spooled,
            spool_bytes=w.spool_bytes,
            receipt=receipt,
        )
        for channel, data in ((1, w.stdout), (2, w.stderr)):
            if data is not None:
                self._tables.outputs[w.job, channel] = data

    def _receipt(self, w: UpdateReceipt) -> None:
        self._tables.rows[w.job] = msgspec.structs.replace(self._done_row(w.job), receipt=w.receipt)

    def _delete(self, w: DeleteJob) -> None:
        row, tables = self._done_row(w.job), self._tables
        del tables.rows[w.job], tables.bodies[w.job]
        for channel in (1, 2):
            tables.outputs.pop((w.job, channel), None)
        name = (row.principal, row.key_hash)
        key = tables.keys.pop(name)
        if not w.forget_key:
            tables.keys[name] = msgspec.structs.replace(key, forgotten=True)

    def _forget_key(self, w: ForgetKey) -> None:
        name = (w.principal, w.key_hash)
        if name in self._tables.keys and self._tables.keys[name].forgotten:
            del self._tables.keys[name]

    def _drop_keys(self, w: DropKeys) -> None:
        droppable = [
            name
            for name, key in self._tables.keys.items()
            if key.kind == "generated" and key.forgotten and key.born_unix_s < w.born_before_unix_s
        ]
        for name in droppable[: w.limit]:
            del self._tables.keys[name]

    def _drop_events(self, w: DropEvents) -> None:
        newest = self.last_event()
        for number in [n for n in self._tables.events if n <= w.through and n < newest]:
            del self._tables.events[number]

    def _set_meta(self, w: SetMeta) -> None:
        self._tables.meta[w.name] = w.value

    def _append_log(self, w: AppendLog) -> None:
        self._tables.log[w.machine, w.seq] = LogRow(w.seq, w.at_s, w.event)

    def _keep_snapshot(self, w: KeepSnapshot) -> None:
        self._tables.snapshots[w.machine] = SnapshotRow(w.seq, w.at_s, w.body)
        for machine, seq in list(self._tables.log):
            if machine == w.machine and seq <= w.seq:
                del self._tables.log[machine, seq]


_APPLY: dict[type[Write], Callable[[MemoryJournal, Any], None]] = {
    InsertJob: MemoryJournal._insert,
    MarkQueued: MemoryJournal._queued,
    MarkStarting: MemoryJournal._starting,
    MarkStarted: MemoryJournal._started,
    MarkEnding: MemoryJournal._ending,
    ReplaceSpec: MemoryJournal._spec,
    MarkDone: MemoryJournal._done,
    UpdateReceipt: MemoryJournal._receipt,
    DeleteJob: MemoryJournal._delete,
    ForgetKey: MemoryJournal._forget_key,
    DropKeys: MemoryJournal._drop_keys,
    DropEvents: MemoryJournal._drop_events,
    SetMeta: MemoryJournal._set_meta,
    AppendLog: MemoryJournal._append_log,
    KeepSnapshot: MemoryJournal._keep_snapshot,
}
