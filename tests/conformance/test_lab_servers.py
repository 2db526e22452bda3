"""One suite for all servers of the lab: the same service, whatever way of waiting is behind it.

The clients are the protocol core on a socket of their own, once blocking and once on asyncio. Each test must leave the
server with the descriptors that it had before.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final, Self

import pytest

from holdfast.lab import measure, proc, serving
from holdfast.lab.serve_pool import THREADS
from holdfast.wire.frames import FrameType
from holdfast.wire.limits import CONTROL_BYTES, HELLO_DEADLINE_S
from holdfast.wire.link import Answered, Link, LinkClosed, Role, Welcomed
from holdfast.wire.messages import Hello

HELLO: Final = Hello(lowest=1, highest=1, instance="0" * 32)
ONE_AT_A_TIME: Final = ("blocking",)
LIMIT_S: Final = 15.0
"""Nothing here takes so long; a test that waits for it has failed."""
LARGEST: Final = CONTROL_BYTES
"""The most that an answer may hold."""
SHORT_CLOCK: Final = """
import sys
from holdfast.wire import limits
limits.HELLO_DEADLINE_S, limits.HEARTBEAT_S, limits.SILENCE_S = 1.0, 0.4, 1.5
from holdfast.lab import serving
serving.main(sys.argv[1])
"""
"""A server whose peers may be silent for a second and a half."""


class Client:
    """The blocking driver: a link over a socket, ``piece`` bytes at a time."""

    def __init__(self, port: int, piece: int = measure.READ_BYTES) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = Link(Role.CLIENT, now=time.monotonic(), hello=HELLO)
        self._piece = piece
        self._answers: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def greet(self) -> Self:
        """Say hello, and wait for the welcome."""
        self._write()
        while self.link.welcomed is None:
            self._read()
        return self

    def ask(self, bodies: Sequence[bytes]) -> list[bytes]:
        """All of them at once, and the answers in the order of the questions."""
        if self.link.welcomed is None:
            self.greet()
        streams = [self.link.request(measure.ECHO, body) for body in bodies]
        self._write()
        while any(stream not in self._answers for stream in streams):
            self._read()
        return [self._answers.pop(stream) for stream in streams]

    def reset(self) -> None:
        """Break off: the server gets a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def take(self, data: bytes) -> None:
        """Let the link have what has come.

        Raises:
            ConnectionError: it is over.
        """
        self.link.receive_data(data, now=time.monotonic())
        while (event := self.link.next_event()) is not None:
            match event:
                case Answered():
                    self._answers[event.stream] = event.body
                case LinkClosed():
                    raise ConnectionError(event.text)
                case _:
                    assert isinstance(event, Welcomed), event

    def read_to_the_end(self) -> None:
        """Take all that comes until it is over, which is told by a ``ConnectionError``."""
        while True:
            self.take(self.socket.recv(measure.READ_BYTES))

    def taken(self) -> list[bytes]:
        """Answers so far, by stream."""
        return [self._answers[stream] for stream in sorted(self._answers)]

    def _write(self) -> None:
        out = self.link.data_to_send()
        for start in range(0, len(out), self._piece):
            self.socket.sendall(out[start : start + self._piece])

    def _read(self) -> None:
        self.take(self.socket.recv(measure.READ_BYTES))
        self._write()


