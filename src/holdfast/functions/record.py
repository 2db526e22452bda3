"""What a worker notes about itself for the case that it dies: which call it had begun, which it had ended.

A file of 4 KiB, ``workers/JOB`` in the agent's directory, mapped into the worker's memory: noting a number is one store
and no system call, and what was stored outlives the process. It is of no use after the host has gone down, so it names
the boot that it is of.

| offset | what |
|---|---|
| 0 | ``HFWORK1\\n`` |
| 8 | number of the last call begun, 8 bytes in the host's order; 0: none |
| 16 | number of the last one such that it and all before it have ended |
| 24 | the boot, 36 characters |
| 64 | a text that begins with ``Timeout``, if a call was ended for its time limit, and where it was then |
"""

from __future__ import annotations

import mmap
import os
from struct import Struct
from typing import Final, NamedTuple

DIRECTORY: Final = "workers"
FILE_BYTES: Final = 4096
TEXT_AT: Final = 64
TEXT_BYTES: Final = 16 * 1024
"""Most that is read of the text."""
TIMEOUT: Final = b"Timeout"
UNRECORDED: Final = "unrecorded"
"""What a client is told of a worker that has left no record."""

_OURS: Final = os.path.join(os.path.dirname(__file__), "perform.py")
_MAGIC: Final = b"HFWORK1\n"
_HEAD: Final = Struct("=8sQQ36s")
_STARTED, _FINISHED = 1, 2


class Noted(NamedTuple):
    """What a record says.

    Attributes:
        started: Number of the last call begun.
        finished: Number of the last one such that it and all before it have ended.
        timeout: It was ended since a call took too long.
        where: Where that call was then, the innermost first, as ``faulthandler`` writes it.
    """

    started: int
    finished: int
    timeout: bool = False
    where: str = ""


class Record:
    """The record of this process.

    Attributes:
        numbers: Eight-byte numbers; ``begun`` and ``ended`` say which is which.
        fd: The file, where ``faulthandler`` writes after ``TEXT_AT``.
    """

    def __init__(self, path: str, boot_id: str) -> None:
        """Make it, in a directory that need not be there.

        Raises:
            OSError: it cannot be made, or the disk is full.
        """
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(self.fd, 0, FILE_BYTES)  # a store to a page that finds no room on the disk is a SIGBUS
        os.pwrite(self.fd, _HEAD.pack(_MAGIC, 0, 0, boot_id.encode()), 0)
        os.lseek(self.fd, TEXT_AT, os.SEEK_SET)
        self._map = mmap.mmap(self.fd, FILE_BYTES)
        self.numbers = memoryview(self._map).cast("Q")

    def begun(self, number: int) -> None:
        """This call begins now."""
        self.numbers[_STARTED] = number

    def ended(self, number: int) -> None:
        """This call and all before it have ended."""
        self.numbers[_FINISHED] = number

    def timeout(self) -> None:
        """This process ends itself now, since its call takes too long."""
        os.pwrite(self.fd, TIMEOUT, TEXT_AT)

    def remove(self) -> None:
        """Nobody needs it: every outcome has been received."""
        os.unlink(self.path)

    def close(self) -> None:
        """Let go of the file."""
        self.numbers.release()
        self._map.close()
        os.close(self.fd)


def read(path: str, boot_id: str) -> Noted | None:
    """What a worker has noted; None: there is no record, or none of this boot."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.pread(fd, TEXT_AT + TEXT_BYTES, 0)
    except OSError:
        return None
    finally:
        os.close(fd)
    if len(data) < FILE_BYTES:
        return None
    magic, started, finished, boot = _HEAD.unpack_from(data)
    if magic != _MAGIC or boot.rstrip(b"\0") != boot_id.encode():
        return None
    why, _, stacks = data[TEXT_AT:].rstrip(b"\0").decode("utf-8", "replace").partition("\n")
    where = stacks.rpartition("\n\n")[2].partition(f'  File "{_OURS}"')[0]  # the main thread's is the last one
    return Noted(started, min(finished, started), why.startswith(TIMEOUT.decode()), where)


def path_of(socket_path: str, job: str) -> str:
    """Where the record of a job is, beside the socket of its agent."""
    return os.path.join(os.path.dirname(socket_path), DIRECTORY, job)


def remove(socket_path: str, job: str) -> None:
    """A job is forgotten, and with it what its worker may have left."""
    try:
        os.unlink(path_of(socket_path, job))
    except OSError:
        pass  # as a rule there is none


def boot_id() -> str:
    """This boot of this host (proc(5), random/boot_id)."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
