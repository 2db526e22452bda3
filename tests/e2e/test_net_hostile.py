"""Thousands of hostile connections against a living agent: it stays up, gives everything back, and serves others."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import holdfast
from tests.conftest import AgentUnderTest
from tests.e2e.harness import hostile, procfs
from tests.e2e.harness.chaos import NAME, admit, config_in
from tests.e2e.harness.world import eventually
from tests.e2e.net_oracle import Key, Line
from tests.e2e.test_net_agent import NetAgent

SHARE = 1_000
WHOLE = 100_000
ENEMIES = 4
KINDS = 11
GROWTH_KIB = 8 * 1024
P99_S = 0.1
CONNECT_P99_S = 0.5
EVERY_S = 0.02
NICE = 10
"""In life the enemies' work is done on their own machines; here they are to take only what is left of ours."""


class Honest:
    """A client that asks for something small all the time, and sometimes connects anew, from 127.0.0.2.

    Attributes:
        asked_s: Seconds of each request.
        connected_s: Seconds of each new connection, to its welcome.
        faults: What went wrong.
    """

    def __init__(self, port: int, key: Key) -> None:
        self.asked_s: list[float] = []
        self.connected_s: list[float] = []
        self.faults: list[str] = []
        self._port = port
        self._key = key
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Honest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with holdfast.connect(NAME, timeout=10.0, on_link_event=lambda change: self.faults.append(change.kind)) as host:
            turn = 0
            while not self._over.wait(EVERY_S):
                try:
                    begin = time.monotonic()
                    host.jobs()
                    self.asked_s.append(time.monotonic() - begin)
                    if turn % 10 == 0:
                        begin = time.monotonic()
                        with Line(self._port, self._key, source="127.0.0.2") as line:
                            line.greet()
                        self.connected_s.append(time.monotonic() - begin)
                except Exception as error:
                    self.faults.append(f"{type(error).__name__}: {error}")
                turn += 1


class Outcome(NamedTuple):
    """What came of an attack."""

    done: dict[str, int]
    p99_s: float
    connect_p99_s: float
    grown_kib: int
    seconds: float
    judged: bool
    """Whether the machine had time to spare at the start, without which latency says nothing."""


def p99(seconds: list[float]) -> float:
    """Of so many measurements."""
    return statistics.quantiles(seconds, n=100)[98]


def attack(agent: AgentUnderTest, tmp_path: Path, seed: int, count: int) -> Outcome:
    """``count`` hostile connections; fails if they leave anything behind, or an honest client suffers."""
    net = NetAgent(agent)
    try:
        admit(net, config_in(tmp_path))
        honest, viewer, unknown = (Key(tmp_path, name) for name in ("honest", "viewer", "unknown"))
        net.enrolled(honest, "bert@box")
        net.enrolled(viewer, "eve@box", "viewer")
        judged = os.getloadavg()[0] <= (os.cpu_count() or 1)
        _send(net, seed, 0, 300, viewer, unknown)  # what grows once is grown
        pid = net.process.pid
        before = _settled(net)
        begin = time.monotonic()
        with Honest(net.port, honest) as client:
            done = _send(net, seed + 1, 1000, count, viewer, unknown)
        seconds = time.monotonic() - begin
        with Line(net.port, honest, source="127.0.0.2") as line:
            line.greet()
        after = _settled(net)
        outcome = Outcome(done, p99(client.asked_s), p99(client.connected_s), after[0] - before[0], seconds, judged)
        print(f"seed {seed}: {outcome}, {net.status().network}")
        assert client.faults == []
        assert net.process.poll() is None
        assert int(net.status().agent["pid"]) == pid, "it is another one"
        assert sum(done.values()) == count
        assert done.get("refused", 0) <= count // 20, "most must get their hearing"
        assert len(done) >= KINDS, "of attacks"
        assert after[1] == before[1], "descriptors are left"
        assert outcome.grown_kib <= GROWTH_KIB
        told = net.said() + net.log.read_text()
        assert "Traceback" not in told
        assert "a connection failed" not in told
        if judged:
            assert outcome.p99_s <= P99_S
            assert outcome.connect_p99_s <= CONNECT_P99_S
        return outcome
    finally:
        net.stop()


def _send(net: NetAgent, seed: int, first: int, count: int, viewer: Key, unknown: Key) -> dict[str, int]:
    """Let the enemies come; what they have done."""
    each = count // ENEMIES
    enemies = [
        subprocess.Popen(
            ["nice", "-n", str(NICE), sys.executable, hostile.__file__, str(net.port), str(seed + number),
             str(first + number * each), str(each), viewer.pem, unknown.pem],
            stdout=subprocess.PIPE, env=net.cli.env,
        )
        for number in range(ENEMIES)
    ]  # fmt: skip
    done: dict[str, int] = {}
    for enemy in enemies:
        words, _ = enemy.communicate()
        assert enemy.returncode == 0
        for name, number in json.loads(words).items():
            done[name] = done.get(name, 0) + number
    return done


def _settled(net: NetAgent) -> tuple[int, list[str]]:
    """Memory in KiB and descriptors of the agent, when nobody is there any more."""

    def quiet() -> Any:
        network = net.status().network
        return not network["unauthenticated_now"] and not network["remote_now"]

    eventually(quiet, "the end of all connections", 20.0)
    lowest = min(_resident_kib(net) for _ in range(10))
    return lowest, procfs.descriptors(net.process.pid)


def _resident_kib(net: NetAgent) -> int:
    time.sleep(0.1)  # memory is given back in a moment of rest
    return procfs.status_field(net.process.pid, "VmRSS")


@pytest.mark.parametrize("time_limit", [90], indirect=True)
def test_a_thousand_hostile_connections(
    agent: AgentUnderTest, tmp_path: Path, seed: int, time_limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3, its share."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    attack(agent, tmp_path, seed, SHARE)
