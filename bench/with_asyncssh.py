"""The neighbour AsyncSSH: its client here and its server in ``bench.asyncssh_server``, both with a key, on loopback.

AES-128-GCM, which is its fastest cipher on processors with AES instructions. Holdfast's unix socket is not encrypted,
so beside that one the ratio flatters Holdfast where bytes are many.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from typing import Final

import asyncssh
import xxhash

from bench import procfs
from bench.async_timing import in_flight, one_at_a_time
from bench.contestant import TRUE, Answer, Order, head_command

CIPHER: Final = "aes128-gcm@openssh.com"
READ_BYTES: Final = 1 << 18


class Neighbour:
    """One connection; a command is a session on it."""

    def __init__(self, port: str, key_path: str) -> None:
        self._runner = asyncio.Runner()
        self._server = (int(port), key_path)
        self._connection = self._runner.run(_connect(*self._server))
        self._held: list[asyncssh.SSHClientConnection] = []

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        return self._runner.run(self._obey(order))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._release())
        self._connection.close()
        self._runner.run(self._connection.wait_closed())
        self._runner.close()

    async def _obey(self, order: Order) -> Answer:
        match order.what:
            case "serial":
                return await one_at_a_time(order.count, self._run)
            case "burst":
                return await in_flight(order.count, order.width, self._run)
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

    async def _run(self) -> None:
        await self._connection.run(TRUE, check=True, encoding=None)

    async def _fresh(self) -> None:
        async with await _connect(*self._server) as connection:
            await connection.run(TRUE, check=True, encoding=None)

    async def _stream(self, count: int) -> Answer:
        procfs.reset_peak_rss("self")
        digest, total = xxhash.xxh3_128(), 0
        begin = time.perf_counter()
        async with self._connection.create_process(shlex.join(head_command(count)), encoding=None) as process:
            while data := await process.stdout.read(READ_BYTES):
                digest.update(data)
                total += len(data)
        return Answer(
            wall_s=time.perf_counter() - begin,
            bytes=total,
            digest=digest.hexdigest(),
            peak_rss_bytes=procfs.peak_rss("self"),
        )

    async def _hold(self) -> None:
        self._held.append(await _connect(*self._server))

    async def _release(self) -> Answer:
        held, self._held = self._held, []
        begin = time.perf_counter()
        for connection in held:
            connection.close()
        for connection in held:
            await connection.wait_closed()
        return Answer(wall_s=time.perf_counter() - begin)


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; ``args``: port and private key of the server."""
    return Neighbour(*args)


async def _connect(port: int, key_path: str) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1", port, username="bench", client_keys=[key_path], known_hosts=f"{key_path}.hosts", config=None,
        agent_path=None, encryption_algs=[CIPHER],
    )  # fmt: skip
