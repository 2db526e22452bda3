"""The servers of the bare contestants: TLS and nothing else, no agent, no command, nothing kept.

``python -m bench.bare_server ssl|uvloop FOLDER`` listens on a free port of 127.0.0.1, prints the port, and ends with
its standard input. A request is 8 bytes, a number, big-endian; the answer is so many zero bytes. ``ssl`` is the
standard library with a thread for each connection, ``uvloop`` a protocol on its loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from typing import Final, cast

import uvloop

from bench import bare_keys

REQUEST_BYTES: Final = 8
PIECE: Final = memoryview(bytes(1 << 18))


def serve_ssl(folder: str) -> None:
    """Serve until the end of the input."""
    context = bare_keys.context(folder, "server")
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_serve_one, args=(sock, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.buffer.read()


def _serve_one(sock: socket.socket, context: ssl.SSLContext) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with context.wrap_socket(sock, server_side=True) as secure:
            while request := secure.recv(REQUEST_BYTES):
                left = int.from_bytes(request, "big")
                while left:
                    left -= secure.send(PIECE[:left])
    except OSError:
        pass  # the other side is gone


class _Zeros(asyncio.Protocol):
    """Answers requests; writes as much as the transport takes."""

    def __init__(self) -> None:
        self._left = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class is registered nowhere

    def data_received(self, data: bytes) -> None:
        self._left += int.from_bytes(data, "big")
        self._write()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write()

    def _write(self) -> None:
        while self._left and not self._paused:
            piece = PIECE[: self._left]
            self._left -= len(piece)
            self._transport.write(piece)


async def serve_uvloop(folder: str) -> None:
    """Serve until the end of the input."""
    server = await asyncio.get_running_loop().create_server(
        _Zeros, "127.0.0.1", 0, ssl=bare_keys.context(folder, "server"), backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


def main(kind: str, folder: str) -> None:
    """Serve in one of the two ways."""
    if kind == "ssl":
        serve_ssl(folder)
    else:
        uvloop.run(serve_uvloop(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
