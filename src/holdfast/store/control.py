"""The control file of a shim: what it knows about its job, on disk before anyone acts on it.

Rules of this module:

* One file ``ctl`` per shim, 4 096 bytes, whose blocks are reserved when it is made: writing into them needs no
  free space, so an exit can be recorded on a full disk.
* Five slots of 512 bytes, each written by one ``pwrite``: CLAIM before the spawn, STARTED after it, MAIN before the
  main process is reaped, EXIT when the tree is dead and the output complete, NOTE whenever a fact changes that an
  adopter needs.
* Every slot carries job and attempt, since the file is used for one job after another, and a CRC-32 of all before it.
* A slot is a record, ``None`` (zeros: never written), or ``Damaged``. Damage is a value, not an exception: one torn
  slot must not hide the others.
* Whoever tends the job holds a POSIX record lock on the file. It ends with the process, however that ends, and unlike
  ``flock`` it is not inherited by a fork (fcntl(2)).
* The standard library only, and little of it: every shim is a fork of a process that has imported this.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from binascii import crc32
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _NamedTupleMeta(type):
        """``typing.NamedTuple`` without ``typing``, which would cost each host 1.2 MiB."""

        def __new__(mcs, name, bases, namespace):
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            base = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            namespace.pop("__classcell__", None)
            return type(name, (base,), {"__slots__": (), **namespace})

    NamedTuple = type.__new__(_NamedTupleMeta, "NamedTuple", (), {})

SLOT_BYTES = 512
FILE_BYTES = 4096
MAGIC = b"HFct"
VERSION = 1

CLAIM, STARTED, MAIN, EXIT, NOTE = range(5)
SLOT_NAMES = ("CLAIM", "STARTED", "MAIN", "EXIT", "NOTE")

CAUSES = ("", "exited", "signaled", "timeout", "stopped", "client_lost", "output_limit", "start_failed")
"""Causes by their number on disk; 0: not ended by us. The words are those of ``types.Cause``."""
(NO_CAUSE, EXITED, SIGNALED, TIMEOUT, STOPPED, CLIENT_LOST, OUTPUT_LIMIT, START_FAILED) = range(8)

STAGES = ("", "directory", "executable", "user", "limits", "stdin", "spawn")
"""What a failed start failed at, by its number on disk; the words are those of ``SpawnFailed.stage``."""
(NO_STAGE, AT_DIRECTORY, AT_EXECUTABLE, AT_USER, AT_LIMITS, AT_STDIN, AT_SPAWN) = range(7)

TREES = ("gone", "left", "stuck")
TREE_GONE, TREE_LEFT, TREE_STUCK = range(3)

SUPERVISORS = ("shim", "keeper")
BY_SHIM, BY_KEEPER = range(2)

# Flags of a job (CLAIM.flags and Run.flags).
POWER, LEAVE, STDIN = 1, 2, 4

RULES = ("block", "keep-tail", "kill")
BLOCK, KEEP_TAIL, KILL_RULE = range(3)

BY_BYTES = 64
"""Longest name of who ended a job, in UTF-8 bytes."""
NOTE_PIDS = 64
"""Most process ids that a NOTE names; its ``pid_count`` tells how many there are."""


class Claim(NamedTuple):
    """The shim has taken this attempt; from here on the command may run. Also all that an adopter must know of it.

    Times: ``*_wall_ns`` Unix nanoseconds, ``*_boot_ns`` nanoseconds of ``CLOCK_BOOTTIME`` (clock_gettime(2)).
    """

    job: str
    attempt: int
    shim_pid: int = 0
    boot_id: bytes = b"\0" * 16
    wall_ns: int = 0
    boot_ns: int = 0
    flags: int = 0
    timeout_ms: int = 0
    grace_ms: int = 10_000
    linger_ms: int = 2_000
    rule: int = BLOCK
    limit_bytes: int = 0


class Started(NamedTuple):
    """The command was spawned. Its start time lies between the ``boot_ns`` of CLAIM and of this slot."""

    job: str
    attempt: int
    pid: int
    wall_ns: int = 0
    boot_ns: int = 0


class Main(NamedTuple):
    """How the main process ended: a raw wait status, learnt with WNOWAIT and written before the process was reaped."""

    job: str
    attempt: int
    wait_status: int
    wall_ns: int = 0
    boot_ns: int = 0


class Exit(NamedTuple):
    """The end of the job. ``wait_status`` is None when no process ever ran; ``errno`` and ``stage`` tell why.

    ``out_first`` and ``err_first`` are the oldest offsets kept; ``maxrss_kib`` and the times are those of wait4(2).
    """

    job: str
    attempt: int
    wait_status: int | None
    cause: int
    by: str = ""
    errno: int = 0
    stage: int = NO_STAGE
    out_bytes: int = 0
    err_bytes: int = 0
    out_first: int = 0
    err_first: int = 0
    stdin_bytes: int = 0
    utime_us: int = 0
    stime_us: int = 0
    maxrss_kib: int = 0
    started_wall_ns: int = 0
    ended_wall_ns: int = 0
    tree: int = TREE_GONE
    left_count: int = 0
    supervisor: int = BY_SHIM


class Note(NamedTuple):
    """What has changed since CLAIM: stdin, a stop under way, dropped output, processes that do not go.

    ``cause`` is not 0 once a stop is under way; ``kill_boot_ns`` is when its grace is over.
    """

    job: str
    attempt: int
    stdin_bytes: int = 0
    stdin_ended: bool = False
    cause: int = NO_CAUSE
    by: str = ""
    kill_boot_ns: int = 0
    out_first: int = 0
    err_first: int = 0
    pid_count: int = 0
    pids: tuple[int, ...] = ()


class Damaged(NamedTuple):
    """A slot that is neither empty nor intact; ``reason`` says in what way."""

    slot: int
    reason: str


Record = Claim | Started | Main | Exit | Note

_HEAD = struct.Struct("!4sBB2x12sI")
_CRC = struct.Struct("!I")
_CRC_AT = SLOT_BYTES - _CRC.size
_BODIES = (
    "I16sQQIQQQBQ",
    "IQQ",
    "iQQ",
    f"BiB{BY_BYTES}siBQQQQQQQQQQBIB",
    f"QBB{BY_BYTES}sQQQII{NOTE_PIDS}I",
)
_SLOTS = tuple(
    struct.Struct(f"{_HEAD.format}{body}{_CRC_AT - struct.calcsize(_HEAD.format + body)}x") for body in _BODIES
)
_TYPES: tuple[type[Record], ...] = (
    Claim,
    Started,
    Main,
    Exit,
    Note,
)
_KINDS = {kind: number for number, kind in enumerate(_TYPES)}
_EMPTY = bytes(SLOT_BYTES)
_OTHERS_EMPTY = _EMPTY * (len(_TYPES) - 1)


def encode(record: Record) -> bytes:
    """The 512 bytes of a slot.

    Raises:
        ValueError: a text is too long for its field, or the job id is not 1 to 12 ASCII characters.
        struct.error: a number is outside the range of its field.
    """
    kind = _KINDS[type(record)]
    job = record.job.encode("ascii")
    if not 0 < len(job) <= 12:
        raise ValueError(f"job id of {len(job)} bytes (1 to 12)")
    values: tuple[object, ...] = record[2:]
    if isinstance(record, Exit):
        known = record.wait_status is not None
        values = (known, record.wait_status or 0, record.cause, _text(record.by), *record[5:])
    elif isinstance(record, Note):
        pids = record.pids[:NOTE_PIDS]
        values = (*record[2:5], _text(record.by), *record[6:10], len(pids), *pids, *(0,) * (NOTE_PIDS - len(pids)))
    content = _SLOTS[kind].pack(MAGIC, VERSION, kind, job, record.attempt, *values)
    return content + _CRC.pack(crc32(content))


def decode(data: bytes, slot: int) -> Record | Damaged | None:
    """The record in the 512 bytes of a slot, None if it was never written, or what is wrong with it.

    Args:
        data: The bytes of the slot.
        slot: Which slot they were read from; a record in the wrong place is damage.
    """
    if len(data) != SLOT_BYTES:
        return Damaged(slot, f"{len(data)} bytes (a slot has {SLOT_BYTES})")
    if data == _EMPTY:
        return None
    magic, version, kind, job, attempt = _HEAD.unpack_from(data)
    if magic != MAGIC:
        return Damaged(slot, f"magic {magic.hex()}")
    if _CRC.unpack_from(data, _CRC_AT)[0] != crc32(data[:_CRC_AT]):
        return Damaged(slot, "checksum does not match")
    if version != VERSION:
        return Damaged(slot, f"version {version} (known: {VERSION})")
    if kind != slot:
        return Damaged(slot, f"record of kind {kind}")
    try:
        name = job.rstrip(b"\0").decode("ascii")
        values = _SLOTS[kind].unpack_from(data)[5:]
        if kind == EXIT:
            known, status, cause, by, *rest = values
            return Exit(name, attempt, status if known else None, cause, _untext(by), *rest)
        if kind == NOTE:
            length, ended, cause, by, kill_at, out_first, err_first, count, shown, *pids = values
            return Note(
                name, attempt, length, bool(ended), cause, _untext(by), kill_at, out_first, err_first, count,
                tuple(pids[:shown]),
            )  # fmt: skip
    except UnicodeDecodeError as exc:
        return Damaged(slot, str(exc))
    if kind == CLAIM:
        return Claim(name, attempt, *values)
    return Started(name, attempt, *values) if kind == STARTED else Main(name, attempt, *values)


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > BY_BYTES:
        raise ValueError(f"text of {len(data)} bytes ({BY_BYTES} at most)")
    return data


def _untext(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


class Slots(NamedTuple):
    """All slots of a file, read at one moment."""

    claim: Claim | Damaged | None = None
    started: Started | Damaged | None = None
    main: Main | Damaged | None = None
    exit: Exit | Damaged | None = None
    note: Note | Damaged | None = None

    def damage(self) -> tuple[Damaged, ...]:
        """The damaged slots, if any."""
        return tuple(slot for slot in self if isinstance(slot, Damaged))


def create(path: str | bytes, *, dir_fd: int | None = None) -> int:
    """Makes a control file, mode 0600, of zeros that have their room on the disk; its open descriptor (close-on-exec).

    The room is reserved (posix_fallocate(3)) and not flushed: a job whose records must outlast a power failure flushes
    each of them, and others must not pay a disk's latency for every shim.

    Raises:
        FileExistsError: there is one; a control file is never taken over by making it again.
        OSError: it could not be made.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=dir_fd)
    try:
        os.posix_fallocate(fd, 0, FILE_BYTES)
    except BaseException:
        os.close(fd)
        raise
    return fd


