"""The audit's file: what is written, how it goes on after a crash or on a full disk, and how it is bounded."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StorageError
from holdfast.store import audit as module
from holdfast.store.audit import NO_HASH, Audit, Entry, Head, read, read_head, verify


def open_audit(directory: Path, **options: object) -> Audit:
    return Audit(str(directory), now_unix_s=lambda: 1000.5, **options)  # type: ignore[arg-type]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def audit(directory: Path) -> Iterator[Audit]:
    made = open_audit(directory)
    yield made
    made.close()


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*.jsonl"))


def actions(directory: Path) -> list[str]:
    return [record.action for record, _ in read(str(directory))]


def test_a_line_is_json_and_its_hash_binds_it_to_the_line_before(audit: Audit, directory: Path) -> None:
    audit.append(Entry(action="run", decision="allow", principal="anna@laptop", detail={"program": "/bin/true"}))
    lines = files(directory)[0].read_bytes().splitlines()
    previous = NO_HASH
    for number, line in enumerate(lines, 1):
        record = json.loads(line)
        bare = line[: line.rindex(b',"hash"')] + b"}"
        assert record["hash"] == hashlib.sha256(previous.encode() + bare).hexdigest()
        assert record["seq"] == number
        previous = record["hash"]
    assert json.loads(lines[1]) | {"hash": ""} == {
        "seq": 2, "unix_s": 1000.5, "action": "run", "decision": "allow", "principal": "anna@laptop",
        "detail": {"program": "/bin/true"}, "hash": "",
    }  # fmt: skip
    assert audit.head == Head(2, previous)


def test_nobody_else_can_read_it_and_nothing_is_made_before_the_first_record(directory: Path) -> None:
    audit = open_audit(directory)
    assert not directory.exists()
    old = os.umask(0)
    try:
        audit.append(Entry(action="a"))
        audit.keep_head()
    finally:
        os.umask(old)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    audit.close()


def test_another_agent_goes_on_where_the_last_one_ended(directory: Path) -> None:
    for _ in range(3):
        audit = open_audit(directory)
        audit.append(Entry(action="a"))
        audit.close()
    assert actions(directory) == ["audit.file", "a", "a", "a"]
    report = verify(str(directory))
    assert (report.records, report.first, report.problem, report.notes) == (4, 1, "", ())


def test_a_torn_last_line_is_cut_off_and_that_is_recorded(directory: Path) -> None:
    audit = open_audit(directory)
    audit.append(Entry(action="a"))
    audit.close()
    with open(files(directory)[0], "ab") as file:
        file.write(b'{"action":"half')
    audit = open_audit(directory)
    audit.append(Entry(action="b"))
    audit.close()
    assert actions(directory) == ["audit.file", "a", "audit.repaired", "b"]
    report = verify(str(directory))
    assert report.problem == ""
    assert "half" in report.notes[0]


@pytest.mark.parametrize("torn", range(0, 40, 7))
def test_a_file_whose_first_line_was_torn_begins_again(directory: Path, torn: int) -> None:
    audit = open_audit(directory)
    audit.append(Entry(action="a"))
    audit.close()
    os.unlink(directory / "head")
    whole = files(directory)[0].read_bytes()
    files(directory)[0].write_bytes(whole[:torn])
    audit = open_audit(directory)
    audit.append(Entry(action="b"))
    audit.close()
    assert verify(str(directory)).problem == ""
    assert actions(directory)[-1] == "b"


def test_a_damaged_end_is_left_as_it_is_and_shows(directory: Path) -> None:
    audit = open_audit(directory)
    audit.append(Entry(action="a"))
    audit.close()
    path = files(directory)[0]
    damaged = path.read_bytes()[:-40] + b"x" * 39 + b"\n"
    path.write_bytes(damaged)
    audit = open_audit(directory)
    audit.append(Entry(action="b"))
    audit.close()
    assert path.read_bytes() == damaged
    assert actions(directory) == ["audit.file", "audit.file", "audit.damaged", "b"]
    assert "line 2" in verify(str(directory)).problem


def test_an_end_that_was_cut_while_no_agent_ran_is_recorded_by_the_next(directory: Path) -> None:
    audit = open_audit(directory)
    for _ in range(3):
        audit.append(Entry(action="a"))
    audit.close()
    path = files(directory)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert "cut off after 2" in verify(str(directory)).problem
    audit = open_audit(directory)
    audit.append(Entry(action="b"))
    audit.close()
    report = verify(str(directory))
    assert report.problem == ""
    assert "audit.tail-missing" in report.notes[0]


def test_what_finds_no_room_is_not_in_the_file_and_is_counted_later(
    audit: Audit, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit.append(Entry(action="a"))
    before = files(directory)[0].read_bytes()
    real, room = os.write, {"bytes": 10}

    def write(fd: int, data: bytes) -> int:
        if not room["bytes"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room["bytes"] = data[: room["bytes"]], 0
        return real(fd, taken)

    monkeypatch.setattr(os, "write", write)
    for _ in range(3):
        with pytest.raises(StorageError) as caught:
            audit.append(Entry(action="lost"))
        assert caught.value.full
        assert files(directory)[0].read_bytes() == before
    monkeypatch.undo()
    audit.append(Entry(action="b"))
    assert actions(directory) == ["audit.file", "a", "audit.lost", "b"]
    assert "records 3" in verify(str(directory)).notes[0]
    assert verify(str(directory)).problem == ""


def test_another_file_begins_at_the_limit_and_the_oldest_goes(directory: Path) -> None:
    audit = open_audit(directory, file_bytes=1000, keep_files=3)
    for number in range(40):
        audit.append(Entry(action="a", detail={"number": number}))
    audit.keep_head()
    names = files(directory)
    assert len(names) == 3
    assert all(path.stat().st_size < 2000 for path in names)
    report = verify(str(directory))
    assert report.problem == ""
    assert report.first > 1
    assert report.head == audit.head
    assert any("audit.dropped" in note for note in report.notes)
    names[0].unlink()
    assert "not there" in verify(str(directory)).problem
    audit.close()


def test_full_files_are_flushed_and_closed_by_the_flush(directory: Path) -> None:
    flushed: list[int] = []
    audit = open_audit(directory, file_bytes=300, flush=flushed.append)
    audit.flush()
    assert flushed == []
    audit.append(Entry(action="a"))
    audit.append(Entry(action="a"))
    assert audit.needs_flush
    audit.flush()
    assert len(flushed) == 2
    assert not audit.needs_flush
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(flushed[0])
    audit.flush()
    assert len(flushed) == 2, "nothing new, nothing to wait for"
    audit.append(Entry(action="b"))
    audit.flush()
    assert len(flushed) > 2
    audit.close()


def test_a_failed_flush_is_not_taken_for_done(directory: Path) -> None:
    failing = [True]

    def flush(fd: int) -> None:
        if failing[0]:
            raise OSError(errno.EIO, "Input/output error")

    audit = open_audit(directory, flush=flush)
    audit.append(Entry(action="a"))
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            audit.flush()
    failing[0] = False
    audit.flush()
    audit.close()


def test_heads_as_text() -> None:
    head = Head(12, "ab" * 32)
    assert Head.parse(f" {head}\n") == head
    for wrong in ("", "12", "12:xyz", "-1:" + "a" * 64, "²:" + "a" * 64, "12:" + "A" * 64):
        with pytest.raises(ValueError, match="is not a head"):
            Head.parse(wrong)


def test_a_kept_head_that_is_not_readable_as_one_counts_as_none(audit: Audit, directory: Path) -> None:
    assert read_head(str(directory)) is None
    audit.append(Entry(action="a"))
    audit.keep_head()
    assert read_head(str(directory)) == audit.head
    (directory / "head").write_bytes(b"\xff\0nonsense")
    assert read_head(str(directory)) is None
    assert verify(str(directory)).problem == ""


def test_an_audit_that_is_not_there_is_empty_and_whole(directory: Path) -> None:
    assert list(read(str(directory))) == []
    report = verify(str(directory))
    assert (report.records, report.problem) == (0, "")
    assert verify(str(directory), Head(1, "a" * 64)).problem


def test_a_record_is_short_enough_to_find_the_last_one_by_looking_at_the_end(audit: Audit, directory: Path) -> None:
    text = "\x01" * 256  # six bytes each in JSON
    audit.append(Entry(action="a", principal=text, key=text, source=text, resource=text, detail={"program": text}))
    assert len(files(directory)[0].read_bytes().splitlines()[-1]) < module.LINE_BYTES
    again = open_audit(directory)
    assert again.head == audit.head
    again.close()
