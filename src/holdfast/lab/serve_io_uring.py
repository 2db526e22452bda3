"""Completions: the kernel is told what to read, and where to, and says when it has been done (io_uring(7)).

Readiness says "you may read now", completion "it has been read": so each connection needs its buffer while it is idle,
too, and a buffer must not move until its operation is over. Completions are told apart by a serial and not by the
descriptor, which is given out again as soon as it is closed; an operation in flight keeps a connection open, so it is
shut down first.
"""

from __future__ import annotations

import errno
import socket
import time
from itertools import count
from typing import Final

import liburing as uring

from holdfast.lab.ready import LOOK_S
from holdfast.wire.endpoint import Endpoint, Handler

ENTRIES: Final = 4096
BUFFER_BYTES: Final = 4096
"""Small, since every connection has one all the time."""


class Conn:
    """A connection, its endpoint, its buffer, what is still to be sent, and which operations are in flight."""

    def __init__(self, fd: int, handler: Handler) -> None:
        self.socket = socket.socket(fileno=fd)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.endpoint = Endpoint(handler, now=time.monotonic())
        self.buffer = bytearray(BUFFER_BYTES)
        self.out = self.endpoint.start()
        self.in_flight: set[str] = set()
        self.send_flags = 0

    def received(self, size: int) -> None:
        """So many bytes are in the buffer."""
        self.out += self.endpoint.feed(bytes(self.buffer[:size]), time.monotonic())

    def sent(self, size: int) -> None:
        """The kernel has taken so many bytes."""
        self.out = self.out[size:]

    def lose(self) -> None:
        """The peer has gone."""
        self.endpoint.close()
        self.out = b""


class Ring:
    """The kernel's two queues, and the operations in flight by their serial, with the memory that they use."""

    def __init__(self, listener: socket.socket, handler: Handler) -> None:
        self._ring, self._cqe = uring.Ring(), uring.Cqe()
        uring.io_uring_queue_init(ENTRIES, self._ring)
        self._listener, self._handler = listener, handler
        self._serials = count(1)
        self._flying: dict[int, tuple[str, Conn | None, bytes | bytearray]] = {}
        self._conns: set[Conn] = set()
        self._accept()

    def run_for(self, seconds: float) -> None:
        """Hand over what is to be done, wait for at least one completion, and take all that there are."""
        try:
            uring.io_uring_submit_and_wait_timeout(self._ring, self._cqe, 1, uring.timespec(seconds))
        except OSError as error:
            if error.errno not in (errno.ETIME, errno.EINTR):
                raise
        done = []
        completions = uring.io_uring_cqe_iter_init(self._ring)
        while uring.io_uring_cqe_iter_next(completions, self._cqe):
            entry = self._cqe[0]
            try:
                done.append((entry.user_data, entry.res, False))
            except OSError:
                done.append((entry.user_data, 0, True))
        uring.io_uring_cq_advance(self._ring, len(done))
        for serial, result, failed in done:
            kind, conn, _ = self._flying.pop(serial)
            self._complete(kind, conn, result, failed)

    def look(self) -> None:
        """Do what time asks for."""
        now = time.monotonic()
        for conn in list(self._conns):
            if (deadline := conn.endpoint.deadline) is not None and deadline <= now:
                conn.out += conn.endpoint.tick(now)
                if conn.endpoint.closed:  # silent for too long: no use in waiting until it takes the last words
                    conn.send_flags = socket.MSG_DONTWAIT
                    if "send" in conn.in_flight:
                        conn.lose()
                self._go_on(conn)

    def _complete(self, kind: str, conn: Conn | None, result: int, failed: bool) -> None:
        if conn is None:
            self._accept()
            if failed:  # gone before it was accepted, or no descriptor is left
                return
            conn = Conn(result, self._handler)
            self._conns.add(conn)
        else:
            conn.in_flight.discard(kind)
            if failed:
                conn.lose()
            elif kind == "recv" and not conn.endpoint.closed:
                conn.received(result)
            elif kind == "send":
                conn.sent(result)
        self._go_on(conn)

    def _go_on(self, conn: Conn) -> None:
        """Ask for the next thing: send what there is, else read; at the end shut down, and close when nothing flies."""
        if conn.endpoint.closed and not conn.out:
            if not conn.in_flight:
                conn.socket.close()
                self._conns.discard(conn)
            else:
                try:
                    conn.socket.shutdown(socket.SHUT_RDWR)
                except OSError as error:
                    if error.errno != errno.ENOTCONN:
                        raise
        elif conn.out:  # also while a read is in flight: a heartbeat is sent to a peer that is silent
            if "send" not in conn.in_flight:
                entry = self._entry("send", conn, conn.out)
                uring.io_uring_prep_send(entry, conn.socket.fileno(), conn.out, conn.send_flags)
                entry.user_data = self._serial
        elif "recv" not in conn.in_flight:
            entry = self._entry("recv", conn, conn.buffer)
            uring.io_uring_prep_recv(entry, conn.socket.fileno(), conn.buffer)
            entry.user_data = self._serial

    def _accept(self) -> None:
        entry = self._entry("accept", None, b"")
        uring.io_uring_prep_accept(entry, self._listener.fileno())
        entry.user_data = self._serial

    def _entry(self, kind: str, conn: Conn | None, memory: bytes | bytearray) -> uring.SQE:
        """A free entry of the submission queue, and a serial for what it will ask for.

        ``memory`` is kept until the completion: the binding does not, and ``conn.out`` may be a new one by then.
        """
        while (entry := uring.io_uring_get_sqe(self._ring)) is None:
            uring.io_uring_submit(self._ring)
        self._serial = next(self._serials)
        self._flying[self._serial] = (kind, conn, memory)
        if conn is not None:
            conn.in_flight.add(kind)
        return entry


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    ring = Ring(listener, handler)
    while True:
        until = time.monotonic() + LOOK_S
        while (left := until - time.monotonic()) > 0:
            ring.run_for(left)
        ring.look()


def refused() -> str | None:
    """Why the kernel does not let us, if so: it is old, built without it, or told to (kernel.io_uring_disabled)."""
    try:
        ring = uring.Ring()
        uring.io_uring_queue_init(8, ring)
    except OSError as error:
        return f"the kernel refuses io_uring: {error.strerror}"
    uring.io_uring_queue_exit(ring)
    return None
