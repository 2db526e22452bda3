"""A send: copying where there is room, waiting where there is none, and a way without a copy by the program."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from holdfast.lab.cases.two_phases.data import Handed, Sent
from holdfast.lab.socket_counts import connected_pair, kept, unread, until_unread

LARGE: Final = 32 << 20
SMALL: Final = 20_000
_POLL_MS: Final = 10_000


def sent(delay_s: float) -> Sent:
    """A send that does not fit: by a socket that blocks, and by one that does not."""
    data = bytes(LARGE)
    near, far = connected_pair()
    sent_at, cpu = time.monotonic(), time.thread_time()
    with near, far, _reading_late(far, delay_s, LARGE) as read_at:
        near.sendall(data)
        blocking_s, blocking_cpu_s = time.monotonic() - sent_at, time.thread_time() - cpu
    near, far = connected_pair()
    with near, far:
        near.setblocking(False)
        taken, refused = 0, ""
        while not refused:
            try:
                taken += near.send(memoryview(data)[: 1 << 16])
            except BlockingIOError as caught:
                refused = type(caught).__name__
                if _writable(near, 50):  # the kernel has moved some of it on, and has room again
                    refused = ""
        held, lying = kept(near), unread(far)
        began = time.monotonic()
        with _reading_late(far, delay_s, taken):
            _writable(near, _POLL_MS)
            room_s = time.monotonic() - began
    reading_s = (read_at[0] - sent_at, read_at[1] - sent_at)
    return Sent(LARGE, delay_s, blocking_s, blocking_cpu_s, reading_s, taken, refused, held, lying, room_s)


@contextmanager
def _reading_late(far: socket.socket, delay_s: float, size: int) -> Iterator[list[float]]:
    """Read so much from a thread of its own, after a pause; gives when that began and when it was over."""
    at: list[float] = []

    def read() -> None:
        time.sleep(delay_s)
        at.append(time.monotonic())
        left = size
        while left > 0:
            left -= len(far.recv(1 << 20))
        at.append(time.monotonic())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield at
    finally:
        thread.join()


def _writable(near: socket.socket, limit_ms: int) -> bool:
    poll = select.poll()
    poll.register(near, select.POLLOUT)
    return bool(poll.poll(limit_ms))


def returned_before_read() -> int:
    """Bytes that lie unread on the other side after a send has returned."""
    near, far = connected_pair()
    with near, far:
        near.sendall(bytes(SMALL))
        return until_unread(far, SMALL)


def handed(folder: Path) -> tuple[Handed, ...]:
    """Change what was sent as soon as the call is over, and see what the other side reads then."""
    source = bytearray(b"A" * SMALL)
    near, far = connected_pair()
    with near, far:
        near.sendall(source)
        source[:] = b"B" * SMALL
        until_unread(far, SMALL)
        by_send = _count("send", _read(far))
    path = folder / "sent"
    path.write_bytes(b"A" * SMALL)
    near, far = connected_pair()
    with near, far, path.open("r+b") as file:
        sent_bytes = os.sendfile(near.fileno(), file.fileno(), 0, SMALL)
        until_unread(far, sent_bytes)
        file.write(b"B" * SMALL)
        file.flush()
        by_sendfile = _count("sendfile", _read(far))
    return by_send, by_sendfile


def _read(far: socket.socket) -> bytes:
    got = b""
    while len(got) < SMALL:
        got += far.recv(SMALL)
    return got


def _count(way: str, got: bytes) -> Handed:
    return Handed("sendfile" if way == "sendfile" else "send", len(got), got.count(b"A"), got.count(b"B"))
