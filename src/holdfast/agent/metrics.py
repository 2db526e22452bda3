"""The agent's counters for Prometheus, over a few lines of HTTP on the agent's own loop.

No thread, no second server: a request is one line and some headers, the answer is one text, and the connection is over.
Numbers alone are told, no names of jobs or people, so whoever reaches the port learns how busy the agent is and nothing
else; it listens on the loopback address unless its owner says otherwise. Needs the extra ``holdfast[metrics]``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from prometheus_client.core import Metric

REQUEST_BYTES: Final = 8192
REQUEST_S: Final = 5.0
"""Longest time from connecting to the end of the answer."""
AT_ONCE: Final = 16
"""Connections open at a time; more are closed."""

Facts = Callable[[], tuple[dict[str, int], dict[str, int]]]
"""Gives counters, which only grow, and gauges."""


class Metrics:
    """Answers ``GET /metrics``.

    Args:
        loop: The agent's.
        listener: A listening socket, which becomes ours.
        facts: What is told.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, facts: Facts) -> None:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(facts))
        self._text = lambda: generate_latest(registry)
        self._loop = loop
        self._listener = listener
        self._open: set[_Request] = set()
        listener.setblocking(False)
        loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Answer no more."""
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            conn, _ = self._listener.accept()
        except OSError:
            return
        if len(self._open) >= AT_ONCE:
            conn.close()
            return
        conn.setblocking(False)
        request = _Request(self._loop, self._text, self._open.discard)
        self._open.add(request)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: request, conn))
        task.add_done_callback(request.connected)


class _Request(asyncio.Protocol):
    """One connection: one request, one answer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, text: Callable[[], bytes], on_gone: Callable[[_Request], None]
    ) -> None:
        self._text = text
        self._on_gone = on_gone
        self._heard = b""
        self._transport: asyncio.Transport | None = None
        self._deadline = loop.call_later(REQUEST_S, self._over)

    def connected(self, task: asyncio.Task[object]) -> None:
        """The connection stands, or never came about."""
        if task.cancelled() or task.exception() is not None:
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if len(self._heard) > REQUEST_BYTES:
            self._answer("431 Request Header Fields Too Large", b"the request is too long\n")
        elif b"\r\n\r\n" in self._heard:
            line = self._heard.split(b"\r\n", 1)[0].split(b" ")
            if line[0] not in (b"GET", b"HEAD"):
                self._answer("405 Method Not Allowed", b"only GET\n")
            elif len(line) < 2 or line[1].partition(b"?")[0] != b"/metrics":
                self._answer("404 Not Found", b"/metrics is here\n")
            else:
                self._answer("200 OK", self._text(), body=line[0] == b"GET")

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._on_gone(self)

    def _answer(self, status: str, text: bytes, *, body: bool = True) -> None:
        transport, self._transport = self._transport, None
        if transport is None:
            return
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        )
        transport.write(head.encode() + (text if body else b""))
        transport.close()

    def _over(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Collector:
    """The facts as metric families; made anew for each answer."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counters, gauges = self._facts()
        for name, value in sorted(counters.items()):
            yield CounterMetricFamily(f"holdfast_{name}", name.replace("_", " "), value=value)
        for name, value in sorted(gauges.items()):
            yield GaugeMetricFamily(f"holdfast_{name}", name.replace("_", " "), value=value)
