"""Channels of jobs as bytes by absolute offset: files while a job runs and for long outputs, journal rows for the rest.

The length of a spool file is its committed offset: there is no index that could disagree with it. Whoever writes
extends the file first and tells of it afterwards, so reading never needs a lock and never waits.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import Final, Protocol

import xxhash

from holdfast.errors import OffsetGone, StorageError
from holdfast.store.faults import storage_error
from holdfast.types import Offset

STEP_BYTES = 512 * 1024
"""What is read and hashed at a time: both calls release the interpreter for that long (about 0.1 ms)."""

_NO_TRICKS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A command of the same user may have put a link, a FIFO or a device in a file's place. O_NONBLOCK: opening a FIFO
would wait for its other end (fifo(7)); on a plain file it has no effect."""


class ByteSource(Protocol):
    """What a reader of a channel needs: both kinds of spool are one."""

    first: int

    def length(self) -> int: ...
    def bytes_from(self, offset: Offset, limit_bytes: int) -> bytes: ...
    def read_into(self, buffer: memoryview, offset: Offset) -> int: ...
    def close(self) -> None: ...


class Spool:
    """A spool file, read through a descriptor of its own: it may be renamed or removed meanwhile.

    Args:
        fd: Open for reading; closed by :meth:`close`.
        path: Its name, for errors.
        first: Oldest offset still kept. Whoever learns that the job's own rule has dropped more raises it.
    """

    __slots__ = ("fd", "first", "path")

    def __init__(self, fd: int, path: str, *, first: int = 0) -> None:
        self.fd = fd
        self.path = path
        self.first = first

    @classmethod
    def open(cls, path: str, *, first: int = 0) -> Spool:
        """Opens a spool file for reading.

        Raises:
            StorageError: it is not there, or cannot be read.
        """
        try:
            return cls(_open_plain(path), path, first=first)
        except OSError as exc:
            raise storage_error("open", exc, path) from exc

    def length(self) -> int:
        """Committed length: the absolute offset of the next byte that will be written.

        Raises:
            StorageError: the file cannot be examined.
        """
        try:
            return os.fstat(self.fd).st_size
        except OSError as exc:
            raise storage_error("examine", exc, self.path) from exc

    def bytes_from(self, offset: Offset, limit_bytes: int) -> bytes:
        """Bytes of this channel, starting at an absolute offset.

        Never waits for a writer: an empty result means that nothing has been written there yet.

        Args:
            offset: First byte wanted, from 0.
            limit_bytes: Most bytes to return, at least 1.

        Returns:
            Between 0 and ``limit_bytes`` bytes, contiguous from ``offset``.

        Raises:
            OffsetGone: the job's own retention rule has dropped this part.
            StorageError: the file could not be read.
        """
        if offset < self.first:
            raise _gone(offset, self.first)
        try:
            return os.pread(self.fd, limit_bytes, offset)
        except OSError as exc:
            raise storage_error("read", exc, self.path, offset) from exc

    def read_into(self, buffer: memoryview, offset: Offset) -> int:
        """As :meth:`bytes_from`, into memory of the caller's: how many bytes came."""
        if offset < self.first:
            raise _gone(offset, self.first)
        try:
            return os.preadv(self.fd, [buffer], offset)
        except OSError as exc:
            raise storage_error("read", exc, self.path, offset) from exc

    def close(self) -> None:
        """Closes the descriptor. A second call does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class InlineSpool:
    """The same over bytes that are in memory: outputs of finished jobs from the journal.

    Args:
        data: The bytes that are kept.
        first: Absolute offset of the first of them.
    """

    __slots__ = ("_data", "first")

    def __init__(self, data: bytes, *, first: int = 0) -> None:
        self._data = data
        self.first = first

    def length(self) -> int:
        """As :meth:`Spool.length`."""
        return self.first + len(self._data)

    def bytes_from(self, offset: Offset, limit_bytes: int) -> bytes:
        """As :meth:`Spool.bytes_from`."""
        if offset < self.first:
            raise _gone(offset, self.first)
        start = offset - self.first
        return self._data[start : start + limit_bytes]

    def read_into(self, buffer: memoryview, offset: Offset) -> int:
        """As :meth:`Spool.read_into`."""
        data = self.bytes_from(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Nothing to close."""


