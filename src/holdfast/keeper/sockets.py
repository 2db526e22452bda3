"""Sockets for keeper and shim, on the interpreter's own ``_socket``.

``socket`` wraps every call in enums and pulls ``selectors`` in. That does not matter to a program, but every shim is a
fork, and each object touched in a shim is a page of its own: the wrappers would cost 0.4 MiB for each job.
"""

from __future__ import annotations

import os
import struct
from _socket import (
    AF_UNIX,
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    SCM_RIGHTS,
    SO_PEERCRED,
    SOCK_NONBLOCK,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)
from _socket import socket as Socket
from _socket import socketpair as _socketpair

__all__ = ["MSG_DONTWAIT", "Socket", "accept", "adopt", "connect", "listen", "packet_pair", "receive", "send_with_fds"]

_CREDENTIALS = struct.Struct("3i")
_FD = struct.Struct("i")


def packet_pair() -> tuple[Socket, Socket]:
    """Two connected ``SOCK_SEQPACKET`` sockets, close-on-exec."""
    return _socketpair(AF_UNIX, SOCK_SEQPACKET)


def adopt(fd: int) -> Socket:
    """A socket object for an open descriptor, which is made close-on-exec."""
    os.set_inheritable(fd, False)
    return Socket(fileno=fd)


def listen(path: str, backlog: int) -> Socket:
    """A listening, non-blocking stream socket at this path, or at a new abstract address if it is empty.

    Raises:
        OSError: it could not be made; a path has 107 bytes at most (unix(7)).
    """
    listener = Socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
    try:
        listener.bind(path)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(address: str | bytes) -> Socket:
    """A connected, non-blocking stream socket.

    Raises:
        OSError: nobody listens there, or the backlog is full.
    """
    line = Socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
    try:
        line.connect(address)
    except BaseException:
        line.close()
        raise
    return line


def accept(listener: Socket) -> Socket | None:
    """The next peer, non-blocking; None if there is none, or one of another user (root excepted)."""
    try:
        fd, _ = listener._accept()  # type: ignore[attr-defined]  # typeshed knows it in ``socket`` only
    except OSError:  # gone again, or out of descriptors: the next event tries again
        return None
    peer = Socket(fileno=fd)
    uid = _CREDENTIALS.unpack(peer.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size))[1]
    if uid not in (0, os.geteuid()):
        peer.close()
        return None
    peer.setblocking(False)
    return peer


def send_with_fds(line: Socket, packet: bytes, fds: tuple[int, ...]) -> None:
    """Sends a packet that carries descriptors (SCM_RIGHTS).

    Raises:
        OSError: the other end is gone, or has no room.
    """
    line.sendmsg([packet], [(SOL_SOCKET, SCM_RIGHTS, b"".join(map(_FD.pack, fds)))])


def receive(line: Socket, most_bytes: int, flags: int = 0) -> tuple[bytes, list[int]]:
    """The next packet and the descriptors it carries (two at most, close-on-exec); empty: the other end is closed.

    Raises:
        BlockingIOError: there is none and ``flags`` has MSG_DONTWAIT.
    """
    try:
        packet, ancillary, _, _ = line.recvmsg(most_bytes, 64, flags | MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return b"", []
    fds = [
        fd
        for level, kind, data in ancillary
        if level == SOL_SOCKET and kind == SCM_RIGHTS
        for (fd,) in _FD.iter_unpack(data[: len(data) // _FD.size * _FD.size])
    ]
    return packet, fds
