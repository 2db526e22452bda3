"""Serves the output of jobs to readers by absolute offset, live or stored.

Rules of this module:

* The length of the spool is the committed offset; nothing is kept in memory for a reader but its position.
* A channel is hashed once, by the bytes that pass to its first reader; what no reader fetched is hashed at the end.
* With ``keep-tail`` the oldest bytes go while we read. A hole reads as zeros, so after each read the oldest kept offset
  is read again, and bytes below it are not believed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol

import xxhash

from holdfast.errors import OffsetGone, StorageError
from holdfast.jobs.stimuli import TakenOutput
from holdfast.wire.limits import CHUNK_BYTES

EMPTY_DIGEST: Final = xxhash.xxh3_128_hexdigest(b"")
INLINE_HASH_BYTES: Final = 1024 * 1024
"""Up to this much is hashed on the spot; more goes to a thread."""
TAIL_SEARCH_BYTES: Final = 16 * 1024 * 1024
"""How far back the start of the last lines is looked for."""
_TAIL_STEP_BYTES: Final = 64 * 1024


class OutputChannel:
    """One output channel of a job.

    Attributes:
        length: Bytes known to be committed.
        first: Oldest offset still kept.
        final: True once nothing more will come.
        digest: XXH3-128 of the bytes from ``first`` to the end, once known.
    """

    __slots__ = ("_data", "_fd", "_hashed", "_hasher", "_owned", "_refresh_first", "digest", "final", "first", "length")

    def __init__(
        self,
        *,
        length: int = 0,
        first: int = 0,
        final: bool = False,
        digest: str | None = None,
        data: bytes | None = None,
        fd: int | None = None,
        refresh_first: Callable[[], int] | None = None,
    ) -> None:
        self.length = length
        self.first = first
        self.final = final
        self.digest = digest
        self._data = data
        self._fd = fd
        self._owned = False
        self._hasher: xxhash.xxh3_128 | None = None
        self._hashed = 0
        self._refresh_first = refresh_first

    # --- where the bytes are -----------------------------------------------------------------------------------------

    def use_fd(self, fd: int, *, owned: bool) -> None:
        """Read from this descriptor; ``owned``: and close it in ``close``."""
        self.close()
        self._fd = fd
        self._owned = owned

    def use_data(self, data: bytes) -> None:
        """Read from memory: the small output of a finished job."""
        self.close()
        self._data = data

    @property
    def readable(self) -> bool:
        """Whether it is known where the bytes are."""
        return self._fd is not None or self._data is not None or self.length == self.first

    def close(self) -> None:
        """Close what is ours."""
        if self._owned and self._fd is not None:
            os.close(self._fd)
        self._fd = None
        self._owned = False

    # --- reading -----------------------------------------------------------------------------------------------------

    def bytes_from(self, offset: int, limit_bytes: int) -> bytes:
        """Bytes from an absolute offset; never waits for the job, may wait for the disk.

        Args:
            offset: First byte wanted, ``first`` to ``length``.
            limit_bytes: Most bytes to return.

        Returns:
            Up to ``limit_bytes`` bytes; empty at the present end.

        Raises:
            OffsetGone: dropped by the job's own retention rule.
            StorageError: the spool could not be read.
        """
        size = min(limit_bytes, self.length - offset)
        if size <= 0:
            return b""
        if self._data is not None:
            return self._data[offset - self.first : offset - self.first + size]
        if offset < self.first:
            raise OffsetGone(f"bytes below {self.first} were dropped", first=self.first)
        if self._fd is None:
            raise StorageError("the spool is not there", path="", offset=offset)
        try:
            data = os.pread(self._fd, size, offset)
        except OSError as exc:
            raise StorageError(f"cannot read the spool: {exc.strerror}", path="", offset=offset) from exc
        if self._refresh_first is not None:
            self.first = max(self.first, self._refresh_first())
            if offset < self.first:
                raise OffsetGone(f"bytes below {self.first} were dropped", first=self.first)
        if not data:
            raise StorageError("the spool is shorter than its recorded length", path="", offset=offset)
        if offset <= self._hashed < offset + len(data):
            if self._hasher is None:
                self._hasher = xxhash.xxh3_128()
            self._hasher.update(data if offset == self._hashed else data[self._hashed - offset :])
            self._hashed = offset + len(data)
        return data

    def cached(self, offset: int, size: int) -> bool:
        """Whether these bytes are in the page cache, so that reading them does not wait (preadv2(2), RWF_NOWAIT)."""
        if self._fd is None:
            return True
        probe = bytearray(1)
        try:
            os.preadv(self._fd, [probe], offset, os.RWF_NOWAIT)
            os.preadv(self._fd, [probe], offset + max(0, size - 1), os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the file system does not know the flag (EOPNOTSUPP): read and see
        return True

    def preload(self, offset: int, size: int) -> None:
        """Read these bytes and throw them away, so that the next reading finds them in the page cache."""
        fd = self._fd
        if fd is not None:
            try:
                os.pread(fd, size, offset)
            except OSError:
                return  # the reading proper will say it

    def tail_offset(self, lines: int) -> int:
        """Where the last ``lines`` lines start; a last line without a newline counts as one."""
        if not lines:
            return self.length
        end = self.length
        stop = max(self.first, end - TAIL_SEARCH_BYTES)
        at = end
        wanted = lines
        while at > stop:
            start = max(stop, at - _TAIL_STEP_BYTES)
            block = self.bytes_from(start, at - start)
            position = len(block)
            while True:
                newline = block.rfind(b"\n", 0, position)
                if newline < 0:
                    break
                if start + newline + 1 < end:
                    wanted -= 1
                    if not wanted:
                        return start + newline + 1
                position = newline
            at = start
        return stop

    def as_taken(self) -> TakenOutput:
        """What the job's machine is told about this channel at the end."""
        return TakenOutput(self.length, self.first, self.digest, self._data)

    # --- digest ------------------------------------------------------------------------------------------------------

    @property
    def unhashed_bytes(self) -> int:
        """What is still to be read for the digest."""
        return self.length - (self._hashed if not self.first else self.first)

    def finish_digest(self) -> str:
        """The digest of all that is kept; reads what was not read before. May be called in a thread."""
        if self.length == self.first:
            return EMPTY_DIGEST
        if self._data is not None:
            return xxhash.xxh3_128_hexdigest(self._data)
        hasher, offset = self._hasher, self._hashed
        if hasher is None or self.first:
            hasher, offset = xxhash.xxh3_128(), self.first
        for chunk in spool_chunks(self._fd, offset, self.length):
            hasher.update(chunk)
        return hasher.hexdigest()


