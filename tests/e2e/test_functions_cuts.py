"""Pools over TLS while their connections are cut by RST, FIN, in the middle of frames and by silence.

Each call notes that it was begun; at the end each was begun once and has answered once.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

import holdfast
from holdfast import aio
from tests.conftest import AgentUnderTest
from tests.e2e.harness.chaos import NAME, ChaosProcess, admit, config_in
from tests.e2e.test_net_agent import NetAgent

CUTS = 60
CALLS = 400
PADDING = 2000
"""Bytes that each call carries there and back, so that there is something to cut."""


def note(directory: str, number: int, padding: bytes) -> tuple[int, bytes]:
    """Write down that this call was begun; as bytes of one write, which are never torn."""
    descriptor = os.open(os.path.join(directory, "begun"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number}\n".encode())
    finally:
        os.close(descriptor)
    return number, padding[::-1]


@pytest.mark.parametrize("time_limit", [90], indirect=True)
def test_pools_whose_connections_are_cut_begin_each_call_once(
    agent: AgentUnderTest, tmp_path: Path, seed: int, time_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    print(f"seed {seed}")
    net = NetAgent(agent)
    flags = ["--listen", "tls://127.0.0.1:0", "--seed", str(seed), "--mean-bytes", "24K", "--cuts", str(CUTS)]
    flags += ["--endless", "0", "--silence", "100ms", "--delay", "1ms", "--rate", "4M"]
    blocking, awaited = tmp_path / "blocking", tmp_path / "awaited"
    blocking.mkdir()
    awaited.mkdir()
    try:
        with ChaosProcess(net.cli, f"tls://127.0.0.1:{net.port}", *flags) as proxy:
            admit(net, config_in(tmp_path), proxy.address)
            with holdfast.connect(NAME, timeout=60.0) as host, host.executor(2) as pool:
                items = [(str(blocking), n, os.urandom(PADDING)) for n in range(CALLS)]
                half = [pool.submit(note, *item) for item in items[: CALLS // 2]]
                rest = list(pool.map(note, *zip(*items[CALLS // 2 :], strict=True)))
                assert [future.result() for future in half] + rest == [(n, padding[::-1]) for _, n, padding in items]
            asyncio.run(_awaited(str(awaited)))
    finally:
        net.stop()
    for directory in (blocking, awaited):
        begun = [int(line) for line in (directory / "begun").read_text().split()]
        assert sorted(begun) == list(range(CALLS))
    assert sum(proxy.summary["cuts"].values()) > CUTS // 2


async def _awaited(directory: str) -> None:
    async with aio.connect(NAME, timeout=60.0) as host, host.executor(2) as pool:
        items = [(directory, n, os.urandom(PADDING)) for n in range(CALLS)]
        found = await asyncio.gather(*[pool.run(note, *item) for item in items])
        assert found == [(n, padding[::-1]) for _, n, padding in items]
