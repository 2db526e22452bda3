"""``make profile WHAT=true|stream``: where the agent's own thread spends its time under a load.

The agent runs in a child under cProfile; jobs, client and journal thread are outside it. The profiler makes small
functions look dearer than they are: ranks count, not the seconds.
"""

from __future__ import annotations

import argparse
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Final

import holdfast
from bench.contestant import Answer, Order
from bench.sizes import MIB
from bench.worker import ROOT, Worker, clean_env
from bench.world import end
from holdfast.errors import ConnectFailed

SHOWN: Final = 30
START_S: Final = 10.0
STOP_S: Final = 20.0
COMMANDS: Final = 2000
WIDTH: Final = 64
STREAM_BYTES: Final = 1024 * MIB


def main() -> int:
    """Profile one kind of work and print the dearest functions."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("what", choices=LOADS, help="true: /bin/true with 64 in flight; stream: 1 GiB of output")
    parser.add_argument("--share", type=float, default=1.0, help="part of the usual amount (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-profile-") as folder:
        path = os.path.join(folder, "profile")
        _profiled(os.path.join(folder, "state"), path, lambda state: LOADS[options.what](state, options.share))
        stats = pstats.Stats(path, stream=sys.stdout)
        for order in ("tottime", "cumulative"):
            stats.strip_dirs().sort_stats(order).print_stats(SHOWN)
    return 0


def _commands(state_dir: str, share: float) -> Answer:
    count = max(WIDTH, int(COMMANDS * share))
    with Worker("asyncio", state_dir) as worker:
        answer = worker.ask(Order("burst", count, WIDTH))
    print(f"{count} commands, {WIDTH} in flight: {count / answer.wall_s:.0f}/s under the profiler")
    return answer


def _stream(state_dir: str, share: float) -> Answer:
    with Worker("blocking", state_dir) as worker:
        answer = worker.ask(Order("stream", int(STREAM_BYTES * share)))
    print(f"{answer.bytes >> 20} MiB: {answer.bytes / MIB / answer.wall_s:.0f} MiB/s under the profiler")
    return answer


LOADS: Final[Mapping[str, Callable[[str, float], Answer]]] = {"true": _commands, "stream": _stream}


def _profiled(state_dir: str, path: str, load: Callable[[str], Answer]) -> None:
    """Run a load against an agent under the profiler; the profile is complete when this returns."""
    command = [sys.executable, "-m", "bench.profiled_agent", state_dir, path]
    agent = subprocess.Popen(command, cwd=ROOT, env=clean_env(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host = _connected(state_dir, agent)
        try:
            load(state_dir)
        finally:
            end(host)
        agent.wait(STOP_S)
    finally:
        if agent.poll() is None:
            agent.kill()
            agent.wait()


def _connected(state_dir: str, agent: subprocess.Popen[bytes]) -> holdfast.Host:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return holdfast.connect(state_dir=state_dir, start=False)
        except ConnectFailed:
            if agent.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
