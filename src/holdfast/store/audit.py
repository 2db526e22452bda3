"""The audit: an append-only record of who did what by which rule, one JSON object a line, each bound to the one before.

Rules of this module:

* ``hash``, the last member of a line, is SHA-256 over the hash of the line before and this line without its hash. So
  any byte that is changed, any line that is removed or moved shows; a cut end shows against a head that was kept.
* A record is in the file before ``append`` returns: one write(2), which survives the death of this process. ``flush``
  makes it survive a power failure. What could not be written whole is not in the file at all.
* Files are named by the number of their first record; a new one is begun at ``file_bytes``, and the oldest goes when
  there are more than ``keep_files``, which is recorded, too.
* What happens to the audit itself (a torn end, records that found no room, a dropped file) is recorded in it.

The format is described in docs/reference/audit.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from holdfast.errors import StorageError
from holdfast.store.faults import flush_directory, storage_error

FILE_BYTES: Final = 32 * 1024 * 1024
"""Size at which another file is begun: about 90 000 records."""
KEEP_FILES: Final = 32
"""Files kept; 1 GiB with ``FILE_BYTES``."""
LINE_BYTES: Final = 16 * 1024
"""No record is longer: whoever makes them clips what comes from outside."""
NO_HASH: Final = "0" * 64
"""What the first record of all is bound to."""

_FILE: Final = re.compile(r"audit-([0-9]{16})\.jsonl")
_END: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_END_BYTES: Final = len(',"hash":""}') + 64

Verdict = Literal["allow", "deny", "note"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is recorded. Whoever makes one clips what came from outside; secrets and environments have no place in it.

    Attributes:
        action: What was asked for, or what happened.
        decision: ``allow`` and ``deny`` for what was asked, ``note`` for what happened.
        principal: Who asked.
        key: Their key's fingerprint.
        source: Where they came from.
        resource: What it is about: a job, a principal.
        rule: Which rule decided.
        policy: Short digest of the policy that was used.
        detail: More of it, by kind of action.
    """

    action: str
    decision: Verdict = "note"
    principal: str = ""
    key: str = ""
    source: str = ""
    resource: str = ""
    rule: str = ""
    policy: str = ""
    detail: dict[str, str | int | float | bool] = {}


