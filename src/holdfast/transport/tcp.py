"""TCP: connections made with patience for some addresses and none for others, and tuned for a link that must not hang.

A dead link is found by three clocks, whichever is first: the heartbeat of the protocol, keep-alive probes of an idle
connection, and TCP_USER_TIMEOUT for bytes that nobody acknowledges (tcp(7)).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from holdfast.errors import ConnectFailed

ATTEMPT_S: Final = 2.0
"""One try at one address: the kernel sends a lost SYN again after 1, 3, 7 s; a fresh socket is faster."""
KEEPALIVE_IDLE_S: Final = 10
KEEPALIVE_EVERY_S: Final = 5
KEEPALIVE_PROBES: Final = 3
USER_TIMEOUT_MS: Final = 15_000
"""Unacknowledged bytes end the connection after this, instead of the kernel's 15 minutes (tcp_retries2). With the 10 s
of a heartbeat these are the 25 s in which also that end knows which still hears the other (docs/adr/0014)."""
BACKLOG: Final = 1024
"""Connections that wait for accept(2); the kernel caps it at net.core.somaxconn."""

_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})

Place = tuple[int, Any]
"""Address family and socket address."""


def connect(
    host: str,
    port: int,
    *,
    timeout_s: float,
    wake: socket.socket | None = None,
    cancelled: Callable[[], bool] = lambda: True,
) -> socket.socket:
    """A connected, tuned socket in non-blocking mode.

    Every address of the name is tried for ``ATTEMPT_S``, over and over while time is left; it ends early only when
    all of them refuse.

    Args:
        host: Name or number.
        port: 1 to 65535.
        timeout_s: For the name and the connection together.
        wake: Becomes readable when ``cancelled`` is to be asked; its bytes are taken.
        cancelled: Whether to give up.

    Raises:
        ConnectFailed: with ``layer`` ``name``, ``route`` or ``port``.
    """
    deadline = time.monotonic() + timeout_s
    places = resolve(host, port, timeout_s=timeout_s)
    where = format_peer((host, port))
    while True:
        failures = []
        for place in places:
            limit = min(deadline, time.monotonic() + ATTEMPT_S)
            try:
                return _attempt(place, limit, wake, cancelled)
            except InterruptedError:
                raise ConnectFailed(f"{where}: given up while connecting", layer="route") from None
            except OSError as exc:
                failures.append(exc)
        if time.monotonic() >= deadline or not any(isinstance(exc, TimeoutError) for exc in failures):
            raise failed(where, failures, timeout_s) from failures[-1]


def resolve(host: str, port: int, *, timeout_s: float) -> list[Place]:
    """The socket addresses of a host, in the order to try them (RFC 6724, getaddrinfo(3)).

    Raises:
        ConnectFailed: there are none, or nobody told within ``timeout_s``; layer ``name``.
    """
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except UnicodeError:
        raise ConnectFailed(f"the name {host!r} is not known: no host can have it", layer="name") from None
    except socket.gaierror:
        pass  # a name: asking for it can take as long as the resolver likes, and cannot be interrupted
    answer: list[list[Place] | socket.gaierror] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answer.append(_look_up(host, port, 0))
        except socket.gaierror as exc:
            answer.append(exc)
        done.set()

    threading.Thread(target=ask, name=f"holdfast looks up {host}", daemon=True).start()
    if not done.wait(timeout_s):
        raise ConnectFailed(f"no name server answers for {host!r} within {timeout_s:g} s", layer="name")
    if isinstance(answer[0], socket.gaierror):
        raise ConnectFailed(f"the name {host!r} is not known ({answer[0].strerror})", layer="name") from answer[0]
    return answer[0]


def tune(sock: socket.socket) -> None:
    """No delay for small frames, and an end of dead connections; options that this system lacks are left out."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle and delayed acknowledgements: 40 ms a call
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_EVERY_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def bind_listener(host: str, port: int) -> socket.socket:
    """A listening socket at one numeric address; port 0: any free one.

    An IPv6 address means IPv6 alone (IPV6_V6ONLY, ipv6(7)).

    Raises:
        OSError: the address is not ours, or in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def format_peer(address: Any) -> str:
    """``HOST:PORT`` of a socket address, IPv6 in brackets."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _look_up(host: str, port: int, flags: int) -> list[Place]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, place) for family, _type, _proto, _name, place in found]


def _attempt(place: Place, limit: float, wake: socket.socket | None, cancelled: Callable[[], bool]) -> socket.socket:
    sock = socket.socket(place[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock)
        error = sock.connect_ex(place[1])
        if error in _UNDER_WAY:
            _await_writable(sock, limit, wake, cancelled)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


def _await_writable(
    sock: socket.socket, limit: float, wake: socket.socket | None, cancelled: Callable[[], bool]
) -> None:
    """Wait until connect(2) has come to an end; ``select`` takes no descriptor above 1023, where there is ``poll``."""
    while True:
        left = limit - time.monotonic()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            if wake is not None:
                poll.register(wake, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll(1000 * left)}
        else:
            wakers = [wake] if wake is not None else []
            readable, writable, failed = select.select(wakers, [sock], [sock], left)
            ready = {one.fileno() for one in (*readable, *writable, *failed)}
        if wake is not None and wake.fileno() in ready:
            try:
                wake.recv(4096)
            except BlockingIOError:
                pass
            if cancelled():
                raise InterruptedError
        if sock.fileno() in ready:
            return


TURNED_AWAY: Final = (
    ": an agent that is full, or has seen wrong tries from this address, does that; try again in a minute"
)
"""What may be behind a connection that ends as soon as it is there; goes behind the failure."""


def failed(where: str, failures: list[OSError], timeout_s: float) -> ConnectFailed:
    """One line for all the addresses of a host: the last failure that says the most."""
    if not failures:
        return ConnectFailed(f"{where}: no address to try", layer="name")
    if any(isinstance(exc, ConnectionRefusedError) for exc in failures):
        return ConnectFailed(f"{where}: nothing listens there (connection refused)", layer="port")
    if all(isinstance(exc, TimeoutError) for exc in failures):
        return ConnectFailed(f"{where}: no answer within {timeout_s:g} s", layer="route")
    last = next(exc for exc in reversed(failures) if not isinstance(exc, TimeoutError))
    layer = "route" if last.errno in _ROUTE else "port"
    text = f"{where}: {(last.strerror or str(last)).lower()}"
    return ConnectFailed(f"{text}{TURNED_AWAY if isinstance(last, ConnectionResetError) else ''}", layer=layer)
