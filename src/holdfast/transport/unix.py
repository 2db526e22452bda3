"""Unix stream sockets: paths of any length, listeners nobody else can reach, and who is at the other end.

A socket's address holds 107 bytes of path (unix(7), ``sun_path``). A longer one is reached through an open directory:
``/proc/self/fd/N/name`` resolves on Linux to the very same socket.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from holdfast.errors import ConnectFailed

T = TypeVar("T")

PATH_BYTES: Final = 107
"""Longest path that fits into ``sun_path`` with its NUL (Linux; macOS has 103)."""
BACKLOG: Final = 1024
"""Connections the kernel holds before they are accepted (clipped by net.core.somaxconn)."""
BUFFER_BYTES: Final = 1 << 20
"""Asked send and receive buffer: with the default of 208 KiB a stream switches tasks five times as often."""

_TRY_AGAIN_S: Final = 0.005
_UCRED: Final = struct.Struct("3i")


class Peer(NamedTuple):
    """Who connected, as the kernel noted it at ``connect`` (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


def connect(path: str, *, timeout_s: float | None = None) -> socket.socket:
    """A connected stream socket, blocking, not inherited by children.

    Args:
        path: Where the agent listens; any length on Linux.
        timeout_s: Longest wait for room in the listener's backlog; None waits without bound.

    Raises:
        ConnectFailed: nobody listens there, or we may not; ``__cause__`` is the OSError with its number.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _with_short_path(path, lambda short: _connect(sock, short, timeout_s))
        sock.setblocking(True)
        tune(sock)
    except OSError as exc:
        sock.close()
        raise ConnectFailed(f"cannot connect to {path}: {_reason(exc)}") from exc
    return sock


def bind_listener(path: str, *, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket at ``path`` with mode 0600 from its first instant.

    A socket file left over by a dead listener is replaced; that nobody else listens there is the caller's to know
    (it holds the lock of the state directory). The umask of the process is changed for the moment of ``bind``.

    Raises:
        OSError: the directory is missing or not writable, or something that is not a socket lies there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            if _is_socket(path):
                os.unlink(path)
        except FileNotFoundError:
            pass
        umask = os.umask(0o177)
        try:
            _with_short_path(path, sock.bind)
        finally:
            os.umask(umask)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def peer_credentials(sock: socket.socket) -> Peer:
    """Process, user and group at the other end of a connected Unix socket; the kernel vouches for them (Linux).

    Raises:
        OSError: not a connected Unix socket.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        raise OSError(errno.ENOTSUP, "peer credentials need Linux")
    return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def _connect(sock: socket.socket, path: str, timeout_s: float | None) -> None:
    """Connect, waiting for room in the backlog: there is no event for it (unix(7)), so it is tried again."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            sock.connect(path)
            return
        except BlockingIOError:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "the agent does not accept connections in time") from None
        time.sleep(_TRY_AGAIN_S)


def tune(sock: socket.socket) -> None:
    """Ask for larger kernel buffers; getting less is no error."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        except OSError:
            return


def _with_short_path(path: str, use: Callable[[str], T]) -> T:
    if len(os.fsencode(path)) <= PATH_BYTES:
        return use(path)
    if sys.platform != "linux":
        raise OSError(errno.ENAMETOOLONG, f"socket path of {len(os.fsencode(path))} bytes; the limit is {PATH_BYTES}")
    directory, name = os.path.split(path)
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return use(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(os.lstat(path).st_mode)


def _reason(exc: OSError) -> str:
    return exc.strerror or str(exc)
