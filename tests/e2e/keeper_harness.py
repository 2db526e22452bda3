"""A real keeper with real shims, driven by blocking sockets in the place of an agent.

The test process is a sub-reaper for as long as a keeper runs, so that the keeper's own end, and anything that it should
have left behind, is seen here.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from holdfast.keeper import launch, messages, tree
from holdfast.store import control

ENV = (b"PATH=/usr/bin:/bin", b"HOME=/")
TIMEOUT_S = 15.0
PYTHON = os.fsencode(sys.executable)

M = TypeVar("M")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Looks every few milliseconds; fails with ``what`` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.003)


def alive(pid: int) -> bool:
    """Whether this process runs (a zombie does not)."""
    process = tree.process(pid)
    return process is not None and process.state not in "ZX"


def marked(marker: str) -> list[int]:
    """The living processes whose environment holds the marker."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                if marker.encode() in Path(f"/proc/{name}/environ").read_bytes() and alive(int(name)):
                    found.append(int(name))
    return found


class ShimClient:
    """An agent's side of one shim."""

    def __init__(self, state_dir: Path, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.directory = state_dir / "shims" / name
        self.job = ""
        self.socket: socket.socket | None = None
        self._heard: list[messages.Message] = []
        self._reader = messages.Reader()

    def connect(self) -> messages.State:
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        fd = os.open(self.directory, os.O_RDONLY)
        try:
            self.socket.connect(f"/proc/self/fd/{fd}/sock")
        finally:
            os.close(fd)
        self._reader = messages.Reader()
        self._heard = []
        return self.hear(messages.State)

    def reconnect(self) -> messages.State:
        """Connects to whoever tends the job now, trying until somebody does."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self.connect()
            except (OSError, EOFError):
                assert time.monotonic() < deadline
                time.sleep(0.005)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def say(self, message: messages.Message) -> None:
        assert self.socket is not None
        self.socket.sendall(messages.frame(message))

    def hear(self, kind: type[M]) -> M:
        """The next message of this type; others before it are dropped.

        Raises:
            EOFError: the connection ended first.
        """
        assert self.socket is not None
        while True:
            while self._heard:
                message = self._heard.pop(0)
                if isinstance(message, kind):
                    return message
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(kind.__name__)
            self._heard += self._reader.feed(data)

    def start(self, *argv: bytes | str, job: str = "job", **fields: Any) -> None:
        """Sends RUN; fields as in ``messages.Run``."""
        self.job = job
        items = tuple(os.fsencode(item) for item in argv)
        env = fields.pop("env", ENV)
        self.say(messages.Run(job, 1, items, env, **fields))

    def exit(self) -> control.Exit:
        return self.hear(messages.Exited).record

    def run(self, *argv: bytes | str, **fields: Any) -> control.Exit:
        self.start(*argv, **fields)
        return self.exit()

    def release(self, taken: int = 0) -> None:
        self.say(messages.Release(self.job, 1, taken))

    def finish(self, *argv: bytes | str, **fields: Any) -> control.Exit:
        """Runs and releases."""
        record = self.run(*argv, **fields)
        self.release()
        return record

    @property
    def out(self) -> bytes:
        return (self.directory / "out").read_bytes()

    @property
    def err(self) -> bytes:
        return (self.directory / "err").read_bytes()

    def slots(self) -> control.Slots:
        return control.read_path(str(self.directory / "ctl"))

    def started(self) -> int:
        """Waits for STARTED on disk; the main process."""
        wait_until(lambda: isinstance(self.slots().started, control.Started), "STARTED")
        started = self.slots().started
        assert isinstance(started, control.Started)
        return started.pid

    def write_stdin(self, data: bytes, length: int, *, ended: bool) -> None:
        """Appends to the file ``in`` and says how long it is now."""
        fd = os.open(self.directory / "in", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        self.say(messages.Stdin(length, ended))


class KeeperHarness:
    """A keeper, its agent's end of the socket, and the shims that it has announced."""

    def __init__(self, state_dir: Path, agent_argv: list[str] | None = None) -> None:
        self.state_dir = state_dir
        self.log = state_dir / "keeper.log"
        self.socket, self.pid = launch.start_keeper(str(state_dir), agent_argv or [], log_path=str(self.log))
        self.socket.settimeout(TIMEOUT_S)
        self.clients: list[ShimClient] = []
        self.unheard: list[messages.Message] = []
        self.ended = False

    def say(self, message: messages.Message) -> None:
        self.socket.send(messages.encode(message))

    def hear(self, kind: type[M]) -> M:
        """The next message of this type; others stay for later."""
        for n, message in enumerate(self.unheard):
            if isinstance(message, kind):
                del self.unheard[n]
                return message
        while True:
            packet = self.socket.recv(messages.MAX_PACKET_BYTES)
            if not packet:
                raise EOFError(kind.__name__)
            message = messages.decode(packet)
            if isinstance(message, kind):
                return message
            self.unheard.append(message)

    def shim(self) -> ShimClient:
        """A new, idle, connected shim."""
        self.say(messages.Want(1))
        forked = self.hear(messages.Forked)
        client = ShimClient(self.state_dir, forked.shim, forked.pid)
        self.clients.append(client)
        client.connect()
        return client

    def quiet(self, within_s: float = 0.05) -> bool:
        """Whether the keeper says nothing for so long."""
        return not select.select([self.socket], [], [], within_s)[0]

    def leave(self) -> None:
        """BYE, and the keeper's end."""
        with suppress(OSError):
            self.say(messages.Bye())
        self.wait_for_end()

    def wait_for_end(self) -> None:
        wait_until(lambda: os.waitpid(self.pid, os.WNOHANG)[0] == self.pid, "the keeper's end")
        self.ended = True

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.socket.close()


def _subreaper(on: bool) -> None:
    assert ctypes.CDLL(None).prctl(36, int(on), 0, 0, 0) == 0


@contextmanager
def running_keeper(state_dir: Path, agent_argv: list[str] | None = None) -> Iterator[KeeperHarness]:
    """A keeper for one test; fails the test if a process or descriptor is left, or the keeper has complained."""
    descriptors = sorted(os.listdir("/proc/self/fd"))
    _subreaper(True)
    keeper = KeeperHarness(state_dir, agent_argv)
    try:
        yield keeper
        for client in keeper.clients:
            client.close()
        if not keeper.ended:
            keeper.leave()
        wait_until(lambda: not tree.descendants(tree.children(os.getpid())), "the end of all that was started", 1.0)
        assert "Traceback" not in keeper.log.read_text()
    finally:
        keeper.close()
        while tree.kill([pid for pid in tree.children(os.getpid()) if _is_ours(pid, keeper.pid)]):
            time.sleep(0.002)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        _subreaper(False)
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


def _is_ours(pid: int, keeper: int) -> bool:
    """Whether a child of the test process comes from this keeper and not from another test's fixture."""
    process = tree.process(pid)
    return process is not None and (pid == keeper or process.session != os.getsid(0))


def kill_and_wait(pid: int, signum: int = signal.SIGKILL) -> None:
    """Sends the signal and waits until the process is gone (or a zombie)."""
    os.kill(pid, signum)
    wait_until(lambda: not alive(pid), f"the end of {pid}")
