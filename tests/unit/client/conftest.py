"""Both faces of the client against one memory agent behind a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest

from holdfast.client import aio, sync
from tests.memory_agent import MemoryAgent
from tests.socket_agent import SocketAgent, serving

BIG = bytes(range(256)) * 8192


class Lifted:
    """A blocking object with the face of its asyncio twin: each method runs in a thread."""

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.blocking, name)
        if name == "stdin":
            return Lifted(value)
        if not callable(value):
            return value
        if name == "output":
            return lambda *args, **kwargs: _lifted_iterator(value(*args, **kwargs))

        async def call(*args: Any, **kwargs: Any) -> Any:
            result = await asyncio.to_thread(value, *args, **kwargs)
            return Lifted(result) if isinstance(result, sync.Job) else result

        return call


async def _lifted_iterator(iterator: Any) -> AsyncIterator[Any]:
    assert isinstance(iterator, GeneratorType)
    try:
        while (item := await asyncio.to_thread(next, iterator, None)) is not None:
            yield item
    finally:
        iterator.close()


Connect = Callable[..., Any]
Scenario = Callable[[Connect], Awaitable[None]]


@asynccontextmanager
async def _connect_sync(address: str, **options: Any) -> AsyncIterator[Any]:
    host = await asyncio.to_thread(sync.connect, address, **options)
    try:
        yield Lifted(host)
    finally:
        await asyncio.to_thread(host.close)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SocketAgent]:
    agent = MemoryAgent(
        {
            "noisy": lambda _: (b"out\r\n", b"err", 3),
            "ok": lambda _: (b"fine", b"", 0),
            "cat": lambda stdin: (stdin, b"", 0),
            "big": lambda _: (BIG, b"", 0),
            "lines": lambda _: (b"".join(b"%d\n" % n for n in range(1000)), b"", 0),
        }
    )
    with serving(tmp_path / "agent.sock", agent) as running:
        yield running


@pytest.fixture(params=["sync", "aio"])
def play(request: pytest.FixtureRequest, served: SocketAgent) -> Callable[..., None]:
    """Runs a scenario, written once in the asyncio way, on one of the two faces."""
    connect: Any = _connect_sync if request.param == "sync" else aio.connect

    def run(scenario: Callable[[Any], Awaitable[None]], **options: Any) -> None:
        async def whole() -> None:
            async with connect(served.address, **options) as host:
                await asyncio.wait_for(scenario(host), 20)

        asyncio.run(whole())

    return run
