"""Kept outputs: taken over by rename, removed, listed, moved aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import StorageError
from holdfast.store.files import OutputFiles
from holdfast.types import JobId, Offset

JOB = JobId("0123456789ab")


def scratch(tmp_path: Path, data: bytes = b"output") -> str:
    path = tmp_path / "scratch"
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("flush", [False, True])
def test_a_scratch_file_becomes_the_jobs_own(tmp_path: Path, flush: bool) -> None:
    files = OutputFiles(str(tmp_path))
    path = files.adopt(JOB, 1, scratch(tmp_path), flush=flush)
    assert path == files.path(JOB, 1) == str(tmp_path / "jobs" / JOB / "out")
    assert not os.path.exists(tmp_path / "scratch")
    assert (tmp_path / "jobs" / JOB).stat().st_mode & 0o777 == 0o700
    files.adopt(JOB, 2, scratch(tmp_path, b"errors"))
    with_errors = files.open(JOB, 2)
    assert with_errors.bytes_from(Offset(0), 99) == b"errors"
    with_errors.close()
    assert files.names() == [JOB]


def test_open_readers_notice_nothing(tmp_path: Path) -> None:
    files = OutputFiles(str(tmp_path))
    files.adopt(JOB, 1, scratch(tmp_path))
    spool = files.open(JOB, 1)
    files.remove(JOB)
    assert spool.bytes_from(Offset(0), 99) == b"output"
    spool.close()
    with pytest.raises(StorageError):
        files.open(JOB, 1)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    files = OutputFiles(str(tmp_path))
    files.remove(JOB)
    assert files.names() == []


def test_a_stranger_is_moved_aside_and_never_over_another(tmp_path: Path) -> None:
    files = OutputFiles(str(tmp_path))
    for data in (b"one", b"two", b"three"):
        files.adopt(JOB, 1, scratch(tmp_path, data))
        files.quarantine(JOB)
    assert files.names() == []
    kept = {name: (tmp_path / "quarantine" / name / "out").read_bytes() for name in os.listdir(tmp_path / "quarantine")}
    assert kept == {JOB: b"one", f"{JOB}.2": b"two", f"{JOB}.3": b"three"}


def test_what_cannot_be_moved_says_so(tmp_path: Path) -> None:
    files = OutputFiles(str(tmp_path))
    with pytest.raises(StorageError) as caught:
        files.adopt(JOB, 1, str(tmp_path / "none"))
    assert caught.value.path == str(tmp_path / "none")
    with pytest.raises(StorageError):
        files.quarantine("nobody")


@pytest.mark.parametrize("job", ["", "..", "../../../etc", "0123456789a/", "0123456789AB", "0123456789abc"])
def test_only_a_job_id_names_a_directory(tmp_path: Path, job: str) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        OutputFiles(str(tmp_path)).path(JobId(job), 1)
