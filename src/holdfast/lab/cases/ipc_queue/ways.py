"""Ways to tell another process something."""

from __future__ import annotations

import mmap
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holdfast.lab.cases.ipc_queue.data import Way

MESSAGE = b"told"


def all_ways(folder: Path) -> tuple[Way, ...]:
    """Each is tried with a forked child that sends and a parent that looks."""
    fork: Any = get_context("fork")
    return (
        Way("pipe", _pipe(fork)),
        Way("queue", _queue(fork)),
        Way("socket", _socket()),
        Way("shared memory", _shared()),
        Way("file", _file(folder / "told")),
        Way("signal", _signal()),
        Way("exit status", _child(lambda: os._exit(7)) == 7),
    )


def _child(do: Callable[[], object]) -> int:
    """Its exit status once it is over."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _pipe(fork: Any) -> bool:
    here: Connection[Any, Any]
    here, there = Pipe()
    sender = fork.Process(target=there.send_bytes, args=(MESSAGE,))
    sender.start()
    told = here.recv_bytes()
    sender.join()
    here.close()
    there.close()
    return bool(told == MESSAGE)


def _queue(fork: Any) -> bool:
    queue = fork.Queue()
    sender = fork.Process(target=queue.put, args=(MESSAGE,))
    sender.start()
    told = queue.get(timeout=10)
    sender.join()
    queue.close()
    return bool(told == MESSAGE)


def _socket() -> bool:
    here, there = socket.socketpair()
    with here, there:
        _child(lambda: there.sendall(MESSAGE))
        return here.recv(16) == MESSAGE


def _shared() -> bool:
    with mmap.mmap(-1, 4096) as page:  # anonymous and shared: parent and child have the same
        _child(lambda: page.write(MESSAGE))
        return page[: len(MESSAGE)] == MESSAGE


def _file(path: Path) -> bool:
    _child(lambda: path.write_bytes(MESSAGE))
    return path.read_bytes() == MESSAGE


def _signal() -> bool:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        parent = os.getpid()
        _child(lambda: os.kill(parent, signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    return seen == [signal.SIGUSR1]
