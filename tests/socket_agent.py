"""A ``MemoryAgent`` behind a real Unix socket, in a thread; its connections can be cut and its listener closed."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.transport import unix
from tests.memory_agent import AgentConnection, MemoryAgent


class SocketAgent:
    """Serves until ``stop``. ``mute`` swallows what is received, so that calls stay unanswered."""

    def __init__(self, path: Path, agent: MemoryAgent) -> None:
        self.path = str(path)
        self.agent = agent
        self.mute = False
        self.swallowed = threading.Event()
        self._listener = unix.bind_listener(self.path)
        self._peers: dict[socket.socket, AgentConnection] = {}
        self._orders, self._mine = socket.socketpair()
        self._cutting = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="socket agent")
        self._thread.start()

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def cut(self) -> None:
        """Break all connections, without a word."""
        self._cutting.set()
        self._orders.send(b"c")
        while self._cutting.is_set():
            time.sleep(0.0005)

    def stop(self) -> None:
        self._done.set()
        self._orders.send(b"s")
        self._thread.join()
        self._orders.close()
        self._mine.close()
        self._listener.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._mine, selectors.EVENT_READ)
            while not self._done.is_set():
                for key, _ in selector.select():
                    if key.fileobj is self._listener:
                        sock, _ = self._listener.accept()
                        self._peers[sock] = self.agent.connect(time.monotonic())
                        selector.register(sock, selectors.EVENT_READ)
                    elif key.fileobj is self._mine:
                        self._mine.recv(100)
                    elif key.fileobj in self._peers:
                        assert isinstance(key.fileobj, socket.socket)
                        self._read(selector, key.fileobj)
                if self._cutting.is_set():
                    self._close_all(selector)
                    self._cutting.clear()
            self._close_all(selector)

    def _read(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        try:
            data = sock.recv(1 << 20)
            if data and self.mute:
                self.swallowed.set()
                return
            answer = self._peers[sock].receive(data, time.monotonic())
            sock.sendall(answer)
            for other, peer in self._peers.items():
                if other is not sock:
                    other.sendall(peer.pump())
        except OSError:
            data = b""
        if not data:
            selector.unregister(sock)
            del self._peers[sock]
            sock.close()

    def _close_all(self, selector: selectors.BaseSelector) -> None:
        for sock in list(self._peers):
            selector.unregister(sock)
            sock.close()
        self._peers.clear()


@contextmanager
def serving(path: Path, agent: MemoryAgent) -> Iterator[SocketAgent]:
    """A ``SocketAgent`` for the time of a ``with``."""
    served = SocketAgent(path, agent)
    try:
        yield served
    finally:
        served.stop()