def write(fd: int, record: Record, *, flush: bool = False) -> bytes:
    """Writes a record into its slot; the bytes as they are on disk.

    Args:
        fd: The control file, open for writing.
        record: What to write.
        flush: Return only when it would survive a loss of power (fdatasync(2)).

    Raises:
        OSError: the write or the flush failed; the slot may be damaged.
    """
    data = encode(record)
    _pwrite_all(fd, data, _KINDS[type(record)] * SLOT_BYTES)
    if flush:
        os.fdatasync(fd)
    return data


def begin(fd: int, claim: Claim, *, flush: bool = False) -> None:
    """Forgets the job before and claims the next, in one write.

    Raises:
        OSError: the write or the flush failed; every slot may be damaged.
    """
    _pwrite_all(fd, encode(claim) + _OTHERS_EMPTY, 0)
    if flush:
        os.fdatasync(fd)


def erase(fd: int, *, flush: bool = False) -> None:
    """Forgets the job: all slots become empty, in one write.

    Raises:
        OSError: the write or the flush failed.
    """
    _pwrite_all(fd, bytes(len(_TYPES) * SLOT_BYTES), 0)
    if flush:
        os.fdatasync(fd)


def read(fd: int) -> Slots:
    """All slots of an open control file; a short file has damaged slots.

    Raises:
        OSError: it could not be read.
    """
    data = os.pread(fd, len(_TYPES) * SLOT_BYTES, 0)
    return Slots(*(decode(data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES], slot) for slot in range(len(_TYPES))))  # type: ignore[arg-type]


def read_path(path: str | bytes, *, dir_fd: int | None = None) -> Slots:
    """All slots of the control file at a path.

    A process that holds the lock of the file must not call this: closing any descriptor of a file gives up all
    record locks that the process has on it (fcntl(2)).

    Raises:
        OSError: it could not be opened or read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)  # a FIFO would wait (fifo(7))
    try:
        return read(fd)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Takes the lock of a control file for this process; False if another process has it.

    It is held until this process ends or closes *any* descriptor of that file.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


_FLOCK = struct.Struct("hhqqi4x")  # struct flock of Linux on 64-bit machines: type, whence, start, len, pid


def lock_holder(fd: int) -> int | None:
    """The process that holds the lock of an open control file (0: one of another pid namespace), or None.

    A lock of the calling process itself does not count (F_GETLK, fcntl(2)).
    """
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else pid


def is_locked(fd: int) -> bool:
    """Whether another process tends the job of this control file."""
    return lock_holder(fd) is not None


def _pwrite_all(fd: int, data: bytes, offset: int) -> None:
    written = os.pwrite(fd, data, offset)
    while written < len(data):  # only a full disk or a signal cuts a regular file's write short
        written += os.pwrite(fd, data[written:], offset + written)
