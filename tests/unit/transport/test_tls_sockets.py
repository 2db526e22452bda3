"""The agent's TLS context on real sockets (S5, S6): loops of both kinds serve, clients of three kinds try.

What the accept loop adds (another ALPN name, no certificate) is in ``tests/e2e/test_net_agent.py``.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pytest
import uvloop

from holdfast.errors import HoldfastError, KeyChanged
from holdfast.transport import tcp, tls
from holdfast.transport.identity import Identity, load_or_make
from tests.unit.transport.certificates import certificate_by, expired_identity, plain_client

LIMIT_S: Final = 20.0
LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ANSWER: Final = b"welcome"


class Keys(NamedTuple):
    agent: Identity
    client: Identity
    stranger: Identity


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    return Keys(*(load_or_make(str(folder / name)) for name in Keys._fields))


@pytest.fixture(scope="module", autouse=True)
def libuv() -> None:
    """The first loop of a process makes a pipe that libuv keeps for the next ones."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.sleep(0))


class Server:
    """Answers the first bytes of each connection, and keeps what it was told."""

    def __init__(self) -> None:
        self.received = b""
        self.handshakes = 0
        self.faults: list[dict[str, Any]] = []
        self.ended = asyncio.Semaphore(0)

    def told(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handshakes that come to nothing are what is looked for; anything else is a fault of the test."""
        if not isinstance(context.get("exception"), OSError):
            self.faults.append(context)

    def protocol(self) -> asyncio.Protocol:
        server = self

        class Answer(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)
                server.handshakes += 1

            def data_received(self, data: bytes) -> None:
                server.received += data
                self.transport.write(ANSWER)

            def connection_lost(self, exc: Exception | None) -> None:
                server.ended.release()

        return Answer()


Try = Callable[[int, ssl.SSLContext], Coroutine[Any, Any, bytes]]


async def with_streams(port: int, context: ssl.SSLContext) -> bytes:
    """A client of the loop that serves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"hello")
        return await reader.read(100)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass  # it was told already


def _blocking(port: int, context: ssl.SSLContext) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as sock, context.wrap_socket(sock) as wrapped:
        wrapped.sendall(b"hello")
        return wrapped.recv(100)


async def with_plain_ssl(port: int, context: ssl.SSLContext) -> bytes:
    """Python's own ssl over a blocking socket."""
    return await asyncio.to_thread(_blocking, port, context)


CLIENTS: Final[dict[str, Try]] = {"streams": with_streams, "plain ssl": with_plain_ssl}


def serve(loop: str, context: ssl.SSLContext, use: Callable[[int], Coroutine[Any, Any, None]]) -> Server:
    """Runs a server of this context while ``use`` is busy with its port."""
    server = Server()

    async def main() -> None:
        listener = tcp.bind_listener("127.0.0.1", 0)
        running = await asyncio.get_running_loop().create_server(server.protocol, sock=listener, ssl=context)
        asyncio.get_running_loop().set_exception_handler(server.told)
        async with asyncio.timeout(LIMIT_S):
            await use(int(listener.getsockname()[1]))
            for _ in range(server.handshakes):
                await server.ended.acquire()  # uvloop cannot be closed before
        running.close()
        await running.wait_closed()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert not server.faults
    return server


both_loops = pytest.mark.parametrize("loop", LOOPS)
both_clients = pytest.mark.parametrize("client", CLIENTS)


@both_loops
@both_clients
def test_an_enrolled_key_is_served(keys: Keys, loop: str, client: str) -> None:
    context = tls.client_context(keys.client, keys.agent.certificate)

    async def use(port: int) -> None:
        assert await CLIENTS[client](port, context) == ANSWER

    assert serve(loop, tls.server_context(keys.agent, [keys.client.certificate]), use).received == b"hello"


