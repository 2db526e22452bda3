"""A connection is cut after each of its first bytes, in each direction, and the command behind it never notices.

``make test`` takes every 16th of the first 4 096 positions over TLS and every 64th over the socket; ``make soak`` takes
all of them, over both.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import aio
from holdfast.client.hosts import HostEntry, Hosts
from holdfast.errors import ConnectFailed
from holdfast.lab.chaos_plan import CLEAN, NEVER, ConnectionPlan, Cut, Kind
from holdfast.lab.proxy import Event, Proxy
from tests.conftest import AgentUnderTest
from tests.e2e.harness.chaos import NAME, admit, config_in
from tests.e2e.harness.work import starts
from tests.e2e.test_net_agent import NetAgent

FIRST_BYTES = 4096
LANES = 8
"""Runs at once."""
SCRIPT = 'echo "$1" >> "$2"; cat; echo done >&2; exit 7'
ENOUGH = FIRST_BYTES + 512
"""Bytes of input, and of output: so many pass in each direction, whatever else does."""

Run = tuple[str, int]
"""Direction (``to_agent`` or ``to_client``) and position of the cut."""


class OneCut:
    """The plan of one lane: the next connection is cut as told, those after it are not."""

    def __init__(self) -> None:
        self.next = CLEAN
        self.cut_at: list[tuple[int, int]] = []

    def connection(self, number: int) -> ConnectionPlan:
        plan, self.next = self.next, CLEAN
        return plan

    def happened(self, event: Event) -> None:
        if event.what in (Kind.RST, Kind.FIN):
            self.cut_at.append((event.to_agent, event.to_client))


class Everywhere:
    """Runs of a small command, each over a connection of its own that is cut once.

    Attributes:
        faults: What was not as it must be.
        cuts: How many there were of each kind.
        not_welcomed: Runs over a local socket that were told so and asked again.
    """

    def __init__(self, net: NetAgent, tmp_path: Path, seed: int, transport: str) -> None:
        self.faults: list[str] = []
        self.cuts: Counter[str] = Counter()
        self.not_welcomed = 0
        self.marks = tmp_path / "starts"
        self._net = net
        self._tmp_path = tmp_path
        self._transport = transport
        self._seed = seed
        self._data = random.Random(seed).randbytes(ENOUGH)

    async def play(self, runs: Sequence[Run]) -> None:
        """All of them, a few at once; half of them with each face."""
        waiting = iter(runs)
        await asyncio.gather(*(self._lane(lane, waiting) for lane in range(LANES)))

    async def _lane(self, lane: int, waiting: Iterator[Run]) -> None:
        plan = OneCut()
        proxy = self._proxy(lane, plan)
        serving = asyncio.ensure_future(proxy.serve())
        try:
            for run in waiting:
                try:
                    await self._run(f"lane{lane}", run, plan)
                except Exception as error:  # whatever it is, it belongs to this run
                    self.faults.append(f"{run}: {type(error).__name__}: {error}")
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    def _proxy(self, lane: int, plan: OneCut) -> Proxy:
        hosts = Hosts.load(config_in(self._tmp_path))
        if self._transport == "tls":
            proxy = Proxy("tls://127.0.0.1:0", f"tls://127.0.0.1:{self._net.port}", plan, on_event=plan.happened)
            hosts.add(HostEntry(f"lane{lane}", proxy.address, hosts.find(NAME).key))
        else:
            path = f"unix://{self._tmp_path}/lane{lane}"
            proxy = Proxy(path, f"unix://{self._net.under_test.socket_path}", plan, on_event=plan.happened)
            hosts.add(HostEntry(f"lane{lane}", proxy.address))
        return proxy

    async def _run(self, name: str, run: Run, plan: OneCut) -> None:
        way, position = run
        dice = random.Random(f"{self._seed} {run}")
        kind, ask = dice.choice((Kind.RST, Kind.FIN)), dice.choice((self._awaited, self._blocking))
        there, back = (position, NEVER) if way == "to_agent" else (NEVER, position)
        plan.next, plan.cut_at = ConnectionPlan(Cut(kind, there, back, exact=True)), []
        key = f"{way}-{position}"
        argv = ["sh", "-c", SCRIPT, "sh", key, str(self.marks)]
        options: dict[str, Any] = {"input": self._data, "key": key, "durability": "process"}
        try:
            done = await ask(name, argv, options)
        except ConnectFailed as error:  # on a socket of this machine: the agent that closes before its welcome has left
            if self._transport != "unix" or error.ran != "no" or not str(error).endswith("before its welcome"):
                raise
            self.not_welcomed += 1
            done = await ask(name, argv, options)
        assert done.stdout == self._data
        assert done.stderr == b"done\n"
        assert done.returncode == 7
        assert [passed[way == "to_client"] for passed in plan.cut_at] == [position], "it was not cut there"
        self.cuts[kind] += 1

    @staticmethod
    async def _awaited(name: str, argv: list[str], options: dict[str, Any]) -> Any:
        async with aio.connect(name, timeout=30.0) as host:
            return await host.run(argv, **options)

    @staticmethod
    async def _blocking(name: str, argv: list[str], options: dict[str, Any]) -> Any:
        def run() -> Any:
            with holdfast.connect(name, timeout=30.0) as host:
                return host.run(argv, **options)

        return await asyncio.to_thread(run)


def cut_everywhere(
    agent: AgentUnderTest, tmp_path: Path, seed: int, transport: str, positions: Sequence[int]
) -> Everywhere:
    """Each position in both directions; fails unless every run was exact."""
    net = NetAgent(agent)
    try:
        admit(net, config_in(tmp_path))
        everywhere = Everywhere(net, tmp_path, seed, transport)
        runs = [(way, position) for position in positions for way in ("to_agent", "to_client")]
        asyncio.run(everywhere.play(runs))
        print(f"seed {seed}: {len(runs)} runs, {dict(everywhere.cuts)}, {everywhere.not_welcomed} not welcomed")
        assert everywhere.faults == []
        assert starts(everywhere.marks) == {f"{way}-{position}": 1 for way, position in runs}
        return everywhere
    finally:
        net.stop()


@pytest.mark.parametrize(("transport", "step"), [("tls", 16), ("unix", 64)])
def test_a_cut_after_each_of_the_first_bytes(
    agent: AgentUnderTest,
    tmp_path: Path,
    seed: int,
    time_limit: None,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
    step: int,
) -> None:
    """R2, its share: which of every ``step`` positions are taken is the seed's to say."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    cut_everywhere(agent, tmp_path, seed, transport, range(1 + seed % step, FIRST_BYTES + 1, step))
