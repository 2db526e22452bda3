"""Writes and journals with sensible defaults for the tests of this folder and its neighbours."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import StorageError
from holdfast.store.interface import JobJournal
from holdfast.store.journal import Journal
from holdfast.store.writes import InsertJob, MarkDone, Write
from holdfast.types import Cause, ChannelRecord, ExitStatus, JobId, Receipt

BOOT = "0f4ee0f4-0000-4000-8000-000000000001"


def job_id(number: int) -> JobId:
    return JobId(f"{number:012d}")


def insert(number: int, **values: Any) -> InsertJob:
    job = job_id(number)
    defaults: dict[str, Any] = {
        "job": job,
        "principal": "ada",
        "body": b"=true\0\0\0\0",
        "spec": b"{}",
        "body_hash": hashlib.sha256(b"body").digest(),
        "key_hash": hashlib.sha256(job.encode()).digest(),
        "accepted_unix_s": 1000.0 + number,
    }
    return InsertJob(**defaults | values)


def receipt(number: int, **values: Any) -> Receipt:
    defaults: dict[str, Any] = {
        "job": job_id(number),
        "cause": Cause.EXITED,
        "exit": ExitStatus(code=0),
        "stdout": ChannelRecord(bytes=3, xxh3="ab" * 16),
        "accepted_unix_s": 1000.0 + number,
        "started_unix_s": 1001.0 + number,
        "ended_unix_s": 2000.0 + number,
    }
    return Receipt(**defaults | values)


def done(number: int, **values: Any) -> MarkDone:
    defaults: dict[str, Any] = {"job": job_id(number), "receipt": receipt(number), "stdout": b"hi\n"}
    return MarkDone(**defaults | values)


def open_journal(path: Path, **values: Any) -> Journal:
    defaults: dict[str, Any] = {"boot_id": BOOT, "now_unix_s": 1000.0, "random_bytes": lambda n: b"\x5a" * n}
    return Journal.open(path, **defaults | values)


def commit(journal: JobJournal, writes: Sequence[Write], **options: Any) -> StorageError | None:
    """Submits and waits; gives the error. A journal that never answers fails here after 10 s."""
    answered = threading.Event()
    answer: list[StorageError | None] = []

    def finished(error: StorageError | None) -> None:
        answer.append(error)
        answered.set()

    journal.submit(writes, done=finished, **options)
    assert answered.wait(10), "the journal did not answer"
    assert len(answer) == 1
    return answer[0]
