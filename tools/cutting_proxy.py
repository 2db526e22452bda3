"""A proxy between a client and an agent, over unix sockets, that can drop the link at any byte."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536


class CuttingProxy:
    """Passes bytes on both ways until ``cut`` is called; a context manager.

    Args:
        path: Where clients connect; made here.
        target: The agent's socket.

    Attributes:
        served: Connections that were passed on so far.
    """

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self.served = 0
        self._target = target
        self._down_until = 0.0
        self._closed = False
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()
        self._start(self._accept)

    def cut(self, *, down_s: float = 0.0) -> int:
        """Drop every connection, wherever it stands, and refuse new ones for a while; returns how many were dropped."""
        with self._lock:
            self._down_until = time.monotonic() + down_s
            pairs = list(self._pairs)
        for pair in pairs:
            _shut_down(pair)
        return len(pairs)

    def close(self) -> None:
        """Drop everything and wait for the threads."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2); close alone does not
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._down_until:
                client.close()
                continue
            agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                agent.connect(self._target)
            except OSError:
                client.close()
                agent.close()
                continue
            with self._lock:
                self._pairs.add((client, agent))
                self.served += 1
            self._start(self._serve, (client, agent))

    def _serve(self, pair: tuple[socket.socket, socket.socket]) -> None:
        """One connection: two pumps; whichever ends first shuts both ends down, and so ends the other."""
        client, agent = pair
        back = threading.Thread(target=self._pump, args=(agent, client, pair), daemon=True)
        back.start()
        self._pump(client, agent, pair)
        back.join()
        with self._lock:
            self._pairs.discard(pair)
        client.close()
        agent.close()

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                sink.sendall(data)
        _shut_down(pair)


def _shut_down(pair: tuple[socket.socket, socket.socket]) -> None:
    """End both directions of both ends; closing is left to the owning thread, so no descriptor is re-used under it."""
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
