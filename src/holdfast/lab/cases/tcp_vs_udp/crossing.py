"""Messages, questions and what is kept, over the wire of ``relay.py``."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from holdfast.lab.cases.tcp_vs_udp.data import Crossing, Exchange, Kept, Protocol
from holdfast.lab.cases.tcp_vs_udp.relay import Relay
from holdfast.lab.private_net import FAR, NEAR, Held
from holdfast.lab.socket_counts import confirmed, kept, sent_again, unsent

MESSAGE_BYTES: Final = 1000
QUIET_S: Final = 0.3
"""After so much silence no datagram is expected any more."""
PIECES: Final = 4
LIMIT_S: Final = 60.0
CROSSING_DELAY_S: Final = 0.002
"""One way, while numbered messages cross."""


@contextmanager
def tcp_over(wire: Relay) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection over the wire, made while it is carried."""
    with socket.socket() as listener, socket.socket() as near:
        listener.bind((NEAR, 0))
        listener.listen()
        near.bind((NEAR, 0))
        near.settimeout(LIMIT_S)
        with wire.carrying():
            near.connect((FAR, listener.getsockname()[1]))
            far, _ = listener.accept()
        far.settimeout(LIMIT_S)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with far:
            yield near, far


@contextmanager
def udp_over() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two UDP sockets, each of which has the other at the far end of the wire."""
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        for end in (near, far):
            end.bind((NEAR, 0))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        near.connect((FAR, far.getsockname()[1]))
        far.connect((FAR, near.getsockname()[1]))
        yield near, far


def crossing(wire: Relay, protocol: Protocol, count: int, loss: float) -> Crossing:
    """So many numbered messages from one end to the other."""
    wire.perfect()
    wire.delay_s = CROSSING_DELAY_S
    with tcp_over(wire) if protocol == "TCP" else udp_over() as (near, far):
        wire.perfect()
        wire.loss, wire.doubling, wire.overtaking = loss, loss / 2, loss / 2
        with wire.carrying():
            result = pass_messages(near, far, protocol, count)
        again = sent_again(near) if protocol == "TCP" else 0
        counted = wire.lost, wire.doubled, wire.overtaken
        wire.perfect()
        with wire.carrying():
            near.close()
            far.close()
            time.sleep(0.02)
    wire.delay_s = 0.0
    arrived, errors, seconds = result
    return Crossing(protocol, loss, count, arrived, errors, again, *counted, seconds)


def pass_messages(
    near: socket.socket, far: socket.socket, protocol: Protocol, count: int
) -> tuple[tuple[int, ...], int, float]:
    """Numbers as they arrived, errors of the sender, and seconds until the last one had come."""
    arrived: list[int] = []
    began = time.monotonic()
    last = began

    def receive() -> None:
        nonlocal last
        far.settimeout(QUIET_S if protocol == "UDP" else LIMIT_S)
        held = b""
        try:
            while protocol == "UDP" or len(arrived) < count:
                held += far.recv(1 << 16)
                last = time.monotonic()
                while len(held) >= MESSAGE_BYTES:
                    arrived.append(struct.unpack_from(">I", held)[0])
                    held = held[MESSAGE_BYTES:]
        except TimeoutError:
            pass

    reader = threading.Thread(target=receive)
    reader.start()
    errors = 0
    for number in range(count):
        try:
            near.sendall(struct.pack(">I", number).ljust(MESSAGE_BYTES, b"."))
        except OSError:
            errors += 1
        if protocol == "UDP":
            time.sleep(0.0005)  # so that the wire loses what is lost, and not a full buffer
    reader.join()
    return tuple(arrived), errors, last - began


def what_is_kept(wire: Relay) -> tuple[Kept, ...]:
    """What the sending kernel holds, packet by packet: each is held, delivered, and confirmed by hand."""
    told: list[Kept] = []
    size = PIECES * MESSAGE_BYTES

    def note(moment: str) -> None:
        told.append(Kept("TCP", moment, size, confirmed(near), kept(near), unsent(near)))

    with tcp_over(wire) as (near, far):
        for _ in range(PIECES):
            near.send(bytes(MESSAGE_BYTES))
        segments = [wire.expect("ACK") for _ in range(PIECES)]
        note("sent, held on the wire")
        for number, segment in enumerate(segments, 1):
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            wire.deliver(segment)
            answer = _answer(wire, near.getsockname()[1])
            note(f"{number} arrived")
            wire.deliver(answer)
            _until_kept(near, size - number * MESSAGE_BYTES)
            note(f"{number} confirmed")
        with wire.carrying():
            near.close()
            far.close()
            time.sleep(0.02)
    with udp_over() as (near, _far):
        for _ in range(PIECES):
            near.send(bytes(MESSAGE_BYTES))
        for _ in range(PIECES):
            wire.take_packet()
        told.append(Kept("UDP", "sent, held on the wire", size, 0, kept(near), 0))
    return tuple(told)


def _answer(wire: Relay, port: int) -> Held:
    """The next segment to this port; what its own side may send again meanwhile is left where it is."""
    while (held := wire.expect("ACK")).segment.target_port != port:
        pass
    return held


def _until_kept(end: socket.socket, size: int) -> None:
    deadline = time.monotonic() + 1.0
    while kept(end) > size and time.monotonic() < deadline:
        time.sleep(0.0005)


def exchanges(wire: Relay, rounds: int, delay_s: float) -> tuple[Exchange, ...]:
    """A question and its answer by UDP, by TCP with a new connection each, and by TCP on an open one."""
    wire.perfect()
    wire.delay_s = delay_s
    with socket.socket() as listener, wire.carrying():
        listener.bind((NEAR, 0))
        listener.listen()
        listener.settimeout(LIMIT_S)
        made = (
            _asked_by_udp(rounds, delay_s, wire),
            _asked_by_tcp(listener, "TCP, connection made for it", rounds, delay_s, wire),
            _asked_by_tcp(listener, "TCP, open connection", rounds, delay_s, wire),
        )
    wire.delay_s = 0.0
    return made


def _asked_by_udp(rounds: int, delay_s: float, wire: Relay) -> Exchange:
    taken = []
    with udp_over() as (near, far):
        near.settimeout(LIMIT_S)
        answering = threading.Thread(target=lambda: [far.send(far.recv(100)) for _ in range(rounds)])
        answering.start()
        before = wire.packets
        for _ in range(rounds):
            began = time.monotonic()
            near.send(b"question")
            near.recv(100)
            taken.append(time.monotonic() - began)
        answering.join()
    return Exchange("UDP", 2 * delay_s, tuple(taken), (wire.packets - before) // rounds)


def _asked_by_tcp(
    listener: socket.socket,
    way: Literal["TCP, connection made for it", "TCP, open connection"],
    rounds: int,
    delay_s: float,
    wire: Relay,
) -> Exchange:
    one_each = way == "TCP, connection made for it"

    def answer() -> None:
        for _ in range(rounds if one_each else 1):
            connection, _ = listener.accept()
            with connection:
                while asked := connection.recv(100):
                    connection.send(asked)

    def ask(near: socket.socket) -> None:
        near.send(b"question")
        near.recv(100)

    address = (FAR, listener.getsockname()[1])
    answering = threading.Thread(target=answer)
    answering.start()
    taken: list[float] = []
    connected: list[float] = []
    before = wire.packets
    if one_each:
        for _ in range(rounds):
            with _asker() as near:
                began = time.monotonic()
                near.connect(address)
                connected.append(time.monotonic() - began)
                ask(near)
                taken.append(time.monotonic() - began)
            time.sleep(4 * delay_s)  # the closing is counted too
    else:
        with _asker() as near:
            near.connect(address)
            before = wire.packets
            for _ in range(rounds):
                began = time.monotonic()
                ask(near)
                taken.append(time.monotonic() - began)
    packets = wire.packets - before
    answering.join()
    time.sleep(4 * delay_s)
    return Exchange(way, 2 * delay_s, tuple(taken), packets // rounds, tuple(connected))


def _asker() -> socket.socket:
    near = socket.socket()
    near.bind((NEAR, 0))
    near.settimeout(LIMIT_S)
    return near
