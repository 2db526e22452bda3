"""A connection for servers that are told, or ask, what is ready: it reads and writes what goes at once, never waiting.

``read`` and ``write`` may be called at any time. Who does not take what was sent is not read from either, so what a
peer can make a server keep is bounded by what one read can bring about.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Collection
from typing import Final

from holdfast.lab.measure import READ_BYTES
from holdfast.wire.endpoint import Endpoint, Handler

LOOK_S: Final = 0.5
"""Deadlines (heartbeats, silence) are whole seconds away: looking at all of them twice a second is enough."""


class Peer:
    """A connection, its endpoint, and what it has not taken yet."""

    def __init__(self, conn: socket.socket, handler: Handler) -> None:
        conn.setblocking(False)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conn = conn
        self._endpoint = Endpoint(handler, now=time.monotonic())
        self.out = bytearray(self._endpoint.start())

    def fileno(self) -> int:
        """Its descriptor, for select and the like."""
        return self.conn.fileno()

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do but to close it."""
        return self._endpoint.closed and not self.out

    @property
    def wants_to_write(self) -> bool:
        """Whether the peer has not taken all yet; as long as that is so, nothing is read."""
        return bool(self.out)

    def read(self) -> None:
        """Read what is there, and answer it."""
        if self.out or self._endpoint.closed:
            return
        try:
            data = self.conn.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        self.out += self._endpoint.feed(data, time.monotonic())
        self.write()

    def write(self) -> None:
        """Send what the kernel takes."""
        if self.out:
            try:
                with contextlib.suppress(BlockingIOError):
                    del self.out[: self.conn.send(self.out)]
            except OSError:
                self._lose()

    def tick(self, now: float) -> None:
        """Do what time asks for."""
        deadline = self._endpoint.deadline
        if deadline is not None and deadline <= now:
            self.out += self._endpoint.tick(now)
            if self._endpoint.closed:  # silent for too long: no use in waiting until it takes the last words
                self.write()
                self.out.clear()
            self.write()

    def _lose(self) -> None:
        self.out.clear()
        self._endpoint.close()


class Watch:
    """Says when to look at all deadlines again."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LOOK_S

    def left_s(self) -> float:
        """Seconds until then."""
        return max(0.0, self._next - time.monotonic())

    def look(self, peers: Collection[Peer]) -> list[Peer]:
        """Those to which time has done something, if it is time to look."""
        now = time.monotonic()
        if now < self._next:
            return []
        self._next = now + LOOK_S
        for peer in peers:
            peer.tick(now)
        return [peer for peer in peers if peer.over or peer.wants_to_write]


def accept_all(listener: socket.socket, handler: Handler) -> list[Peer]:
    """Everybody who waits at a listener that does not block."""
    found: list[Peer] = []
    with contextlib.suppress(OSError):  # nobody is left, or no descriptor is
        while True:
            found.append(Peer(listener.accept()[0], handler))
    return found
