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
from holdfast.store.spool import ByteSource, ChannelDigest, InlineSpool, Spool
from holdfast.types import Offset
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
        source: Where the bytes are; None while that is not known.
    """

    __slots__ = ("_hash", "_owned", "_refresh_first", "_sealed", "digest", "final", "first", "length", "source")

    def __init__(self, *, length: int = 0, first: int = 0, final: bool = False, digest: str | None = None) -> None:
        self.length = length
        self.first = first
        self.final = final
        self.digest = digest
        self.source: ByteSource | None = None
        self._owned = False
        self._hash: ChannelDigest | None = None
        self._sealed = False
        self._refresh_first: Callable[[], int] | None = None

    # --- where the bytes are -----------------------------------------------------------------------------------------

    def use(self, source: ByteSource, *, owned: bool, refresh_first: Callable[[], int] | None = None) -> None:
        """Read from here.

        Args:
            source: A spool file, or the bytes of a finished job.
            owned: Close it in ``close``; otherwise it belongs to the shim's scratch spools.
            refresh_first: Gives the oldest kept offset of a channel whose oldest bytes go while the job runs.
        """
        self.close()
        self.source = source
        self._owned = owned
        self._refresh_first = refresh_first

    def keep(self, source: ByteSource) -> bool:
        """Own this source from now on, if it is the one in use: its shim is gone and the bytes are still there."""
        if self.source is source:
            self._owned = True
        return self.source is source

    @property
    def readable(self) -> bool:
        """Whether it is known where the bytes are."""
        return self.source is not None or self.length == self.first

    def close(self) -> None:
        """Close what is ours."""
        if self._owned and self.source is not None:
            self.source.close()
        self.source = None
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
        source = self._source(offset)
        data = source.bytes_from(Offset(offset), size)
        if self._refresh_first is not None:
            source.first = self.first = max(self.first, self._refresh_first())
            if offset < self.first:
                raise OffsetGone(f"bytes below {self.first} were dropped", first=self.first)
        if not data:
            raise StorageError("the spool is shorter than its recorded length", path="", offset=offset)
        self._take_hash(offset, data)
        return data

    def cached(self, offset: int, size: int) -> bool:
        """Whether these bytes are in the page cache, so that reading them does not wait (preadv2(2), RWF_NOWAIT)."""
        if not isinstance(self.source, Spool):
            return True
        probe = [bytearray(1)]
        try:
            os.preadv(self.source.fd, probe, offset, os.RWF_NOWAIT)
            os.preadv(self.source.fd, probe, offset + max(0, size - 1), os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the file system does not know the flag (EOPNOTSUPP): read and see
        return True

    def preload(self, offset: int, size: int) -> None:
        """Read these bytes and throw them away, so that the next reading finds them in the page cache."""
        if isinstance(self.source, Spool):
            try:
                os.pread(self.source.fd, size, offset)
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
            block = self._source(start).bytes_from(Offset(start), at - start)
            position = len(block)
            while (position := block.rfind(b"\n", 0, position)) >= 0:
                if start + position + 1 < end:
                    wanted -= 1
                    if not wanted:
                        return start + position + 1
            at = start
        return stop

    # --- the end -----------------------------------------------------------------------------------------------------

    def as_taken(self) -> TakenOutput:
        """What the job's machine is told about this channel at the end."""
        inline = (
            self.source.bytes_from(Offset(self.first), self.length) if isinstance(self.source, InlineSpool) else None
        )
        return TakenOutput(self.length, self.first, self.digest, inline)

    @property
    def unhashed_bytes(self) -> int:
        """What is still to be read for the digest."""
        hashed = self._hash.position if self._hash is not None and not self.first else self.first
        return self.length - hashed

    def rest_of_digest(self) -> Callable[[], str]:
        """A call that gives the digest of all that is kept, reading what no reader has read; for any thread.

        The running digest goes with it: from now on, what readers read is not hashed here any more.

        The call raises OffsetGone or StorageError where the bytes cannot be read.
        """
        if self.length == self.first:
            return lambda: EMPTY_DIGEST
        digest, self._hash, self._sealed = self._hash, None, True
        if digest is None or self.first:
            digest = ChannelDigest(first=self.first)
        source, end = self._source(digest.position), self.length

        def finish() -> str:
            digest.advance(source, end)
            return digest.xxh3

        return finish

    def _source(self, offset: int) -> ByteSource:
        if self.source is None:
            raise StorageError("the spool is not there", path="", offset=offset)
        return self.source

    def _take_hash(self, offset: int, data: bytes) -> None:
        digest = self._hash
        if digest is None:
            if offset or self._sealed or self.digest is not None:
                return
            digest = self._hash = ChannelDigest()
        if offset <= digest.position < offset + len(data):
            digest.update(data if offset == digest.position else data[digest.position - offset :])


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
        delivered: What its client has surely handed on, by channel: its credit less the widest window.
        open: Channels whose END has not been sent.
    """

    __slots__ = ("channels", "delivered", "follow", "is_run", "job", "open", "positions", "stream", "until")

    def __init__(
        self, stream: int, job: object, channels: dict[int, OutputChannel], *, follow: bool, is_run: bool
    ) -> None:
        self.stream = stream
        self.job = job
        self.channels = channels
        self.follow = follow
        self.is_run = is_run
        self.open = set(channels)
        self.delivered = dict.fromkeys(channels, 0)
        self.positions: dict[int, int] = {}
        self.until: dict[int, int] = {} if follow else {number: c.length for number, c in channels.items()}

    def start(self, outlet: Outlet, offsets: dict[int, int], credit: int, *, opened: bool = False) -> None:
        """Open the channels at these offsets, with this much credit each, unless they are ``opened`` already."""
        for number, offset in offsets.items():
            if not opened:
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
