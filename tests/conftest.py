"""Fixtures for every room: nothing may be left behind, and a real agent with a state directory of its own."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.client import embedded
from holdfast.errors import HoldfastError
from tests.conformance.counts import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

pytest.register_assert_rewrite("tests.e2e.harness")

SETTLE_S = 3.0
"""What a thread, child or descriptor gets to go away by itself after a test."""


def _threads() -> set[str]:
    return {f"thread {thread.name}" for thread in threading.enumerate() if thread is not threading.main_thread()}


def _children() -> set[str]:
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            pids = Path(f"/proc/self/task/{task}/children").read_text().split()
        except OSError:
            continue
        found |= {f"child {pid}" for pid in pids}
    return found


def _descriptors() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"descriptor {number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue  # the one that listed the directory
    return found


def _held() -> set[str]:
    return _threads() | _children() | _descriptors()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child or a descriptor behind."""
    before = _held()
    yield
    left = _held() - before
    deadline = time.monotonic() + SETTLE_S
    while left and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
        left = _held() - before
    assert not left, f"{request.node.name} left behind: {', '.join(sorted(left))}"


class AgentUnderTest:
    """A real agent, started the way every user's is: by the first client that looks for it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = str(state_dir)
        self._hosts: list[holdfast.Host] = []

    @property
    def socket_path(self) -> str:
        """Where it listens."""
        return os.path.join(self.state_dir, embedded.SOCKET)

    def connect(self, on_link_event: Callable[[holdfast.LinkChange], None] | None = None) -> holdfast.Host:
        """A new connection, closed at the end of the test."""
        host = holdfast.connect(state_dir=self.state_dir, timeout=20.0, on_link_event=on_link_event)
        self._hosts.append(host)
        return host

    def pids(self) -> list[int]:
        """Agent and keeper, and what the keeper has forked."""
        marker = os.fsencode(self.state_dir)
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                try:
                    command = Path(f"/proc/{name}/cmdline").read_bytes()
                except OSError:
                    continue
                if marker in command and b"holdfast" in command and not _is_zombie(int(name)):
                    found.append(int(name))
        return found

    def pid(self) -> int:
        """The agent's own process id, as it tells it."""
        return int(self.connect().status().agent["pid"])

    def stop(self) -> None:
        """End jobs, agent and keeper; whatever does not go is killed."""
        for host in self._hosts:
            host.close()
        try:
            with holdfast.connect(state_dir=self.state_dir, start=False, timeout=5.0) as host:
                host.shutdown(jobs=True)
        except HoldfastError:
            pass
        deadline = time.monotonic() + 10.0
        while (pids := self.pids()) and time.monotonic() < deadline:
            _reap(pids)
            time.sleep(0.02)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            _reap([pid])


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _reap(pids: list[int]) -> None:
    """Only where this process adopts orphans; elsewhere they are nobody's of ours."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentUnderTest]:
    """An agent that starts with the first ``connect`` and is gone, with its jobs, after the test."""
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o700)
    running = AgentUnderTest(state_dir)
    yield running
    running.stop()


@pytest.fixture
def host(agent: AgentUnderTest) -> holdfast.Host:
    """A connection to that agent."""
    return agent.connect()
