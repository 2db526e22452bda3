"""The socket between a worker and the agent of its host: connects, and connects again for as long as it takes."""

from __future__ import annotations

import os
import socket
import time
from typing import Final

PATH_BYTES: Final = 107
"""Longest path of a socket (unix(7)); a longer one is reached through its directory."""
READ_BYTES: Final = 64 * 1024
AGAIN_S: Final = 0.01
AGAIN_MOST_S: Final = 1.0
"""An agent that is not there is asked for again after so long, then after twice as long ... at the most."""


class Line:
    """A stream of bytes to the agent, or none.

    One thread at a time reads, connects and closes; another one may send meanwhile. Who finds out by sending that the
    other end is gone only shuts the socket, so that the reader finds it out.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._sock: socket.socket | None = None
        self._pause_s = 0.0
        self._not_before = 0.0
        self._spread = 0.75 + os.getpid() % 64 / 128  # the workers of a host do not come back in one instant

    @property
    def connected(self) -> bool:
        """There is a socket, as far as is known."""
        return self._sock is not None

    def connect(self) -> None:
        """Be connected; waits for the agent without bound."""
        while not self.try_connect():
            time.sleep(max(0.0, self._not_before - time.monotonic()))

    def try_connect(self) -> bool:
        """Try, unless it is too early; whether there is a connection now."""
        if self._sock is not None:
            return True
        if time.monotonic() < self._not_before:
            return False
        self._not_before = time.monotonic() + self._pause_s * self._spread
        self._pause_s = min(AGAIN_MOST_S, max(AGAIN_S, 2 * self._pause_s))
        try:
            self._sock = _connected(self._path)
        except OSError:
            return False
        return True

    def is_good(self) -> None:
        """A client speaks: the next loss is a new one, and the agent is asked for at once."""
        self._pause_s = 0.0
        self._not_before = 0.0

    def take_socket(self) -> socket.socket:
        """The socket, for somebody else to read and close."""
        sock, self._sock = self._sock, None
        assert sock is not None
        return sock

    def receive(self, *, wait: bool = True) -> bytes | None:
        """What has come; empty: the other end is gone; None: nothing yet, and it was not to be waited for."""
        assert self._sock is not None
        try:
            return self._sock.recv(READ_BYTES, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Send all of it; waits for room. Bytes for a connection that is gone are dropped."""
        sock = self._sock
        if sock is None:
            return
        try:
            sock.sendall(data)
        except OSError:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other end was quicker

    def close(self) -> None:
        """There is no connection any more."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # a listener whose backlog is full makes connect(2) wait
        if len(os.fsencode(path)) <= PATH_BYTES:
            sock.connect(path)
        else:
            directory, name = os.path.split(path)
            opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sock.connect(f"/proc/self/fd/{opened}/{name}")
            finally:
                os.close(opened)
        sock.setblocking(True)
    except BaseException:
        sock.close()
        raise
    return sock
