"""Completions: the kernel is told what to read, and where to, and says when it has been done (io_uring(7)).

Readiness says "you may read now", completion "it has been read": so each connection needs its buffer while it is idle,
too. An operation in flight keeps a connection open, so it is shut down first, and closed when nothing flies.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Final

from holdfast.lab.completions import Ring
from holdfast.lab.ready import LOOK_S
from holdfast.wire.endpoint import Endpoint, Handler

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
        self.flying: set[str] = set()
        self.send_flags = 0

    def take(self, kind: str, result: int, *, failed: bool) -> None:
        """An operation is over."""
        self.flying.discard(kind)
        if failed:
            self.endpoint.close()
            self.out = b""
        elif kind == "send":
            self.out = self.out[result:]
        elif not self.endpoint.closed:
            self.out += self.endpoint.feed(bytes(self.buffer[:result]), time.monotonic())

    def tick(self, now: float) -> None:
        """Do what time asks for."""
        deadline = self.endpoint.deadline
        if deadline is not None and deadline <= now:
            self.out += self.endpoint.tick(now)
            if self.endpoint.closed:  # silent for too long: no use in waiting until it takes the last words
                self.send_flags = socket.MSG_DONTWAIT
                self.out = b"" if "send" in self.flying else self.out

    def go_on(self, ring: Ring[tuple[str, Conn | None]]) -> bool:
        """Ask for the next thing: send what there is, else read; False: it is closed."""
        if self.endpoint.closed and not self.out:
            if not self.flying:
                self.socket.close()
                return False
            with suppress(OSError):  # it was never connected any more
                self.socket.shutdown(socket.SHUT_RDWR)
        elif self.out and "send" not in self.flying:  # also beside a read: a heartbeat for a peer that is silent
            self.flying.add("send")
            ring.send(("send", self), self.socket.fileno(), self.out, self.send_flags)
        elif not self.out and "recv" not in self.flying:
            self.flying.add("recv")
            ring.recv(("recv", self), self.socket.fileno(), self.buffer)
        return True


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    ring: Ring[tuple[str, Conn | None]] = Ring()
    conns: set[Conn] = set()
    ring.accept(("accept", None), listener.fileno())
    looked = time.monotonic()
    while True:
        busy: set[Conn] = set()
        for (kind, conn), result, failed in ring.done(LOOK_S):
            if conn is not None:
                conn.take(kind, result, failed=failed)
            else:
                ring.accept(("accept", None), listener.fileno())
                if failed:  # gone before it was accepted, or no descriptor is left
                    continue
                conns.add(conn := Conn(result, handler))
            busy.add(conn)
        if (now := time.monotonic()) >= looked + LOOK_S:
            looked = now
            for conn in conns:
                conn.tick(now)
            busy |= {conn for conn in conns if conn.out or conn.endpoint.closed}
        conns -= {conn for conn in busy if not conn.go_on(ring)}
