"""The journal's tables, and how a journal file is made, recognised and checked before anybody writes to it.

A journal is made under another name and renamed into place, complete: a file of that name that is not a whole journal
is therefore damage (or somebody's mistake), never a beginning, and it is left exactly as it was found.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Final

from holdfast.errors import JournalDamaged, StorageError
from holdfast.store import faults

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x48464A31
"""``HFJ1``; at offset 68 of the file (https://www.sqlite.org/fileformat2.html, "Application ID")."""

PAGE_BYTES: Final = 2048
"""A job of few bytes touches some six pages, each written whole to the log: half the usual size halves that traffic."""

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_WHOLE_CHECK_BYTES: Final = 16 * 1024 * 1024
"""Up to this size a journal is read whole when it is opened (about 60 ms); larger ones at their edges only."""

MACHINE_TABLES: Final = (
    # Events of all machines in the order in which they were recorded. No index: it is only appended to, read once at a
    # start, and emptied by a snapshot before it has grown long.
    """CREATE TABLE IF NOT EXISTS log
    (machine TEXT NOT NULL, seq INTEGER NOT NULL, at_s REAL NOT NULL, event BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS snapshot
    (machine TEXT PRIMARY KEY, seq INTEGER NOT NULL, at_s REAL NOT NULL, body BLOB NOT NULL)""",
)
"""Tables of recorded machines (``agent.recorded``); a journal that was made before there were any gets them."""

TABLES: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE boot (number INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE);
CREATE TABLE principal (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- A job is three rows: what was asked, written once; where it stands, small, changed often and gone at the end; how it
-- ended, written once. So a job that begins and ends costs few pages of the log, and no row ever grows.
CREATE TABLE job (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    principal INTEGER NOT NULL REFERENCES principal,
    boot INTEGER NOT NULL REFERENCES boot,
    accepted_unix_s REAL NOT NULL,
    power INTEGER NOT NULL,
    label TEXT NOT NULL,
    retry_of TEXT,
    not_after_unix_s REAL,
    body_hash BLOB NOT NULL,
    key_hash BLOB NOT NULL,
    spec BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX job_principal ON job (principal);
CREATE TABLE active (
    seq INTEGER PRIMARY KEY REFERENCES job,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    shim TEXT,
    pid INTEGER,
    start_ticks INTEGER,
    started_unix_s REAL,
    stop_cause TEXT,
    stop_by TEXT NOT NULL DEFAULT '',
    stop_grace_s REAL NOT NULL DEFAULT 0
);
CREATE TABLE result (
    seq INTEGER PRIMARY KEY REFERENCES job,
    cause TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    pid INTEGER,
    started_unix_s REAL,
    ended_unix_s REAL NOT NULL,
    spooled INTEGER NOT NULL,
    spool_bytes INTEGER NOT NULL,
    receipt BLOB NOT NULL,
    out BLOB,
    err BLOB
);
CREATE INDEX result_ended ON result (ended_unix_s);
CREATE INDEX result_spooled ON result (spool_bytes) WHERE spooled > 0;
CREATE TABLE key (
    principal INTEGER NOT NULL REFERENCES principal,
    key_hash BLOB NOT NULL,
    job TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    generated INTEGER NOT NULL,
    born_unix_s REAL NOT NULL,
    forgotten INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (principal, key_hash)
) WITHOUT ROWID;
CREATE INDEX key_droppable ON key (born_unix_s) WHERE generated AND forgotten;
CREATE TABLE event (number INTEGER PRIMARY KEY, job TEXT, kind TEXT NOT NULL, unix_s REAL NOT NULL, body BLOB NOT NULL);
{";".join(MACHINE_TABLES)};
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


def make(path: str, *, now_unix_s: float, random_bytes: Callable[[int], bytes]) -> None:
    """Makes an empty journal, complete and flushed before it gets its name; mode 0600.

    Raises:
        StorageError: the directory cannot be written.
    """
    new = f"{path}.new"
    try:
        for leftover in (new, f"{new}-journal"):
            if os.path.exists(leftover):
                os.unlink(leftover)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(new, isolation_level=None)
        try:
            db.executescript(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA synchronous = FULL; BEGIN; {TABLES} COMMIT;")
            values = [("_incarnation", random_bytes(16).hex()), ("_made_unix_s", now_unix_s), ("_last_seq", 0)]
            db.executemany("INSERT INTO meta VALUES (?, ?)", values)
        finally:
            db.close()
        os.rename(new, path)
        faults.flush_directory(os.path.dirname(path) or ".")
    except (OSError, sqlite3.Error) as exc:
        raise StorageError(f"cannot make a journal: {exc}", path=path, full=is_full(exc)) from exc


def check(path: str) -> None:
    """Whether this file is a journal of ours, whole and not newer than this code. Never changes it.

    Raises:
        JournalDamaged: it is not one, or not whole; ``ran`` is ``"no"``: nothing may be started from it.
        StorageError: it is of a newer version, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as exc:
        raise StorageError(f"cannot read the journal: {exc.strerror}", path=path) from exc
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise JournalDamaged(f"not a journal: {size} bytes that begin with {header[:16]!r}", path=path, offset=0)
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise JournalDamaged("not a journal: a database of something else", path=path, offset=68)
    try:
        # Read-only, because the last one to close a WAL database that it may write to writes the log back into it.
        db = sqlite3.connect(f"{uri(path)}?mode=ro", uri=True, isolation_level=None)
        try:
            _check_contents(db, path, size)
        finally:
            db.close()
    except sqlite3.Error as exc:
        raise damaged_or_unreadable(exc, path) from exc


def _check_contents(db: sqlite3.Connection, path: str, size: int) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StorageError(f"the journal has schema {version}, newer than this version's {SCHEMA_VERSION}", path=path)
    if version != SCHEMA_VERSION:
        raise JournalDamaged(f"schema version {version}", path=path, offset=60)
    pages, page_bytes = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    log = f"{path}-wal"
    if size < pages * page_bytes and not (os.path.exists(log) and os.path.getsize(log)):
        raise JournalDamaged(f"cut off at {size} of {pages * page_bytes} bytes", path=path, offset=size)
    if pages * page_bytes <= _WHOLE_CHECK_BYTES:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise JournalDamaged(f"the journal is damaged: {found}", path=path)
    for table in ("job", "active", "result"):
        db.execute(f"SELECT * FROM {table} ORDER BY seq LIMIT 1").fetchone()
        db.execute(f"SELECT * FROM {table} ORDER BY seq DESC LIMIT 1").fetchone()
    db.execute("SELECT * FROM event ORDER BY number DESC LIMIT 1").fetchone()
    db.execute("SELECT * FROM key LIMIT 1").fetchone()
    if db.execute("SELECT value FROM meta WHERE name = '_incarnation'").fetchone() is None:
        raise JournalDamaged("the journal has no incarnation", path=path)


def uri(path: str) -> str:
    """A path as SQLite's ``file:`` URI (https://www.sqlite.org/uri.html): three characters mean something there."""
    return "file:" + os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def damaged_or_unreadable(exc: sqlite3.Error, path: str) -> StorageError:
    """SQLite's error as ours."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (not code and isinstance(exc, sqlite3.DatabaseError)):
        return JournalDamaged(f"the journal is damaged: {exc}", path=path)
    return StorageError(f"journal: {exc}", path=path, full=code == sqlite3.SQLITE_FULL)


def is_full(exc: BaseException) -> bool:
    """Whether an error of SQLite or of the system says that there is no room."""
    if isinstance(exc, OSError):
        return faults.is_full(exc)
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def is_busy(exc: BaseException) -> bool:
    """Whether another connection stood in the way: nothing was written and nothing is wrong."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
