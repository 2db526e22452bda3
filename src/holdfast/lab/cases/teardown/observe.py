"""Ends connections in every way, on the loopback and over a wire that is carried by hand (``by_hand.py``)."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.lab import private_net
from holdfast.lab.capture import Capture, may_capture
from holdfast.lab.cases.teardown import by_hand
from holdfast.lab.cases.teardown.data import Abrupt, Data, Gone, Half, Moment, Pause
from holdfast.lab.kernel_tables import state_of, table, tcp_info
from holdfast.lab.segments import Segment
from holdfast.lab.text import Text
from holdfast.lab.workbench import Lab

HOME = "127.0.0.1"
PIECE = b"x" * 1000
PIECES = 5
PAUSES_S = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
_LIMIT_S = 3.0
_SMALL = 4096


def observe(lab: Lab) -> Data:
    """Counts and states with any rights; segments with the right to capture; each step with a network of our own."""
    own = private_net.enter()
    if not own:
        lab.lacks(
            "a network namespace of its own",
            Text(
                "the close cannot be carried by hand, and CLOSING is not shown; the other states are made to last",
                "无法手工传递断开过程，也看不到 CLOSING；其余状态用别的办法让它们停住",
            ),
        )
    by_wire = own and private_net.has_wire()
    if own and not by_wire:
        lab.lacks(
            "/dev/net/tun",
            Text("the close is not carried by hand, and CLOSING is not shown", "不手工传递断开过程，也看不到 CLOSING"),
        )
    captures = may_capture()
    if not captures:
        lab.lacks(
            "CAP_NET_RAW",
            Text(
                "no segment is captured; they are counted by the kernel (TCP_INFO)",
                "没有抓取报文段；数目由内核统计（TCP_INFO）",
            ),
        )
    with _server() as server:
        port = server.getsockname()[1]
        ends = Ends(server, captures)
        at_once = [_closed_after(ends, 0.0) for _ in range(lab.pick(quick=20, full=60))]
        return Data(
            own_network=own,
            port=port if captures else 0,
            half=_half(ends),
            at_once=tuple(count for count, _, _ in at_once),
            at_once_captured=at_once[0][2],
            at_once_end=at_once[0][1],
            time_wait_s=max(
                (e.timer_s for e in table() if e.state == "TIME_WAIT" and e.remote_port == port), default=0
            ),
            pauses=tuple(
                Pause(pause, tuple(_closed_after(ends, pause)[0] for _ in range(lab.pick(quick=3, full=8))))
                for pause in PAUSES_S
            ),
            reset=_abrupt(ends, unread=False),
            unread=_abrupt(ends, unread=True),
            gone=_gone(ends),
            stuck=_stuck(),
            four=private_net.tried(by_hand.four) if by_wire else None,
            three=private_net.tried(by_hand.three) if by_wire else None,
            crossing=private_net.tried(by_hand.crossing) if by_wire else None,
            one=private_net.tried(by_hand.one) if by_wire else None,
        )


class Ends:
    """Connects clients to one server, and captures what they say if that is allowed."""

    def __init__(self, server: socket.socket, captures: bool) -> None:
        self._server = server
        self._captures = captures

    @contextmanager
    def connected(self) -> Iterator[tuple[socket.socket, socket.socket, Callable[[], tuple[Segment, ...] | None]]]:
        """Client, server, and what was captured from now on."""
        with socket.create_connection(self._server.getsockname()) as client:
            server, _ = self._server.accept()
            with server:
                client.settimeout(_LIMIT_S)
                server.settimeout(_LIMIT_S)
                client.sendall(b"question")
                server.recv(100)
                server.sendall(b"answer")
                client.recv(100)
                _still(client, server)
                if not self._captures:
                    yield client, server, lambda: None
                    return
                with Capture(self._server.getsockname()[1]) as capture:
                    yield client, server, capture.segments


def _half(ends: Ends) -> Half:
    """The client closes its direction; the server sends a few pieces, then closes too."""
    with ends.connected() as (client, server, captured):
        look = _looker(client, server)
        before = _segments(client, server)
        client.shutdown(socket.SHUT_WR)
        server.recv(1)
        middle = _until(lambda: look("one direction is closed"), "FIN_WAIT_2", "CLOSE_WAIT")
        first = _segments(client, server) - before
        flowed = 0
        for _ in range(PIECES):
            server.sendall(PIECE)
            flowed += len(client.recv(len(PIECE), socket.MSG_WAITALL))
        _still(client, server)
        before = _segments(client, server)
        server.shutdown(socket.SHUT_WR)
        client.recv(1)
        end = _until(lambda: look("both are closed"), "TIME_WAIT", "CLOSED")
        return Half(middle, flowed, first, _segments(client, server) - before, end, captured())


def _closed_after(ends: Ends, pause_s: float) -> tuple[int, Moment, tuple[Segment, ...] | None]:
    """The client closes; the server reads that, waits, and closes."""
    with ends.connected() as (client, server, captured):
        look = _looker(client, server)
        before = _segments(client, server)
        client.shutdown(socket.SHUT_WR)
        server.recv(1)
        if pause_s:
            time.sleep(pause_s)
        server.shutdown(socket.SHUT_WR)
        client.recv(1)
        end = _until(lambda: look("both are closed"), "TIME_WAIT", "CLOSED")
        return _segments(client, server) - before, end, captured()


def _abrupt(ends: Ends, *, unread: bool) -> Abrupt:
    with ends.connected() as (client, server, captured):
        look = _looker(client, server)
        if unread:
            server.sendall(b"never read")
            _still(client, server)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, by_hand.NO_LINGER)
        before = tcp_info(server).segments_in
        client.close()
        error = _error(lambda: server.recv(1))
        end = _until(lambda: look("one has closed"), "CLOSED", "CLOSED")
        return Abrupt(tcp_info(server).segments_in - before, error, end, captured())


def _gone(ends: Ends) -> Gone:
    """The client is gone altogether, and the server writes twice."""
    with ends.connected() as (client, server, captured):
        client.close()
        read = _error(lambda: server.recv(1)) or "end"
        before = tcp_info(server).segments_in
        first = _error(lambda: server.send(PIECE))
        deadline = time.monotonic() + _LIMIT_S
        while tcp_info(server).state != "CLOSED" and time.monotonic() < deadline:
            time.sleep(0.001)
        resets = tcp_info(server).segments_in - before if tcp_info(server).state == "CLOSED" else 0
        return Gone(read, first, _error(lambda: server.send(PIECE)), resets, captured())


def _stuck() -> tuple[Moment, ...]:
    """A FIN goes behind the data before it; while nobody reads those, the state after the call can be looked at."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        listener.bind((HOME, 0))
        listener.listen(1)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            listener.close()
            with server:
                look = _looker(client, server)
                seen = [look("connected")]
                _fill(client)
                client.shutdown(socket.SHUT_WR)
                seen.append(look("client: shutdown, its FIN behind unread data"))
                _drain(server)
                seen.append(_until(lambda: look("server: has read all"), "FIN_WAIT_2", "CLOSE_WAIT"))
                _fill(server)
                server.shutdown(socket.SHUT_WR)
                seen.append(look("server: shutdown, its FIN behind unread data"))
                _drain(client)
                seen.append(_until(lambda: look("client: has read all"), "TIME_WAIT", "CLOSED"))
    return tuple(seen)