@both_loops
@both_clients
@pytest.mark.parametrize("case", ["TLS 1.2", "unknown", "issued by an enrolled key", "expired"])
def test_s05_who_is_refused_and_tells_nothing(keys: Keys, tmp_path: Path, loop: str, client: str, case: str) -> None:
    enrolled = [keys.client.certificate]
    shown = keys.client.path
    match case:
        case "unknown":
            shown = keys.stranger.path
        case "issued by an enrolled key":
            shown = str(tmp_path / "issued.pem")
            certificate_by(keys.client, Path(shown))
        case "expired":
            old = expired_identity(tmp_path)
            shown, enrolled = old.path, [old.certificate]
    context = plain_client([tls.ALPN], shown)
    if case == "TLS 1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def use(port: int) -> None:
        try:
            answer = await CLIENTS[client](port, context)
        except (ssl.SSLError, ConnectionError):
            return
        assert answer == b"", "the end of the connection is a refusal, too"

    server = serve(loop, tls.server_context(keys.agent, enrolled), use)
    assert (server.received, server.handshakes) == (b"", 0)


def _pipe(port: int, context: ssl.SSLContext, expected: bytes) -> None:
    """Our own client; it writes as soon as it may."""
    pipe = tls.TlsPipe(context, expected)
    with tcp.connect("127.0.0.1", port, timeout_s=LIMIT_S) as sock:
        sock.settimeout(LIMIT_S)
        pipe.start()
        try:
            while not pipe.ready:
                sock.sendall(pipe.outgoing())
                data = sock.recv(65536)
                assert data, "the server has left"
                pipe.feed(data)
            pipe.write(b"secret request")
        finally:
            sock.sendall(pipe.outgoing())  # the alert, too: the server is to learn of it
        sock.recv(100)


@both_loops
@pytest.mark.parametrize("case", ["another key", "issued by the agent's key"])
def test_s06_a_wrong_server_gets_no_byte(keys: Keys, tmp_path: Path, loop: str, case: str) -> None:
    wrong = keys.stranger
    if case == "issued by the agent's key":
        issued = tmp_path / "issued.pem"
        wrong = Identity(certificate_by(keys.agent, issued), str(issued))
    context = tls.client_context(keys.client, keys.agent.certificate)

    async def use(port: int) -> None:
        with pytest.raises(HoldfastError) as caught:
            await asyncio.to_thread(_pipe, port, context, keys.agent.certificate)
        assert isinstance(caught.value, KeyChanged)
        assert caught.value.ran == "no"

    server = serve(loop, tls.server_context(wrong, [keys.client.certificate]), use)
    assert (server.received, server.handshakes) == (b"", 0)


@both_loops
def test_s05_a_ticket_opens_nothing(keys: Keys, loop: str) -> None:
    """A session of a server with the same key that does give tickets: ours asks for the key again."""
    generous = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    generous.load_cert_chain(keys.agent.path)
    generous.set_alpn_protocols([tls.ALPN])
    context = tls.client_context(keys.client, keys.agent.certificate)
    context.options &= ~ssl.OP_NO_TICKET
    kept: list[ssl.SSLSession] = []
    reused: list[bool | None] = []

    def visit(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as sock:
            with context.wrap_socket(sock, session=kept[0] if kept else None) as wrapped:
                wrapped.sendall(b"hello")
                assert wrapped.recv(100) == ANSWER
                assert wrapped.session is not None
                kept.insert(0, wrapped.session)
                reused.append(wrapped.session_reused)

    async def twice(port: int) -> None:
        await asyncio.to_thread(visit, port)
        await asyncio.to_thread(visit, port)

    serve(loop, generous, twice)
    assert kept[0].has_ticket
    assert reused == [False, True], "the check can see a resumption"
    reused.clear()
    server = serve(loop, tls.server_context(keys.agent, [keys.client.certificate]), twice)
    assert reused == [False, False]
    assert not kept[0].has_ticket
    assert (server.handshakes, server.received) == (2, b"hellohello")
