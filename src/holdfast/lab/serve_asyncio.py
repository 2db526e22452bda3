"""Coroutines and callbacks on one loop: the loop waits with epoll, and calls the protocol when there is something."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from holdfast.lab.measure import seconds_until
from holdfast.wire.endpoint import Endpoint, Handler


class EchoProtocol(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, handler: Handler) -> None:
        self._loop = asyncio.get_running_loop()
        self._handler = handler
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases
        self._peer = Endpoint(self._handler, now=self._loop.time())
        self._send(self._peer.start())
        self._tick()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._send(self._peer.feed(data, self._loop.time()))

    def eof_received(self) -> bool:
        """The peer sends no more; what is still to be sent goes out first."""
        self._send(self._peer.feed(b"", self._loop.time()))
        return not self._peer.closed

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The peer does not take what was sent: it is not read from until it does."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _send(self, out: bytes) -> None:
        if out:
            self.transport.write(out)
        if self._peer.closed:
            self.transport.close()

    def _tick(self) -> None:
        self._send(self._peer.tick(self._loop.time()))
        if self._peer.closed:
            self.transport.abort()  # silent for too long: it will not take the last words either
        elif (deadline := self._peer.deadline) is not None:
            self._timer = self._loop.call_later(seconds_until(deadline), self._tick)


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    serve_with(asyncio.new_event_loop, listener, handler)


def serve_with(new_loop: Callable[[], asyncio.AbstractEventLoop], listener: socket.socket, handler: Handler) -> None:
    """The same on a loop of another make."""

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: EchoProtocol(handler), sock=listener, backlog=4096)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(forever())
