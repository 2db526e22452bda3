"""The kernel's two queues of io_uring(7): what it is to do, and what it has done, over the binding ``liburing``.

Completions are told apart by a serial and not by the descriptor, which is given out again as soon as it is closed. The
memory of an operation is kept until its completion: the binding does not keep it, and the kernel still uses it.
"""

from __future__ import annotations

import errno
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

import liburing as uring

T = TypeVar("T")
ENTRIES: Final = 4096


class Done(NamedTuple, Generic[T]):
    """A completion."""

    tag: T
    """What the operation was given with."""
    result: int
    """Bytes, or a descriptor; 0 if it failed."""
    failed: bool


class Ring(Generic[T]):
    """Operations are handed over with a tag, and come back with it when they are done.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self) -> None:
        self._ring, self._cqe = uring.Ring(), uring.Cqe()
        uring.io_uring_queue_init(ENTRIES, self._ring)
        self._serials = count(1)
        self._flying: dict[int, tuple[T, bytes | bytearray]] = {}

    def accept(self, tag: T, fd: int) -> None:
        """Accept somebody: a descriptor."""
        entry, serial = self._entry(tag, b"")
        uring.io_uring_prep_accept(entry, fd)
        entry.user_data = serial

    def recv(self, tag: T, fd: int, buffer: bytearray) -> None:
        """Read into the buffer: bytes, 0 at the end."""
        entry, serial = self._entry(tag, buffer)
        uring.io_uring_prep_recv(entry, fd, buffer)
        entry.user_data = serial

    def send(self, tag: T, fd: int, data: bytes, flags: int = 0) -> None:
        """Send some of it: bytes."""
        entry, serial = self._entry(tag, data)
        uring.io_uring_prep_send(entry, fd, data, flags)
        entry.user_data = serial

    def done(self, seconds: float) -> list[Done[T]]:
        """Hand over what is to be done, wait so long for at least one completion, and take all that there are."""
        try:
            uring.io_uring_submit_and_wait_timeout(self._ring, self._cqe, 1, uring.timespec(seconds))
        except OSError as error:
            if error.errno not in (errno.ETIME, errno.EINTR):
                raise
        found: list[Done[T]] = []
        completions = uring.io_uring_cqe_iter_init(self._ring)
        while uring.io_uring_cqe_iter_next(completions, self._cqe):
            entry = self._cqe[0]
            tag, _ = self._flying.pop(entry.user_data)
            try:
                found.append(Done(tag, entry.res, False))
            except OSError:
                found.append(Done(tag, 0, True))
        uring.io_uring_cq_advance(self._ring, len(found))
        return found

    def _entry(self, tag: T, memory: bytes | bytearray) -> tuple[uring.SQE, int]:
        """A free entry of the submission queue, and a serial for what it will ask for."""
        while (entry := uring.io_uring_get_sqe(self._ring)) is None:
            uring.io_uring_submit(self._ring)
        serial = next(self._serials)
        self._flying[serial] = (tag, memory)
        return entry, serial


def refused() -> str | None:
    """Why the kernel does not let us, if so: it is old, built without it, or told to (kernel.io_uring_disabled)."""
    try:
        ring = uring.Ring()
        uring.io_uring_queue_init(8, ring)
    except OSError as error:
        return f"the kernel refuses io_uring: {error.strerror}"
    uring.io_uring_queue_exit(ring)
    return None
