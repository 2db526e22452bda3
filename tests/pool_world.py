"""A pool on a ``World``: its workers are ``MemoryWorker``s, nothing waits, connections are cut where a test says."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from holdfast.client import calls
from holdfast.client.calls import RunRequest
from holdfast.client.functions.code import Coder
from holdfast.client.functions.futures import Future, MapResults
from holdfast.client.functions.pool import Pool
from holdfast.client.functions.prints import Relay
from holdfast.client.functions.settings import PoolSettings, command
from holdfast.client.functions.tasks import FutureTask, MapTask, Task
from holdfast.client.functions.worker import PoolWorker
from holdfast.functions.messages import Progress
from tests.client_world import World
from tests.memory_agent import MemoryAgent
from tests.memory_worker import MemoryWorker

if TYPE_CHECKING:
    from holdfast.client.exchange import Port


class PoolWorld:
    """Yard and desk of one pool."""

    def __init__(
        self,
        settings: PoolSettings,
        *,
        manual: bool = False,
        cuts: Iterator[tuple[int | None, int | None]] | None = None,
        chunk: int = 1 << 20,
        lacking: set[str] | None = None,
    ) -> None:
        settings.check()
        self.agent = MemoryAgent({})
        self.agent.manual_workers = manual
        self.agent.lacking_modules = lacking or set()
        self.world = World(self.agent, cuts=cuts, chunk=chunk)
        self.coder = Coder("", "memory")
        self.acts: deque[Callable[[], None]] = deque()
        self.prints: list[tuple[int, bytes]] = []
        self.is_over = False
        self._runs = 0
        self._variables = settings.variables(self.coder, sys_path=(), argv=())
        self.pool = Pool(
            self,
            settings.schedule(),
            pickles=settings.pickles,
            takes_prints=settings.output == "inherit",
            grows=settings.grows,
        )
        self.world.run(lambda: self.world.session.welcome)

    # --- the caller's side -------------------------------------------------------------------------------------------

    def submit(
        self,
        function: Callable[..., Any],
        *args: Any,
        limit_s: float = 0.0,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Future[Any]:
        future: Future[Any] = Future()
        task = FutureTask(
            self.coder.function(function),
            *self.coder.arguments(args, {}),
            limit_s,
            future=future,
            desk=self,
            on_progress=on_progress,
        )
        self.add([task])
        return future

    def map(self, function: Callable[..., Any], items: list[Any]) -> MapResults:
        results = MapResults()
        body = self.coder.function(function)
        write = self.coder.arguments
        self.add([MapTask(body, *write((item,), {}), 0.0, results, results.expect()) for item in items])
        return results

    def add(self, tasks: Iterable[Task]) -> None:
        self.enter(lambda port: self.pool.add(tasks, port))

    def close(self, *, cancel: bool = False) -> None:
        for task in self.pool.close(self.world.session, cancel=cancel):
            task.drop()

    def workers(self) -> list[MemoryWorker]:
        return self.agent.workers()

    # --- what happens ------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        moved = self.world.step()
        while self.acts:
            moved = True
            self.acts.popleft()()
        self.pool._schedule.validate()
        return moved

    def settle(self, rounds: int = 10_000) -> None:
        """Until nothing moves and no time is waited for but the heartbeat's."""
        for _ in range(rounds):
            if self.step():
                continue
            if not self.world.session.transport_wanted and (due := self.world.session.next_deadline()) is not None:
                self.world.now = max(self.world.now, due)
                continue
            return
        raise AssertionError("it goes on forever")

    # --- yard and desk -----------------------------------------------------------------------------------------------

    def new_run(self) -> RunRequest:
        self._runs += 1
        return calls.run_request(
            command(self.agent.worker_command),
            fresh_key=f"key{self._runs}",
            encode=os.fsencode,
            env=self._variables,
        )

    def later(self, act: Callable[[], None]) -> None:
        self.acts.append(act)

    def enter(self, act: Callable[[Port], bool]) -> None:
        act(self.world.session)

    def lacks(self, module: str) -> None:
        self.coder.lacks(module)

    def printed(self, worker: PoolWorker) -> None:
        relay = Relay(worker.feed, self.enter, self.acts.append)
        self.acts.append(lambda: self.prints.extend(relay.take()))

    def ended(self) -> None:
        assert not self.is_over
        self.is_over = True

    def kill(self, task: Task) -> None:
        self.enter(lambda port: self.pool.kill(task, port))

    def call_back(self, act: Callable[[], None]) -> None:
        self.acts.append(act)


THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}.0"
