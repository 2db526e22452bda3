"""The measurements: each case lets its contestants take turns and gives the figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import xxhash

from bench import procfs
from bench.contestant import Answer, Order
from bench.figures import Figure
from bench.samples import Reading, in_turns, percentile, reading
from bench.sizes import MIB, Size
from bench.worker import ContestantFailed, Worker, clean_env
from bench.world import Agent, NeighbourServer

MS: Final = 1e3
RSS_LIMIT_MIB: Final = 64.0
SHIM_LIMIT_MIB: Final = 0.6
WARM_SHIMS: Final = 4
"""Shims that a fresh agent keeps ready."""


class Arena:
    """What the cases share: one agent, the neighbour's server, and a contestant of each kind, all connected.

    Args:
        folder: For everything that is written.
        size: How much to measure.
    """

    def __init__(self, folder: str, size: Size) -> None:
        self.folder = folder
        self.size = size
        self._stack = ExitStack()
        try:
            enter = self._stack.enter_context
            self.agent = enter(Agent(os.path.join(folder, "state")))
            server = enter(NeighbourServer(folder))
            self.locals = [enter(Worker("local", folder)) for _ in range(2)]
            self.blocking = enter(Worker("blocking", self.agent.state_dir))
            self.asyncio = enter(Worker("asyncio", self.agent.state_dir))
            self.uvloop = enter(Worker("uvloop", self.agent.state_dir))
            self.asyncssh = enter(Worker("asyncssh", server.port, server.key_path))
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """End every process."""
        self._stack.close()


def warm_up(arena: Arena) -> None:
    """Nothing is measured: every path is walked once, so that no first time falls into a round."""
    size = arena.size
    for worker in (arena.locals[0], arena.blocking, arena.asyncio, arena.uvloop, arena.asyncssh):
        worker.ask(Order("serial", min(20, size.serial)))
    for worker in (arena.blocking, arena.asyncio, arena.uvloop, arena.asyncssh):
        worker.ask(Order("burst", 2 * size.width, size.width))


def one_at_a_time(arena: Arena) -> list[Figure]:
    """``/bin/true`` over an open connection, the next one when the last has ended."""
    found = in_turns(
        arena.size.rounds,
        {
            worker.kind: _median_ms(worker, Order("serial", arena.size.serial))
            for worker in (arena.locals[0], arena.blocking, arena.asyncio, arena.asyncssh)
        },
    )
    return [
        Figure(
            id=f"serial_{kind}", what=f"`/bin/true`, one at a time, {kind} client", unit="ms", kind="latency",
            better="lower", holdfast=found[kind], limit=found["local"], neighbour=found["asyncssh"], target=1.0,
        )
        for kind in ("blocking", "asyncio")
    ]  # fmt: skip


def in_flight(arena: Arena) -> list[Figure]:
    """``/bin/true`` with many in flight on one connection; the limit is two local processes, one a core."""
    size = arena.size
    order = Order("burst", size.burst, size.width)
    turns = {worker.kind: _rate(worker, order) for worker in (arena.asyncio, arena.uvloop, arena.blocking)}
    fewer = Order("burst", max(size.width, size.burst // 2), size.width)
    turns["asyncssh"] = _rate(arena.asyncssh, fewer)
    turns["local"] = lambda: _rate_of_all(arena.locals, size.burst // 2)
    found = in_turns(size.rounds, turns)
    names = {
        "asyncio": f"{size.width} in flight, asyncio client",
        "uvloop": f"{size.width} in flight, asyncio client on uvloop",
        "blocking": f"{size.width} in flight, {size.width} threads on the blocking client",
    }
    return [
        Figure(
            id=f"burst_{kind}", what=f"`/bin/true`, {what}", unit="/s", kind="throughput", better="higher",
            holdfast=found[kind], limit=found["local"], neighbour=found["asyncssh"], target=2000.0,
        )
        for kind, what in names.items()
    ]  # fmt: skip


def streaming(arena: Arena) -> list[Figure]:
    """Output of one command as fast as it comes, every byte compared by digest; memory of both ends meanwhile.

    Holdfast's client hashes what it delivers by itself, as part of the measured work. Whether it does so truly is
    checked once, outside the measured rounds, with a digest made here.
    """
    count, agent = arena.size.stream_bytes, arena.agent
    expected = _digest_of_zeros(count)
    agent_peaks: list[float] = []
    client_peaks: dict[str, list[float]] = {}

    def checked(worker: Worker, order: Order) -> Answer:
        answer = worker.ask(order)
        if (answer.bytes, answer.digest) != (count, expected):
            raise ContestantFailed(f"{worker.kind} delivered {answer.bytes} of {count} bytes, or other ones")
        return answer

    def through(worker: Worker) -> Callable[[], float]:
        def measure() -> float:
            procfs.reset_peak_rss(agent.pid)
            answer = checked(worker, Order("stream", count))
            if worker is arena.blocking:
                agent_peaks.append(procfs.peak_rss(agent.pid) / MIB)
            client_peaks.setdefault(worker.kind, []).append(answer.peak_rss_bytes / MIB)
            return count / MIB / answer.wall_s

        return measure

    checked(arena.blocking, Order("stream", count, own_digest=True))
    workers = (arena.locals[0], arena.blocking, arena.asyncssh)
    found = in_turns(arena.size.stream_rounds, {worker.kind: through(worker) for worker in workers})
    return [
        Figure(
            id="stream", what=f"{_amount(count)} of output, every byte checked", unit="MiB/s", kind="throughput",
            better="higher", holdfast=found["blocking"], limit=found["local"], neighbour=found["asyncssh"],
            target=1000.0,
        ),
        Figure(
            id="stream_agent_rss", what="peak resident memory of the agent while streaming", unit="MiB", kind="memory",
            better="lower", holdfast=reading(agent_peaks), target=RSS_LIMIT_MIB,
        ),
        Figure(
            id="stream_client_rss", what="peak resident memory of the client while streaming", unit="MiB",
            kind="memory", better="lower", holdfast=reading(client_peaks["blocking"]),
            limit=reading(client_peaks["local"]), neighbour=reading(client_peaks["asyncssh"]), target=RSS_LIMIT_MIB,
        ),
    ]  # fmt: skip


def fresh_connection(arena: Arena) -> list[Figure]:
    """Connect, run ``/bin/true``, close: what a short program pays."""
    count = max(1, arena.size.serial // 4)
    workers = (arena.locals[0], arena.blocking, arena.asyncssh)
    found = in_turns(arena.size.rounds, {worker.kind: _median_ms(worker, Order("fresh", count)) for worker in workers})
    return [
        Figure(
            id="fresh", what="connect, authenticate, run `/bin/true`, close", unit="ms", kind="latency",
            better="lower", holdfast=found["blocking"], limit=found["local"], neighbour=found["asyncssh"], target=5.0,
        )
    ]  # fmt: skip


def trivial(arena: Arena) -> list[Figure]:
    """A request that starts nothing (STATUS), there and back; the limit is an echo over a socket pair."""
    shares = {"p50": 0.5, "p99": 0.99}
    found: dict[str, dict[str, list[float]]] = {share: {} for share in shares}
    for _ in range(arena.size.rounds):
        for worker in (arena.locals[0], arena.blocking):
            each = worker.ask(Order("trivial", arena.size.trivial)).each_s
            for share, value in shares.items():
                found[share].setdefault(worker.kind, []).append(percentile(each, value) * MS)
    return [
        Figure(
            id=f"trivial_{share}", what=f"trivial request (STATUS), {share}", unit="ms", kind="latency",
            better="lower", holdfast=reading(found[share]["blocking"]), limit=reading(found[share]["local"]),
        )
        for share in shares
    ]  # fmt: skip


def starts(arena: Arena) -> list[Figure]:
    """A new agent in an empty directory until its WELCOME, and the command line with the agent warm."""

    def agent_start() -> float:
        with tempfile.TemporaryDirectory(dir=arena.folder) as folder:
            with Agent(os.path.join(folder, "state")) as agent:
                return agent.start_s * MS

    holdfast = _command_line()
    env = clean_env() | {"HOLDFAST_STATE_DIR": arena.agent.state_dir}
    programs = {
        "run": [*holdfast, "run", "--", "true"],
        "version": [*holdfast, "version"],
        "python": [sys.executable, "-c", "pass"],
    }
    for program in programs.values():
        _milliseconds_of(program, env)
    found = in_turns(
        arena.size.starts,
        {
            "agent": agent_start,
            **{name: partial(_milliseconds_of, program, env) for name, program in programs.items()},
        },
    )
    whats = {
        "agent": "agent start, spawn to WELCOME, empty state directory",
        "run": "`holdfast run -- true`, agent warm",
        "version": "`holdfast version`",
    }
    return [
        Figure(
            id=f"start_{name}", what=what, unit="ms", kind="latency", better="lower", holdfast=found[name],
            limit=found["python"], target=90.0 if name == "run" else None,
        )
        for name, what in whats.items()
    ]  # fmt: skip


def memory(arena: Arena) -> list[Figure]:
    """An agent of its own: what its processes cost idle and with many jobs, and how long it takes to get there."""
    jobs, width = arena.size.jobs, arena.size.width
    with tempfile.TemporaryDirectory(dir=arena.folder) as folder, ExitStack() as stack:
        agent = stack.enter_context(Agent(os.path.join(folder, "state")))
        client = stack.enter_context(Worker("asyncio", agent.state_dir))
        agent.wait_for_shims(WARM_SHIMS)
        idle = _memory(agent)
        begin = time.perf_counter()
        client.ask(Order("start_jobs", jobs, width))
        agent.wait_for_running(jobs)
        start_s = time.perf_counter() - begin
        busy = _memory(agent)
        stop_s = client.ask(Order("stop_jobs", jobs, width)).wall_s
    states = (("idle", "idle", idle), ("busy", f"with {jobs} running jobs", busy))
    took = {"start": start_s, "stop": stop_s}
    return [
        *(_memory_figure(name, key, state, value) for key, state, found in states for name, value in found.items()),
        *(
            Figure(
                id=f"jobs_{name}", what=f"{name} {jobs} jobs (`sleep`), {width} requests in flight", unit="s",
                kind="throughput", better="lower", holdfast=reading([seconds]),
            )
            for name, seconds in took.items()
        ),
    ]  # fmt: skip


def durable(arena: Arena) -> list[Figure]:
    """Commands whose acceptance and end are on the disk before they are told (``durability="power"``).

    The limit is ``subprocess.run`` with a flushed record before and after it.
    """
    count, width = arena.size.durable, arena.size.width
    serial = Order("serial", count, durable=True)
    burst = Order("burst", max(width, 10 * count), width, durable=True)
    local = arena.locals[0]
    latency = in_turns(
        arena.size.rounds, {worker.kind: _median_ms(worker, serial) for worker in (local, arena.blocking)}
    )
    rate = in_turns(
        arena.size.rounds,
        {
            "asyncio": _rate(arena.asyncio, burst),
            "local": lambda: _rate_of_all(arena.locals, count, durable=True),
        },
    )
    return [
        Figure(
            id="durable_serial", what="durable `/bin/true`, one at a time", unit="ms", kind="latency", better="lower",
            holdfast=latency["blocking"], limit=latency["local"],
        ),
        Figure(
            id="durable_burst", what=f"durable `/bin/true`, {width} in flight, asyncio client", unit="/s",
            kind="throughput", better="higher", holdfast=rate["asyncio"], limit=rate["local"],
        ),
    ]  # fmt: skip


CASES: Final[Mapping[str, Callable[[Arena], list[Figure]]]] = {
    "serial": one_at_a_time,
    "burst": in_flight,
    "fresh": fresh_connection,
    "stream": streaming,
    "trivial": trivial,
    "starts": starts,
    "memory": memory,
    "durable": durable,
}
"""All cases by the name that ``--only`` takes."""


def _median_ms(worker: Worker, order: Order) -> Callable[[], float]:
    return lambda: statistics.median(worker.ask(order).each_s) * MS


def _rate(worker: Worker, order: Order) -> Callable[[], float]:
    return lambda: order.count / worker.ask(order).wall_s


def _rate_of_all(workers: Sequence[Worker], count: int, *, durable: bool = False) -> float:
    """So many commands by each worker, all at the same time; by the wall clock of the slowest."""
    for worker in workers:
        worker.tell(Order("serial", count, durable=durable))
    answers: list[Answer] = [worker.answer() for worker in workers]
    return count * len(workers) / max(answer.wall_s for answer in answers)


def _memory_figure(name: str, key: str, state: str, value: Reading) -> Figure:
    """Shared pages count for each process by its share, so only many shims tell what one more of them costs."""
    of_whom = "each shim" if name == "shim" else f"the {name}"
    return Figure(
        id=f"pss_{name}_{key}", what=f"memory (PSS) of {of_whom}, {state}", unit="MiB", kind="memory", better="lower",
        holdfast=value, target=SHIM_LIMIT_MIB if (name, key) == ("shim", "busy") else None,
    )  # fmt: skip


def _memory(agent: Agent) -> dict[str, Reading]:
    return {
        "agent": reading([procfs.pss(agent.pid) / MIB]),
        "keeper": reading([procfs.pss(agent.keeper_pid) / MIB]),
        "shim": reading([procfs.pss(pid) / MIB for pid in agent.shims()]),
    }


def _command_line() -> list[str]:
    """``holdfast`` as it is installed beside this Python."""
    script = Path(sys.executable).with_name("holdfast")
    return [str(script)] if script.exists() else [sys.executable, "-m", "holdfast"]


def _milliseconds_of(program: Sequence[str], env: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(program, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    milliseconds = (time.perf_counter() - begin) * MS
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise ContestantFailed(f"{' '.join(program)} ended with {done.returncode}: {words}")
    return milliseconds


def _digest_of_zeros(count: int) -> str:
    digest, piece = xxhash.xxh3_128(), bytes(MIB)
    for _ in range(count // MIB):
        digest.update(piece)
    digest.update(piece[: count % MIB])
    return digest.hexdigest()


def _amount(count: int) -> str:
    return f"{count >> 30} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