def _fill(connection: socket.socket) -> None:
    """Write until neither side's kernel takes any more."""
    connection.setblocking(False)
    refused = 0
    while refused < 3:
        try:
            connection.send(PIECE)
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.005)
    connection.settimeout(_LIMIT_S)


def _drain(connection: socket.socket) -> None:
    connection.settimeout(_LIMIT_S)
    while connection.recv(1 << 16):
        pass


def _server() -> socket.socket:
    server = socket.socket()
    server.bind((HOME, 0))
    server.listen(16)
    return server


def _segments(client: socket.socket, server: socket.socket) -> int:
    """Segments that have arrived at either end so far."""
    return tcp_info(client).segments_in + tcp_info(server).segments_in


def _still(client: socket.socket, server: socket.socket) -> None:
    """Wait until all data are confirmed: nothing more is to come by itself."""
    deadline = time.monotonic() + _LIMIT_S
    while (tcp_info(client).waiting or tcp_info(server).waiting) and time.monotonic() < deadline:
        time.sleep(0.001)


def _looker(client: socket.socket, server: socket.socket) -> Callable[[str], Moment]:
    """Tells the states of both ends from the kernel's table, also when their sockets are closed."""
    own, port = client.getsockname()[1], server.getsockname()[1]
    return lambda what: Moment(what, state_of(own, port) or "CLOSED", state_of(port, own) or "CLOSED")


def _until(look: Callable[[], Moment], client: str, server: str) -> Moment:
    """Look until the states are these, or the time is over; what was seen last."""
    deadline = time.monotonic() + _LIMIT_S
    while ((seen := look()).client, seen.server) != (client, server) and time.monotonic() < deadline:
        time.sleep(0.001)
    return seen


def _error(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return ""
