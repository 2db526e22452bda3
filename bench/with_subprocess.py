"""The limit of this machine: the same work with the standard library, no agent, nothing kept."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import xxhash

from bench import procfs
from bench.contestant import TRUE, Answer, Order, head_command, one_at_a_time

READ_BYTES: Final = 1 << 20
RECORD: Final = bytes(4096)
REQUEST: Final = bytes(64)
_ECHO: Final = "import socket,sys; s=socket.socket(fileno=int(sys.argv[1]))\nwhile d := s.recv(4096): s.send(d)"


class Local:
    """``subprocess.run`` for commands, an echo over a socket pair for requests, two flushes of a file for durability.

    Of an object that programs share each use is two requests, as long as it lives in another process than they do.

    Args:
        folder: Where the flushed file lies: on the file system of the agent's journal.
    """

    def __init__(self, folder: str) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._echo = subprocess.Popen([sys.executable, "-c", _ECHO, str(theirs.fileno())],
                                          pass_fds=(theirs.fileno(),))  # fmt: skip
        self._record = os.open(os.path.join(folder, f"limit-{os.getpid()}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if order.what in ("serial", "fresh"):
            return one_at_a_time(self._durable if order.durable else _run, order.count)
        if order.what == "trivial":
            return one_at_a_time(self._ask, order.count)
        if order.what in ("lock", "semaphore", "queue"):
            return one_at_a_time(self._ask_twice, order.count)
        if order.what == "stream":
            return _stream(order.count)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the echo."""
        self._socket.close()
        self._echo.wait()
        os.close(self._record)

    def _ask(self) -> None:
        self._socket.send(REQUEST)
        self._socket.recv(4096)

    def _ask_twice(self) -> None:
        self._ask()
        self._ask()

    def _durable(self) -> None:
        self._flush()
        _run()
        self._flush()

    def _flush(self) -> None:
        os.pwrite(self._record, RECORD, 0)
        os.fdatasync(self._record)


def contestant(kind: str, args: Sequence[str]) -> Local:
    """Made by ``bench.contestant``; ``args``: a folder."""
    return Local(*args)


def _run() -> None:
    subprocess.run([TRUE], stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _stream(count: int) -> Answer:
    procfs.reset_peak_rss("self")
    digest, total, buffer = xxhash.xxh3_128(), 0, bytearray(READ_BYTES)
    view = memoryview(buffer)
    begin = time.perf_counter()
    with subprocess.Popen(
        head_command(count), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdout is not None
        while size := os.readv(process.stdout.fileno(), [buffer]):
            digest.update(view[:size])
            total += size
    wall_s = time.perf_counter() - begin
    return Answer(
        wall_s=wall_s, bytes=total, digest=digest.hexdigest(), peak_rss_bytes=procfs.peak_rss("self")
    )  # fmt: skip
