"""The socket in between passes everything on, in both directions, and closes when either side does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.cli.relay import Relay
from holdfast.transport import unix


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[str]:
    """A server that sends back what it gets, until its client has said all."""
    listener = unix.bind_listener(str(tmp_path / "echo.sock"))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(tmp_path / "echo.sock")
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def say_all(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_bytes_pass_and_are_seen(echo: str) -> None:
    seen: dict[str, bytes] = {"client": b"", "agent": b""}
    ends = []

    def observe(_at: float, number: int, sender: str, data: bytes) -> None:
        assert number == 0
        seen[sender] += data
        if not data:
            ends.append(sender)

    data = bytes(range(256)) * 4096
    with Relay(echo, observe) as relay:
        with unix.connect(relay.path, timeout_s=5) as sock:
            writer = threading.Thread(target=say_all, args=(sock, data))
            writer.start()
            back = b""
            while chunk := sock.recv(65536):
                back += chunk
            writer.join()
    assert back == data
    assert seen == {"client": data, "agent": data}
    assert sorted(ends) == ["agent", "client"]


def test_leaving_cuts_what_is_open(echo: str) -> None:
    with Relay(echo, lambda *_: None) as relay:
        sock = unix.connect(relay.path, timeout_s=5)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    with sock:
        assert sock.recv(1) == b""
    assert not Path(relay.path).parent.exists()


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    with Relay(str(tmp_path / "none"), lambda *_: None) as relay, unix.connect(relay.path, timeout_s=5) as sock:
        assert sock.recv(1) == b""
