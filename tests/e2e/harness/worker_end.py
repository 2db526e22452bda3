"""A real worker process, and this test in place of the agent: the socket, the pipe, the record."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.functions import calls, messages, raised, record, setup
from holdfast.functions.pipe import ClientPipe
from holdfast.transport import unix

ROOT = str(Path(__file__).resolve().parents[3])
JOB = "j0b"
LIMIT_S = 30.0


def first_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> setup.FirstCall:
    return setup.FirstCall(calls.encode_function(function), *calls.encode_arguments(args, kwargs))


class WorkerEnd:
    """One worker.

    Attributes:
        outcomes: Kind and body, by number of the call, in the order in which they came.
        progress: What was told of it, by number of the call.
        paces: What was said of how long calls take, in microseconds.
    """

    def __init__(
        self,
        place: Path,
        *,
        mode: str = setup.POOL,
        first: setup.FirstCall | None = None,
        listens: bool = True,
        **options: Any,
    ) -> None:
        self.place = place
        self.path = str(place / "worker.sock")
        self.pickles = bool(options.get("pickles"))
        self.pipe = ClientPipe()
        self.conn: socket.socket | None = None
        self.listener: socket.socket | None = None
        self.outcomes: dict[int, tuple[int, bytes]] = {}
        self.progress: dict[int, list[messages.Progress]] = {}
        self.paces: list[int] = []
        self._asked: dict[int, tuple[bytes, int, bytes, float]] = {}
        if listens:
            self.listen()
        orders = setup.WorkerSetup(sys_path=(ROOT,), **options)
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOLDFAST_JOB_ID": JOB,
            setup.SOCKET_VARIABLE: self.path,
            **setup.environment(orders, first),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "holdfast.functions.worker", mode],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    # --- the agent's part --------------------------------------------------------------------------------------------

    def listen(self) -> None:
        self.listener = unix.bind_listener(self.path)
        self.listener.settimeout(LIMIT_S)

    def accept(self) -> None:
        """The next connection of the worker."""
        assert self.listener is not None
        self.conn, _ = self.listener.accept()
        self.conn.settimeout(LIMIT_S)
        assert unix.peer_credentials(self.conn).pid == self.process.pid

    def attach(self) -> WorkerEnd:
        """Begin, or go on with, the conversation on the next connection."""
        self.accept()
        self.pipe.attach()
        self.flush()
        self.until(lambda: self.pipe.attached)
        return self

    def cut(self) -> None:
        """The connection breaks."""
        assert self.conn is not None
        self.conn.close()
        self.conn = None
        self.pipe.lost()

    def stop_listening(self) -> None:
        """The agent goes away."""
        assert self.listener is not None
        self.listener.close()
        self.listener = None
        os.unlink(self.path)

    # --- the client's part -------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *args: Any, limit_s: float = 0.0, **kwargs: Any) -> int:
        """Ask for a call; its number."""
        number = self.add(calls.encode_function(function), *calls.encode_arguments(args, kwargs), limit_s)
        self.flush()
        return number

    def add(self, function: bytes, flags: int, arguments: bytes, limit_s: float = 0.0) -> int:
        """A call that goes out with the next ``flush``; its number."""
        number = self.pipe.call(function, flags, arguments, limit_s)
        self._asked[number] = (function, flags, arguments, limit_s)
        return number

    def flush(self) -> None:
        data = self.pipe.data_to_send()
        if data and self.conn is not None:
            self.conn.sendall(data)

    def until(self, met: Callable[[], object]) -> None:
        """Hear the worker until this is so."""
        while not met():
            self.hear()

    def hear(self) -> None:
        """Take what the worker says next."""
        assert self.conn is not None
        data = self.conn.recv(1 << 18)
        assert data, "the worker has hung up"
        for kind, number, body in self.pipe.receive(data):
            if kind == messages.PROGRESS:
                self.progress.setdefault(number, []).append(messages.open_progress(body))
            elif kind == messages.PACE:
                self.paces.append(number)
            else:
                self.outcomes[number] = (kind, body)
        self.flush()

    def outcome(self, number: int) -> tuple[int, bytes]:
        """Kind and body of a call's outcome, once it has come."""
        self.until(lambda: number in self.outcomes)
        return self.outcomes[number]

    def result(self, number: int) -> Any:
        """What a call has returned, or raise what it has raised. One that was given back is asked for again."""
        kind, body = self.outcome(number)
        while body == messages.RECALLED and kind == messages.RETURNED:
            number = self.add(*self._asked[number])
            self.flush()
            kind, body = self.outcome(number)
        if kind == messages.ERROR:
            raise raised.open_error(body, pickles=self.pickles)
        assert kind == messages.RESULT, (kind, body)
        return calls.open_result(body, pickles=self.pickles)

    def returned(self, number: int) -> bytes:
        """Why a call came back."""
        kind, body = self.outcome(number)
        assert kind == messages.RETURNED, (kind, body)
        return body

    def leave(self) -> int:
        """Tell it that no more will come; its exit status."""
        self.pipe.end()
        self.flush()
        assert self.conn is not None
        while data := self.conn.recv(1 << 18):
            for kind, number, body in self.pipe.receive(data):
                if kind in messages.OUTCOMES:
                    self.outcomes[number] = (kind, body)
            self.flush()
        return self.process.wait(LIMIT_S)

    # --- what it leaves ----------------------------------------------------------------------------------------------

    @property
    def noted(self) -> record.Noted | None:
        """Its record."""
        return record.read(record.path_of(self.path, JOB), record.boot_id())

    def printed(self) -> tuple[str, str]:
        """Both its outputs, once it has ended."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        return out.decode(), err.decode()

    def close(self) -> None:
        """Nothing is left."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        for each in (self.conn, self.listener):
            if each is not None:
                each.close()


def eventually(met: Callable[[], object]) -> None:
    """Wait until this is so."""
    deadline = time.monotonic() + LIMIT_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextlib.contextmanager
def worker(place: Path, **options: Any) -> Iterator[WorkerEnd]:
    """A worker of a pool that listens to us."""
    end = WorkerEnd(place, **options)
    try:
        yield end.attach()
    finally:
        end.close()
