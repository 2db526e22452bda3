"""The neighbour OpenSSH: its client here and its server in ``bench.openssh_server``, both with a key, on loopback.

Commands and streams go over a master connection (ssh_config(5), ControlMaster), which is how it is fast; each command
is then still a process of ``ssh``. AES-128-GCM, its fastest cipher on processors with AES instructions.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import xxhash

from bench import procfs
from bench.contestant import TRUE, Answer, Order, head_command, one_at_a_time
from bench.openssh_server import CONFIG, HOST

READ_BYTES: Final = 1 << 18
MASTER: Final = "m"
"""Socket of the master, relative to the folder: a path of more than about 90 bytes would not fit into an address."""
MASTER_S: Final = 10.0


class Openssh:
    """One master connection; in flight means threads, each with a process of ``ssh``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._held: list[subprocess.Popen[bytes]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._master = subprocess.Popen(
            _ssh("-M", "-S", MASTER, "-N", HOST), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self._wait_for_master()

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if order.what == "serial":
            return one_at_a_time(self._run, order.count)
        if order.what == "fresh":
            return one_at_a_time(self._fresh, order.count)
        if order.what == "burst":
            return self._in_threads(self._run, order)
        if order.what == "hosts":
            return self._in_threads(self._fresh, order)
        if order.what == "stream":
            return self._stream(order.count)
        if order.what == "hold":
            return self._hold(order.count)
        if order.what == "release":
            return self._release()
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """End the master and every idle connection."""
        if self._pool is not None:
            self._pool.shutdown()
        self._release()
        self._master.terminate()
        self._master.wait()

    def _wait_for_master(self) -> None:
        deadline = time.monotonic() + MASTER_S
        while not os.path.exists(os.path.join(self._folder, MASTER)):
            if self._master.poll() is not None or time.monotonic() > deadline:
                raise ConnectionError(f"no master connection (ssh ended with {self._master.poll()})")
            time.sleep(0.02)

    def _run(self) -> None:
        subprocess.run(
            _ssh("-S", MASTER, HOST, TRUE), cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )

    def _fresh(self) -> None:
        subprocess.run(
            _ssh("-S", "none", HOST, TRUE), cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )

    def _in_threads(self, call: Callable[[], None], order: Order) -> Answer:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(order.width, 100))
        begin = time.perf_counter()
        left = iter(range(order.count))

        def caller() -> None:
            for _ in left:
                call()

        callers = [self._pool.submit(caller) for _ in range(min(order.width, order.count))]
        for each in callers:
            each.result()
        return Answer(wall_s=time.perf_counter() - begin)

    def _stream(self, count: int) -> Answer:
        """The master decrypts and writes into the pipe that ``ssh`` has passed to it: its memory is the client's."""
        procfs.reset_peak_rss(self._master.pid)
        digest, total, buffer = xxhash.xxh3_128(), 0, bytearray(READ_BYTES)
        view = memoryview(buffer)
        begin = time.perf_counter()
        with subprocess.Popen(
            _ssh("-S", MASTER, HOST, *head_command(count)), cwd=self._folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, bufsize=0,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            while size := os.readv(process.stdout.fileno(), [buffer]):
                digest.update(view[:size])
                total += size
        return Answer(
            wall_s=time.perf_counter() - begin, bytes=total, digest=digest.hexdigest(),
            peak_rss_bytes=procfs.peak_rss(self._master.pid),
        )  # fmt: skip

    def _hold(self, count: int) -> Answer:
        """``ssh -N``; LocalCommand is run once the connection is authenticated, and says so."""
        begin = time.perf_counter()
        options = ("-S", "none", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo", "-N", HOST)
        started = [
            subprocess.Popen(_ssh(*options), cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for _ in range(count)
        ]
        self._held += started
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != b"\n":
                raise ConnectionError(f"ssh ended with {process.wait()}")
        return Answer(wall_s=time.perf_counter() - begin)

    def _release(self) -> Answer:
        held, self._held = self._held, []
        begin = time.perf_counter()
        for process in held:
            process.terminate()
        for process in held:
            process.communicate()
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> Openssh:
    """Made by ``bench.contestant``; ``args``: the folder of ``openssh_server``."""
    return Openssh(*args)


def _ssh(*args: str) -> list[str]:
    return ["ssh", "-F", CONFIG, *args]
