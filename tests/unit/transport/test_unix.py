"""Unix sockets: modes, long paths, leftovers, who is there."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from holdfast.errors import ConnectFailed
from holdfast.transport import unix


@pytest.mark.parametrize("extra", [0, 200])
def test_listen_connect_and_know_each_other(tmp_path: Path, extra: int) -> None:
    directory = tmp_path / ("d" * extra or "short")
    directory.mkdir()
    path = str(directory / "agent.sock")
    assert (len(path) > unix.PATH_BYTES) is bool(extra)
    with unix.bind_listener(path) as listener, unix.connect(path, timeout_s=5) as client:
        server, _ = listener.accept()
        with server:
            client.sendall(b"hello")
            assert server.recv(10) == b"hello"
            assert unix.peer_credentials(server) == (os.getpid(), os.geteuid(), os.getegid())
        assert client.gettimeout() is None
        assert not client.get_inheritable()


def test_nobody_else_may_connect_from_the_first_instant(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    umask = os.umask(0)
    try:
        with unix.bind_listener(str(path)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(umask)


def test_a_leftover_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    unix.bind_listener(str(path)).close()
    with pytest.raises(ConnectFailed) as caught:
        unix.connect(str(path))
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    unix.bind_listener(str(path)).close()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        unix.bind_listener(str(path))
    assert path.read_text() == "precious"


def test_a_full_backlog_is_not_waited_for_without_end(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    waiting: list[socket.socket] = []
    with unix.bind_listener(path, backlog=0):
        try:
            waiting.append(unix.connect(path, timeout_s=5))
            with pytest.raises(ConnectFailed, match="in time"):
                unix.connect(path, timeout_s=0.05)
        finally:
            for sock in waiting:
                sock.close()
