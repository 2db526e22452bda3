"""TCP: what is told when there is no connection, and how sockets are tuned."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from holdfast.errors import ConnectFailed
from holdfast.transport import tcp


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with tcp.bind_listener("127.0.0.1", 0) as sock:
        yield sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def option(sock: socket.socket, name: int) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, name)


def test_a_connection_is_tuned(listener: socket.socket) -> None:
    with tcp.connect("127.0.0.1", port_of(listener), timeout_s=5) as sock:
        assert sock.getblocking() is False
        assert option(sock, socket.TCP_NODELAY)
        assert option(sock, socket.TCP_USER_TIMEOUT) == 15_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        kept = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        assert [option(sock, name) for name in kept] == [10, 5, 3]
        accepted, _ = listener.accept()
        accepted.close()


def test_nobody_listens_at_the_port() -> None:
    with tcp.bind_listener("127.0.0.1", 0) as sock:
        port = port_of(sock)
    with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port}: nothing listens there") as caught:
        tcp.connect("127.0.0.1", port, timeout_s=5)
    assert caught.value.layer == "port"
    assert caught.value.ran == "no"


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str, port: int, **_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed, match="the name 'no-such-host' is not known") as caught:
        tcp.connect("no-such-host", 7420, timeout_s=5)
    assert caught.value.layer == "name"


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    real = socket.getaddrinfo

    def waits(host: str, port: int, *, flags: int = 0, **more: int) -> list[object]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        silent.wait(30)
        return real("127.0.0.1", port, flags=flags, **more)  # type: ignore[return-value]

    monkeypatch.setattr(socket, "getaddrinfo", waits)
    try:
        with pytest.raises(ConnectFailed, match=r"no name server answers for 'slow' within 0.05 s") as caught:
            tcp.connect("slow", 7420, timeout_s=0.05)
        assert caught.value.layer == "name"
    finally:
        silent.set()


@pytest.mark.parametrize("name", ["a..b", "x" * 300, "\udc80"])
def test_a_name_that_no_host_can_have(name: str) -> None:
    with pytest.raises(ConnectFailed, match="is not known") as caught:
        tcp.connect(name, 7420, timeout_s=20)
    assert caught.value.layer == "name"


@pytest.mark.parametrize(("errno_", "layer"), [(101, "route"), (113, "route"), (13, "port")])
def test_what_the_kernel_says_names_the_layer(monkeypatch: pytest.MonkeyPatch, errno_: int, layer: str) -> None:
    monkeypatch.setattr("holdfast.transport.tcp.socket.socket", lambda *_: _Fails(errno_))
    with pytest.raises(ConnectFailed) as caught:
        tcp.connect("192.0.2.1", 7420, timeout_s=5)
    assert caught.value.layer == layer
    assert "192.0.2.1:7420" in str(caught.value)


def test_a_connection_that_is_reset_at_once_is_told_with_what_may_be_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent sheds before TLS, so it cannot say so itself."""
    monkeypatch.setattr("holdfast.transport.tcp.socket.socket", lambda *_: _Fails(errno.ECONNRESET))
    with pytest.raises(ConnectFailed, match=r"reset by peer: .*try again in a minute$") as caught:
        tcp.connect("192.0.2.1", 7420, timeout_s=5)
    assert caught.value.layer == "port"


class _Fails:
    """A socket whose connect(2) fails at once."""

    def __init__(self, errno_: int) -> None:
        self._errno = errno_

    def setblocking(self, _: bool) -> None: ...
    def setsockopt(self, *_: int) -> None: ...
    def close(self) -> None: ...
    def connect_ex(self, _: object) -> int:
        return self._errno


def _silent_place() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full: its kernel answers no further SYN (listen(2))."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    return full, fillers


def test_no_answer_is_no_answer_of_the_route() -> None:
    full, fillers = _silent_place()
    try:
        with pytest.raises(ConnectFailed, match=r"no answer within 0.1 s") as caught:
            tcp.connect("127.0.0.1", port_of(full), timeout_s=0.1)
        assert caught.value.layer == "route"
    finally:
        for each in (full, *fillers):
            each.close()


def test_waiting_can_be_given_up() -> None:
    full, fillers = _silent_place()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        theirs.send(b"x")
        with pytest.raises(ConnectFailed, match="given up"):
            tcp.connect("127.0.0.1", port_of(full), timeout_s=30, wake=ours)
        theirs.send(b"x")
        with pytest.raises(ConnectFailed, match="no answer"):
            tcp.connect("127.0.0.1", port_of(full), timeout_s=0.1, wake=ours, cancelled=lambda: False)
    finally:
        for each in (full, ours, theirs, *fillers):
            each.close()


def test_every_address_of_a_name_is_tried(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with tcp.bind_listener("127.0.0.1", 0) as gone:
        dead = gone.getsockname()
    places = [(socket.AF_INET, dead), (socket.AF_INET, listener.getsockname())]
    monkeypatch.setattr(tcp, "resolve", lambda *_, **__: places)
    with tcp.connect("two", 1, timeout_s=5) as sock:
        assert sock.getpeername() == listener.getsockname()


def test_peers_are_written_with_brackets() -> None:
    assert tcp.format_peer(("10.0.0.1", 7)) == "10.0.0.1:7"
    assert tcp.format_peer(("::1", 7, 0, 0)) == "[::1]:7"


def test_ipv6_where_there_is_one() -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        sock = tcp.bind_listener("::1", 0)
    except OSError as exc:
        pytest.skip(f"no IPv6 loopback here: {exc}")
    with sock, tcp.connect("::1", port_of(sock), timeout_s=5) as ours:
        assert ours.getpeername()[0] == "::1"
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
