"""An event loop whose clock stands still until a test moves it, and whose threads run when a test lets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

TURNS = 6
"""Passes of the loop in which everything that follows from one thing has happened; sockets of one process need none."""


class ManualLoop(asyncio.SelectorEventLoop):
    """Runs without waiting.

    Attributes:
        now: Monotonic seconds, as ``time()`` gives them.
        failures: What callbacks have raised; a test that does not empty it fails.
        hold_threads: Work for threads waits for ``run_threads``; otherwise it is done on the spot.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.failures: list[dict[str, Any]] = []
        self.hold_threads = False
        self._work: list[Callable[[], None]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Let happen what can happen now."""
        for _ in range(TURNS):
            self.call_soon(self.stop)
            self.run_forever()

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()

        def work() -> None:
            try:
                future.set_result(func(*args))
            except Exception as exc:
                future.set_exception(exc)

        if self.hold_threads:
            self._work.append(work)
        else:
            work()
        return future

    def run_threads(self) -> int:
        """Do what waits for a thread; how much that was."""
        work, self._work = self._work, []
        for item in work:
            item()
        self.settle()
        return len(work)
