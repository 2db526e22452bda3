"""Groups, flushes and failures of the journal's writer."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from holdfast.errors import StorageError
from holdfast.store import writer
from holdfast.store.interface import Finished
from holdfast.store.writes import AppendEvent, SetMeta, Write
from tests.unit.store.journal_builders import commit, done, insert, job_id, open_journal


class GatedFlush:
    """A flush that waits for a test's word, and can be made to fail."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.error: OSError | None = None

    def __call__(self, fd: int) -> None:
        self.begun.release()
        assert self.gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error


def test_everything_that_comes_during_a_commit_shares_the_next_one(tmp_path: Path) -> None:
    groups: list[int] = []
    first_is_reported, more_are_there = threading.Event(), threading.Event()
    all_done = threading.Event()

    def on_group(finished: list[Finished]) -> None:
        groups.append(len(finished))
        if len(groups) == 1:
            first_is_reported.set()
            assert more_are_there.wait(10)
        if sum(groups) == 101:
            all_done.set()

    journal = open_journal(tmp_path / "journal", on_group=on_group)
    journal.submit([insert(0)])
    assert first_is_reported.wait(10)
    for number in range(1, 101):
        journal.submit([insert(number), AppendEvent(job_id(number), "accepted", 1.0)])
    more_are_there.set()
    assert all_done.wait(10)
    journal.close()
    assert groups == [1, 100]


def test_one_bad_write_does_not_spoil_its_group(tmp_path: Path) -> None:
    answers: list[tuple[int, bool]] = []
    hold, held = threading.Event(), threading.Event()
    journal = open_journal(tmp_path / "journal")

    def wait(error: StorageError | None) -> None:
        held.set()
        assert hold.wait(10)

    journal.submit([SetMeta("x", 1)], done=wait)
    assert held.wait(10)

    def note(number: int, error: StorageError | None) -> None:
        answers.append((number, error is None))

    for number in (1, 2, 2, 3):
        journal.submit([insert(number)], done=partial(note, number))
    hold.set()
    journal.close()
    assert answers == [(1, True), (2, True), (2, False), (3, True)]


def test_process_writes_do_not_wait_for_the_disk_and_power_writes_do(tmp_path: Path) -> None:
    flush = GatedFlush()
    journal = open_journal(tmp_path / "journal", flush=flush)
    answered: list[str] = []
    journal.submit([insert(1)], power=True, done=lambda error: answered.append("power"))
    assert flush.begun.acquire(timeout=10)
    assert commit(journal, [insert(2)]) is None
    assert answered == []
    assert journal.job(job_id(1)) is not None, "committed, and not answered before it is flushed"
    flush.gate.release()
    journal.close()
    assert answered == ["power"]


def test_power_writes_share_a_flush(tmp_path: Path) -> None:
    flush = GatedFlush()
    groups: list[int] = []
    journal = open_journal(tmp_path / "journal", flush=flush, on_group=lambda finished: groups.append(len(finished)))
    journal.submit([insert(0)], power=True)
    assert flush.begun.acquire(timeout=10)
    for number in range(1, 21):
        journal.submit([insert(number)], power=True)
    journal.submit([insert(99)])
    flush.gate.release(21)
    journal.close()
    assert groups[-1] >= 2, groups
    assert sum(groups) == 22


def test_a_failed_flush_is_final(tmp_path: Path) -> None:
    flush = GatedFlush()
    flush.error = OSError(errno.EIO, "Input/output error")
    flush.gate.release(100)
    journal = open_journal(tmp_path / "journal", flush=flush)
    error = commit(journal, [insert(1)], power=True)
    assert error is not None
    assert error.read_only
    assert journal.failure is error
    flush.error = None  # the disk seems well again; what it lost stays lost
    for options in ({}, {"power": True}, {"at_once": True}):
        later = commit(journal, [insert(2)], **options)
        assert later is not None
        assert later.read_only
    assert journal.job(job_id(1)) is not None, "reading goes on"
    assert journal.job(job_id(2)) is None
    journal.close()
    again = open_journal(tmp_path / "journal")
    assert not again.clean_stop
    again.close()


