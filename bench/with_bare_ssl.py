"""The limit of TLS with the standard library: a blocking socket of ``ssl``, no protocol, no agent."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from typing import Final

import xxhash

from bench import bare_keys, procfs
from bench.bare_server import REQUEST_BYTES
from bench.contestant import Answer, Order, one_at_a_time

READ_BYTES: Final = 1 << 18
SMALL_BYTES: Final = 64


class BareSsl:
    """One connection."""

    def __init__(self, port: str, folder: str) -> None:
        self._address = ("127.0.0.1", int(port))
        self._context = bare_keys.context(folder, "client")
        self._socket = self._connect()

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        if order.what == "trivial":
            return one_at_a_time(lambda: _ask(self._socket), order.count)
        if order.what == "fresh":
            return one_at_a_time(self._fresh, order.count)
        if order.what == "stream":
            return self._stream(order.count)
        raise NotImplementedError(order.what)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self) -> ssl.SSLSocket:
        sock = socket.create_connection(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(sock)

    def _fresh(self) -> None:
        with self._connect() as sock:
            _ask(sock)

    def _stream(self, count: int) -> Answer:
        procfs.reset_peak_rss("self")
        digest, total, buffer = xxhash.xxh3_128(), 0, bytearray(READ_BYTES)
        view = memoryview(buffer)
        begin = time.perf_counter()
        self._socket.sendall(count.to_bytes(REQUEST_BYTES, "big"))
        while total < count:
            size = self._socket.recv_into(buffer)
            if not size:
                raise ConnectionError("the server closed the connection")
            digest.update(view[:size])
            total += size
        return Answer(
            wall_s=time.perf_counter() - begin, bytes=total, digest=digest.hexdigest(),
            peak_rss_bytes=procfs.peak_rss("self"),
        )  # fmt: skip


def contestant(kind: str, args: Sequence[str]) -> BareSsl:
    """Made by ``bench.contestant``; ``args``: port of the server, folder of the keys."""
    return BareSsl(*args)


def _ask(sock: ssl.SSLSocket) -> None:
    sock.sendall(SMALL_BYTES.to_bytes(REQUEST_BYTES, "big"))
    if len(sock.recv(READ_BYTES)) != SMALL_BYTES:  # one write of the server is one record, delivered whole
        raise ConnectionError("the server did not answer")
