"""Sees the segments of one port pass on the loopback (``AF_PACKET``, needs CAP_NET_RAW); ``segments.py`` reads them."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from holdfast.lab.segments import Segment, parse

_ETH_P_IP: Final = 0x0800
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_ROOM_BYTES: Final = 4 << 20
_FRAME_BYTES: Final = 1 << 17
_READ_LATER_S: Final = 0.002
_NOTED_LIMIT_S: Final = 0.5


def may_capture() -> bool:
    """Whether this process may open such a socket."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


class Capture:
    """All IPv4 TCP segments from or to one port, from now on.

    A socket for one protocol (and not ``ETH_P_ALL``) is shown what arrives and not what leaves, so that on the
    loopback, where everything does both, nothing is seen twice. The kernel notes the time and filters by port: a
    loopback may be busy.

    Args:
        port: The port.
        began: ``time.time()`` from which times are counted; None: now.

    Raises:
        PermissionError: the right is missing.
    """

    def __init__(self, port: int, *, began: float | None = None) -> None:
        self.port = port
        self._began = time.time() if began is None else began
        self._seen: list[Segment] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
            self._socket.bind(("lo", _ETH_P_IP))
            self._await_times()
            program = _only_port(port)
            kept = ctypes.create_string_buffer(program)
            order = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, order)
            while self._frame() is not None:  # what came before the filter
                pass
        except OSError:
            self._socket.close()
            raise

    def segments(self) -> tuple[Segment, ...]:
        """What has passed so far."""
        while (got := self._frame()) is not None:
            frame, at = got
            # They come in order, but their times are noted on several CPUs, whose clocks may be a microsecond apart.
            at_s = max(at - self._began, self._seen[-1].at_s if self._seen else 0.0)
            segment = parse(frame, at_s)
            if segment is not None:
                self._seen.append(segment)
        return tuple(self._seen)

    def until(self, enough: Callable[[tuple[Segment, ...]], bool], limit_s: float = 2.0) -> tuple[Segment, ...]:
        """What has passed once that is enough, or the time is over."""
        deadline = time.monotonic() + limit_s
        while not enough(seen := self.segments()) and (left := deadline - time.monotonic()) > 0:
            select.select([self._socket], [], [], left)
        return seen

    def close(self) -> None:
        """Look no longer."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self) -> tuple[bytes, float] | None:
        """The next frame, and when it came; None: there is none."""
        try:
            frame, ancillary, _, _ = self._socket.recvmsg(_FRAME_BYTES, 64)
        except BlockingIOError:
            return None
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("@ll", data[:16])
                return frame, seconds + nanoseconds / 1e9
        return frame, time.time()

    def _await_times(self) -> None:
        """Wait until the kernel notes the time of arrival.

        The option only asks it to begin; until it has, a packet is given the time at which it was read. So datagrams
        are sent, and read a little later, until one bears the time at which it was sent.
        """
        deadline = time.monotonic() + _NOTED_LIMIT_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = struct.pack("!H", probe.getsockname()[1])
            while time.monotonic() < deadline:
                probe.sendto(b"", probe.getsockname())
                sent = time.time()
                time.sleep(_READ_LATER_S)
                while (got := self._frame()) is not None:
                    frame, at = got
                    if frame[34:36] == port and at < sent + _READ_LATER_S / 2:
                        return


def _only_port(port: int) -> bytes:
    """A classic BPF program that lets IPv4 TCP segments of this port pass."""
    steps = (
        (0x28, 0, 0, 12),  # A = EtherType
        (0x15, 0, 8, _ETH_P_IP),
        (0x30, 0, 0, 23),  # A = protocol
        (0x15, 0, 6, socket.IPPROTO_TCP),
        (0xB1, 0, 0, 14),  # X = length of the IP header
        (0x48, 0, 0, 14),  # A = source port
        (0x15, 2, 0, port),
        (0x48, 0, 0, 16),  # A = target port
        (0x15, 0, 1, port),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    )
    return b"".join(struct.pack("@HBBI", *step) for step in steps)
