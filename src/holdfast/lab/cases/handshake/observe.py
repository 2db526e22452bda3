"""Connects on the loopback, at full speed and captured, and over a wire that is carried by hand (``by_hand.py``)."""

from __future__ import annotations

import socket
import time

from holdfast.lab import private_net
from holdfast.lab.capture import Capture, may_capture
from holdfast.lab.cases.handshake import by_hand
from holdfast.lab.cases.handshake.data import Birth, Data, Early
from holdfast.lab.kernel_tables import state_of, tcp_info
from holdfast.lab.segments import Segment
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

WORD = b"hello"
HOME = "127.0.0.1"
_TRIES = 20


def observe(lab: Lab) -> Data:
    """States on both sides with any rights; segments with the right to capture; each step with a network of our own."""
    own = private_net.enter()
    if not own:
        lab.lacks(
            "a network namespace of its own",
            Text(
                "the handshake cannot be carried by hand, segment by segment; states are shown where they are caught",
                "无法逐个报文段地手工传递握手；状态只展示能捕捉到的部分",
            ),
        )
    by_wire = own and private_net.has_wire()
    if own and not by_wire:
        lab.lacks(
            "/dev/net/tun",
            Text(
                "the handshake is not carried by hand; states are shown where they are caught",
                "不手工传递握手；状态只展示能捕捉到的部分",
            ),
        )
    captured: tuple[Segment, ...] | None = None
    first_numbers: tuple[int, ...] | None = None
    captured_s: tuple[float, ...] | None = None
    if may_capture():
        captured = _capture()
        first_numbers, captured_s = _several(lab.pick(quick=6, full=12))
    else:
        lab.lacks(
            "CAP_NET_RAW",
            Text(
                "no segment is captured; states and counts come from the kernel's table and TCP_INFO",
                "没有抓取报文段；状态和计数来自内核的套接字表与 TCP_INFO",
            ),
        )
    acknowledged, segments, before_accept = _plain()
    return Data(
        own_network=own,
        births=_births(),
        port=captured[0].target_port if captured else 0,
        before_accept=before_accept,
        connect_s=tuple(_connect_s() for _ in range(lab.pick(quick=20, full=100))),
        asked=_asked(),
        early=_early(),
        acknowledged=acknowledged,
        sent=len(WORD),
        segments=segments,
        captured=captured,
        first_numbers=first_numbers,
        captured_s=captured_s,
        steps=private_net.tried(by_hand.steps) if by_wire else None,
        early_wire=private_net.tried(by_hand.early) if by_wire else None,
        forged=private_net.tried(by_hand.forged) if by_wire else None,
        fast_open=private_net.tried(by_hand.fast_open) if by_wire else None,
        simultaneous=private_net.tried(by_hand.simultaneous) if by_wire else None,
    )


def _births() -> tuple[Birth, ...]:
    """What a server's socket is after each of its calls."""
    with socket.socket() as server:
        seen = [Birth("socket()", tcp_info(server).state)]
        server.bind((HOME, 0))
        seen.append(Birth("bind()", tcp_info(server).state))
        server.listen(5)
        seen.append(Birth("listen()", tcp_info(server).state))
        with socket.create_connection(server.getsockname()):
            seen.append(Birth("(a client has connected)", tcp_info(server).state))
            connection, _ = server.accept()
            with connection:
                seen.append(Birth("accept()", tcp_info(server).state))
                seen.append(Birth("→ the new socket", tcp_info(connection).state))
    return tuple(seen)


def _connect_s() -> float:
    with _server() as server, socket.socket() as client:
        began = time.perf_counter()
        client.connect(server.getsockname())
        return time.perf_counter() - began


def _plain() -> tuple[tuple[int, int], int, tuple[str, str]]:
    """What the client's kernel counts, and the states of both sides before anybody has accepted."""
    with _server() as server, socket.create_connection(server.getsockname()) as client:
        port, own = server.getsockname()[1], client.getsockname()[1]
        before = (state_of(own, port), state_of(port, own))
        first = tcp_info(client)
        connection, _ = server.accept()
        with connection:
            client.sendall(WORD)
            connection.recv(len(WORD), socket.MSG_WAITALL)
            deadline = time.monotonic() + 2
            while tcp_info(client).acknowledged <= first.acknowledged and time.monotonic() < deadline:
                time.sleep(0.001)
            counted = (first.acknowledged, tcp_info(client).acknowledged)
    return counted, first.segments_out + first.segments_in, before


def _asked() -> str:
    """The state of a client whose request finds no room: a queue of one place is full, so its SYN is thrown away."""
    clients: list[socket.socket] = []
    with socket.socket() as server:
        server.bind((HOME, 0))
        server.listen(0)
        state = ""
        try:
            while state != "SYN_SENT" and len(clients) < _TRIES:
                client = socket.socket()
                clients.append(client)
                client.setblocking(False)
                client.connect_ex(server.getsockname())
                state = tcp_info(client).state
        finally:
            for client in clients:
                client.close()
    return state


def _early() -> Early:
    """The client may keep its ACK for data that go along (at most 200 ms); until then the server has no connection.

    Without ``TCP_QUICKACK`` the kernel takes the connection for one of questions and answers, and waits.
    """
    for _ in range(_TRIES):
        with _server() as server, socket.socket() as client:
            server.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            client.connect(server.getsockname())
            port, own = server.getsockname()[1], client.getsockname()[1]
            states = tcp_info(client).state, state_of(port, own)
            before = private_net.accepted(server)
            if before is not None and states[1] != "SYN_RECV":  # held up for longer than its ACK may wait
                before.close()
                continue
            taken = client.send(WORD)
            connection = before or private_net.accepted(server, 2.0)
            if connection is None:
                continue
            with connection:
                connection.settimeout(2)
                client.settimeout(2)
                after = tcp_info(connection).state
                read = len(connection.recv(100))
                out = tcp_info(client).segments_out
                connection.sendall(WORD)
                answered = len(client.recv(100))
            return Early(*states, before is not None, taken, after, read, answered, out)
    raise TimeoutError("the client's ACK never waited long enough to look at both sides")


def _capture() -> tuple[Segment, ...] | None:
    """Connect and send a word; everything up to the server's confirmation of it. None: it did not all come in time."""
    with _server() as server, Capture(server.getsockname()[1]) as capture:
        with socket.create_connection(server.getsockname()) as client:
            connection, _ = server.accept()
            with connection:
                client.sendall(WORD)
                connection.recv(len(WORD), socket.MSG_WAITALL)

                def whole(seen: tuple[Segment, ...]) -> bool:
                    return any(not one.has("SYN") and one.source_port == capture.port for one in seen)

                seen = capture.until(whole)
                return seen if whole(seen) else None


def _several(count: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Where the clients start to count, and how long each handshake took."""
    with _server() as server, Capture(server.getsockname()[1]) as capture:
        for _ in range(count):
            socket.create_connection(server.getsockname()).close()

        def handshakes(seen: tuple[Segment, ...]) -> list[tuple[Segment, Segment]]:
            firsts: dict[int, list[Segment]] = {}
            for one in seen:
                if one.target_port == capture.port:
                    firsts.setdefault(one.source_port, []).append(one)
            return [(ours[0], ours[1]) for ours in firsts.values() if len(ours) > 1 and ours[0].has("SYN")]

        pairs = handshakes(capture.until(lambda seen: len(handshakes(seen)) >= count))
    return tuple(asked.seq for asked, _ in pairs), tuple(last.at_s - asked.at_s for asked, last in pairs)


def _server() -> socket.socket:
    server = socket.socket()
    server.bind((HOME, 0))
    server.listen(16)
    return server
