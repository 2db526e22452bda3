"""Fills the queues of listening sockets, and counts with ``accept`` and the kernel's tables what is in them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from holdfast.lab import private_net
from holdfast.lab.capture import Capture, may_capture
from holdfast.lab.cases.backlog import by_hand
from holdfast.lab.cases.backlog.data import Asked, Believers, Crowd, Data, Guest
from holdfast.lab.kernel_tables import counters, entries_of, set_sysctl, sysctl, tcp_info
from holdfast.lab.segments import Segment
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

HOME: Final = "127.0.0.1"
NUMBER: Final = 5
"""The notes' own."""
TOO_MANY: Final = 8
"""So many clients more than the number."""
SILENT: Final = 4
GUESTS: Final = 10
COOKIES: Final = "ipv4/tcp_syncookies"
ABOVE_ALL: Final = 1 << 20
_UNTIL_DATA_S: Final = 60
_AWAY_S: Final = 0.3
"""The server accepts nobody for so long; less than a client takes to ask again (1 s)."""
_SETTLED_S: Final = 0.02
_LIMIT_S: Final = 5.0


def observe(lab: Lab) -> Data:
    """Most needs no rights; in a network of our own the counters are ours alone, and SYN cookies ours to switch."""
    found = sysctl(COOKIES)
    own = private_net.enter()
    if not own:
        lab.lacks(
            "a network namespace of its own",
            Text(
                "SYN cookies stay as they are, and the kernel's counters, which others move too, are not shown",
                "SYN cookie 保持现状；内核计数器别人也在动，所以不展示",
            ),
        )
    by_wire = own and private_net.has_wire()
    if own and not by_wire:
        lab.lacks(
            "/dev/net/tun",
            Text("no requests are made whose answers are lost", "不制造应答丢失的请求"),
        )
    captures = may_capture()
    if not captures:
        lab.lacks("CAP_NET_RAW", Text("no segment is captured", "没有抓取报文段"))
    numbers = lab.pick(quick=(0, 1, NUMBER, 16, 32), full=(0, 1, 2, NUMBER, 8, 16, 32, 64, 128))
    finished = tuple(_crowd(number, own) for number in numbers)
    with _cookies(0, own):
        half_open = tuple(_crowd(number, own, silent=True) for number in numbers)
    cookies = None
    asked: tuple[Asked, ...] | None = None
    if own:
        with _cookies(1, own):
            cookies = _crowd(NUMBER, own, silent=True)
    if by_wire:
        asked = tuple(each for value in (0, 1) if (each := _asked(value)) is not None) or None
    guests, retried, guests_port = _guests(captures)
    return Data(
        own_network=own,
        somaxconn=sysctl("core/somaxconn"),
        syncookies=found,
        max_syn_backlog=sysctl("ipv4/tcp_max_syn_backlog"),
        finished=finished,
        half_open=half_open,
        cookies=cookies,
        asked=asked,
        asked_for=ABOVE_ALL,
        granted=_granted(),
        kept=_kept(lab.pick(quick=100, full=300)),
        kept_number=NUMBER,
        guests=guests,
        guests_number=NUMBER,
        retried=retried,
        guests_port=guests_port,
        believers=_believers(),
    )


def _crowd(number: int, own: bool, *, silent: bool = False) -> Crowd:
    """More clients than there is room for, and nobody accepts.

    ``TCP_DEFER_ACCEPT`` keeps a connection half-open until its client has said something: so the half-open ones can be
    counted at leisure, at a server that is otherwise as any other.
    """
    before = counters()
    came = number + TOO_MANY
    with ExitStack() as stack:
        server = stack.enter_context(_server(number, silent=silent))
        port = server.getsockname()[1]
        clients = [stack.enter_context(_asking(port)) for _ in range(came)]
        _settle(lambda: _states(clients))
        states, table, info = _states(clients), [entry.state for entry in entries_of(port)], tcp_info(server)
        accepted = len(_accept_all(server, stack))
    moved = {name: value - before.get(name, 0) for name, value in counters().items()}
    return Crowd(
        number=number,
        limit=info.limit,
        came=came,
        waiting=info.waiting,
        half_open=table.count("SYN_RECV"),
        believe=states.count("ESTABLISHED"),
        unanswered=states.count("SYN_SENT"),
        accepted=accepted,
        cookies=sysctl(COOKIES),
        cookies_sent=moved.get("SyncookiesSent") if own else None,
        overflows=moved.get("ListenOverflows") if own else None,
        drops=moved.get("ListenDrops") if own else None,
    )


def _asked(cookies: int) -> Asked | None:
    with _cookies(cookies, True):
        return private_net.tried(lambda wire: by_hand.asked(wire, NUMBER, NUMBER + TOO_MANY))


def _granted() -> int:
    with _server(ABOVE_ALL) as server:
        return tcp_info(server).limit


