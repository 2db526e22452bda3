"""The chaos proxy as people and programs use it: in the foreground until told to stop, or in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from holdfast.errors import HoldfastError
from holdfast.lab.chaos_plan import Kind, Plan
from holdfast.lab.proxy import Event, Proxy, Summary


def run_proxy(
    listen: str,
    to: str,
    plan: Plan,
    *,
    most_cuts: int | None = None,
    on_listen: Callable[[str], None] = lambda address: None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Summary:
    """Run a proxy until SIGINT or SIGTERM comes; for the main thread of a process.

    Args:
        listen, to, plan, most_cuts, on_event: As for ``Proxy``.
        on_listen: Told once where clients connect.

    Returns:
        What it has done.

    Raises:
        HoldfastError: an address that is neither TCP nor a socket, or cannot be listened at.
    """

    async def until_told() -> Summary:
        proxy = Proxy(listen, to, plan, most_cuts=most_cuts, on_event=on_event)
        serving = asyncio.ensure_future(proxy.serve())
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, serving.cancel)
        on_listen(proxy.address)
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        return proxy.summary

    return asyncio.run(until_told())


class ChaosProxy:
    """A proxy in a thread of its own, for programs and tests; a context manager. Arguments as for ``Proxy``."""

    def __init__(
        self,
        listen: str,
        to: str,
        plan: Plan | None = None,
        *,
        most_cuts: int | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._started: Future[Proxy] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(listen, to, plan, most_cuts, on_event)), name="chaos-proxy"
        )
        self._thread.start()
        try:
            self._proxy = self._started.result()
        except BaseException:
            self._thread.join()
            raise

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self._proxy.address

    @property
    def summary(self) -> Summary:
        """What it has done so far."""
        return self._proxy.summary

    @property
    def served(self) -> int:
        """Connections that were passed on so far."""
        return self.summary.connections - self.summary.refused

    def cut(self, kind: Kind = Kind.FIN, *, down_s: float = 0.0) -> int:
        """Cut every connection, wherever it stands, and refuse new ones for a while; gives how many were cut."""
        told: Future[int] = Future()
        self._loop.call_soon_threadsafe(lambda: told.set_result(self._proxy.cut(kind, down_s=down_s)))
        return told.result()

    def close(self) -> None:
        """Drop everything and wait for the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._serving.cancel)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _run(
        self, listen: str, to: str, plan: Plan | None, most_cuts: int | None, on_event: Callable[[Event], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            proxy = Proxy(listen, to, plan, most_cuts=most_cuts, on_event=on_event)
        except HoldfastError as exc:
            self._started.set_exception(exc)
            return
        self._serving = asyncio.ensure_future(proxy.serve())
        self._started.set_result(proxy)
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
