"""A ticker, and beside it, in the same thread, a task that calls something. Run as a program of its own; prints JSON.

``python stopping.py asyncio|gevent|patched``
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from time import sleep as early_sleep
from types import ModuleType
from typing import Any, Literal

import msgspec

from holdfast.lab.cases.coroutines.data import Patched, Stop

EVERY_S = 0.005
BEFORE_S = 0.04
CALL_S = 0.15

MODULES = (
    "os",
    "queue",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "_thread",
)
"""Of which it is told what has been replaced."""
SOURCE = "def ask(conn):\n    conn.send(b'?')\n    return conn.recv(1)\n"


class Late:
    """A byte that a process writes into a pipe ``CALL_S`` after it was asked to: calling this waits for it."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        asked, self._asking = os.pipe()
        self._process = subprocess.Popen(["sh", "-c", f"read x; sleep {CALL_S}; echo"], stdin=asked, stdout=writing)
        os.close(asked)
        os.close(writing)

    def __call__(self) -> None:
        os.write(self._asking, b"\n")
        os.read(self._reading, 1)

    def end(self) -> None:
        """It is not needed any more."""
        os.close(self._asking)
        os.close(self._reading)
        self._process.wait()


def compute() -> None:
    """Nothing but computing for ``CALL_S``."""
    until = time.monotonic() + CALL_S
    while time.monotonic() < until:
        pass


def written_above() -> None:
    """Looks ``sleep`` up in its module each time that it is called."""
    time.sleep(CALL_S)


# --- asyncio ---------------------------------------------------------------------------------------------------------


async def _asyncio_stop(call: str, gives_way: bool, begin: Callable[[], Awaitable[object]]) -> Stop:
    began = time.monotonic()
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic() - began)
            await asyncio.sleep(EVERY_S)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(BEFORE_S)
    since = time.monotonic() - began
    await begin()
    until = time.monotonic() - began
    await asyncio.sleep(BEFORE_S)
    ticker.cancel()
    return Stop("asyncio", call, gives_way, since, until, tuple(ticks), EVERY_S)


def with_asyncio() -> list[Stop]:
    """Calls of coroutines."""

    async def blocking(call: Callable[[], object]) -> None:
        call()

    async def every() -> list[Stop]:
        pipe, handed = Late(), Late()
        await asyncio.to_thread(time.sleep, 0)  # its first thread exists
        stops = [
            await _asyncio_stop("asyncio.sleep", True, lambda: asyncio.sleep(CALL_S)),
            await _asyncio_stop("time.sleep", False, lambda: blocking(written_above)),
            await _asyncio_stop("os.read of a pipe", False, lambda: blocking(pipe)),
            await _asyncio_stop("computing", False, lambda: blocking(compute)),
            await _asyncio_stop("to_thread(os.read)", True, lambda: asyncio.to_thread(handed)),
        ]
        pipe.end()
        handed.end()
        return stops

    return asyncio.run(every())


# --- gevent ----------------------------------------------------------------------------------------------------------


def _gevent_stop(
    loop: Literal["gevent", "gevent, patched"], call: str, gives_way: bool, begin: Callable[[], object]
) -> Stop:
    import gevent

    began = time.monotonic()
    ticks: list[float] = []

    def tick() -> None:
        while True:
            ticks.append(time.monotonic() - began)
            gevent.sleep(EVERY_S)

    ticker = gevent.spawn(tick)
    gevent.sleep(BEFORE_S)
    since = time.monotonic() - began
    begin()
    until = time.monotonic() - began
    gevent.sleep(BEFORE_S)
    ticker.kill()
    return Stop(loop, call, gives_way, since, until, tuple(ticks), EVERY_S)


def with_gevent() -> list[Stop]:
    """Calls of greenlets where nothing is patched."""
    import gevent

    return [
        _gevent_stop("gevent", "gevent.sleep", True, lambda: gevent.sleep(CALL_S)),
        _gevent_stop("gevent", "time.sleep", False, written_above),
    ]


class PatchedRun(msgspec.Struct, frozen=True):
    """What a patched process has seen."""

    stops: tuple[Stop, ...]
    patched: Patched


def with_patches() -> PatchedRun:
    """The same after ``monkey.patch_all()``, and what that has done."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    before = {name: dict(vars(module)) for name, module in modules.items()}
    code_before = compile(SOURCE, "asked", "exec")
    slept = early_sleep

    from gevent import get_hub, monkey

    monkey.patch_all()
    replaced = tuple((name, _changed(before[name], module)) for name, module in modules.items())
    same = compile(SOURCE, "asked", "exec") == code_before
    pipe, handed = Late(), Late()
    above = _gevent_stop("gevent, patched", "time.sleep", True, written_above)
    stops = (
        above,
        _gevent_stop("gevent, patched", "os.read of a pipe", False, pipe),
        _gevent_stop("gevent, patched", "computing", False, compute),
        _gevent_stop("gevent, patched", "threadpool(os.read)", True, lambda: get_hub().threadpool.apply(handed)),
    )
    pipe.end()
    handed.end()
    early = _gevent_stop("gevent, patched", "sleep, imported before", False, lambda: early_sleep(CALL_S))
    old = slept is before["time"]["sleep"] and early_sleep is not time.sleep
    return PatchedRun(stops, Patched(replaced, same, old, early, above))


def _changed(before: dict[str, Any], module: ModuleType) -> int:
    now = vars(module)
    return sum(name in now and now[name] is not value for name, value in before.items() if not name.startswith("__"))


def main(which: str) -> None:
    """One of the three."""
    seen = {"asyncio": with_asyncio, "gevent": with_gevent, "patched": with_patches}[which]()
    print(msgspec.json.encode(seen).decode())


if __name__ == "__main__":
    main(sys.argv[1])
