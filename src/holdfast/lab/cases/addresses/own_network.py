"""Work done by a child process in a network of its own, and interfaces made there."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import traceback
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from holdfast.lab import private_net

T = TypeVar("T")

_TUNSETIFF: Final = 0x400454CA
_IFF_TAP_WITHOUT_PI: Final = 0x1002
_SIOCGIFADDR: Final = 0x8915
_SIOCSIFADDR: Final = 0x8916
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCGIFHWADDR: Final = 0x8927
_SIOCSIFHWADDR: Final = 0x8924
_IFF_UP: Final = 1
_ETHERNET: Final = 1


class Child:
    """A process that works in a network of its own and tells one thing. Always ``collect`` it.

    Args:
        work: Is called there; what it gives is told as JSON.
        gate: It leaves only when this pipe is closed at the other end.
    """

    def __init__(self, work: Callable[[], msgspec.Struct], gate: tuple[int, int] | None = None) -> None:
        self._told, out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._told)
                if gate is not None:
                    os.close(gate[1])
                if private_net.enter():
                    os.write(out, msgspec.json.encode(work()))
                os.close(out)
                if gate is not None:
                    os.read(gate[0], 1)
            except OSError:
                pass  # it is not allowed, or there is no such device
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(out)

    def told(self, kind: type[T]) -> T | None:
        """What it has told; None: it was not allowed to. Waits for it."""
        with os.fdopen(self._told, "rb") as pipe:
            data = pipe.read()
        return msgspec.json.decode(data, type=kind) if data else None

    def collect(self) -> None:
        """Wait for its end."""
        os.waitpid(self.pid, 0)


def apart(work: Callable[[], msgspec.Struct], kind: type[T]) -> T | None:
    """Do this in a network that ends with it; None: it is not allowed here."""
    child = Child(work)
    try:
        return child.told(kind)
    finally:
        child.collect()


def ethernet(mac: str, ip: str) -> tuple[int, str, str]:
    """Make an Ethernet interface: its descriptor, its name, and the MAC address it had at first."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    made = fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", b"", _IFF_TAP_WITHOUT_PI))
    name = made[:16].rstrip(b"\0").decode()
    before = mac_of(name)
    raw = bytes.fromhex(mac.replace(":", ""))
    _order(_SIOCSIFHWADDR, struct.pack("16sH6s16x", name.encode(), _ETHERNET, raw))
    give_address(name, ip)
    switch(name, up=True)
    return tap, name, before


def give_address(name: str, ip: str) -> None:
    """Give an interface an IPv4 address; ``lo:1`` is one more of ``lo``."""
    _order(_SIOCSIFADDR, struct.pack("16sHH4s16x", name.encode(), socket.AF_INET, 0, socket.inet_aton(ip)))


def switch(name: str, *, up: bool) -> None:
    """Switch an interface on or off."""
    (flags,) = struct.unpack_from("@H", _order(_SIOCGIFFLAGS, struct.pack("16s24x", name.encode())), 16)
    flags = flags | _IFF_UP if up else flags & ~_IFF_UP
    _order(_SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags))


def mac_of(name: str) -> str:
    """The MAC address of an interface."""
    return _order(_SIOCGIFHWADDR, struct.pack("16s24x", name.encode()))[18:24].hex(":")


def ip_of(name: str) -> str:
    """Its first IPv4 address; "": it has none."""
    try:
        return socket.inet_ntoa(_order(_SIOCGIFADDR, struct.pack("16s24x", name.encode()))[20:24])
    except OSError:
        return ""


def _order(order: int, asked: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, order, asked)