class StdinSpool:
    """The spool that feeds a job's stdin: written by the agent, in order, each byte once.

    Args:
        path: The file; made (0600) if it is not there.

    Raises:
        StorageError: it cannot be opened.
    """

    __slots__ = ("_fd", "committed", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | _NO_TRICKS, 0o600)
            self.committed = os.fstat(self._fd).st_size
        except OSError as exc:
            raise storage_error("open", exc, path) from exc

    def write(self, offset: Offset, data: bytes, *, flush: bool = False) -> Offset:
        """Adds bytes at an absolute offset. What is there already is not written again, so repeating is harmless.

        Args:
            offset: Where ``data`` begins: at most the committed length.
            data: Any number of bytes.
            flush: Also flush them to the disk.

        Returns:
            The committed length afterwards: all below it is written.

        Raises:
            ValueError: ``offset`` is beyond the committed length; nothing was written.
            StorageError: it could not be written whole (``.full``: no room); ``committed`` says how far it came.
        """
        if offset > self.committed:
            raise ValueError(f"offset {offset} is beyond the {self.committed} bytes written so far")
        rest = memoryview(data)[self.committed - offset :]
        try:
            while rest:
                written = os.pwrite(self._fd, rest, self.committed)
                self.committed += written
                rest = rest[written:]
            if flush:
                os.fdatasync(self._fd)
        except OSError as exc:
            raise storage_error("write", exc, self.path, self.committed) from exc
        return Offset(self.committed)

    def close(self) -> None:
        """Closes the descriptor. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ChannelDigest:
    """Digests of a channel's kept bytes, in steps, so that they can follow a job that is still writing.

    Args:
        first: Absolute offset where it begins.
        sha256: Also make the SHA-256 (a third of the speed of XXH3-128).
    """

    __slots__ = ("_sha256", "_xxh3", "position")

    def __init__(self, *, first: int = 0, sha256: bool = False) -> None:
        self.position = first
        self._xxh3 = xxhash.xxh3_128()
        self._sha256 = hashlib.sha256() if sha256 else None

    def update(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        self._xxh3.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        self.position += len(data)

    def advance(self, source: ByteSource, end: int) -> None:
        """Reads on up to ``end``; takes 0.1 ms a MiB, 0.6 with SHA-256: call it in a thread for more than a few.

        Raises:
            OffsetGone: bytes that it still needs were dropped.
            StorageError: the source could not be read, or is shorter than ``end``.
        """
        # One buffer for all steps: fresh memory for each would cost more in page faults than the reading itself.
        buffer = memoryview(bytearray(max(0, min(STEP_BYTES, end - self.position))))
        while self.position < end:
            size = source.read_into(buffer[: end - self.position], Offset(self.position))
            if not size:
                path = source.path if isinstance(source, Spool) else ""
                raise StorageError(f"the output ends at {self.position}, not at {end}", path=path, offset=self.position)
            self.update(buffer[:size])

    @property
    def xxh3(self) -> str:
        """XXH3-128 so far, 32 hex digits."""
        return str(self._xxh3.hexdigest())

    @property
    def sha256(self) -> str | None:
        """SHA-256 so far, 64 hex digits; None: not asked for."""
        return None if self._sha256 is None else self._sha256.hexdigest()


def _gone(offset: int, first: int) -> OffsetGone:
    return OffsetGone(f"offset {offset} was dropped, the oldest kept is {first}", first=first)


def _open_plain(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | _NO_TRICKS)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no longer a plain file", path)
    return fd
