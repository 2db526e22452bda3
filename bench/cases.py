"""What is measured. Each case returns figures in its unit; the limit is measured beside it, on the same machine."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import holdfast
from holdfast import aio

TRUE = ["/bin/true"]
MIB = 1 << 20


class Figure(NamedTuple):
    """One line of the table. ``goal`` is met when ``value`` is at most (or, for rates, at least) that."""

    name: str
    value: float
    unit: str
    goal: float
    more_is_better: bool = False
    beside: str = ""

    @property
    def reached(self) -> bool:
        """Whether the goal is met."""
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal


def one_at_a_time(state_dir: str, *, runs: int = 400) -> Iterator[Figure]:
    """``/bin/true`` over an open connection, against ``subprocess.run`` here."""
    local_ms = _median_ms(lambda: subprocess.run(TRUE, check=True, capture_output=True), runs)
    with holdfast.connect(state_dir=state_dir) as host:
        ours_ms = _median_ms(lambda: host.run(TRUE, check=True), runs)
    beside = f"subprocess.run here: {local_ms:.2f} ms"
    yield Figure("/bin/true, one at a time", ours_ms, "ms", 1.0, beside=beside)


def in_flight(state_dir: str, *, jobs: int = 3000, width: int = 64) -> Iterator[Figure]:
    """``/bin/true``, many at once over one connection."""

    async def measure() -> float:
        async with aio.connect(state_dir=state_dir) as host:
            left = iter(range(jobs))

            async def worker() -> None:
                for _ in left:
                    await host.run(TRUE, check=True)

            await asyncio.gather(*(host.run(TRUE) for _ in range(width)))  # the shims are warm after this
            begin = time.perf_counter()
            await asyncio.gather(*(worker() for _ in range(width)))
            return jobs / (time.perf_counter() - begin)

    with _runner() as run:
        yield Figure(f"/bin/true, {width} in flight", run(measure()), "/s", 2000, more_is_better=True)


def stream(state_dir: str, *, mib: int = 1024) -> Iterator[Figure]:
    """A large output, every byte in the spool as well and checked; with the peak memory of client and agent."""
    code = f"""
import sys, time, holdfast
with holdfast.connect(state_dir={state_dir!r}) as host:
    begin, size = time.perf_counter(), 0
    job = host.start(["head", "-c", "{mib}M", "/dev/zero"])
    for _, chunk in job.output():
        size += len(chunk)
    assert (job.wait(), size) == (0, {mib} << 20)
    seconds = time.perf_counter() - begin
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print({mib} / seconds, int(peak.split()[1]) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    rate, client_mib = map(float, done.stdout.split())
    yield Figure(f"stream {mib} MiB", rate, "MiB/s", 1000, more_is_better=True, beside="unix socket, XXH3 at both ends")
    yield Figure("client's memory while streaming", client_mib, "MiB", 64, beside="peak resident")
    yield Figure("agent's memory after streaming", _agent_peak_mib(state_dir), "MiB", 64, beside="peak resident")


def fresh_connection(state_dir: str, *, runs: int = 200) -> Iterator[Figure]:
    """Connect, run, close."""

    def once() -> None:
        with holdfast.connect(state_dir=state_dir) as host:
            host.run(TRUE, check=True)

    yield Figure("connect, run, close", _median_ms(once, runs), "ms", 5.0)


def command_line(state_dir: str, *, runs: int = 25) -> Iterator[Figure]:
    """``holdfast run -- true`` from a shell, agent warm, against a Python that does nothing."""
    env = {**os.environ, "HOLDFAST_STATE_DIR": state_dir}
    verb = [os.path.join(os.path.dirname(sys.executable), "holdfast"), "run", "--", "true"]
    python_ms = _median_ms(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), runs)
    ours_ms = _median_ms(lambda: subprocess.run(verb, env=env, stdin=subprocess.DEVNULL, check=True), runs)
    yield Figure("holdfast run -- true", ours_ms, "ms", 90.0, beside=f"python -c pass: {python_ms:.0f} ms")


CASES = (one_at_a_time, fresh_connection, in_flight, stream, command_line)


def _median_ms(call: Callable[[], object], runs: int) -> float:
    """Median milliseconds of a call; the first few, which warm things up, do not count."""
    for _ in range(max(3, runs // 20)):
        call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000


@contextmanager
def _runner() -> Iterator[Callable[..., float]]:
    """``asyncio.run`` on uvloop, which is what the agent uses, too."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


def _agent_peak_mib(state_dir: str) -> float:
    with holdfast.connect(state_dir=state_dir) as host:
        pid = host.status().agent["pid"]
    with open(f"/proc/{pid}/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
