"""A socket between client and agent that passes every byte on and tells an observer about it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

from holdfast.errors import ConnectFailed
from holdfast.transport import unix

Sender = Literal["client", "agent"]
Observer = Callable[[float, int, Sender, bytes], None]
"""Called with seconds since the start, number of the connection, who sent, and the bytes; b"" is the end."""

CHUNK_BYTES: Final = 256 * 1024
CONNECT_S: Final = 10.0


class Relay:
    """Listens on a socket of its own, in a directory that nobody else may enter, for the time of a ``with`` block.

    Args:
        target: Path of the agent's socket.
        observe: Told of every chunk before it is passed on; called by one thread at a time.
    """

    def __init__(self, target: str, observe: Observer) -> None:
        self._target = target
        self._observe = observe
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def path(self) -> str:
        """Where to connect instead of the target."""
        return os.path.join(self._directory, "tap.sock")

    def __enter__(self) -> Self:
        self._directory = tempfile.mkdtemp(prefix="holdfast-tap-")
        self._listener = unix.bind_listener(self.path)
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2); closing alone would not
        with self._lock:
            for sock in self._open:
                _shut(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _spawn(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="holdfast-tap", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                agent = unix.connect(self._target, timeout_s=CONNECT_S)
            except ConnectFailed:
                client.close()
                continue
            with self._lock:
                self._open |= {client, agent}
            self._spawn(self._serve, number, client, agent)
            number += 1

    def _serve(self, number: int, client: socket.socket, agent: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(number, "agent", agent, client), daemon=True)
        back.start()
        self._pump(number, "client", client, agent)
        back.join()
        with self._lock:
            self._open -= {client, agent}
        client.close()
        agent.close()

    def _pump(self, number: int, sender: Sender, source: socket.socket, sink: socket.socket) -> None:
        while True:
            try:
                data = source.recv(CHUNK_BYTES)
            except OSError:
                data = b""
            with self._lock:
                self._observe(time.monotonic() - self._begun, number, sender, data)
            try:
                if data:
                    sink.sendall(data)
            except OSError:
                data = b""
            if not data:
                _shut(sink, socket.SHUT_WR)
                if sender == "agent":  # without an agent there is nothing left to say to it
                    _shut(sink, socket.SHUT_RDWR)
                return


def _shut(sock: socket.socket, how: int) -> None:
    try:
        sock.shutdown(how)
    except OSError:
        pass  # gone already
