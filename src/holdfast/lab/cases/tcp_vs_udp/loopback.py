"""What shows on a plain loopback: speed in bulk, readers that are slow or gone, a port that nobody has."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from holdfast.lab.cases.tcp_vs_udp.crossing import MESSAGE_BYTES, pass_messages
from holdfast.lab.cases.tcp_vs_udp.data import Bulk, Crossing, Exchange, Kept, Protocol, Unread
from holdfast.lab.socket_counts import confirmed, connected_pair, kept, unread, unsent, until_unread

WRITES: Final = (1400, 60_000)
"""A datagram that fits into one packet of an Ethernet, and one that a loopback still takes."""
BURST: Final = 2000
_REPORT: Final = struct.Struct("@Qd")
_ROOM_BYTES: Final = 1 << 20
_QUIET_S: Final = 0.2


def bulks(size: int, rounds: int) -> tuple[Bulk, ...]:
    """As much as possible by TCP and UDP, in writes of equal size, to a process of its own."""
    made = []
    for write in WRITES:
        for protocol, push in (("TCP", _push_tcp), ("UDP", _push_udp)):
            came = [push(write, size // write) for _ in range(rounds)]
            made.append(
                Bulk(
                    protocol,  # type: ignore[arg-type]
                    write,
                    size // write * write,
                    tuple(arrived for arrived, _ in came),
                    tuple(seconds for _, seconds in came),
                )
            )
    return tuple(made)


def _push_tcp(write: int, count: int) -> tuple[int, float]:
    near, far = connected_pair()
    with near, far:
        return _push(near, far, write, count)


def _push_udp(write: int, count: int) -> tuple[int, float]:
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        near.connect(far.getsockname())
        return _push(near, far, write, count)


def _push(near: socket.socket, far: socket.socket, write: int, count: int) -> tuple[int, float]:
    """Bytes that arrived, and seconds from the first write to the last read."""
    report, out = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            near.close()
            os.write(out, _REPORT.pack(*_drain(far)))
        finally:
            os._exit(0)
    os.close(out)
    far.close()
    data = bytes(write)
    for _ in range(count):
        near.sendall(data)
    near.close()
    told = os.read(report, _REPORT.size)
    os.close(report)
    os.waitpid(pid, 0)
    arrived, last = _REPORT.unpack(told)
    return arrived, last - began


def _drain(far: socket.socket) -> tuple[int, float]:
    """Bytes until the end of the stream or a silence, and when the last of them were read."""
    room = bytearray(_ROOM_BYTES)
    arrived, last = 0, time.monotonic()
    far.settimeout(_QUIET_S)
    with suppress(TimeoutError):
        while size := far.recv_into(room):
            arrived, last = arrived + size, time.monotonic()
    return arrived, last


def not_read_in_time() -> int:
    """Of a burst to a receiver that is not reading: how many datagrams its buffer had no room for."""
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        near.connect(far.getsockname())
        for _ in range(BURST):
            near.send(bytes(MESSAGE_BYTES))
        came = 0
        far.setblocking(False)
        with suppress(BlockingIOError):
            while far.recv(1 << 16):
                came += 1
    return BURST - came


def confirmed_and_not_read() -> Unread:
    """The other side's program ends without having read what its kernel has confirmed."""
    near, far = connected_pair()
    with near, far:
        near.send(bytes(MESSAGE_BYTES))
        until_unread(far, MESSAGE_BYTES)
        _until(lambda: kept(near) == 0)
        acknowledged = confirmed(near)
        far.close()
        told = ""
        try:
            near.settimeout(2.0)
            near.recv(1)
        except OSError as caught:
            told = f"{type(caught).__name__}: {caught.strerror}"
    return Unread(MESSAGE_BYTES, acknowledged, 0, told)


def refused() -> tuple[str, ...]:
    """Two datagrams to a port that nobody has."""
    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
    told = []
    with socket.socket(type=socket.SOCK_DGRAM) as near:
        near.connect(address)
        for _ in range(2):
            try:
                near.send(b"anybody?")
                told.append("")
            except OSError as caught:
                told.append(type(caught).__name__)
            time.sleep(0.02)
    return tuple(told)


