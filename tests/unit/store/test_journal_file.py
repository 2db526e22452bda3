"""The journal as a file: how it begins, what is refused, and that nothing damaged is ever touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from holdfast.errors import JournalDamaged, StorageError
from holdfast.store.rows import LogRow
from holdfast.store.writes import AppendEvent, AppendLog, Write
from tests.unit.store.journal_builders import BOOT, commit, done, insert, job_id, open_journal


def filled(path: Path, jobs: int = 200) -> Path:
    journal = open_journal(path)
    for number in range(jobs):
        writes: list[Write] = [insert(number), AppendEvent(job_id(number), "accepted", 1.0), done(number)]
        assert commit(journal, writes, at_once=True) is None
    journal.close()
    return path


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in os.listdir(directory)}


def test_a_new_journal_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    assert journal.incarnation == "5a" * 16
    assert (journal.boot_id, journal.previous_boot_id, journal.clean_stop) == (BOOT, None, True)
    for name in os.listdir(tmp_path):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600, name
    journal.close()
    assert os.listdir(tmp_path) == ["journal"]


def test_opening_again_tells_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    open_journal(path).close(clean=True)
    journal = open_journal(path, boot_id="another", random_bytes=os.urandom)
    assert (journal.previous_boot_id, journal.clean_stop, journal.incarnation) == (BOOT, True, "5a" * 16)
    assert commit(journal, [insert(1)]) is None
    journal.close(clean=False)
    journal = open_journal(path)
    assert (journal.previous_boot_id, journal.clean_stop) == ("another", False)
    row = journal.job(job_id(1))
    assert row is not None
    assert row.boot_id == "another"
    journal.close()


def test_what_was_answered_survives_the_death_of_the_process(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    for number in range(50):
        assert commit(journal, [insert(number)]) is None
    # What a kill -9 leaves: the files as they are at this moment, with no closing.
    (tmp_path / "copy").mkdir()
    for name in ("journal", "journal-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    journal.close()
    after = open_journal(tmp_path / "copy" / "journal")
    assert len(after.unfinished()) == 50
    assert not after.clean_stop
    after.close()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("empty", lambda data: b""),
        ("not a database", lambda data: b"holdfast" * 500),
        ("random bytes", lambda data: os.urandom(8192)),
        ("header alone", lambda data: data[:100]),
        ("truncated", lambda data: data[: len(data) // 2]),
        ("a page cut", lambda data: data[:-1000]),
        ("zeroed page", lambda data: data[:4096] + bytes(2048) + data[6144:]),
        ("root page overwritten", lambda data: data[:2048] + b"\xff" * 2048 + data[4096:]),
        ("schema overwritten", lambda data: data[:100] + b"\xff" * 60 + data[160:]),
        ("another program's", lambda data: data[:68] + b"XXXX" + data[72:]),
    ],
)
def test_a_damaged_journal_is_refused_and_left_alone(tmp_path: Path, name: str, damage: object) -> None:
    assert callable(damage)
    path = filled(tmp_path / "journal")
    path.write_bytes(damage(path.read_bytes()))
    before = contents(tmp_path)
    with pytest.raises(JournalDamaged) as caught:
        open_journal(path)
    assert caught.value.ran == "no"
    assert caught.value.path == str(path)
    after = contents(tmp_path)
    after.pop("journal-shm", None), after.pop("journal-wal", None)
    assert after == before, name


def test_a_log_without_its_journal_is_damage_not_a_beginning(tmp_path: Path) -> None:
    (tmp_path / "journal-wal").write_bytes(b"x")
    with pytest.raises(JournalDamaged):
        open_journal(tmp_path / "journal")
    assert os.listdir(tmp_path) == ["journal-wal"]


def test_checking_does_not_write_the_log_back(tmp_path: Path) -> None:
    """A database that is opened and closed by its only user is changed by that; a damaged one must not be."""
    journal = open_journal(tmp_path / "journal")
    assert commit(journal, [insert(1)]) is None
    (tmp_path / "copy").mkdir()
    for name in ("journal", "journal-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    journal.close()
    path = tmp_path / "copy" / "journal"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event'").fetchone()[0]
    with open(path, "r+b") as file:  # a page that the log does not replace
        file.seek((page - 1) * 2048)
        file.write(b"\xff" * 2048)
    before = contents(path.parent)
    before.pop("journal-shm", None)
    with pytest.raises(JournalDamaged):
        open_journal(path)
    after = contents(path.parent)
    after.pop("journal-shm", None)
    assert after == before


def test_a_newer_journal_is_refused_clearly(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", jobs=1)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="schema 99, newer") as caught:
        open_journal(path)
    assert not isinstance(caught.value, JournalDamaged)


def test_a_journal_from_before_recorded_machines_gets_their_tables(tmp_path: Path) -> None:
    path = filled(tmp_path / "journal", jobs=1)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for table in ("log", "snapshot"):
            db.execute(f"DROP TABLE {table}")
        db.commit()
    journal = open_journal(path)
    assert journal.job(job_id(0)) is not None
    assert commit(journal, [AppendLog("a", 1, 1.0, b"x")]) is None
    assert (journal.log("a", 0), journal.snapshot("a")) == ([LogRow(1, 1.0, b"x")], None)
    journal.close()


def test_a_beginning_that_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "journal.new").write_bytes(b"half of one")
    open_journal(tmp_path / "journal").close()
    assert os.listdir(tmp_path) == ["journal"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot make a journal"):
        open_journal(tmp_path / "missing" / "journal")


def test_a_name_that_means_something_to_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#b%20c"
    journal = open_journal(path)
    assert commit(journal, [insert(1)]) is None
    assert journal.job(job_id(1)) is not None
    journal.close()
    assert path.exists()
