"""Prometheus reads the agent's numbers over plain HTTP; read back here with prometheus-client's own parser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.agent import metrics
from holdfast.agent.metrics import Metrics


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def ask(listener: socket.socket, scenario: Callable[[int], Awaitable[bytes]]) -> bytes:
    """What a client gets that does this, with the port."""

    async def main() -> bytes:
        facts = {"accepted": 3, "network_shed_penalty": 0}, {"clients": 2}
        served = Metrics(asyncio.get_running_loop(), listener, lambda: facts)
        try:
            return await scenario(listener.getsockname()[1])
        finally:
            served.close()

    return asyncio.run(main())


async def get(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


def test_counters_and_gauges_are_told(listener: socket.socket) -> None:
    answer = ask(listener, lambda port: get(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(text)}".encode() in head
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert samples == {"holdfast_accepted_total": 3, "holdfast_network_shed_penalty_total": 0, "holdfast_clients": 2}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/../x HTTP/1.1\r\n\r\n", b"404"),
        (b"\r\n\r\n", b"405"),
        (b"GET\r\n\r\n", b"404"),
        (b"x" * 9000, b"431"),
    ],
)
def test_other_requests_are_refused(listener: socket.socket, request_: bytes, status: bytes) -> None:
    assert ask(listener, lambda port: get(port, request_)).split(b" ")[1] == status


def test_a_request_that_does_not_come_is_not_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "REQUEST_S", 0.05)
    assert ask(listener, lambda port: get(port, b"GET /met")) == b""


def test_so_many_connections_at_once(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "AT_ONCE", 2)

    async def three(port: int) -> bytes:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await get(port, b"")
        for _, writer in idle:
            writer.close()
        return refused

    assert ask(listener, three) == b""