class Record(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the audit, without its hash: ``seq`` counts from 1 without gaps, ``unix_s`` is the agent's clock."""

    seq: int
    unix_s: float


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: kept somewhere else, it shows later that nothing before it was changed or cut off."""

    seq: int
    hash: str

    def __str__(self) -> str:
        """``SEQ:HASH``."""
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """What ``str`` made.

        Raises:
            ValueError: it was not made by it.
        """
        number, _, digest = text.strip().partition(":")
        if not number.isascii() or not number.isdigit() or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{text[:100]!r} is not a head such as 1234:0f3a... (64 hexadecimal digits)")
        return cls(int(number), digest)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify`` found.

    Attributes:
        records: Records that are there and fit.
        first: Number of the oldest, 0: none.
        head: The newest.
        problem: The first thing that does not fit, in one line; empty: all does.
        notes: What the audit says of itself: repairs, records lost on a full disk, dropped files.
    """

    records: int
    first: int
    head: Head
    problem: str = ""
    notes: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode

Flush = Callable[[int], None]


class Audit:
    """The audit of one agent, open for writing. ``flush`` may be called from any thread, the rest from one.

    Args:
        directory: Where it lies; made (0700) with the first record.
        now_unix_s: The clock.
        file_bytes: See ``FILE_BYTES``.
        keep_files: See ``KEEP_FILES``.
        flush: ``os.fdatasync``, or what a test puts in its place.

    Raises:
        StorageError: what is there cannot be read.
    """

    def __init__(
        self,
        directory: str,
        *,
        now_unix_s: Callable[[], float],
        file_bytes: int = FILE_BYTES,
        keep_files: int = KEEP_FILES,
        flush: Flush = os.fdatasync,
    ) -> None:
        self._directory = directory
        self._now = now_unix_s
        self._file_bytes = file_bytes
        self._keep = keep_files
        self._flush = flush
        self._flushing = threading.Lock()
        self._switching = threading.Lock()
        self._fd = -1
        self._size = 0
        self._retired: list[int] = []
        self._unflushed = False
        self._told: Head | None = None
        self._lost = 0
        self._notes: list[Entry] = []
        self.head = Head(0, NO_HASH)
        try:
            self._resume()
        except OSError as exc:
            raise storage_error("read the audit in", exc, directory) from exc

    def append(self, *entries: Entry) -> Head:
        """Record these with one write(2). In the file when this returns.

        Returns:
            The new end of the chain.

        Raises:
            StorageError: they could not be written, and nothing of them was. How many records were lost so is recorded
                with the next one that finds room.
        """
        try:
            self._make_room()
            lost = (Entry(action="audit.lost", detail={"records": self._lost}),) if self._lost else ()
            head, lines = self.head, b""
            for one in (*self._notes, *lost, *entries):
                head, line = _bound(one, head, self._now())
                lines += line
            self._write(lines)
        except OSError as exc:
            self._lost += len(entries)
            raise storage_error("write the audit in", exc, self._directory) from exc
        self.head = head
        self._notes = []
        self._lost = 0
        return head

    @property
    def needs_flush(self) -> bool:
        """Whether files that are full wait for being flushed and closed."""
        return bool(self._retired)

    def flush(self) -> None:
        """Make what was recorded until now survive a power failure. Waits for the disk: for a thread.

        Raises:
            OSError: it does not.
        """
        with self._flushing:
            if not self._unflushed:
                return
            self._unflushed = False
            with self._switching:
                full, current = list(self._retired), self._fd
            try:
                for fd in full:
                    self._flush(fd)
                if current >= 0:
                    self._flush(current)
            except OSError:
                self._unflushed = True
                raise
            with self._switching:
                self._retired = self._retired[len(full) :]
            for fd in full:
                os.close(fd)

    def keep_head(self) -> None:
        """Write the head into the file ``head``, if it has moved: a cut end shows against it at the next start.

        Raises:
            StorageError: it could not be written.
        """
        if self.head == self._told or not self.head.seq:
            return
        path = os.path.join(self._directory, "head")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            try:
                os.pwrite(fd, f"{self.head.seq:016d}:{self.head.hash}\n".encode(), 0)
            finally:
                os.close(fd)
        except OSError as exc:
            raise storage_error("write", exc, path) from exc
        self._told = self.head

    def close(self) -> None:
        """Flush, keep the head, and let go of the files."""
        with contextlib.suppress(StorageError, OSError):
            self.keep_head()
        with contextlib.suppress(OSError):
            self.flush()
        for fd in (self._fd, *self._retired):
            if fd >= 0:
                os.close(fd)
        self._fd = -1
        self._retired.clear()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Find the end of the chain. A line that was torn is cut off, and noted; what else is there, stays."""
        names = _names(self._directory)
        if not names:
            return
        name = names[-1]
        fd = os.open(os.path.join(self._directory, name), os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        size = os.fstat(fd).st_size
        whole, head = _last(fd, size)
        if whole < size:
            cut = os.pread(fd, min(size - whole, 256), whole).decode("utf-8", "backslashreplace")
            self._notes.append(Entry(action="audit.repaired", detail={"file": name, "bytes": size - whole, "cut": cut}))
            os.ftruncate(fd, whole)
        if head is not None:
            self._fd, self._size, self.head = fd, whole, head
            self._unflushed = True
        else:  # nothing to go on from: it is left as it is, and another file begins behind it
            os.close(fd)
            kept = read_head(self._directory) or Head(0, NO_HASH)
            if whole or kept.seq >= _number(name):
                self._notes.append(Entry(action="audit.damaged", detail={"file": name}))
                self.head = Head(max(kept.seq, _number(name)), kept.hash)
            elif len(names) > 1:
                os.unlink(os.path.join(self._directory, name))  # its very first line was torn
                self._resume()
                return
        self._compare_with_kept_head()

    def _compare_with_kept_head(self) -> None:
        kept = read_head(self._directory)
        if kept is None or kept.seq < self.head.seq or kept == self.head:
            return
        detail: dict[str, str | int | float | bool] = {"kept": str(kept), "found": str(self.head)}
        self._notes.append(Entry(action="audit.tail-missing", detail=detail))

    def _make_room(self) -> None:
        """Have a file that takes another record."""
        if self._fd >= 0 and self._size < self._file_bytes:
            return
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        path = os.path.join(self._directory, f"audit-{self.head.seq + 1:016d}.jsonl")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, flags, 0o600))
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        with self._switching:
            if self._fd >= 0:
                self._retired.append(self._fd)
            self._fd, self._size = fd, os.fstat(fd).st_size
            self._unflushed = True
        flush_directory(self._directory)
        detail: dict[str, str | int | float | bool] = {"previous": self.head.hash}
        self._notes.insert(0, Entry(action="audit.file", detail=detail))
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        names = _names(self._directory)
        while len(names) > self._keep:
            name = names.pop(0)
            through = _number(names[0]) - 1
            os.unlink(os.path.join(self._directory, name))
            self._notes.append(Entry(action="audit.dropped", detail={"file": name, "through": through}))

    def _write(self, lines: bytes) -> None:
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._fd, lines[written:])
        except OSError:
            if written:
                os.ftruncate(self._fd, self._size)
            raise
        self._size += written
        self._unflushed = True


def read(directory: str) -> Iterator[tuple[Record, str]]:
    """All records with their hashes, oldest first; nothing is checked. Lines that are none are left out.

    Raises:
        StorageError: a file cannot be read.
    """
    for name in _names(directory):
        for line in _lines(os.path.join(directory, name)):
            if (parts := _parts(line)) is not None:
                yield parts[0], parts[2]


def read_head(directory: str) -> Head | None:
    """The head that was kept last, or None: there is none, or it is not readable as one."""
    try:
        with open(os.path.join(directory, "head"), encoding="ascii", errors="replace") as file:
            return Head.parse(file.read(128))
    except (OSError, ValueError):
        return None


def verify(directory: str, head: Head | None = None) -> Report:
    """Whether the chain is whole: from its first record, or the oldest that is kept, to its end.

    Args:
        directory: Where it lies.
        head: A head that was exported before: it must be part of the chain. The agent's own kept head is compared in
            any case.

    Raises:
        StorageError: a file cannot be read.
    """
    chain = _Chain([each for each in (head, read_head(directory)) if each is not None])
    names = _names(directory)
    for name in names:
        for number, line in enumerate(_lines(os.path.join(directory, name)), 1):
            problem = chain.take(line, name=name, first=number == 1)
            if problem:
                return chain.report(f"{name}, line {number}: {problem}")
    return chain.report(chain.end())


class _Chain:
    """Follows a chain line by line."""

    def __init__(self, expected: list[Head]) -> None:
        self._expected = {head.seq: head for head in expected}
        self._clash = len(self._expected) < len(set(expected))
        self._head: Head | None = None
        self._first = 0
        self._records = 0
        self._dropped = 0
        self._notes: list[str] = []

    def take(self, line: bytes, *, name: str, first: bool) -> str:
        """What is wrong with this line; empty: nothing."""
        parts = _parts(line)
        if parts is None:
            return "this is not a record (changed, or torn)"
        record, body, digest = parts
        previous = self._head.hash if self._head is not None else str(record.detail.get("previous", NO_HASH))
        if self._head is None:
            self._first = record.seq
            if record.seq == 1 and previous != NO_HASH:
                return "the first record of all follows another one"
        elif record.seq != self._head.seq + 1:
            return f"record {record.seq} follows record {self._head.seq}: something was removed or moved"
        if first and _number(name) != record.seq:
            return f"the file begins with record {record.seq}"
        if digest != _hash(previous, body):
            return f"record {record.seq} does not fit its hash, or the record before: something was changed"
        self._head = Head(record.seq, digest)
        self._records += 1
        expected = self._expected.pop(record.seq, None)
        if expected is not None and expected.hash != digest:
            return f"record {record.seq} is not the one that was kept as a head: the record was written anew"
        if record.action.startswith("audit.") and record.action != "audit.file":
            detail = ", ".join(f"{key} {value}" for key, value in record.detail.items())
            self._notes.append(f"record {record.seq}: {record.action} ({detail})")
            if record.action == "audit.dropped":
                self._dropped = max(self._dropped, int(record.detail.get("through", 0)))
        return ""

    def end(self) -> str:
        """What is missing at both ends."""
        if self._clash:
            return "the two heads to compare with contradict each other"
        missing = [head for head in self._expected.values() if head.seq >= self._first]
        if missing:
            last = self._head.seq if self._head is not None else 0
            return f"record {missing[0].seq}, which was kept as a head, is not there: the end was cut off after {last}"
        if self._first > 1 and self._dropped != self._first - 1:
            return f"the records before {self._first} are not there, and no record says that they were dropped"
        return ""

    def report(self, problem: str) -> Report:
        head = self._head if self._head is not None else Head(0, NO_HASH)
        return Report(records=self._records, first=self._first, head=head, problem=problem, notes=tuple(self._notes))


# --- lines -----------------------------------------------------------------------------------------------------------


def _bound(entry: Entry, head: Head, unix_s: float) -> tuple[Head, bytes]:
    """An entry as the line that follows this head, and the head that it makes."""
    body = _encode(
        Record(
            seq=head.seq + 1, unix_s=round(unix_s, 6), action=entry.action, decision=entry.decision,
            principal=entry.principal, key=entry.key, source=entry.source, resource=entry.resource, rule=entry.rule,
            policy=entry.policy, detail=entry.detail,
        )
    )  # fmt: skip
    digest = _hash(head.hash, body)
    return Head(head.seq + 1, digest), body[:-1] + b',"hash":"' + digest.encode() + b'"}\n'


def _hash(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()


def _parts(line: bytes) -> tuple[Record, bytes, str] | None:
    """Record, its bytes without the hash, and the hash; None: not a line of an audit."""
    if not line.endswith(b"\n") or (end := _END.fullmatch(line[-_END_BYTES - 1 : -1])) is None:
        return None
    body = line[: -_END_BYTES - 1] + b"}"
    try:
        return _decode(body), body, end[1].decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _last(fd: int, size: int) -> tuple[int, Head | None]:
    """Where the last line ends, and the head that it makes; None: it is not a record."""
    start = max(0, size - 2 * LINE_BYTES)
    data = os.pread(fd, size - start, start)
    whole = data.rfind(b"\n") + 1
    if not whole:
        return (0 if not start else size), None
    parts = _parts(data[data.rfind(b"\n", 0, whole - 1) + 1 : whole])
    return start + whole, None if parts is None else Head(parts[0].seq, parts[2])


def _names(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if _FILE.fullmatch(name))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise storage_error("read", exc, directory) from exc


def _number(name: str) -> int:
    return int(name[6:22])


def _lines(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while line := file.readline(LINE_BYTES + 1):
                yield line
    except OSError as exc:
        raise storage_error("read", exc, path) from exc