def spool_chunks(fd: int | None, offset: int, end: int):  # type: ignore[no-untyped-def]
    """The bytes of a spool file in pieces of up to 1 MiB.

    Raises:
        StorageError: it could not be read, or is shorter than ``end``.
    """
    while offset < end:
        if fd is None:
            raise StorageError("the spool is not there", path="", offset=offset)
        try:
            chunk = os.pread(fd, min(1 << 20, end - offset), offset)
        except OSError as exc:
            raise StorageError(f"cannot read the spool: {exc.strerror}", path="", offset=offset) from exc
        if not chunk:
            raise StorageError("the spool is shorter than its recorded length", path="", offset=offset)
        offset += len(chunk)
        yield chunk


class Outlet(Protocol):
    """What a reader writes to: the stream of a connection."""

    def open_out(self, stream: int, channel: int, *, offset: int, limit: int) -> None: ...
    def offer(self, stream: int, channel: int, end: int) -> None: ...
    def send_gap(self, stream: int, channel: int, offset: int) -> None: ...


class Reader:
    """One reader of a job's output: a stream of some connection, with a position on each channel it asked for.

    Attributes:
        stream: The stream it lives on.
        job: Whose output it reads; opaque here.
        is_run: It is an attached RUN, which is answered with the receipt.
        until: Where each channel ends for this reader; None: follow to the channel's real end.
        open: Channels whose END has not been sent.
    """

    __slots__ = ("channels", "follow", "is_run", "job", "open", "positions", "stream", "until")

    def __init__(
        self, stream: int, job: object, channels: dict[int, OutputChannel], *, follow: bool, is_run: bool
    ) -> None:
        self.stream = stream
        self.job = job
        self.channels = channels
        self.follow = follow
        self.is_run = is_run
        self.open = set(channels)
        self.positions: dict[int, int] = {}
        self.until: dict[int, int] = {} if follow else {number: c.length for number, c in channels.items()}

    def start(self, outlet: Outlet, offsets: dict[int, int], credit: int) -> None:
        """Open the channels at these offsets, each with ``credit`` bytes of credit."""
        for number, offset in offsets.items():
            outlet.open_out(self.stream, number, offset=offset, limit=offset + credit)
            self.positions[number] = offset
            first = self.channels[number].first
            if offset < first:
                outlet.send_gap(self.stream, number, first)
                self.positions[number] = first

    def end_of(self, number: int) -> int:
        """How far this reader may be served on a channel now."""
        channel = self.channels[number]
        return channel.length if self.follow else min(channel.length, self.until[number])

    def offer_all(self, outlet: Outlet) -> None:
        """Tell the outlet what exists."""
        for number in self.open:
            outlet.offer(self.stream, number, self.end_of(number))

    def read(self, number: int, offset: int, size: int) -> bytes:
        """The bytes of one turn; see ``OutputChannel.bytes_from``."""
        data = self.channels[number].bytes_from(offset, min(size, CHUNK_BYTES))
        self.positions[number] = offset + len(data)
        return data

    def complete(self, number: int) -> bool:
        """Whether everything of this channel has been handed to the outlet."""
        channel = self.channels[number]
        if self.follow:
            return channel.final and self.positions[number] >= channel.length
        return self.positions[number] >= self.until[number]

    @property
    def caught_up(self) -> bool:
        """Whether it has all that is known to exist and waits for more."""
        return all(self.positions[number] >= self.channels[number].length for number in self.open)
