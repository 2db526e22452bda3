"""Load and kills at once: clients run commands whose ends are known while somebody kills processes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import holdfast
from holdfast.types import Cause
from tests.e2e.harness import procfs
from tests.e2e.harness.work import Work, starts
from tests.e2e.harness.world import World

SERVING_AGAIN_S = 1.0
"""An agent that was killed answers again after this, a new Python process included."""
KILLS_AT_ONCE = 2
"""So many times in a row its keeper starts a young agent again without a wait that counts; later it backs off."""
UNDER_LOAD_S = 4.0
"""The same with jobs, clients and whatever else the machine's two cores have to do."""


class Load:
    """Threads that run works one after the other until told to stop, each under a start key of its own.

    Args:
        world: Whose agent runs them.
        threads: How many at once.
        pieces: Pieces of output of each; with ``pause_s`` it decides how long one lasts.
    """

    def __init__(self, world: World, *, threads: int = 4, pieces: int = 30, pause_s: float = 0.03) -> None:
        self.done = 0
        self.faults: list[str] = []
        self.seconds: list[float] = []
        self._world = world
        self._pieces = pieces
        self._pause_s = pause_s
        self._base = world.random.randrange(1 << 30) * 1000
        self._next = self._base
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Every work ended as it had to, and was started once."""
        assert not self.faults, "\n".join(self.faults[:10])
        counts = starts(self._world.starts)
        twice = {seed: number for seed, number in counts.items() if number != 1}
        assert not twice, f"started more than once: {twice}"
        assert len(counts) == self._next - self._base
        assert self.done == len(counts) > 0

    def _run(self) -> None:
        with holdfast.connect(state_dir=self._world.agent.state_dir, timeout=20.0) as host:
            while not self._over.is_set():
                with self._lock:
                    seed, self._next = self._next, self._next + 1
                work = Work.drawn(seed, self._world.starts, pieces=self._pieces, pause_s=self._pause_s)
                try:
                    fault = run_and_compare(host, work)
                except Exception as error:  # whatever it is, it belongs to this work
                    fault = f"{type(error).__name__}: {error}"
                with self._lock:
                    self.done += 1
                    if fault is not None:
                        self.faults.append(f"work {seed}: {fault}")


def run_and_compare(host: holdfast.Host, work: Work) -> str | None:
    """Run it; what differs from what must be, or None."""
    done = host.run(work.argv, key=f"work-{work.seed}")
    if (done.stdout, done.stderr) != work.expected:
        return f"output of {len(done.stdout)} and {len(done.stderr)} bytes is not what was written"
    if done.returncode != work.code:
        return f"ended with {done.returncode}, must be {work.code}"
    wanted = Cause.SIGNALED if work.code < 0 else Cause.EXITED
    return None if done.receipt.cause is wanted else f"cause is {done.receipt.cause}"


class Killer:
    """Kills one process of the agent's family at a time: never keeper and shim of a job together."""

    def __init__(self, world: World) -> None:
        self.killed = {"agent": 0, "keeper": 0, "shim": 0}
        self.slowest_s = 0.0
        self._world = world
        self._in_a_row = 0

    def kill(self, victim: str) -> None:
        """One of ``agent``, ``keeper`` and ``shim`` (a random one, if there is any)."""
        world = self._world
        if victim == "agent":
            self._kill_agent()
        elif victim == "keeper":
            world.until_nothing_is_adopted()
            world.kill(world.keeper_pid())
            self._in_a_row = 0
        else:
            pids = world.shim_pids()
            if not pids:
                return
            world.kill(world.random.choice(pids))
        self.killed[victim] += 1

    def _kill_agent(self) -> None:
        world = self._world
        world.kill(world.agent_pid())
        self.slowest_s = max(self.slowest_s, world.serving_again(UNDER_LOAD_S))
        self._in_a_row += 1
        if self._in_a_row == KILLS_AT_ONCE:  # a new keeper begins to count anew; jobs go on meanwhile
            self._in_a_row = 0
            done = world.cli("agent", "stop")
            assert done.returncode == 0, done.stderr
            world.cli("agent", "start")
            world.serving_again(UNDER_LOAD_S)

    def storm(self, victims: tuple[str, ...], kills: int, *, most_pause_s: float = 0.15) -> None:
        """So many kills at random moments. After a keeper's its last shims finish first: two are not one."""
        for _ in range(kills):
            time.sleep(self._world.random.random() * most_pause_s)
            victim = self._world.random.choice(victims)
            self.kill(victim)
            if victim == "keeper" and len(set(victims)) > 1:
                self._world.until_kept()


def resident_kib(pid: int) -> int:
    """Memory of a process now."""
    return procfs.status_field(pid, "VmRSS")


def journal_bytes(state_dir: Path) -> int:
    """What the journal takes on disk, its log included."""
    return sum(os.stat(path).st_size for path in state_dir.glob("journal.db*"))