def test_no_room_fails_its_group_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    assert commit(journal, [insert(1)]) is None
    db = journal._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 10}")
    error = commit(journal, [insert(2, body=bytes(200_000)), AppendEvent(job_id(2), "accepted", 1.0)])
    assert error is not None
    assert error.full
    assert not error.read_only
    assert journal.job(job_id(2)) is None
    assert journal.last_event() == 0
    assert commit(journal, [done(1)]) is None, "what fits still goes"
    db.execute("PRAGMA max_page_count = 1000000")
    assert commit(journal, [insert(2, body=bytes(200_000)), AppendEvent(job_id(2), "accepted", 1.0)]) is None
    assert [event.number for event in journal.events(0)] == [2], "a number that was given is not given again"
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("may not mount a file system here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_loses_nothing_that_was_answered(small_disk: Path) -> None:
    journal = open_journal(small_disk / "journal")
    kept = []
    for number in range(200):
        error = commit(journal, [insert(number, body=os.urandom(16_000))])
        if error is not None:
            assert error.full, error
            break
        kept.append(job_id(number))
    assert 10 < len(kept) < 199
    assert [row.job for row in journal.unfinished()] == kept, "reading goes on"
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert commit(journal, [insert(500, body=os.urandom(16_000))]) is None, "writing goes on once there is room"
    journal.close()
    after = open_journal(small_disk / "journal")
    assert [row.job for row in after.unfinished()] == [*kept, job_id(500)]
    after.close()


def test_another_program_that_locks_the_journal_is_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path / "journal")
    journal._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "journal", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = commit(journal, [insert(1)])
    assert error is not None
    assert "locked" in str(error)
    assert not error.read_only
    other.execute("ROLLBACK")
    other.close()
    assert commit(journal, [insert(1)]) is None
    journal.close()


@pytest.mark.parametrize("bad", [b"", object(), 1 << 80])
def test_a_value_that_sqlite_cannot_hold_fails_alone(tmp_path: Path, bad: object) -> None:
    journal = open_journal(tmp_path / "journal")
    error = commit(journal, [SetMeta("x", bad)])  # type: ignore[arg-type]
    assert (error is None) == isinstance(bad, bytes)
    assert commit(journal, [insert(1, label="\udcff")]) is not None, "a lone surrogate"
    assert commit(journal, [insert(1)]) is None
    journal.close()


def test_a_callback_that_fails_does_not_end_the_writer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = open_journal(tmp_path / "journal")

    def fails(error: StorageError | None) -> None:
        raise RuntimeError("a bug of the caller")

    journal.submit([insert(1)], done=fails)
    assert commit(journal, [insert(2)]) is None
    assert "callback" in caplog.text
    journal.close()


def test_the_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 200)
    journal = open_journal(tmp_path / "journal")
    for number in range(1000):
        writes: list[Write] = [insert(number), AppendEvent(job_id(number), "accepted", 1.0)]
        assert commit(journal, writes, at_once=bool(number % 2)) is None
        assert commit(journal, [done(number)], at_once=True) is None
        if number % 50 == 0:  # the second one is flushed after the checkpoint that the first one found asked for
            for _ in range(2):
                assert commit(journal, [SetMeta("x", number)], power=True) is None
    log_bytes = (tmp_path / "journal-wal").stat().st_size
    journal.close()
    assert log_bytes < 4 * 1024 * 1024, "2 000 commits of some six pages are 24 MiB"


def test_reading_and_writing_from_many_threads(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    errors: list[BaseException] = []

    def work(base: int) -> None:
        try:
            for number in range(base, base + 50):
                assert commit(journal, [insert(number)], at_once=bool(number % 3)) is None
                assert journal.job(job_id(number)) is not None
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(base,)) for base in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(journal.unfinished()) == 200
    before = threading.active_count()
    journal.close()
    assert threading.active_count() == before - 2, "both threads of the journal are gone"


def test_closing_answers_what_was_submitted(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    answers: list[object] = []
    for number in range(100):
        journal.submit([insert(number)], power=bool(number % 2), done=answers.append)
    journal.close()
    assert answers == [None] * 100


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    journal = open_journal(tmp_path / "journal")
    assert commit(journal, [insert(1)], power=True) is None
    assert journal.job(job_id(1)) is not None
    journal.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
