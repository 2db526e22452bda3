"""Hears of changes of this machine's network, so that a client need not wait for a timer to find out.

Without it a link that comes back is noticed at the end of a back-off of up to 15 s, and an address that is gone only by
the heartbeat. The kernel tells of both at once (rtnetlink(7)); what it says is not read, only that it said something.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

_LINK: Final = 0x1
_IPV4_ADDRESS: Final = 0x10
_IPV4_ROUTE: Final = 0x40
_IPV6_ADDRESS: Final = 0x100
_IPV6_ROUTE: Final = 0x400
_GROUPS: Final = _LINK | _IPV4_ADDRESS | _IPV4_ROUTE | _IPV6_ADDRESS | _IPV6_ROUTE
"""RTMGRP_* of linux/rtnetlink.h."""
_READ_BYTES: Final = 64 * 1024


class NetWatch:
    """A socket that becomes readable when a link, an address or a route of this machine changes. Made by ``open``."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """For a selector."""
        return self._sock.fileno()

    def changed(self) -> bool:
        """Whether something has changed since the last call; never waits."""
        found = False
        while True:
            try:
                if not self._sock.recv(_READ_BYTES):
                    return found
            except BlockingIOError:
                return found
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:  # more changes than the socket could hold: netlink(7)
                    return found
            found = True

    def close(self) -> None:
        """Stop listening."""
        self._sock.close()


def open() -> NetWatch | None:
    """A watch of the network namespace of this process; None where the system has none, or does not allow it."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    except OSError:
        return None
    try:
        sock.setblocking(False)
        sock.bind((0, _GROUPS))
    except OSError:
        sock.close()
        return None
    return NetWatch(sock)


def is_ours(local: Any) -> bool:
    """Whether the local address of a connection is still one of this machine's.

    Nothing can come back on a connection whose address has gone, and nobody tells it so. Asked of the kernel by binding
    to it (EADDRNOTAVAIL, bind(2)); when in doubt, yes.

    Args:
        local: As ``getsockname`` gives it; that of a socket of another family is always ours.
    """
    if not isinstance(local, tuple) or len(local) < 2:
        return True
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((local[0], 0, *local[2:]))
    except OSError as exc:
        return exc.errno != errno.EADDRNOTAVAIL
    return True