def _kept(count: int) -> int:
    """How many connections are open at once at a server that accepts each as it comes."""
    with ExitStack() as stack:
        server = stack.enter_context(_server(NUMBER))
        port = server.getsockname()[1]
        for _ in range(count):
            stack.enter_context(socket.create_connection((HOME, port), timeout=_LIMIT_S))
            _settle(lambda: tcp_info(server).waiting, until=1)
            _accept_all(server, stack)
        return sum(entry.state == "ESTABLISHED" for entry in entries_of(port))


def _guests(captures: bool) -> tuple[tuple[Guest, ...], tuple[Segment, ...] | None, int]:
    """More come than there is room for; after a while the server begins to accept."""
    with ExitStack() as stack:
        server = stack.enter_context(_server(NUMBER))
        port = server.getsockname()[1]
        capture = stack.enter_context(Capture(port)) if captures else None
        began = time.monotonic()
        clients: list[socket.socket] = []
        asked: list[float] = []
        for _ in range(GUESTS):
            asked.append(time.monotonic() - began)
            clients.append(stack.enter_context(_asking(port)))
        ports = [client.getsockname()[1] for client in clients]
        connected: dict[int, float] = {}
        accepted: dict[int, float] = {}
        while len(accepted) < GUESTS and time.monotonic() - began < _LIMIT_S:
            now = time.monotonic() - began
            for own, client in zip(ports, clients, strict=True):
                if own not in connected and tcp_info(client).state == "ESTABLISHED":
                    connected[own] = now
            if now >= _AWAY_S:
                for connection in _accept_all(server, stack):
                    accepted[connection.getpeername()[1]] = now
            time.sleep(0.002)
        guests = tuple(Guest(at, connected.get(own), accepted.get(own)) for at, own in zip(asked, ports, strict=True))
        if capture is None:
            return guests, None, port
        seen = capture.segments()
        last = tuple(one for one in seen if ports[-1] in (one.source_port, one.target_port))
        return guests, last, port


def _believers() -> Believers:
    """Some connect and say nothing; others fill the queue; then the silent ones speak, and find no room."""
    with ExitStack() as stack:
        server = stack.enter_context(_server(NUMBER, silent=True))
        port = server.getsockname()[1]
        silent = [stack.enter_context(_asking(port)) for _ in range(SILENT)]
        _settle(lambda: _states(silent).count("ESTABLISHED"), until=SILENT)
        for _ in range(NUMBER + 1):
            _send(stack.enter_context(_asking(port)), b"first")
        _settle(lambda: tcp_info(server).waiting, until=NUMBER + 1)
        sent = sum(_send(client, b"late") for client in silent)
        time.sleep(_SETTLED_S)
        own = {client.getsockname()[1] for client in silent}
        half_open = sum(entry.state == "SYN_RECV" and entry.remote_port in own for entry in entries_of(port))
        established = _states(silent).count("ESTABLISHED")
        unconfirmed = sum(tcp_info(client).waiting > 0 for client in silent)
        given = [connection.getpeername()[1] for connection in _accept_all(server, stack)]
        later = 0
        deadline = time.monotonic() + _LIMIT_S
        theirs = sum(peer in own for peer in given)
        while (
            theirs + later < SILENT and time.monotonic() < deadline
        ):  # their kernel sends again, and now there is room
            later += sum(connection.getpeername()[1] in own for connection in _accept_all(server, stack))
            time.sleep(0.005)
        return Believers(SILENT, established, half_open, sent, unconfirmed, len(given), theirs, later)


def _server(number: int, *, silent: bool = False) -> socket.socket:
    server = socket.socket()
    server.setblocking(False)
    if silent:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _UNTIL_DATA_S)
    server.bind((HOME, 0))
    server.listen(number)
    return server


def _asking(port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex((HOME, port))
    return client


def _send(client: socket.socket, data: bytes) -> int:
    try:
        return client.send(data)
    except OSError:
        return 0


def _accept_all(server: socket.socket, stack: ExitStack) -> list[socket.socket]:
    """Until there is none; they stay open as long as ``stack``."""
    found: list[socket.socket] = []
    while True:
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return found
        found.append(stack.enter_context(connection))


def _states(clients: list[socket.socket]) -> list[str]:
    return [tcp_info(client).state for client in clients]


def _settle(look: Callable[[], object], *, until: object = None) -> None:
    """Wait until what is seen has not changed for a moment, or is ``until``; not for ever."""
    deadline = time.monotonic() + _LIMIT_S
    seen, since = look(), time.monotonic()
    while (now := time.monotonic()) < deadline:
        if seen == until or (until is None and now - since >= _SETTLED_S):
            return
        time.sleep(0.002)
        again = look()
        if again != seen:
            seen, since = again, time.monotonic()


@contextmanager
def _cookies(value: int, own: bool) -> Iterator[None]:
    """Switch SYN cookies in a network of our own, and back."""
    before = sysctl(COOKIES)
    if own:
        set_sysctl(COOKIES, value)
    try:
        yield
    finally:
        if own and before is not None:
            set_sysctl(COOKIES, before)
