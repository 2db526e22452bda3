"""Connections are cut by RST, FIN, in the middle of frames and by silence while output streams: nothing is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import holdfast
from holdfast import aio
from holdfast.errors import ConnectFailed
from tests.conftest import AgentUnderTest
from tests.e2e.harness.chaos import NAME, ChaosProcess, Stream, admit, config_in
from tests.e2e.harness.work import Work, starts
from tests.e2e.test_net_agent import NetAgent

MIB = 1 << 20
JOBS = 20


class Amount(NamedTuple):
    """How much of it. Mean bytes between cuts are chosen so that the cuts are over before the output is."""

    cuts: int
    least_bytes: int
    pieces: int
    mean_bytes: str
    endless: str


SHARE = Amount(cuts=200, least_bytes=20 * MIB, pieces=35, mean_bytes="64K", endless="0")
WHOLE = Amount(cuts=10_000, least_bytes=1024 * MIB, pieces=1350, mean_bytes="64K", endless="0.003")


def play(works: list[Work], tries: int) -> tuple[list[str], int]:
    """Run each work over a connection of its own, half of them with each face; the faults, and all bytes taken.

    Args:
        works: What to run.
        tries: How often to connect until the agent's welcome has come: a local socket that is cut before that is an
            agent that has left, and told at once; everything else is the client's to try again.
    """
    faults: list[str] = []
    taken: list[int] = []

    def check(work: Work, stream: Stream, code: int) -> None:
        stream.finish()
        assert code == work.code, f"ended with {code}, must be {work.code}"
        taken.append(stream.taken)

    def blocking(work: Work) -> None:
        with _tried(tries) as host:
            job = host.start(work.argv, key=f"work-{work.seed}")
            stream = Stream(work)
            for channel, chunk in job.output():
                stream.take(channel, chunk)
            check(work, stream, job.wait())

    async def awaited(work: Work) -> None:
        async with await _tried_awaited(tries) as host:
            job = await host.start(work.argv, key=f"work-{work.seed}")
            stream = Stream(work)
            async for channel, chunk in job.output():
                stream.take(channel, chunk)
            check(work, stream, await job.wait())

    def guarded(work: Work, play_it: Callable[[Work], Any]) -> None:
        try:
            play_it(work)
        except Exception as error:  # whatever it is, it belongs to this work
            faults.append(f"work {work.seed}: {type(error).__name__}: {error}")

    async def all_awaited() -> None:
        for work, end in zip(half, await asyncio.gather(*map(awaited, half), return_exceptions=True), strict=True):
            if isinstance(end, BaseException):
                faults.append(f"work {work.seed}: {type(end).__name__}: {end}")

    half, others = works[::2], works[1::2]
    threads = [threading.Thread(target=guarded, args=(work, blocking)) for work in others]
    threads.append(threading.Thread(target=asyncio.run, args=(all_awaited(),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults, sum(taken)


def _tried(tries: int) -> holdfast.Host:
    while True:
        tries -= 1
        try:
            return holdfast.connect(NAME, timeout=60.0)
        except ConnectFailed:
            if not tries:
                raise


async def _tried_awaited(tries: int) -> aio.Host:
    while True:
        tries -= 1
        try:
            return await aio.connect(NAME, timeout=60.0)
        except ConnectFailed:
            if not tries:
                raise


def cut_everything(
    agent: AgentUnderTest, tmp_path: Path, seed: int, amount: Amount, transport: str
) -> tuple[dict[str, Any], int, float]:
    """Twenty jobs through the proxy; what the proxy has done, bytes taken, seconds."""
    net = NetAgent(agent)
    try:
        config_dir = config_in(tmp_path)
        to = f"tls://127.0.0.1:{net.port}" if transport == "tls" else f"unix://{agent.socket_path}"
        listen = "tls://127.0.0.1:0" if transport == "tls" else f"unix://{tmp_path}/chaos.sock"
        flags = ["--listen", listen, "--seed", str(seed), "--mean-bytes", amount.mean_bytes, "--cuts", str(amount.cuts)]
        flags += ["--endless", amount.endless, "--silence", "150ms", "--delay", "2ms", "--rate", "4M"]
        marks = tmp_path / "starts"
        works = [
            Work.drawn(seed + number, marks, pieces=amount.pieces, most=400_000, pause_s=0.02 * (number % 2))
            for number in range(JOBS)
        ]
        with ChaosProcess(net.cli, to, *flags) as proxy:
            admit(net, config_dir, proxy.address)
            begin = time.monotonic()
            faults, taken = play(works, 1 if transport == "tls" else 5)
            seconds = time.monotonic() - begin
        print(f"seed {seed}: {taken} bytes in {seconds:.1f} s, {proxy.summary}")
        assert faults == []
        assert starts(marks) == {str(work.seed): 1 for work in works}
        assert taken >= amount.least_bytes
        assert sum(proxy.summary["cuts"].values()) == amount.cuts
        assert min(proxy.summary["cuts"].values()) >= amount.cuts // 8
        return proxy.summary, taken, seconds
    finally:
        net.stop()


@pytest.mark.parametrize("time_limit", [90], indirect=True)
@pytest.mark.parametrize("transport", ["tls", "unix"])
def test_two_hundred_cuts(
    agent: AgentUnderTest, tmp_path: Path, seed: int, time_limit: None, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    cut_everything(agent, tmp_path, seed, SHARE, transport)
