"""The load generator: thousands of connections of one process, some asking all the time, the others idle.

It runs in a process of its own (``python -m holdfast.lab.load ORDER``) and speaks ``holdfast/1`` from templates: a
connection costs a socket and a few numbers, no protocol core. Every answer is compared with what was asked.

Dialogue with who started it: it connects, prints a ``Ready`` line, waits for a line, loads for as long as ordered,
prints an ``Outcome`` line, and holds its connections until its standard input ends. In between the server can be
looked at.
"""

from __future__ import annotations

import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from holdfast.lab.measure import ECHO, READ_BYTES, echo_upper
from holdfast.wire.endpoint import Endpoint
from holdfast.wire.frames import FrameType
from holdfast.wire.limits import PREFIX_BYTES
from holdfast.wire.link import Link
from holdfast.wire.messages import Hello
from holdfast.wire.phases import Role

T = TypeVar("T")

AT_ONCE: Final = 200
"""Connections that may be on their way at the same time: fewer than any listener's queue holds."""
PERCENTILES: Final = (50.0, 99.0, 99.9)
_STREAM: Final = slice(12, 16)


class Order(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    connections: int
    active: int
    """So many of them ask, each again as soon as it has its answer; the others are silent."""
    seconds: float
    connect_s: float = 20.0
    """Who was not greeted by then is counted as not served."""
    drain_s: float = 2.0
    """Who has asked when the time is over is waited for so long: else the slowest would be missing in the figures."""
    payload: str = "a line of text to be told in capital letters"


class Ready(msgspec.Struct, frozen=True):
    """All who could be connected are."""

    connected: int
    """The kernel has accepted so many for the server."""
    served: int
    """The server itself has answered so many."""
    seconds: float


class Outcome(msgspec.Struct, frozen=True):
    """What came of it."""

    seconds: float
    in_time: int
    """Right answers within that time."""
    answers: int
    """Right answers in all, with those that were still on their way then."""
    unanswered: int
    """Questions without an answer even so; as delays they count with the time that they have waited."""
    wrong: int
    """Answers that were not what was asked for."""
    lost: int
    """Connections that ended."""
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    slowest_ms: float
    cpu_s: float
    """Processor time of the generator itself."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.in_time / self.seconds if self.seconds else 0.0


class Template:
    """The frames of one client, as the protocol core writes them."""

    def __init__(self, payload: bytes) -> None:
        now = time.monotonic()
        link = Link(Role.CLIENT, now=now, hello=Hello(lowest=1, highest=1, instance="0" * 32))
        server = Endpoint(echo_upper, now=now)
        self.hello = bytes(link.data_to_send())
        welcome = server.feed(self.hello, now)
        link.receive_data(welcome, now=now)
        link.request(ECHO, payload)
        self.request = bytearray(link.data_to_send())
        self.answer = payload.upper()
        self.welcome_bytes = len(welcome)
        self.answer_bytes = len(server.feed(bytes(self.request), now))

    def ask(self, stream: int) -> bytes:
        """The request on another stream."""
        self.request[_STREAM] = stream.to_bytes(4, "big")
        return bytes(self.request)


class Client:
    """One connection."""

    __slots__ = ("asked", "greeted", "held", "socket", "stream")

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))
        self.greeted = False
        self.held = b""
        self.stream = -1
        self.asked = 0.0

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Type and bytes of each whole frame that is there.

        Raises:
            ConnectionError: it has ended.
        """
        data = self.held + self.socket.recv(READ_BYTES)
        if len(data) == len(self.held):
            raise ConnectionError("the server has closed the connection")
        at = 0
        while len(data) - at >= PREFIX_BYTES:
            size = PREFIX_BYTES + sum(int.from_bytes(data[at + k : at + k + 4], "big") for k in (4, 8))
            if len(data) - at < size:
                break
            yield data[at + 1], data[at : at + size]
            at += size
        self.held = data[at:]


class Load:
    """All connections of one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._template = Template(order.payload.encode())
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._lost = self._wrong = 0
        self._latencies: list[float] = []
        self._active: set[int] = set()
        """Those whose question has no answer yet."""
        self._again = True

    def connect(self) -> Ready:
        """Connect all, at most ``AT_ONCE`` at a time, and greet the server."""
        began = time.monotonic()
        until = began + self._order.connect_s
        connected: set[int] = set()
        greeted = 0
        while greeted + self._lost < self._order.connections and time.monotonic() < until:
            while len(self._clients) < self._order.connections and len(self._clients) - len(connected) < AT_ONCE:
                client = Client(self._order.port)
                self._clients[client.socket.fileno()] = client
                self._poll.register(client.socket, select.EPOLLOUT)
            for fd, _ in self._poll.poll(0.1):
                client = self._clients[fd]
                try:
                    if fd not in connected:
                        client.socket.send(self._template.hello)
                        connected.add(fd)
                        self._poll.modify(fd, select.EPOLLIN)
                    elif any(kind == FrameType.WELCOME for kind, _ in client.frames()):
                        client.greeted = True
                        greeted += 1
                except OSError:
                    self._lose(fd)
                    connected.discard(fd)
        return Ready(len(connected), greeted, time.monotonic() - began)

    def run(self) -> Outcome:
        """Ask, for as long as ordered."""
        greeted = [fd for fd, client in self._clients.items() if client.greeted]
        self._active = set(greeted[: self._order.active])
        self._lost = 0
        used = _cpu_s()
        began = time.monotonic()
        until = began + self._order.seconds
        for fd in list(self._active):
            self._ask(fd)
        self._answer_until(until)
        seconds, in_time = time.monotonic() - began, len(self._latencies) - self._wrong
        self._again = False
        self._answer_until(until + self._order.drain_s)
        answers, now = len(self._latencies) - self._wrong, time.perf_counter()
        ordered = sorted(self._latencies + [now - self._clients[fd].asked for fd in self._active])
        p50, p99, p99_9 = (percentile(ordered, share) * 1e3 for share in PERCENTILES)
        return Outcome(
            seconds=seconds,
            in_time=in_time,
            answers=answers,
            unanswered=len(self._active),
            wrong=self._wrong,
            lost=self._lost,
            p50_ms=p50,
            p99_ms=p99,
            p99_9_ms=p99_9,
            slowest_ms=ordered[-1] * 1e3 if ordered else 0.0,
            cpu_s=_cpu_s() - used,
        )

    def _answer_until(self, until: float) -> None:
        """Take what comes, until then or until nobody waits for an answer."""
        while self._active and (now := time.monotonic()) < until:
            for fd, _ in self._poll.poll(until - now):
                try:
                    self._take(fd)
                except OSError:
                    self._lose(fd)

    def _ask(self, fd: int) -> None:
        client = self._clients[fd]
        client.stream += 2
        client.asked = time.perf_counter()
        client.socket.send(self._template.ask(client.stream))

    def _take(self, fd: int) -> None:
        client = self._clients[fd]
        for kind, frame in client.frames():
            if kind == FrameType.PING:
                client.socket.send(frame[:1] + bytes([FrameType.PONG]) + frame[2:])
            elif fd in self._active:
                self._latencies.append(time.perf_counter() - client.asked)
                right = kind == FrameType.RES and frame.endswith(self._template.answer)
                self._wrong += not (right and frame[_STREAM] == client.stream.to_bytes(4, "big"))
                if self._again:
                    self._ask(fd)
                else:
                    self._active.discard(fd)

    def _lose(self, fd: int) -> None:
        self._lost += 1
        self._active.discard(fd)
        self._clients.pop(fd).socket.close()


def percentile(ordered: list[float], share: float) -> float:
    """The value below which so many percent of the others lie; 0 of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


class LoadProcess:
    """A generator in a process of its own, step by step."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._process = subprocess.Popen(
            [sys.executable, "-m", "holdfast.lab.load", msgspec.json.encode(order).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ready(self) -> Ready:
        """Wait until all are connected."""
        return self._heard(Ready)

    def run(self) -> Outcome:
        """Let it ask, and wait until that is over; the connections stay."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._heard(Outcome)

    def _heard(self, kind: type[T]) -> T:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        return msgspec.json.decode(line, type=kind)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(order_text: str) -> None:
    """The generator's process."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(msgspec.json.decode(order_text, type=Order))
    print(msgspec.json.encode(load.connect()).decode(), flush=True)
    if sys.stdin.readline():
        print(msgspec.json.encode(load.run()).decode(), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
