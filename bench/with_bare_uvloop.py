"""The limit of TLS on uvloop: a ``BufferedProtocol`` over its transport, no protocol of ours, no agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, cast

import uvloop
import xxhash

from bench import bare_keys, procfs
from bench.async_timing import in_flight, one_at_a_time
from bench.bare_server import REQUEST_BYTES
from bench.contestant import Answer, Order
from bench.with_bare_ssl import SMALL_BYTES

BUFFER_BYTES: Final = 1 << 18


class _Client(asyncio.BufferedProtocol):
    """One request at a time; hashes what comes."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = memoryview(buffer)
        self._left = 0
        self._whole: asyncio.Future[None] | None = None
        self.digest = xxhash.xxh3_128()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class is registered nowhere

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.digest.update(self._buffer[:nbytes])
        self._left -= nbytes
        if not self._left and self._whole is not None and not self._whole.done():
            self._whole.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, count: int) -> None:
        """Ask for so many bytes and wait for all of them."""
        self._left = count
        self._whole = asyncio.get_running_loop().create_future()
        self.transport.write(count.to_bytes(REQUEST_BYTES, "big"))
        await self._whole


class BareUvloop:
    """One connection, and fresh or idle ones when told."""

    def __init__(self, port: str, folder: str) -> None:
        self._port = int(port)
        self._context = bare_keys.context(folder, "client")
        self._buffer = bytearray(BUFFER_BYTES)  # of all connections: one thread, and it is read at once
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._client = self._runner.run(self._connect())
        self._held: list[_Client] = []

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        return self._runner.run(self._obey(order))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._release())
        self._client.transport.close()
        self._runner.close()

    async def _obey(self, order: Order) -> Answer:
        match order.what:
            case "trivial":
                return await one_at_a_time(order.count, lambda: self._client.ask(SMALL_BYTES))
            case "fresh":
                return await one_at_a_time(order.count, self._fresh)
            case "hosts":
                return await in_flight(order.count, order.width, self._fresh)
            case "stream":
                return await self._stream(order.count)
            case "hold":
                return await in_flight(order.count, order.width, self._hold)
            case "release":
                return await self._release()
        raise NotImplementedError(order.what)

    async def _connect(self) -> _Client:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: _Client(self._buffer), "127.0.0.1", self._port, ssl=self._context, server_hostname=""
        )
        return client

    async def _fresh(self) -> None:
        client = await self._connect()
        await client.ask(SMALL_BYTES)
        client.transport.close()

    async def _stream(self, count: int) -> Answer:
        procfs.reset_peak_rss("self")
        self._client.digest.reset()
        begin = time.perf_counter()
        await self._client.ask(count)
        return Answer(
            wall_s=time.perf_counter() - begin, bytes=count, digest=self._client.digest.hexdigest(),
            peak_rss_bytes=procfs.peak_rss("self"),
        )  # fmt: skip

    async def _hold(self) -> None:
        client = await self._connect()
        await client.ask(SMALL_BYTES)
        self._held.append(client)

    async def _release(self) -> Answer:
        held, self._held = self._held, []
        begin = time.perf_counter()
        for client in held:
            client.transport.close()
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> BareUvloop:
    """Made by ``bench.contestant``; ``args``: port of the server, folder of the keys."""
    return BareUvloop(*args)