# --- the lesser form, for machines without a private wire ------------------------------------------------------------


def kept_before_a_full_reader() -> tuple[Kept, ...]:
    """What the sender's kernel keeps while the receiver's buffer is full, and when the receiver has read."""
    near, far = connected_pair()
    with near, far:
        near.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += near.send(bytes(1 << 16))
        time.sleep(0.1)
        first = Kept("TCP", "receiver full", sent, confirmed(near), kept(near), unsent(near))
        got = 0
        while got < sent:
            got += len(far.recv(1 << 20))
        _until(lambda: kept(near) == 0)
        told = [first, Kept("TCP", "all read", sent, confirmed(near), kept(near), unsent(near))]
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        near.connect(far.getsockname())
        near.send(bytes(MESSAGE_BYTES))
        # The loopback charges a datagram to its sender until it has been put into the other socket's buffer.
        _until(lambda: unread(far) > 0)
        told.append(Kept("UDP", "sent, not read", MESSAGE_BYTES, 0, kept(near), 0))
    return tuple(told)


def crossing_by_proxy(protocol: Protocol, count: int, loss: float, dice: random.Random) -> Crossing:
    """UDP through a program that drops datagrams; TCP without loss, since no program above it can make any."""
    if protocol == "TCP":
        near, far = connected_pair()
        with near, far:
            arrived, errors, seconds = pass_messages(near, far, "TCP", count)
        return Crossing("TCP", 0.0, count, arrived, errors, 0, 0, 0, 0, seconds)
    lost = 0
    with (
        socket.socket(type=socket.SOCK_DGRAM) as near,
        socket.socket(type=socket.SOCK_DGRAM) as middle,
        socket.socket(type=socket.SOCK_DGRAM) as far,
    ):
        for end in (middle, far):
            end.bind(("127.0.0.1", 0))
        near.connect(middle.getsockname())

        def pass_on() -> None:
            nonlocal lost
            while datagram := middle.recv(1 << 16):
                if dice.random() < loss:
                    lost += 1
                else:
                    middle.sendto(datagram, far.getsockname())

        relay = threading.Thread(target=pass_on)
        relay.start()
        arrived, errors, seconds = pass_messages(near, far, "UDP", count)
        near.send(b"")
        relay.join()
    return Crossing("UDP", loss, count, arrived, errors, 0, lost, 0, 0, seconds)


def exchanges_on_loopback(rounds: int) -> tuple[Exchange, ...]:
    """A question and its answer, with and without a new connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(type=socket.SOCK_DGRAM) as server,
        socket.socket(type=socket.SOCK_DGRAM) as asker,
    ):
        server.bind(("127.0.0.1", 0))
        asker.connect(server.getsockname())

        def by_udp() -> None:
            asker.send(b"question")
            server.sendto(*server.recvfrom(100))
            asker.recv(100)

        def by_new_connection() -> None:
            with socket.create_connection(listener.getsockname()) as near:
                far, _ = listener.accept()
                with far:
                    _ask(near, far)

        near, far = connected_pair()
        with near, far:
            return (
                Exchange("UDP", 0.0, _timed(by_udp, rounds), 0),
                Exchange("TCP, connection made for it", 0.0, _timed(by_new_connection, rounds), 0),
                Exchange("TCP, open connection", 0.0, _timed(lambda: _ask(near, far), rounds), 0),
            )


def _ask(near: socket.socket, far: socket.socket) -> None:
    near.send(b"question")
    far.send(far.recv(100))
    near.recv(100)


def _timed(ask: Callable[[], None], rounds: int) -> tuple[float, ...]:
    taken = []
    for _ in range(rounds):
        began = time.monotonic()
        ask()
        taken.append(time.monotonic() - began)
    return tuple(taken)


def _until(done: Callable[[], bool], limit_s: float = 1.0) -> None:
    deadline = time.monotonic() + limit_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.001)
