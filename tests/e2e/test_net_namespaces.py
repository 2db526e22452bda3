"""A real network that fails: links go down, addresses change, packets disappear, in networks of their own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.harness import follower, namespaces
from tests.e2e.harness.chaos import NAME
from tests.e2e.harness.namespaces import AGENT, CLIENT, Namespaces
from tests.e2e.harness.work import PROGRAM
from tests.e2e.harness.world import eventually
from tests.e2e.test_net_agent import NetAgent

RESUMED_S = 2.0
"""After the link is back, where this machine's kernel tells of it."""
HEARTBEAT_S = 10.0
SILENCE_S = 25.0
UNSENT_S = 15.0
"""TCP_USER_TIMEOUT: longest time that sent bytes may stay unacknowledged."""
NOTICE_S = 3.0
"""For timers that tick by the second, on a busy machine."""
BACK_OFF_S = 15.0 + 2.0
"""Longest pause between two attempts, and the attempt."""
TICK_S = 0.05
TICKER = """
import sys, time
for n in range(int(sys.argv[1])):
    time.sleep(float(sys.argv[2]) * (n > 0))
    print(n, flush=True)
"""


@pytest.fixture
def ways(time_limit: None) -> Iterator[Namespaces]:
    if namespaces.missing():
        pytest.skip(namespaces.missing())
    with Namespaces() as made:
        yield made