async def ask_async(port: int, bodies: Sequence[bytes]) -> list[bytes]:
    """The asyncio driver: one client from beginning to end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Link(Role.CLIENT, now=time.monotonic(), hello=HELLO)
    streams: list[int] = []
    answers: dict[int, bytes] = {}
    while len(answers) < len(bodies):
        writer.write(client.data_to_send())
        await writer.drain()
        client.receive_data(await reader.read(measure.READ_BYTES), now=time.monotonic())
        while (event := client.next_event()) is not None:
            if isinstance(event, Welcomed):
                streams = [client.request(measure.ECHO, body) for body in bodies]
            else:
                assert isinstance(event, Answered), event
                answers[event.stream] = event.body
    writer.close()
    await writer.wait_closed()
    return [answers[stream] for stream in streams]


def bodies(name: object, count: int = 5, size: int = 100) -> list[bytes]:
    """So many different things to ask."""
    return [f"client {name} line {number} ".encode() * size for number in range(count)]


def upper(asked: Sequence[bytes]) -> list[bytes]:
    """What is to be answered."""
    return [body.upper() for body in asked]


def serves(server: serving.Server) -> None:
    """Somebody who comes now is served."""
    with Client(server.port) as client:
        assert client.ask([b"is anybody there?"]) == [b"IS ANYBODY THERE?"]


def held(server: serving.Server) -> tuple[int, int]:
    """Descriptors that the server has open, and its processes."""
    return len(os.listdir(f"/proc/{server.pid}/fd")), 1 + len(proc.descendants(server.pid))


def is_there(group: int) -> bool:
    """Whether any process of a group is left; a dead one is, until whoever inherited it has buried it."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def is_free(port: int) -> bool:
    """Whether nobody listens there; the kernel takes a ring apart some time after its process has ended."""
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture(scope="module", params=serving.MODELS)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, serving.Server, tuple[int, int]]]:
    """A model, its server, and what that holds at rest; its port is free afterwards, and nothing of it is left."""
    model = str(request.param)
    if (why := serving.available(model)) is not None:
        pytest.skip(why)
    with serving.started(model) as server:
        serves(server)
        rest = held(server)
        for _ in range(10):  # until it has seen that the first client has gone
            time.sleep(0.01)
            rest = min(rest, held(server))
        yield model, server, rest
    until = time.monotonic() + LIMIT_S
    while not is_free(server.port) or is_there(server.pid):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def model(running: tuple[str, serving.Server, tuple[int, int]]) -> str:
    """Its name."""
    return running[0]


@pytest.fixture
def server(running: tuple[str, serving.Server, tuple[int, int]]) -> Iterator[serving.Server]:
    """A server that is to have no more descriptors and processes after the test than at rest, and to serve others."""
    _, server, rest = running
    yield server
    until = time.monotonic() + LIMIT_S
    while (after := held(server)) > rest and time.monotonic() < until:
        time.sleep(0.01)
    assert after <= rest, "descriptors and processes"
    assert server.process.poll() is None
    serves(server)


# --- those who behave ------------------------------------------------------------------------------------------------


def test_one_asks_and_is_answered(server: serving.Server) -> None:
    with Client(server.port) as client:
        for number in range(20):
            asked = bodies(number, count=1)
            assert client.ask(asked) == upper(asked)


def test_many_at_once(model: str, server: serving.Server) -> None:
    clients = 40

    def talk(number: int) -> bool:
        asked = bodies(number, count=10)
        with Client(server.port) as client:
            return client.ask(asked) == upper(asked) and client.ask(asked) == upper(asked)

    with ThreadPoolExecutor(1 if model in ONE_AT_A_TIME else clients) as threads:
        assert list(threads.map(talk, range(clients))) == [True] * clients


def test_many_coroutines(server: serving.Server) -> None:
    async def all_of_them() -> list[list[bytes]]:
        return await asyncio.gather(*(ask_async(server.port, bodies(number)) for number in range(40)))

    assert asyncio.run(all_of_them()) == [upper(bodies(number)) for number in range(40)]


def test_frames_byte_by_byte(server: serving.Server) -> None:
    asked = bodies("slow", count=3, size=1)
    with Client(server.port, piece=1) as client:
        assert client.ask(asked) == upper(asked)


def test_hundreds_of_requests_in_one_go(server: serving.Server) -> None:
    asked = bodies("eager", count=500, size=5)
    with Client(server.port) as client:
        assert client.ask(asked) == upper(asked)


def test_who_reads_late_gets_everything(server: serving.Server) -> None:
    """More than the kernel's buffers hold is on its way before the first byte is read; nothing is lost or mixed up."""
    asked = [bytes([97 + number]) * LARGEST for number in range(20)]
    with Client(server.port) as client, selectors.DefaultSelector() as selector:
        client.greet()
        for body in asked:
            client.link.request(measure.ECHO, body)
        out = memoryview(client.link.data_to_send())
        out = out[_push(client.socket, out) :]
        client.socket.setblocking(False)
        until = time.monotonic() + LIMIT_S
        while len(client.taken()) < len(asked) and time.monotonic() < until:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if out else 0)
            selector.register(client.socket, wanted)
            for _, ready in selector.select(LIMIT_S):
                if ready & selectors.EVENT_WRITE:
                    out = out[client.socket.send(out) :]
                if ready & selectors.EVENT_READ:
                    client.take(client.socket.recv(1 << 20))
            selector.unregister(client.socket)
        assert client.taken() == upper(asked)


def _push(conn: socket.socket, data: memoryview, patience_s: float = 0.15) -> int:
    """Send as much as is taken; gives how much that was."""
    sent = 0
    conn.settimeout(patience_s)
    try:
        while sent < len(data):
            sent += conn.send(data[sent:])
    except TimeoutError:
        pass
    return sent


