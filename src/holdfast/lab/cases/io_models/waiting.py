"""What one call does: waiting, asking, sending too much, and letting the kernel read."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from holdfast.lab import serving
from holdfast.lab.cases.io_models.data import Blocking, Completion, Sending, Signalled, Wait

_ROUNDS: Final = 20
_LARGE: Final = 32 << 20


def waits(counts: tuple[int, ...]) -> tuple[Wait, ...]:
    """One wait of each kind among so many connections, the quickest of some rounds; one of them has something."""
    return tuple(wait for count in counts for wait in _among(count))


def _among(count: int) -> Iterator[Wait]:
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for pair in pairs:
            for end in pair:
                end.setblocking(False)
                stack.enter_context(end)
        here = [pair[0] for pair in pairs]
        pairs[-1][1].send(b"x")
        poll, epoll = select.poll(), stack.enter_context(select.epoll())
        for end in here:
            poll.register(end, select.POLLIN)
            epoll.register(end, select.EPOLLIN)
        yield _wait("select", count, lambda: len(select.select(here, [], [])[0]))
        yield _wait("poll", count, lambda: len(poll.poll()))
        yield _wait("epoll", count, lambda: len(epoll.poll()))
        yield _wait("asking", count, lambda: sum(map(_has_something, here)))


def _wait(call: str, count: int, do: Callable[[], int]) -> Wait:
    best, seen = float("inf"), 0
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        seen = do()
        best = min(best, time.perf_counter() - began)
    return Wait(call, count, best, seen)  # type: ignore[arg-type]  # one of four


def _has_something(end: socket.socket) -> bool:
    try:
        return bool(end.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def blocking() -> Blocking:
    """Reading where nothing is, with waiting and without."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as client:
            time.sleep(0.05)
            accepted, _ = listener.accept()
            with accepted:
                accepted_waits = os.get_blocking(accepted.fileno())
                default_waits = client.gettimeout() is None and os.get_blocking(client.fileno())
                client.setblocking(False)
                began, error = time.perf_counter(), ""
                try:
                    client.recv(1)
                except BlockingIOError as exc:
                    error = type(exc).__name__
                asked_s = time.perf_counter() - began
                steps, cpu, found = _beside_select(accepted, client)
                return Blocking(
                    default_waits,
                    asked_s,
                    error,
                    accepted_waits,
                    steps,
                    cpu,
                    found,
                    _steps(accepted, None),
                    _steps(accepted, 0.05),
                )


def _beside_select(here: socket.socket, there: socket.socket) -> tuple[int, float, int]:
    """How far another thread comes during a wait of 0.2 s, what the wait costs, and what it finds."""
    steps, over = 0, threading.Event()

    def go_on() -> None:
        nonlocal steps
        while not over.wait(0.005):
            steps += 1

    other = threading.Thread(target=go_on)
    other.start()
    speak = threading.Timer(0.2, there.send, (b"x",))
    speak.start()
    used = time.thread_time()
    found, _, _ = select.select([here], [], [])
    cpu = time.thread_time() - used
    seen = steps
    over.set()
    for thread in (other, speak):
        thread.join()
    here.recv(1)
    return seen, cpu, len(found)


def _steps(end: socket.socket, limit_s: float | None) -> int:
    """How often a loop around select gets to its other duties within half a second, nobody saying anything."""
    steps = 0
    until = time.monotonic() + 0.5
    wake_read, wake_write = os.pipe()
    ending = threading.Timer(0.5, os.write, (wake_write, b"x"))  # or it would wait for ever
    ending.start()
    while time.monotonic() < until:
        if wake_read in select.select([end.fileno(), wake_read], [], [], limit_s)[0]:
            break
        steps += 1
    ending.join()
    os.close(wake_read)
    os.close(wake_write)
    return steps


def sending() -> Sending:
    """A large answer for a client that does not read."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        taken = here.send(b"x" * _LARGE)
        writable = bool(select.select([], [here], [], 0)[1])
    here, there = socket.socketpair()
    with here, there:
        offered = bool(select.select([], [here], [], 0)[1])
        sender = threading.Thread(target=_send_all, args=(here,), daemon=True)
        sender.start()
        sender.join(0.3)
        stuck = sender.is_alive()
        there.close()  # ends the wait
        sender.join()
    return Sending(_LARGE, taken, writable, offered, stuck)


def _send_all(end: socket.socket) -> None:
    try:
        end.sendall(b"x" * _LARGE)
    except OSError:  # the other side was closed
        pass


def completion() -> Completion:
    """Hand a read over to io_uring, and look into the buffer."""
    if (why := serving.available("io_uring")) is not None:
        return Completion(why)
    import liburing as uring

    signals = _Signals()
    here, there = socket.socketpair()
    with signals, here, there:  # closing them is something to tell, too
        ring, cqe, buffer = uring.Ring(), uring.Cqe(), bytearray(16)
        uring.io_uring_queue_init(8, ring)
        began = time.perf_counter()
        entry = uring.io_uring_get_sqe(ring)
        uring.io_uring_prep_recv(entry, here.fileno(), buffer)
        uring.io_uring_submit(ring)
        submit_s = time.perf_counter() - began
        there.send(b"hello")
        uring.io_uring_wait_cqe(ring, cqe)
        filled = buffer[:5] == b"hello"
        uring.io_uring_queue_exit(ring)
    return Completion(None, submit_s, filled, signals.seen)


def signalled() -> Signalled:
    """Ask the kernel for a signal when there is something to read (fcntl(2), O_ASYNC)."""
    signals = _Signals()
    here, there = socket.socketpair()
    with signals, here, there:  # closing them is something to tell, too
        fcntl.fcntl(here, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC)
        there.send(b"hello")
        until = time.monotonic() + 1
        while not signals.seen and time.monotonic() < until:
            time.sleep(0.001)
        unread = struct.unpack("i", fcntl.ioctl(here, termios.FIONREAD, b"\0" * 4))[0]
    return Signalled(signals.seen, unread)


class _Signals:
    """Counts SIGIO."""

    def __init__(self) -> None:
        self.seen = 0

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGIO, self._count)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGIO, self._before)

    def _count(self, *_: object) -> None:
        self.seen += 1
