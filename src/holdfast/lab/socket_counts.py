"""What the kernel tells of one socket's buffers and segments (Linux: ``man 7 tcp``, ``include/uapi/linux/tcp.h``)."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time
from typing import Final

_SIOCOUTQNSD: Final = 0x894B
_INFO_BYTES: Final = 256
_TOTAL_RETRANS: Final = 100
_BYTES_ACKED: Final = 120
_DATA_SEGS_OUT: Final = 156
_POLL_S: Final = 0.0005


def unread(end: socket.socket | int) -> int:
    """Bytes that have come and that the program has not read (``SIOCINQ``); of UDP: the size of the next datagram."""
    return _count(end, termios.FIONREAD)


def kept(end: socket.socket) -> int:
    """Bytes that the kernel still holds for sending (``SIOCOUTQ``); of TCP: all that were not acknowledged."""
    return _count(end, termios.TIOCOUTQ)


def unsent(end: socket.socket) -> int:
    """Those of the bytes kept by TCP that were never sent (``SIOCOUTQNSD``)."""
    return _count(end, _SIOCOUTQNSD)


def data_segments(end: socket.socket) -> int:
    """Segments with data that a TCP socket has sent, repetitions included."""
    return _info(end, _DATA_SEGS_OUT)


def confirmed(end: socket.socket) -> int:
    """Bytes that the other side's kernel has acknowledged to the end that has asked for the connection.

    The kernel counts its SYN as one.
    """
    (count,) = struct.unpack_from("@Q", _tcp_info(end), _BYTES_ACKED)
    return int(count) - 1


def sent_again(end: socket.socket) -> int:
    """Segments that a TCP socket has sent once more."""
    return _info(end, _TOTAL_RETRANS)


def until_unread(end: socket.socket | int, size: int, limit_s: float = 2.0) -> int:
    """Wait until so many bytes may be read, and not for ever; gives how many there are."""
    deadline = time.monotonic() + limit_s
    while (there := unread(end)) < size and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return there


def connected_pair(address: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection through the loopback: the one that asked, the one that accepted."""
    with socket.create_server((address, 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


def _count(end: socket.socket | int, order: int) -> int:
    (count,) = struct.unpack("@i", fcntl.ioctl(end, order, bytes(4)))
    return int(count)


def _info(end: socket.socket, place: int) -> int:
    (count,) = struct.unpack_from("@I", _tcp_info(end), place)
    return int(count)


def _tcp_info(end: socket.socket) -> bytes:
    return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