# --- those who do not ------------------------------------------------------------------------------------------------


def test_the_silent_do_not_stop_the_others(model: str, server: serving.Server) -> None:
    with ExitStack() as silent:
        for _ in range(10):
            silent.enter_context(Client(server.port))
            silent.enter_context(Client(server.port)).socket.send(b"H")  # nor do those who stop inside a frame
        if model in ONE_AT_A_TIME:
            waiting = silent.enter_context(Client(server.port))
            waiting.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.greet()
        else:
            serves(server)


def test_a_pool_is_full_when_each_of_its_threads_has_somebody() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving.started("pool"))
        for _ in range(THREADS):
            stack.enter_context(Client(server.port)).greet()
        late = stack.enter_context(Client(server.port))
        late.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.greet()


def test_resets_in_the_middle(server: serving.Server) -> None:
    for cut in (0, 1, 30):
        client = Client(server.port)
        client.socket.send(client.link.data_to_send()[:cut])
        client.reset()
    client = Client(server.port).greet()
    client.link.request(measure.ECHO, b"never to be read " * 10_000)
    client.socket.sendall(client.link.data_to_send())
    client.reset()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"\xff" * 5000, b"\0" * 5000])
def test_garbage_ends_the_connection(server: serving.Server, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=HELLO_DEADLINE_S - 1) as conn:
        conn.sendall(garbage)
        try:
            while conn.recv(measure.READ_BYTES):
                pass
        except ConnectionResetError:  # it had not read all when it closed
            pass


def test_garbage_after_the_greeting(server: serving.Server) -> None:
    with Client(server.port) as client:
        client.greet().socket.sendall(b"\xff" * 100)
        with pytest.raises(ConnectionError):
            client.read_to_the_end()


def test_who_says_no_more_is_still_answered(server: serving.Server) -> None:
    asked = bodies("half", count=50)
    with Client(server.port) as client:
        client.greet()
        for body in asked:
            client.link.request(measure.ECHO, body)
        client.socket.sendall(client.link.data_to_send())
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):  # the end, after the answers
            client.read_to_the_end()
        assert client.taken() == upper(asked)


def test_who_never_reads_stops_being_read(model: str, server: serving.Server) -> None:
    """What the server and the kernel keep for such a peer is bounded, and the others are served."""
    client = Client(server.port).greet()
    for _ in range(64):
        client.link.request(measure.ECHO, b"x" * LARGEST)
    out = memoryview(client.link.data_to_send())
    assert _push(client.socket, out, patience_s=0.3) < len(out) * 3 // 4
    if model not in ONE_AT_A_TIME:
        serves(server)
    client.reset()


def test_hundreds_come_and_go_at_once(server: serving.Server) -> None:
    conns = [socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) for _ in range(200)]
    for conn in conns:
        conn.close()
    serves(server)


# --- time ------------------------------------------------------------------------------------------------------------


def _keeps_time(model: str) -> None:
    """A server with a short clock: who does not greet, and who is not heard of, has to go; who answers may stay."""
    command = [sys.executable, "-c", SHORT_CLOCK, model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            with Client(port) as mute:
                with pytest.raises(ConnectionError, match="greeting"):
                    mute.read_to_the_end()
            with Client(port) as quiet:
                _is_kept_while_it_answers(quiet)
        finally:
            os.killpg(process.pid, 9)


def _is_kept_while_it_answers(quiet: Client) -> None:
    quiet.greet()
    pings = 0
    while pings < 6:  # for longer than it may be silent
        data = quiet.socket.recv(measure.READ_BYTES)
        assert data, f"closed after {pings} pings"
        quiet.take(data)
        answer = quiet.link.data_to_send()
        assert answer[1] == FrameType.PONG
        quiet.socket.sendall(answer)
        pings += 1
    began = time.monotonic()
    while quiet.socket.recv(measure.READ_BYTES):  # pings again, but nobody answers
        pass
    assert time.monotonic() - began > 0.5


def test_who_is_silent_for_too_long_has_to_go() -> None:
    """All models beside each other, since they do nothing but wait."""
    wrong: dict[str, BaseException] = {}

    def check(model: str) -> None:
        try:
            _keeps_time(model)
        except BaseException as error:  # told below, in the thread of the test
            wrong[model] = error

    threads = [
        threading.Thread(target=check, args=(model,)) for model in serving.MODELS if serving.available(model) is None
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
