"""A real agent in a world where nothing can hide: the test process adopts every orphan and looks at the end.

At the end of a test: no zombie of ours, no process with our mark, no descriptor more than before in agent and keeper,
the agent stops when told, and its state directory can be removed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import holdfast
from holdfast.errors import HoldfastError
from holdfast.wire.messages import StatusAnswer
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli
from tests.e2e.harness import procfs

IDLE_SHIMS = 4
KEEPER_DESCRIPTORS = 4
"""What a keeper holds for each shim: the reading ends of its pipes, its listener, and its line."""
AGENT_KIB = 64 * 1024
SUPERVISOR_KIB = 32 * 1024
"""Most memory that an agent, and a keeper or shim, may ever have held."""
SETTLE_S = 15.0

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, timeout_s: float = 10.0) -> T:
    """What the condition gives once it is true; ``what`` was waited for if it does not come about."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)
    return found


class World:
    """One agent and everything that comes of it.

    Args:
        agent: As the fixture makes it; it starts with the first client.
        tmp_path: Where side effects go.
        seed: Printed, and the source of all that is random.
    """

    def __init__(self, agent: AgentUnderTest, tmp_path: Path, seed: int) -> None:
        self.agent = agent
        self.tmp_path = tmp_path
        self.starts = tmp_path / "starts"
        self.random = random.Random(seed)
        self.cli = Cli(agent.state_dir)
        self.marks: set[str] = set()
        self._before: dict[str, int] = {}
        print(f"seed {seed}")

    @property
    def state_dir(self) -> Path:
        """The agent's."""
        return Path(self.agent.state_dir)

    def connect(self) -> holdfast.Host:
        """A new connection; the fixture closes it."""
        host = self.agent.connect()
        self.marks.add(str(host.status().agent["id"]))
        return host

    def warm(self) -> holdfast.Host:
        """A connection to an agent that has run a job; its descriptors are counted now, for ``check``."""
        host = self.connect()
        host.run(["true"])
        self.settle(host)
        self._before = self._descriptors(host.status())
        return host

    def status(self) -> StatusAnswer:
        """What the agent says of itself, over a connection of its own; it must serve, nothing is started."""
        with holdfast.connect(state_dir=self.agent.state_dir, start=False, timeout=5.0) as host:
            return host.status()

    def agent_pid(self) -> int:
        """From the lock file, so that a dead agent has one too."""
        return int((self.state_dir / "agent.lock").read_text() or 0)

    def keeper_pid(self) -> int:
        """The keeper of the serving agent; waits until there is one."""
        return eventually(self._keeper_pid, "a serving agent with a keeper")

    def shim_pids(self) -> list[int]:
        """Children of the keeper that are shims; others are its agent and commands that it has adopted."""
        keeper = self.keeper_pid()
        children = [process.pid for process in procfs.processes() if process.parent == keeper]
        return [pid for pid in children if b"keeper/__main__.py" in procfs.command_line(pid)]

    def _keeper_pid(self) -> int:
        try:
            return int(self.status().keeper["pid"] or 0)
        except HoldfastError:
            return 0

    def kill(self, pid: int, signum: int = signal.SIGKILL) -> None:
        """Kill it and see it gone; reaped here if it is our child."""
        assert pid > 1
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
        eventually(lambda: not procfs.alive(pid), f"the end of process {pid}")
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def serving_again(self, within_s: float) -> float:
        """Waits until the agent answers; the seconds that took."""
        begin = time.monotonic()
        trouble: HoldfastError | None = None
        while time.monotonic() - begin < within_s:
            try:
                self.marks.add(str(self.status().agent["id"]))
                return time.monotonic() - begin
            except HoldfastError as error:
                trouble = error
                time.sleep(0.005)
        raise AssertionError(f"the agent does not serve after {within_s} s: {trouble}")

    def until_kept(self) -> None:
        """Waits until a keeper is there and every shim that still runs is one of its own."""

        def kept() -> bool:
            keeper = self._keeper_pid()
            marker = os.fsencode(self.agent.state_dir)
            others = {self.agent_pid(), keeper}
            shims = [p for p in procfs.processes() if p.pid not in others and marker in procfs.command_line(p.pid)]
            ours = [p for p in shims if b"keeper" in procfs.command_line(p.pid) and p.state != "Z"]
            return keeper != 0 and all(p.parent == keeper for p in ours)

        eventually(kept, "a keeper with no shims but its own", SETTLE_S)

    def until_nothing_is_adopted(self) -> None:
        """Waits until the keeper tends no job itself: killing it then is the first death that any job sees."""

        def only_shims() -> bool:
            keeper, agent = self.keeper_pid(), self.agent_pid()
            children = [process for process in procfs.processes() if process.parent == keeper]
            return all(p.pid == agent or b"keeper/__main__.py" in procfs.command_line(p.pid) for p in children)

        eventually(only_shims, "a keeper that has adopted nothing", SETTLE_S)

    def settle(self, host: holdfast.Host) -> None:
        """Waits until no job is left and surplus idle shims have gone home."""

        def quiet() -> bool:
            status = host.status()
            counters = status.counters
            return not sum(status.jobs.values()) and counters["shims"] == counters["idle_shims"] <= IDLE_SHIMS

        try:
            eventually(quiet, "an idle agent with four shims at the most", SETTLE_S)
        except AssertionError:
            status = host.status()
            print(status.jobs, status.counters, *host.jobs(), sep="\n")
            print((self.state_dir / "agent.log").read_text()[-3000:])
            raise

    def check(self) -> None:
        """Nothing is left: called at the end of each test, while the agent still runs."""
        try:
            status = self.status()
        except HoldfastError:
            status = None
        if status is not None:
            with self.agent.connect() as host:
                self.settle(host)
                eventually(
                    lambda: not self._more_descriptors(host.status()), "no descriptor more than before", SETTLE_S
                )
                status = host.status()
            agent, supervisors = int(status.agent["pid"]), [self.keeper_pid(), *self.shim_pids()]
            eventually(lambda: not procfs.zombies_of([agent, *supervisors]), "no zombie of ours", 2.0)
            assert procfs.status_field(agent, "VmHWM") <= AGENT_KIB
            assert max(procfs.status_field(pid, "VmHWM") for pid in supervisors) <= SUPERVISOR_KIB
        eventually(lambda: not self.strays(), f"the end of processes with our mark: {self.strays()}", 3.0)

    def strays(self) -> list[int]:
        """Living processes that came of a job of ours."""
        return [pid for mark in self.marks for pid in procfs.carrying(f"HOLDFAST_AGENT={mark}")]

    def close(self) -> None:
        """Stops the agent with the command line, reaps, and removes the state directory."""
        pids = self.agent.pids()
        done = self.cli("agent", "stop", "--jobs")
        assert done.returncode == 0, done.stderr
        eventually(lambda: not any(map(procfs.alive, pids)), "the end of agent, keeper and shims")
        self.reap()
        assert self.agent.pids() == []
        shutil.rmtree(self.agent.state_dir)

    def reap(self) -> None:
        """Collects the orphans that came to us. Only where no test thread waits for a child of its own."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _descriptors(self, status: StatusAnswer) -> dict[str, int]:
        """How many agent and keeper hold, without what clients and shims cost them."""
        shims, clients = status.counters["shims"], status.counters["clients"]
        agent = procfs.descriptors(int(status.agent["pid"]))
        keeper = procfs.descriptors(self.keeper_pid())
        return {
            "agent": len(agent) - shims - clients,
            "keeper": len(keeper) - KEEPER_DESCRIPTORS * shims,
        }

    def _more_descriptors(self, status: StatusAnswer) -> dict[str, int]:
        """By how many that is more than before."""
        now = self._descriptors(status)
        more = {name: now[name] - before for name, before in self._before.items()}
        return {name: number for name, number in more.items() if number > 0}
