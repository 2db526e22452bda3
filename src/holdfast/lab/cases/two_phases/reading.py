"""The two phases of a read, apart and in one call."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.lab.blocks import spread
from holdfast.lab.cases.two_phases.data import Copied, Held, NotWaiting, Waited
from holdfast.lab.socket_counts import connected_pair, unread, until_unread

_ASK_AGAIN_S: Final = 0.002
_SETTLE_S: Final = 0.1
_WARM_UP: Final = 3


@contextmanager
def _sending(near: socket.socket, delay_s: float, size: int) -> Iterator[threading.Event]:
    """Send so much from a thread of its own; its pause begins when the event is set."""
    go = threading.Event()

    def send() -> None:
        go.wait()
        time.sleep(delay_s)
        near.sendall(bytes(size))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield go
    finally:
        go.set()
        thread.join()


def waited(delay_s: float, size: int) -> Waited:
    """One blocking read, and the same read in two calls."""
    room = bytearray(size)
    near, far = connected_pair()
    with near, far:
        with _sending(near, delay_s, size) as go:
            began, cpu = time.monotonic(), time.thread_time()
            go.set()
            got = far.recv_into(room)
            blocking_s, blocking_cpu_s = time.monotonic() - began, time.thread_time() - cpu
        _drain(far, size - got)
        with _sending(near, delay_s, size) as go:
            began = time.monotonic()
            go.set()
            _readable(far)
            poll_s = time.monotonic() - began
            began = time.monotonic()
            got = far.recv_into(room)
            copy_s = time.monotonic() - began
        _drain(far, size - got)
    return Waited(delay_s, size, blocking_s, blocking_cpu_s, poll_s, copy_s)


def copied(size: int, rounds: int) -> Copied:
    """Reads of so many bytes that are there already, or of as many as the receiving kernel takes."""
    room = bytearray(size)
    polls, copies, cpus = [], [], []
    near, far = connected_pair()
    with near, far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(_WARM_UP):  # the kernel gives more room to a connection whose reader is quick
            fits = _fits(near, far, size)
        size = min(size, fits)
        for _ in range(rounds):
            near.sendall(bytes(size))
            until_unread(far, size, _SETTLE_S)
            began = time.perf_counter()
            _readable(far)
            polled, cpu = time.perf_counter(), time.thread_time()
            got = far.recv_into(room, size)
            ended = time.perf_counter()
            cpus.append(time.thread_time() - cpu)
            polls.append(polled - began)
            copies.append(ended - polled)
            _drain(far, size - got)
    return Copied(size, tuple(polls), tuple(copies), tuple(cpus))


def _fits(near: socket.socket, far: socket.socket, size: int) -> int:
    """How many of so many bytes the receiving kernel takes before the program reads; they are read afterwards."""
    with _sending(near, 0.0, size) as go:
        go.set()
        there = until_unread(far, size, _SETTLE_S)
        _drain(far, size)
    return there


def not_waiting(delay_s: float, size: int) -> NotWaiting:
    """A non-blocking socket: the first phase is asked about, the second happens in the call."""
    room = bytearray(size)
    refusals: list[float] = []
    near, far = connected_pair()
    with near, far, _sending(near, delay_s, size) as go:
        far.setblocking(False)
        began = time.monotonic()
        go.set()
        while True:
            asked, cpu = time.perf_counter(), time.thread_time()
            try:
                got = far.recv_into(room)
            except BlockingIOError:
                refusals.append(time.perf_counter() - asked)
                time.sleep(_ASK_AGAIN_S)
                continue
            last_s, last_cpu_s = time.perf_counter() - asked, time.thread_time() - cpu
            break
        total_s = time.monotonic() - began
        far.setblocking(True)
        _drain(far, size - got)
    return NotWaiting(
        delay_s, len(refusals), spread(refusals, "s").median if refusals else 0.0, last_s, last_cpu_s, total_s
    )


def held() -> tuple[Held, ...]:
    """What the receiving kernel holds before and after calls that copy, and one that does not."""
    near, far = connected_pair()
    size = 3000
    told = []
    with near, far:
        near.sendall(bytes(size))
        until_unread(far, size)
        for call, flags in (("recv(1000, MSG_PEEK)", socket.MSG_PEEK), ("recv(1000)", 0)):
            before = unread(far)
            got = len(far.recv(1000, flags))
            told.append(Held(call, before, got, unread(far)))
        before = unread(far)
        _readable(far)
        told.append(Held("poll", before, 0, unread(far)))
        before = unread(far)
        got = len(far.recv(size))
        told.append(Held(f"recv({size})", before, got, unread(far)))
    return tuple(told)


def _readable(end: socket.socket) -> None:
    poll = select.poll()
    poll.register(end, select.POLLIN)
    poll.poll(10_000)


def _drain(end: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(end.recv(size))
