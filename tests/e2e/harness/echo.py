"""A server that sends everything back, on both kinds of sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Echo:
    """Sends everything back; notes how each connection ended for it: ``fin``, ``rst``, or the exact bytes before."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        self.address = address
        self.ends: list[str] = []
        self.got = bytearray()
        self._listener = listener
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, conn)

    def _serve(self, conn: socket.socket) -> None:
        end = "fin"
        with conn:
            conn.settimeout(10)
            try:
                while data := conn.recv(65536):
                    self.got += data
                    conn.sendall(data)
            except TimeoutError:
                end = "nothing"
            except OSError:
                end = "rst"
        self.ends.append(end)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2); close alone does not
        self._listener.close()
        for thread in self._threads:
            thread.join()


def connect(address: str) -> socket.socket:
    """A connection to an address of either kind."""
    if address.startswith("unix://"):
        conn = socket.socket(socket.AF_UNIX)
        conn.settimeout(10)
        conn.connect(address.removeprefix("unix://"))
        return conn
    host, _, port = address.removeprefix("tls://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def ask(conn: socket.socket, data: bytes) -> bytes:
    """Send it, and take as many bytes as it has, or up to the end."""
    threading.Thread(target=_send, args=(conn, data)).start()
    answer = b""
    while len(answer) < len(data) and (chunk := conn.recv(65536)):
        answer += chunk
    return answer


def _send(conn: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        conn.sendall(data)


def ending(conn: socket.socket) -> tuple[bytes, str]:
    """What still comes, and how it ends: ``fin`` or ``rst``."""
    got = b""
    try:
        while chunk := conn.recv(65536):
            got += chunk
    except TimeoutError:
        return got, "nothing"
    except OSError:
        return got, "rst"
    return got, "fin"


def reset(conn: socket.socket) -> None:
    """Close it by RST."""
    if conn.family != socket.AF_UNIX:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()
