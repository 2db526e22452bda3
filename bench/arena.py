"""What the cases share: the agents, the servers, and a contestant of each kind, started when a case first needs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from typing import Final, TypeVar, cast

from bench import bare_keys
from bench.contestant import Order
from bench.openssh_server import OpensshServer
from bench.redis_server import RedisServer
from bench.samples import ContestantFailed, Turns, in_turns
from bench.server import Server
from bench.sizes import Size
from bench.worker import Worker
from bench.world import Agent, NetworkAgent
from holdfast.errors import HoldfastError

T = TypeVar("T")


UNIX: Final = ("blocking", "asyncio", "uvloop")
"""Holdfast over its unix socket, by client."""
TLS: Final = ("tls_blocking", "tls_asyncio", "tls_uvloop")
"""Holdfast over TLS on loopback, by client."""
BARE: Final = ("bare_ssl", "bare_uvloop")
CALLERS: Final = {"processes": "", "execnet": "execnet", "mitogen": "mitogen", "ray": "ray", "dask": "distributed"}
"""Those that only call functions, each with the module that it takes."""
IN_EXTRA: Final = frozenset({"execnet", "mitogen"})
SHARERS: Final = ("manager", "redis")
"""Those that only share objects."""
SECOND: Final = "_second"
"""After a name: one more contestant like that, another process."""
ASYNCSSH_KEY: Final = "client"
"""What ``asyncssh_server`` calls it; that module is not imported, for AsyncSSH may not be installed."""
_EXTRA: Final = ", which the extra `bench` has"


class Arena:
    """Starts each contestant once, walks its paths once unmeasured, and keeps it connected to the end.

    Args:
        folder: For everything that is written; nobody else's (0700).
        size: How much to measure.
    """

    def __init__(self, folder: str, size: Size) -> None:
        self.folder = folder
        self.size = size
        self._stack = ExitStack()
        self._workers: dict[str, Worker] = {}
        self._servers: dict[str, object] = {}
        self._absent: dict[str, str] = {}

    def close(self) -> None:
        """End every process."""
        self._stack.close()

    @property
    def agent(self) -> Agent:
        """The private agent behind the contestants of ``UNIX``."""
        return self._once("agent", lambda: Agent(os.path.join(self.folder, "state")))

    @property
    def network(self) -> NetworkAgent:
        """The agent behind the contestants of ``TLS``."""
        return self._once("network", lambda: NetworkAgent(os.path.join(self.folder, "network")))

    @property
    def openssh(self) -> OpensshServer:
        """The neighbour's ``sshd``."""
        return self._once("openssh", lambda: OpensshServer(os.path.join(self.folder, "ssh")))

    @property
    def asyncssh(self) -> Server:
        """The neighbour's server."""
        if importlib.util.find_spec("asyncssh") is None:
            raise ContestantFailed(f"not installed (asyncssh{_EXTRA})")
        return self._once("asyncssh", lambda: Server("bench.asyncssh_server", self.folder))

    @property
    def manager(self) -> Server:
        """The server of the standard library's shared objects."""
        return self._once("manager", lambda: Server("bench.manager_server", self._own_folder("manager")))

    @property
    def redis(self) -> RedisServer:
        """The neighbour's server."""
        return self._once("redis", lambda: RedisServer(self._own_folder("redis")))

    def bare(self, kind: str) -> Server:
        """TLS and nothing behind it: ``ssl`` or ``uvloop``."""
        return self._once(kind, lambda: Server("bench.bare_server", kind, self._bare_folder))

    @cached_property
    def _bare_folder(self) -> str:
        folder = self._own_folder("bare")
        bare_keys.make(folder)
        return folder

    def _own_folder(self, name: str) -> str:
        folder = os.path.join(self.folder, name)
        os.mkdir(folder, 0o700)
        return folder

    def _once(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What ``make`` gives the first time, to be ended with everything else.

        Raises:
            ContestantFailed: it could not be made; the same reason each time.
        """
        if name not in self._servers:
            try:
                self._servers[name] = self._stack.enter_context(make())
            except (ContestantFailed, HoldfastError, OSError, subprocess.SubprocessError) as exc:
                self._servers[name] = ContestantFailed(str(exc) or repr(exc))
        found = self._servers[name]
        if isinstance(found, ContestantFailed):
            raise found
        return cast(T, found)

    def worker(self, name: str) -> Worker:
        """The contestant of this name, connected and warm.

        Raises:
            ContestantFailed: not installed, or it did not come up; the same reason whenever it is asked for.
        """
        if name in self._absent:
            raise ContestantFailed(self._absent[name])
        if name not in self._workers:
            try:
                worker = self.lend(name)
                _warm_up(worker, name, self.size)
            except ContestantFailed as exc:
                self._absent[name] = str(exc)
                raise
            self._workers[name] = worker
        return self._workers[name]

    def lend(self, name: str) -> Worker:
        """One more contestant of this name, connected and cold.

        Raises:
            ContestantFailed: not installed, or it did not come up.
        """
        return self._stack.enter_context(self._new_worker(name))

    def _new_worker(self, name: str) -> Worker:
        kind = name.removesuffix(SECOND)
        if kind in TLS:
            network = self.network
            return Worker(kind.removeprefix("tls_"), network.NAME, name=name, env=network.client_env)
        return Worker(kind, *self._arguments(kind), name=name)

    def _arguments(self, kind: str) -> tuple[str, ...]:
        """What a contestant that is not in ``TLS`` wants to know; what it is served by is up."""
        if kind == "local":
            return (self.folder,)
        if kind in UNIX:
            return ("local", self.agent.state_dir)
        if kind in CALLERS:
            module = CALLERS[kind]
            if module and importlib.util.find_spec(module) is None:
                raise ContestantFailed(f"not installed ({module}{_EXTRA if kind in IN_EXTRA else ''})")
            return ()
        if kind == "manager":
            return (self.manager.port,)
        if kind == "redis":
            return (self.redis.path,)
        if kind == "asyncssh":
            return (self.asyncssh.port, os.path.join(self.folder, ASYNCSSH_KEY))
        if kind == "openssh":
            return (self.openssh.folder,)
        return (self.bare(kind.removeprefix("bare_")).port, self._bare_folder)

    def turns(
        self, rounds: int, measures: Mapping[str, Callable[[Worker], float]], *, warm: Sequence[Order] = ()
    ) -> Turns:
        """What contestants give that take turns.

        Args:
            rounds: Turns that each one gets.
            measures: By the name of the contestant: takes it and gives the figure of one round.
            warm: Each contestant does this first, unmeasured.
        """
        workers: dict[str, Worker] = {}
        absent: dict[str, str] = {}
        for name in measures:  # all are up and warm before the first one is measured
            try:
                workers[name] = self.worker(name)
                for order in warm:
                    workers[name].ask(order)
            except ContestantFailed as exc:
                absent[name] = str(exc)
                workers.pop(name, None)

        def turn(name: str) -> Callable[[], float]:
            return lambda: measures[name](workers[name])

        found = in_turns(rounds, {name: turn(name) for name in workers})
        return Turns(found.readings, {**absent, **found.failed})


def _warm_up(worker: Worker, name: str, size: Size) -> None:
    """Nothing is measured: each path is walked once, so that no first time falls into a round."""
    few, kind = min(20, size.serial), name.removesuffix(SECOND)
    if kind in BARE:
        worker.ask(Order("trivial", few))
        return
    if kind in CALLERS or kind in SHARERS:
        return  # see `turns`
    worker.ask(Order("serial", few))
    if kind != "local":
        worker.ask(Order("burst", 2 * size.width, size.width))
