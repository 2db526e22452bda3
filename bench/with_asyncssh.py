"""The neighbour: AsyncSSH, its client here and its server in ``bench.sshd``, both with a key, on loopback.

AES-128-GCM, which is its fastest cipher on processors with AES instructions; Holdfast's unix socket is not encrypted,
so the ratio flatters Holdfast where bytes are many.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncssh
import xxhash

from bench import procfs
from bench.contestant import TRUE, Answer, Order, head_command
from bench.with_asyncio import in_flight

CIPHER: Final = "aes128-gcm@openssh.com"
READ_BYTES: Final = 1 << 18


class Neighbour:
    """One connection; a command is a session on it."""

    def __init__(self, port: str, key_path: str) -> None:
        self._runner = asyncio.Runner()
        self._server = (int(port), key_path)
        self._connection = self._runner.run(_connect(*self._server))

    def obey(self, order: Order) -> Answer:
        """See ``contestant.Contestant``."""
        return self._runner.run(self._obey(order))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._runner.run(self._connection.wait_closed())
        self._runner.close()

    async def _obey(self, order: Order) -> Answer:
        if order.what == "serial":
            return await self._serial(order.count, self._run)
        if order.what == "fresh":
            return await self._serial(order.count, self._fresh)
        if order.what == "burst":
            return await in_flight(order.count, order.width, self._run)
        if order.what == "stream":
            return await self._stream(order.count)
        raise NotImplementedError(order.what)

    async def _run(self) -> None:
        await self._connection.run(TRUE, check=True, encoding=None)

    async def _fresh(self) -> None:
        async with await _connect(*self._server) as connection:
            await connection.run(TRUE, check=True, encoding=None)

    async def _serial(self, count: int, call: Callable[[], Awaitable[None]]) -> Answer:
        clock = time.perf_counter
        each = []
        begin = before = clock()
        for _ in range(count):
            await call()
            after = clock()
            each.append(after - before)
            before = after
        return Answer(wall_s=before - begin, each_s=tuple(each))

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


def contestant(kind: str, args: Sequence[str]) -> Neighbour:
    """Made by ``bench.contestant``; ``args``: port and private key of the server."""
    return Neighbour(*args)


async def _connect(port: int, key_path: str) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1", port, username="bench", client_keys=[key_path], known_hosts=f"{key_path}.hosts", config=None,
        agent_path=None, encryption_algs=[CIPHER],
    )  # fmt: skip
