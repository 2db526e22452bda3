"""What starting costs, and what the processes of an agent cost idle and with many jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from bench import procfs
from bench.arena import Arena
from bench.cases.measures import MS
from bench.contestant import Order
from bench.figures import Figure
from bench.samples import ContestantFailed, Reading, in_turns, reading
from bench.sizes import MIB
from bench.worker import Worker, clean_env
from bench.world import Agent, NetworkAgent, command_line

SHIM_LIMIT_MIB: Final = 0.6
WARM_SHIMS: Final = 4
"""Shims that a fresh agent keeps ready."""
COMMAND_LINE_MS: Final = 90.0


def starts(arena: Arena) -> list[Figure]:
    """A new agent in an empty directory until its WELCOME, and the command line with the agent warm."""

    def agent_start() -> float:
        with tempfile.TemporaryDirectory(dir=arena.folder) as folder:
            with Agent(os.path.join(folder, "state")) as agent:
                return agent.start_s * MS

    holdfast = command_line()
    env = clean_env() | {"HOLDFAST_STATE_DIR": arena.agent.state_dir}
    run = ["run", "--", "true"]
    turns = in_turns(
        arena.size.starts,
        {
            "agent": agent_start,
            "run": _timed(lambda: ([*holdfast, *run], env)),
            "run_tls": _timed(
                lambda: (
                    [*holdfast, "run", NetworkAgent.NAME, "--", "true"],
                    clean_env() | arena.network.client_env,
                )
            ),
            "version": _timed(lambda: ([*holdfast, "version"], env)),
            "python": _timed(lambda: ([sys.executable, "-c", "pass"], env)),
        },
    )
    whats = {
        "agent": "agent start, spawn to WELCOME, empty state directory",
        "run": "`holdfast run -- true`, unix socket, agent warm",
        "run_tls": "`holdfast run HOST -- true`, TLS, agent warm",
        "version": "`holdfast version`",
    }
    limits = {"python -c pass": turns.readings["python"]} if "python" in turns.readings else {}
    return [
        Figure(
            id=f"start_{name}", what=what, unit="ms", kind="latency", better="lower",
            holdfast=turns.readings.get(name), failed=turns.failed.get(name, ""), limits=limits,
            target=COMMAND_LINE_MS if name in ("run", "run_tls") else None,
        )
        for name, what in whats.items()
    ]  # fmt: skip


def memory(arena: Arena) -> list[Figure]:
    """An agent of its own: what its processes cost idle and with many jobs, and how long it takes to get there."""
    jobs, width = arena.size.jobs, arena.size.width
    with tempfile.TemporaryDirectory(dir=arena.folder) as folder, ExitStack() as stack:
        agent = stack.enter_context(Agent(os.path.join(folder, "state")))
        client = stack.enter_context(Worker("asyncio", "local", agent.state_dir))
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


def _timed(program: Callable[[], tuple[Sequence[str], Mapping[str, str]]]) -> Callable[[], float]:
    """Milliseconds of a program with its environment; it runs once before it is measured."""
    warm = False

    def measure() -> float:
        nonlocal warm
        words, env = program()
        if not warm:
            _milliseconds_of(words, env)
            warm = True
        return _milliseconds_of(words, env)

    return measure


def _milliseconds_of(program: Sequence[str], env: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(program, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    milliseconds = (time.perf_counter() - begin) * MS
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise ContestantFailed(f"{' '.join(program)} ended with {done.returncode}: {words}")
    return milliseconds
