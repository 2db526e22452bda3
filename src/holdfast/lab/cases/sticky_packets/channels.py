"""Small messages through channels that keep messages apart, and through channels that do not."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from holdfast.lab.cases.sticky_packets.data import Passage, Ways
from holdfast.lab.socket_counts import connected_pair, data_segments, until_unread

MESSAGES = tuple(f"message {number}".encode() for number in range(8))
WHOLE = b"".join(MESSAGES)
LARGE = 3 << 20
ROOM = 1 << 16


def through_tcp(*, nodelay: bool, gap_s: float) -> Passage:
    """TCP with Nagle's algorithm or without."""
    near, far = connected_pair()
    with near, far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        before = data_segments(near)
        _send(near.send, gap_s)
        until_unread(far, len(WHOLE))
        reads = _read(lambda: far.recv(ROOM))
        name = "TCP, TCP_NODELAY" if nodelay else "TCP"
        return Passage(name, not nodelay, gap_s, tuple(map(len, MESSAGES)), reads, data_segments(near) - before)


def through_others() -> tuple[Passage, ...]:
    """Channels that have no Nagle's algorithm."""
    made = []
    for name, kind in (("unix stream", socket.SOCK_STREAM), ("unix seqpacket", socket.SOCK_SEQPACKET)):
        near, far = socket.socketpair(socket.AF_UNIX, kind)
        with near, far:
            _send(near.send, 0.0)
            made.append(_passage(name, _read(lambda end=far: end.recv(ROOM))))  # type: ignore[misc]
    out, into = os.pipe()
    with ExitStack() as stack:
        for end in (out, into):
            stack.callback(os.close, end)
        _send(lambda message: os.write(into, message), 0.0)
        made.append(_passage("pipe", _read(lambda: os.read(out, ROOM))))
    with socket.socket(type=socket.SOCK_DGRAM) as far, socket.socket(type=socket.SOCK_DGRAM) as near:
        far.bind(("127.0.0.1", 0))
        far.settimeout(2.0)
        _send(lambda message: near.sendto(message, far.getsockname()), 0.0)
        made.append(_passage("UDP", _read(lambda: far.recv(ROOM))))
    return tuple(made)


def in_many_ways() -> tuple[Ways, ...]:
    """The same messages: how many segments the program makes of them."""

    def plain(near: socket.socket) -> None:
        _send(near.send, 0.0)

    def nodelay(near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain(near)

    def more(near: socket.socket) -> None:
        for message in MESSAGES[:-1]:
            near.send(message, socket.MSG_MORE)
        near.send(MESSAGES[-1])

    def cork(near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        plain(near)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def gathered(near: socket.socket) -> None:
        near.sendmsg(MESSAGES)

    ways = {"send": plain, "TCP_NODELAY": nodelay, "MSG_MORE": more, "TCP_CORK": cork, "sendmsg": gathered}
    return tuple(_way(name, send, acks_wait) for acks_wait in (False, True) for name, send in ways.items())


def _way(name: str, send: Callable[[socket.socket], None], acks_wait: bool) -> Ways:
    near, far = connected_pair()
    with near, far:
        # A fresh connection acknowledges at once; without this state the kernel waits up to 40 ms for a partner.
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, not acks_wait)
        before = data_segments(near)
        send(near)
        until_unread(far, len(WHOLE))
        return Ways(name, acks_wait, len(MESSAGES), data_segments(near) - before)


def corked_and_forgotten() -> float:
    """Seconds until a byte arrives that was corked and for which nobody pulls the cork."""
    near, far = connected_pair()
    with near, far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        began = time.monotonic()
        near.send(b"x")
        until_unread(far, 1)
        return time.monotonic() - began


def one_large_send() -> tuple[int, ...]:
    """Bytes of each read of one large send; every read asks for all of it."""
    near, far = connected_pair()
    with near, far, closing(_Sender(near, bytes(LARGE))):
        reads: list[int] = []
        while sum(reads) < LARGE:
            reads.append(len(far.recv(LARGE)))
        return tuple(reads)


class _Sender:
    """Sends from a thread of its own, since one send may wait for the reader."""

    def __init__(self, near: socket.socket, data: bytes) -> None:
        self._thread = threading.Thread(target=near.sendall, args=(data,))
        self._thread.start()

    def close(self) -> None:
        self._thread.join()


def _send(send: Callable[[bytes], object], gap_s: float) -> None:
    for message in MESSAGES:
        send(message)
        if gap_s:
            time.sleep(gap_s)


def _read(read: Callable[[], bytes]) -> tuple[int, ...]:
    reads: list[int] = []
    while sum(reads) < len(WHOLE):
        reads.append(len(read()))
    return tuple(reads)


def _passage(name: str, reads: tuple[int, ...]) -> Passage:
    return Passage(name, False, 0.0, tuple(map(len, MESSAGES)), reads, None)