class FarAgent(NetAgent):
    """An agent in the network of its own."""

    def __init__(self, under_test: AgentUnderTest, ways: Namespaces, tmp_path: Path) -> None:
        self._ways = ways
        super().__init__(under_test, "--listen", f"tls://{AGENT}:0", XDG_CONFIG_HOME=str(tmp_path / "config"))
        with self.owner() as host:
            invitation = host.invite().invitation
        add = self.cli.command("host", "add", NAME, "-", "--as", "anna@box")
        subprocess.run(
            ways.inside(ways.client, add), input=invitation.encode(), env=self.cli.env, check=True, capture_output=True
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start it there; its owner's socket is a file, and reached from everywhere."""
        command = self.cli.command
        self.cli.command = lambda *args: self._ways.inside(self._ways.agent, command(*args))  # type: ignore[method-assign]
        try:
            return super().start()
        finally:
            self.cli.command = command  # type: ignore[method-assign]


@pytest.fixture
def far(agent: AgentUnderTest, ways: Namespaces, tmp_path: Path) -> Iterator[FarAgent]:
    made = FarAgent(agent, ways, tmp_path)
    yield made
    made.stop()


class Follower:
    """A client in its network that follows a ticking command; a context manager that sees to its end.

    Args:
        far: The agent.
        ways: The networks.
        face: ``sync`` or ``aio``.
        ticks: How many; there is one every ``tick_s``.
    """

    def __init__(self, far: FarAgent, ways: Namespaces, face: str, ticks: int, tick_s: float = TICK_S) -> None:
        self._words = far.errors.with_name(f"follower-{face}-{ticks}")
        self._ticks = ticks
        command = [sys.executable, follower.__file__, face, NAME, *PROGRAM, TICKER, str(ticks), str(tick_s)]
        with open(self._words, "wb") as words:
            self._process = subprocess.Popen(
                ways.inside(ways.client, command), env=far.cli.env, stdin=subprocess.DEVNULL, stdout=words
            )

    def __enter__(self) -> Follower:
        eventually(lambda: self.facts("bytes"), "the first bytes")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def facts(self, name: str, value: Any = None) -> list[float]:
        """When there was this, or this with that value."""
        return [fact["at"] for fact in self._facts() if name in fact and value in (None, fact[name])]

    @property
    def pause_s(self) -> float:
        """The pause between attempts that was announced last."""
        changes = [fact for fact in self._facts() if "link" in fact]
        return changes[-1]["pause_s"] if changes else 0.0

    def _facts(self) -> list[dict[str, Any]]:
        lines = self._words.read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def bytes_after(self, at: float, within_s: float) -> float:
        """Waits for the next bytes after that moment; gives the seconds that took."""
        later: list[float] = eventually(
            lambda: [when for when in self.facts("bytes") if when > at], "the next bytes", within_s
        )
        return later[0] - at

    def check(self) -> None:
        """All of it came, once and in order, and the command has ended well."""
        self._process.wait(60)
        last = json.loads(self._words.read_bytes().splitlines()[-1])
        expected = b"".join(b"%d\n" % n for n in range(self._ticks))
        assert (last["digest"], last["code"]) == (hashlib.sha256(expected).hexdigest(), 0)


def test_a_link_that_comes_back_is_used_at_once(far: FarAgent, ways: Namespaces) -> None:
    """R12: the client is unplugged until it has just begun a pause too long, and goes on within two seconds."""
    with Follower(far, ways, "sync", 130) as one, Follower(far, ways, "aio", 131) as two:
        ways.link_down(ways.client)
        begin = time.monotonic()
        eventually(lambda: max(one.pause_s, two.pause_s) > 1.5 * RESUMED_S, "a long pause", 50.0)
        ways.link_up(ways.client)
        back = time.monotonic()
        print(f"unplugged for {back - begin:.1f} s, pauses {one.pause_s:.1f} s and {two.pause_s:.1f} s")
        for client in (one, two):
            assert client.bytes_after(back, 10.0) <= RESUMED_S
            client.check()


def test_an_agent_that_was_unplugged_is_found_again(far: FarAgent, ways: Namespaces) -> None:
    """Nobody tells the client here; TCP sends again after a while that doubles each time."""
    with Follower(far, ways, "sync", 130) as one, Follower(far, ways, "aio", 131) as two:
        ways.link_down(ways.agent)
        time.sleep(2.0)
        ways.link_up(ways.agent)
        back = time.monotonic()
        for client in (one, two):
            assert client.bytes_after(back, 15.0) <= 2.0 + RESUMED_S
            client.check()


def test_a_client_that_moves_goes_on_at_its_new_address(far: FarAgent, ways: Namespaces) -> None:
    """Roaming: the old connection is given up before its probe has failed."""
    with Follower(far, ways, "sync", 90) as one, Follower(far, ways, "aio", 91) as two:
        ways.move_client()
        moved = time.monotonic()
        for client in (one, two):
            assert client.bytes_after(moved, 10.0) <= RESUMED_S
        for client in (one, two):
            client.check()


@pytest.mark.parametrize("time_limit", [150], indirect=True)
@pytest.mark.parametrize(
    "lost",
    [
        (AGENT, CLIENT),
        pytest.param((AGENT,), marks=pytest.mark.soak),
        pytest.param((CLIENT,), marks=pytest.mark.soak),
    ],
)
def test_half_open_links_are_found_at_both_ends(far: FarAgent, ways: Namespaces, lost: tuple[str, ...]) -> None:
    """R12: one link that streams, one that is idle; packets are lost in both directions, or in one.

    An end that still hears the other one finds out when its own next heartbeat is not acknowledged.
    """
    limit_s = NOTICE_S + (SILENCE_S if CLIENT in lost else HEARTBEAT_S + UNSENT_S)
    agent_limit_s = NOTICE_S + (SILENCE_S if AGENT in lost else HEARTBEAT_S + UNSENT_S)
    with Follower(far, ways, "sync", 700) as busy, Follower(far, ways, "aio", 2, 33.0) as idle:
        time.sleep(0.5)
        assert far.network("remote_now") == 2
        ways.drop(*lost)
        dropped = time.monotonic()
        eventually(lambda: far.network("remote_now") == 1, "the agent finds out where it streams", UNSENT_S + NOTICE_S)
        print(f"the agent has found out after {time.monotonic() - dropped:.1f} s where it streams,")
        eventually(lambda: far.network("remote_now") == 0, "the agent finds out", agent_limit_s)
        assert time.monotonic() - dropped <= agent_limit_s
        print(f"after {time.monotonic() - dropped:.1f} s where it is idle")
        for client in (busy, idle):
            when = eventually(lambda client=client: client.facts("link", "lost"), "the client finds out", limit_s)  # type: ignore[misc]
            print(f"the client has found out after {when[0] - dropped:.1f} s")
            assert when[0] - dropped <= limit_s
        ways.drop_nothing()
        back = time.monotonic()
        assert busy.bytes_after(back, 60.0) <= BACK_OFF_S
        print(f"it goes on after {busy.bytes_after(back, 60.0):.1f} s")
        busy.check()
        idle.check()
