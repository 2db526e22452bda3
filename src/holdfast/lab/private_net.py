"""A network of this process's own, and a wire in it that a program carries by hand, segment by segment.

In a network namespace of its own a case has a loopback that nobody else uses, counters that count nobody else, and
settings that it may change. It needs root, or a kernel that lets users make user namespaces.

The wire is a TUN device. What the kernel sends into it is held until the program hands it back with source and target
address exchanged, so that it arrives at the other socket of the very same kernel: two real sockets, and time to look at
both before the next segment arrives. A state that lasts for microseconds on a loopback lasts as long as one likes.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from holdfast.lab import kernel_tables
from holdfast.lab.segments import Identity, Segment, Step, mirrored, parse_packet

NEAR: Final = "192.0.2.1"
"""The address of both sockets (a network that is reserved for examples, RFC 5737)."""
FAR: Final = "192.0.2.2"
"""Where each takes the other to be."""

T = TypeVar("T")

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_WITHOUT_PI: Final = 0x1001
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_NETMASK: Final = "255.255.255.0"
_PACKET_BYTES: Final = 1 << 16
_SETTLE_S: Final = 0.002
_ATTEMPTS: Final = 3


def enter() -> bool:
    """Put this thread, and what it will start, into a network of its own, for good; False: it is not allowed to.

    Without root this also makes a user namespace, which only a process with a single thread can. That cannot be taken
    back if its second half fails, so a child tries it first.
    """
    if _unshare(_CLONE_NEWNET):
        _up("lo")
        return True
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if _enter_as_user() else 1)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0 and _enter_as_user()


def _enter_as_user() -> bool:
    uid, gid = os.geteuid(), os.getegid()
    if not _unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        return False
    # The same user as before, by name; one that has none may not even write a file.
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        try:
            Path("/proc/self", name).write_text(line)
        except OSError:
            return False
    _up("lo")
    return True


def _unshare(what: int) -> bool:
    done: int = ctypes.CDLL(None, use_errno=True).unshare(what)
    return done == 0


class Held(msgspec.Struct, frozen=True):
    """A packet that the kernel has sent into the wire and that has not arrived."""

    packet: bytes
    segment: Segment


class Wire:
    """Carries segments between two sockets of this kernel, both bound to ``NEAR`` and connected to ``FAR``.

    Raises:
        OSError: there is no such device, or no right to make one.
    """

    def __init__(self) -> None:
        self._file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._began = time.monotonic()
        self._seen: set[Identity] = set()
        self._ports: set[int] = set()
        self.again = 0
        """Segments that were sent again since their first copy was held for too long; they are thrown away."""
        try:
            made = fcntl.ioctl(self._file, _TUNSETIFF, struct.pack("16sH22x", b"", _IFF_TUN_WITHOUT_PI))
            self.name = made[:16].rstrip(b"\0").decode()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                for order, address in ((_SIOCSIFADDR, NEAR), (_SIOCSIFNETMASK, _NETMASK)):
                    raw = struct.pack("16sHH4s16x", self.name.encode(), socket.AF_INET, 0, socket.inet_aton(address))
                    fcntl.ioctl(any_socket, order, raw)
            _up(self.name)
        except OSError:
            os.close(self._file)
            raise

    def between(self, *ports: int) -> None:
        """From now on carry segments between these two ports alone; sockets that were closed before may still speak."""
        self._ports = set(ports)

    def take(self, limit_s: float = 1.0) -> Held | None:
        """The next segment that was sent, now held; None: none came in time."""
        deadline = time.monotonic() + limit_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._file], [], [], left)[0]:
                break
            packet = os.read(self._file, _PACKET_BYTES)
            segment = parse_packet(packet, time.monotonic() - self._began)
            if segment is None or segment.source != NEAR or segment.target != FAR:
                continue
            if self._ports and {segment.source_port, segment.target_port} != self._ports:
                continue
            if segment.identity in self._seen:
                self.again += 1
                continue
            self._seen.add(segment.identity)
            return Held(packet, segment)
        return None

    def expect(self, *flags: str, limit_s: float = 2.0) -> Held:
        """The next segment, which has these flags.

        Raises:
            TimeoutError: none came in time.
        """
        deadline = time.monotonic() + limit_s
        while (left := deadline - time.monotonic()) > 0:
            held = self.take(left)
            if held is not None and held.segment.has(*flags):
                return held
        raise TimeoutError(f"no segment with {'+'.join(flags)} within {limit_s:g} s")

    def deliver(self, held: Held, *, packet: bytes | None = None) -> None:
        """Let it arrive, or ``packet`` in its place."""
        os.write(self._file, mirrored(held.packet if packet is None else packet))

    def step(self, held: Held, client_port: int, *, lost: bool = False) -> Step:
        """Let it arrive (or be lost), and tell the states of both ends after that."""
        if not lost:
            self.deliver(held)
            time.sleep(_SETTLE_S)
        segment = held.segment
        to_server = segment.source_port == client_port
        server_port = segment.target_port if to_server else segment.source_port
        client, server, listener = states(client_port, server_port)
        return Step(segment, to_server, client, server, listener, lost)

    def carry(self, quiet_s: float) -> None:
        """Let everything arrive until nothing has been sent for so long."""
        while (held := self.take(quiet_s)) is not None:
            self.deliver(held)

    def close(self) -> None:
        """Take the device away."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def listening(backlog: int = 5) -> socket.socket:
    """A socket that listens at this end of the wire; it does not block."""
    listener = socket.socket()
    listener.setblocking(False)
    listener.bind((NEAR, 0))
    listener.listen(backlog)
    return listener


