"""The proxy of the demo passes bytes on untouched, and a cut is a cut for both sides."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.cutting_proxy import CuttingProxy


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[str]:
    """A server that sends everything back."""
    path = str(tmp_path / "echo.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                while data := conn.recv(65536):
                    conn.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def connect(path: str) -> socket.socket:
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conn.settimeout(10)
    conn.connect(path)
    return conn


def ask(conn: socket.socket, data: bytes) -> bytes:
    conn.sendall(data)
    answer = b""
    while len(answer) < len(data) and (chunk := conn.recv(65536)):
        answer += chunk
    return answer


def test_bytes_pass_and_a_cut_ends_the_connection(tmp_path: Path, echo: str) -> None:
    data = bytes(range(256)) * 1000
    with CuttingProxy(str(tmp_path / "proxy.sock"), echo) as proxy:
        with connect(proxy.path) as conn:
            assert ask(conn, data) == data
            assert proxy.cut() == 1
            assert conn.recv(1) == b""
        with connect(proxy.path) as conn:
            assert ask(conn, b"again") == b"again"


def test_the_link_stays_down_for_the_time_asked_for(tmp_path: Path, echo: str) -> None:
    with CuttingProxy(str(tmp_path / "proxy.sock"), echo) as proxy:
        assert proxy.cut(down_s=60) == 0
        with connect(proxy.path) as conn:
            assert conn.recv(1) == b""
        proxy.cut()
        with connect(proxy.path) as conn:
            assert ask(conn, b"up again") == b"up again"


def test_a_server_that_is_not_there_is_a_closed_connection(tmp_path: Path) -> None:
    proxy = CuttingProxy(str(tmp_path / "proxy.sock"), str(tmp_path / "nobody.sock"))
    with proxy, connect(proxy.path) as conn:
        assert conn.recv(1) == b""
