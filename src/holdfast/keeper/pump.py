"""Bytes between a command's pipes and its spools, without ever holding one in user space.

``splice`` moves them inside the kernel: a supervisor that is killed at any moment has either moved a byte or not, and
whoever takes over goes on at the spool's length (output) or at the shared file position (stdin). read and write would
lose what was read and not yet written. The spools are not opened with O_APPEND, which splice refuses.
"""

from __future__ import annotations

import errno
import fcntl
import os

from holdfast.keeper import linux
from holdfast.keeper.loop import complain
from holdfast.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES = 1 << 20
HOLE_BYTES = 64 * 1024
"""Holes are punched in whole blocks of this size."""
UNLIMITED = (1 << 64) - 1

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_SPLICES_A_TURN = 4
"""Then the other channel and the agent have their turn."""
_PIPE_BYTES = 64 * 1024
_BUSY_PIPE_BYTES = 256 * 1024
"""Larger pipes are no faster (they leave the cache), and plain users are granted 256 of these."""
_FIRST_WAIT_NS, _LONGEST_WAIT_NS = 20_000_000, 1_000_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT)

# What a turn of a pump ends with.
EMPTY, MORE, ENDED, HELD, REFUSED = range(5)


def _note_nothing() -> None:
    """For a pump that nobody reads behind."""


class Pump:
    """One output channel of one job: pipe to spool.

    Attributes:
        length: Bytes of this channel, which is the spool's length.
        first: The oldest offset kept.
        note_first: Called when ``first`` has grown and before the bytes below it are gone.
        limit: Offset up to which may be written now; the rest waits in the pipe.
        ended: End of file was seen.
        over: The kill rule's limit was passed; what comes after it is dropped.
        retry_ns: When to try again after the disk refused (CLOCK_BOOTTIME), or None.
    """

    __slots__ = ("_cap", "_full", "_keep", "_null", "_wait_ns", "ended", "first", "grown", "length", "limit",
                 "note_first", "over", "retry_ns", "source", "spool")  # fmt: skip

    def __init__(self, source: int, spool: int, null: int) -> None:
        self.source = source
        self.spool = spool
        self._null = null
        self.grown = False
        self.note_first: Callable[[], None] = _note_nothing
        self.length = os.fstat(spool).st_size
        self.reset(control.BLOCK, 0)

    def reset(self, rule: int, limit_bytes: int) -> None:
        """Begins (or takes over) a job, with its rule as in RUN; ``length`` must be the spool's."""
        self.first = 0
        self.limit = UNLIMITED
        self._cap = UNLIMITED
        self._keep = 0
        self.ended = self.over = False
        self.retry_ns: int | None = None
        self._wait_ns = _FIRST_WAIT_NS
        self._full = 0
        if limit_bytes:
            if rule == control.BLOCK:
                self.limit = max(self.length, limit_bytes)
            elif rule == control.KEEP_TAIL:
                self._keep = limit_bytes
            else:
                self._cap = limit_bytes

    def discard(self) -> None:
        """From now on what comes is dropped: the job's record is complete, the writers go on."""
        self._cap = self.length
        self.ended = False

    def turn(self, now: int) -> int:
        """Moves what is there, a few MiB at most: EMPTY, MORE, ENDED, HELD (at the limit) or REFUSED.

        Refused means that the disk did not take it: full, as a rule. The bytes wait in the pipe, and the job with them.
        """
        self.retry_ns = None
        for _ in range(_SPLICES_A_TURN):
            try:
                if self.length >= self._cap:
                    moved = os.splice(self.source, self._null, CHUNK_BYTES, flags=_FLAGS)
                    self.over = self.over or moved > 0
                else:
                    room = min(CHUNK_BYTES, self.limit - self.length, self._cap - self.length)
                    if room <= 0:
                        return HELD
                    moved = os.splice(self.source, self.spool, room, offset_dst=self.length, flags=_FLAGS)
                    self.length += moved
            except BlockingIOError:
                return EMPTY
            except OSError as exc:
                if exc.errno not in _FULL and self._wait_ns == _FIRST_WAIT_NS:
                    complain(f"output waits: {exc}")
                self.retry_ns = now + self._wait_ns
                self._wait_ns = min(2 * self._wait_ns, _LONGEST_WAIT_NS)
                return REFUSED
            if not moved:
                self.ended = True
                return ENDED
            self._wait_ns = _FIRST_WAIT_NS
            if self._keep and self.length - self.first > 2 * self._keep:
                self.drop_below(self.length - self._keep)
            if moved >= _PIPE_BYTES and not self.grown:
                self._grow()
        return MORE

    def drop_below(self, offset: int) -> None:
        """Gives the space below the offset back, rounded down to a whole hole.

        Raises:
            OSError: the file system cannot punch holes.
        """
        end = min(offset, self.length) // HOLE_BYTES * HOLE_BYTES
        if end > self.first:
            begin, self.first = self.first // HOLE_BYTES * HOLE_BYTES, end
            self.note_first()  # on disk before the hole: a hole reads as zeros, and nobody may believe them
            linux.punch_hole(self.spool, begin, end)

    def _grow(self) -> None:
        """A busy pipe becomes large: fewer switches between writer and pump. Plain users have a quota of such pages."""
        self._full += 1
        if self._full < 2:
            return
        self.grown = True
        try:
            fcntl.fcntl(self.source, fcntl.F_SETPIPE_SZ, _BUSY_PIPE_BYTES)
        except OSError:
            pass  # over the quota: it works as it is

    def shrink(self) -> None:
        """Gives a grown pipe's pages back, after the job."""
        if self.grown:
            self.grown = False
            try:
                fcntl.fcntl(self.source, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except OSError:
                self.grown = True  # EBUSY: it still holds more than that


class Feeder:
    """A job's stdin: the file ``in``, by its shared file position, to the pipe.

    The kernel moves position and bytes together, so keeper and shim always agree on what was fed. The position belongs
    to the open file, which both have: whoever feeds must be alone.
    """

    __slots__ = ("ended", "fed", "file", "length", "pipe")

    def __init__(self, file: int, pipe: int, *, length: int = 0, ended: bool = False) -> None:
        self.file = file
        self.pipe = pipe
        self.length = length
        self.ended = ended
        self.fed = os.lseek(file, 0, os.SEEK_CUR)

    @property
    def hungry(self) -> bool:
        """Whether there are bytes that the pipe has not taken yet."""
        return self.fed < self.length

    @property
    def over(self) -> bool:
        """Whether all is fed and no more will come."""
        return self.ended and self.fed >= self.length

    def turn(self) -> bool:
        """Feeds what the pipe takes now; False when the command no longer reads.

        Raises:
            OSError: the file is broken.
        """
        while self.fed < self.length:
            try:
                moved = os.splice(self.file, self.pipe, min(CHUNK_BYTES, self.length - self.fed), flags=_FLAGS)
            except BlockingIOError:
                return True
            except BrokenPipeError:
                return False
            if not moved:
                self.length = self.fed  # the file is shorter than was said: what is not there cannot be fed
                return True
            self.fed += moved
        return True

    def close(self) -> None:
        """Closes both descriptors."""
        os.close(self.pipe)
        os.close(self.file)
