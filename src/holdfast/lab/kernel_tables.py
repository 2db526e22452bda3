"""What the kernel tells of TCP: its table of sockets with their states, its counters, and what it knows of one socket.

``parse_table``, ``parse_counters`` and ``parse_tcp_info`` are pure; the others read and call them.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

import msgspec

# Of this thread, since a thread may be in a network namespace of its own; ``/proc/net`` is that of the first thread.
_NET: Final = Path("/proc/thread-self/net")
_SYSCTLS: Final = Path("/proc/sys/net")
_TCP_INFO_BYTES: Final = 256
_TICKS: Final = 100
"""Of a second: what the kernel shows to programs as USER_HZ, on every architecture of today."""

STATES: Final[Mapping[int, str]] = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT_1",
    5: "FIN_WAIT_2",
    6: "TIME_WAIT",
    7: "CLOSED",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",  # TCP_NEW_SYN_RECV: a request that is not a socket yet
}
"""The kernel's numbers (include/net/tcp_states.h)."""


class Entry(msgspec.Struct, frozen=True):
    """A line of the kernel's table."""

    address: str
    port: int
    remote_address: str
    remote_port: int
    state: str
    send_queue: int
    """Bytes that were not acknowledged."""
    receive_queue: int
    """Bytes that were not read; of a listening socket: connections that were not accepted."""
    timer_s: float = 0.0
    """When its timer rings: of TIME_WAIT, how long it still lasts."""


class TcpInfo(msgspec.Struct, frozen=True):
    """What ``getsockopt(TCP_INFO)`` tells of one socket."""

    state: str
    syn_data: bool
    """Data on its SYN was acknowledged."""
    waiting: int
    """Of a listening socket: how many wait to be accepted. Of others: segments that were not acknowledged."""
    limit: int
    """Of a listening socket: how many may wait, as the kernel holds it."""
    acknowledged: int
    """Numbers of its own that were acknowledged: one for its SYN, and one for each byte."""
    segments_out: int
    segments_in: int


def parse_table(text: str) -> tuple[Entry, ...]:
    """The entries of ``/proc/net/tcp`` or ``tcp6``."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 5:
            continue
        (address, port), (remote, remote_port) = _end(words[1]), _end(words[2])
        send, _, receive = words[4].partition(":")
        state = STATES.get(int(words[3], 16), words[3])
        rings, _, ticks = words[5].partition(":") if len(words) > 5 else ("00", "", "0")
        timer_s = int(ticks, 16) / _TICKS if int(rings, 16) else 0.0
        found.append(Entry(address, port, remote, remote_port, state, int(send, 16), int(receive, 16), timer_s))
    return tuple(found)


def parse_counters(text: str) -> dict[str, int]:
    """The counters of ``/proc/net/netstat`` or ``snmp``: each group has a line of names and a line of numbers."""
    found: dict[str, int] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        found.update(zip(names.split()[1:], map(int, values.split()[1:]), strict=False))
    return found


def parse_tcp_info(data: bytes) -> TcpInfo:
    """The fields used here, of ``struct tcp_info`` (include/uapi/linux/tcp.h)."""
    state, options = data[0], data[5]
    waiting, limit = struct.unpack_from("@II", data, 24)
    acknowledged, _, out, into = struct.unpack_from("@QQII", data, 120)
    return TcpInfo(STATES.get(state, str(state)), bool(options & 32), waiting, limit, acknowledged, out, into)


def table() -> tuple[Entry, ...]:
    """All TCP sockets of this network namespace, half-open and waiting ones too."""
    found: tuple[Entry, ...] = ()
    for name in ("tcp", "tcp6"):
        try:
            found += parse_table((_NET / name).read_text())
        except FileNotFoundError:  # a kernel without IPv6
            continue
    return found


def entries_of(port: int) -> tuple[Entry, ...]:
    """Entries with this local port."""
    return tuple(entry for entry in table() if entry.port == port)


def state_of(port: int, remote_port: int) -> str:
    """The state of the connection between these ports as its own end has it; "": there is no entry."""
    return next((e.state for e in table() if (e.port, e.remote_port) == (port, remote_port)), "")


def counters() -> dict[str, int]:
    """The kernel's counters of TCP, of this network namespace: ListenOverflows, ListenDrops, OutRsts and more."""
    found: dict[str, int] = {}
    for name in ("snmp", "netstat"):
        found.update(parse_counters((_NET / name).read_text()))
    return found


def tcp_info(connection: socket.socket) -> TcpInfo:
    """What the kernel knows of this socket."""
    return parse_tcp_info(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES))


def sysctl(name: str) -> int | None:
    """A setting under ``/proc/sys/net``, such as ``ipv4/tcp_syncookies``; None: this kernel does not tell it."""
    try:
        return int((_SYSCTLS / name).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def set_sysctl(name: str, value: int) -> bool:
    """Change a setting of this network namespace; False: it was refused."""
    try:
        (_SYSCTLS / name).write_text(f"{value}\n")
    except OSError:
        return False
    return sysctl(name) == value


def _end(text: str) -> tuple[str, int]:
    """``0100007F:1F90`` is 127.0.0.1 and port 8080: words of four bytes in the machine's own order."""
    digits, _, port = text.partition(":")
    raw = bytes.fromhex(digits)
    if sys.byteorder == "little":
        raw = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    address = IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)
    return str(address), int(port, 16)
