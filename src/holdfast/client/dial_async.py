"""TCP and the TLS handshake inside an event loop: a hundred agents are connected to at once without a thread."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from holdfast.client.connector import Dialled
from holdfast.client.secure import alert, handshake_cut, handshake_overdue
from holdfast.errors import HoldfastError
from holdfast.transport import tcp
from holdfast.transport.address import Address
from holdfast.transport.tls import TlsPipe

READ_BYTES: Final = 1 << 14
"""For the handshake alone."""


async def connect(where: Address, deadline: float, protocol: asyncio.BaseProtocol) -> None:
    """Connect a protocol over TCP, tuned; ``tcp.connect``, awaited.

    The loop makes the socket itself: uvloop's ``sock_connect`` confuses descriptors when many connect and some fail.

    Args:
        where: Host and port.
        deadline: By the loop's clock, for the name and the connection together.
        protocol: What talks.

    Raises:
        ConnectFailed: with ``layer`` ``name``, ``route`` or ``port``.
    """
    loop = asyncio.get_running_loop()
    timeout_s = max(0.0, deadline - loop.time())
    places = await _resolve(where, timeout_s)
    while True:
        failures: list[OSError] = []
        for family, place in places:
            try:
                async with asyncio.timeout_at(min(deadline, loop.time() + tcp.ATTEMPT_S)):
                    await loop.create_connection(lambda: protocol, place[0], place[1], family=family)
                return
            except TimeoutError:
                failures.append(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
            except OSError as exc:
                failures.append(
                    OSError(exc.errno, os.strerror(exc.errno)) if exc.errno else exc
                )  # not the loop's words
        if loop.time() >= deadline or not any(isinstance(exc, TimeoutError) for exc in failures):
            raise tcp.failed(tcp.format_peer((where.host, where.port)), failures, timeout_s) from failures[-1]


async def _resolve(where: Address, timeout_s: float) -> list[tcp.Place]:
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        ask = partial(tcp.resolve, where.host, where.port, timeout_s=timeout_s)
        return await asyncio.get_running_loop().run_in_executor(None, ask)
    return [(family, place) for family, _type, _proto, _name, place in found]


def _tune(transport: asyncio.Transport) -> None:
    """As ``tcp.tune``, through a second descriptor: a loop does not give its socket away."""
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same:
        tcp.tune(same)


class Handshake(asyncio.BufferedProtocol):
    """The protocol of a connection until its handshake is done; then another one takes its place.

    Args:
        pipe: TLS, not started.
        successor: Makes the protocol that follows.
    """

    def __init__(self, pipe: TlsPipe, successor: Callable[[Dialled], asyncio.BufferedProtocol]) -> None:
        self._pipe = pipe
        self._successor = successor
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(READ_BYTES)
        self._done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def done(self, where: Address, deadline: float) -> None:
        """Wait for the end of the handshake.

        Raises:
            ConnectFailed: it did not end in time, or the connection did before; layer ``tls``.
            Unauthorized: the agent turned our key down.
            KeyChanged: it is not the agent that is known.
        """
        try:
            async with asyncio.timeout_at(deadline):
                error = await self._done
        except TimeoutError:
            raise handshake_overdue(where) from None
        if isinstance(error, HoldfastError):
            raise error
        if error is not None:
            raise handshake_cut(where, str(error))

    def abort(self, error: HoldfastError | None = None) -> None:
        """Nobody waits for it any more; what is to be said of the error is said."""
        if self._transport is not None:
            if error is not None:
                self._transport.write(alert(self._pipe, error))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _tune(self._transport)
        self._pipe.start()
        self._transport.write(self._pipe.outgoing())

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._done.done():
            return
        assert self._transport is not None
        try:
            self._pipe.feed(memoryview(self._buffer)[:nbytes])
        except HoldfastError as error:
            self._done.set_result(error)
            return
        if not self._pipe.ready:
            self._transport.write(self._pipe.outgoing())
            return
        sock = self._transport.get_extra_info("socket")
        successor = self._successor(Dialled(sock, self._pipe))
        self._transport.set_protocol(successor)
        self._done.set_result(None)
        successor.connection_made(self._transport)  # our last words of the handshake travel with its first ones

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None  # uvloop's refuses to be written to from now on
        if not self._done.done():
            self._done.set_result(exc or ConnectionError("the connection ended"))