def asking(port: int, *, own_port: int = 0) -> socket.socket:
    """A socket that has begun to connect through the wire to this port; it does not block."""
    client = socket.socket()
    client.setblocking(False)
    client.bind((NEAR, own_port))
    try:
        client.connect((FAR, port))
    except BlockingIOError:
        pass
    return client


def has_wire() -> bool:
    """Whether a wire can be made in a network of our own: ``/dev/net/tun`` may be for root alone, or not be there."""
    try:
        Wire().close()
    except OSError:
        return False
    return True


def tried(attempt: Callable[[Wire], T | None]) -> T | None:
    """Do it over a wire; None: there is no such device, or it cannot be done here.

    A machine that stood still for a second makes the kernel send again and an attempt go wrong; then it is made anew.
    """
    for _ in range(_ATTEMPTS):
        try:
            with Wire() as wire:
                return attempt(wire)
        except (TimeoutError, BlockingIOError):
            continue
        except OSError:
            return None
    return None


@contextmanager
def connected(wire: Wire) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and a server that are connected through the wire; their listener is closed."""
    with listening() as listener:
        port = listener.getsockname()[1]
        client = asking(port)
        with client:
            wire.between(client.getsockname()[1], port)
            for flags in (("SYN",), ("SYN", "ACK"), ("ACK",)):
                wire.deliver(wire.expect(*flags))
            server = accepted(listener, 1.0)
            listener.close()
            if server is None:
                raise TimeoutError("not accepted")
            with server:
                server.setblocking(False)
                yield client, server


def accepted(server: socket.socket, limit_s: float = 0.0) -> socket.socket | None:
    """A connection of a server that does not block; None: it has none in this time."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return server.accept()[0]
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.001)


def states(client_port: int, server_port: int) -> tuple[str, str, str]:
    """States of client, server and listening socket. A server without an entry of its own is what its listener is."""
    entries = kernel_tables.table()
    client = next((e.state for e in entries if (e.port, e.remote_port) == (client_port, server_port)), "CLOSED")
    listener = next((e.state for e in entries if e.port == server_port and e.state == "LISTEN"), "")
    server = next((e.state for e in entries if (e.port, e.remote_port) == (server_port, client_port)), "")
    return client, server or listener or "CLOSED", listener


def _up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH22x", name.encode(), 0)
        (flags,) = struct.unpack_from("@H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))
