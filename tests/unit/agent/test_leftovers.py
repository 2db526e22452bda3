"""Leftovers are found by their mark and ended by pidfd; strangers are never touched. Real, short-lived children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from holdfast.agent import leftovers
from holdfast.wire.messages import Leftover

Start = Callable[..., subprocess.Popen[bytes]]
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def agent_id() -> str:
    return f"agent-{os.getpid()}-{os.urandom(4).hex()}"


@pytest.fixture
def start(agent_id: str) -> Iterator[Start]:
    """Starts a command that carries the mark of a job."""
    children: list[subprocess.Popen[bytes]] = []

    def run(
        *argv: str, job: str = "job000000001", agent: str | None = None, wait: bool = False
    ) -> subprocess.Popen[bytes]:
        env = {"PATH": "/usr/bin:/bin", "HOLDFAST_AGENT": agent or agent_id, "HOLDFAST_JOB_ID": job}
        child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE)
        children.append(child)
        if wait:
            assert child.stdout is not None
            child.stdout.readline()
        return child

    yield run
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_marked_process_is_found_with_all_that_tells_it_apart(start: Start, agent_id: str) -> None:
    # A small process may have no resident page by the kernel's own, batched count (proc_pid_statm(5)); Python has more.
    child = start(sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(30)", wait=True)
    (found,) = leftovers.find(agent_id, ())
    assert (found.pid, found.job) == (child.pid, "job000000001")
    assert found.name.startswith("python")
    assert found.owner == "root" or found.owner
    assert found.rss_bytes > 0
    assert abs(found.started_unix_s - os.stat(f"/proc/{child.pid}").st_ctime) < 60


def test_live_jobs_own_processes_and_other_agents_are_left_out(start: Start, agent_id: str) -> None:
    start("sleep", "30", job="live00000000")
    own = start("sleep", "30")
    start("sleep", "30", agent="another-agent")
    gone = start("sleep", "30", job="gone00000000")
    found = leftovers.find(agent_id, {"live00000000"}, own={own.pid})
    assert [process.pid for process in found] == [gone.pid]


def test_an_agent_whose_name_begins_the_same_is_another(start: Start, agent_id: str) -> None:
    start("sleep", "30", agent=agent_id + "0")
    assert leftovers.find(agent_id, ()) == []


def test_a_zombie_is_no_leftover(start: Start, agent_id: str) -> None:
    child = start("true")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert leftovers.find(agent_id, ()) == []


def test_term_ends_what_obeys_and_kill_what_does_not(
    start: Start, agent_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "TERM_S", 0.2)
    meek = start("sleep", "30")
    deaf = start("sh", "-c", DEAF, wait=True)
    found = [process for process in leftovers.find(agent_id, ()) if process.pid in (meek.pid, deaf.pid)]
    assert [process.ended for process in leftovers.end(agent_id, found)] == [True, True]
    assert meek.wait() == -signal.SIGTERM
    assert deaf.wait() == -signal.SIGKILL


def test_a_process_id_that_belongs_to_a_stranger_by_now_is_not_hit(start: Start, agent_id: str) -> None:
    victim = start("sleep", "30")
    (found,) = leftovers.find(agent_id, ())
    stranger = start("sleep", "30", job="other0000000")
    forged = Leftover(stranger.pid, found.job)
    assert leftovers.end(agent_id, [forged])[0].ended, "what was meant is gone"
    assert stranger.poll() is None
    assert victim.poll() is None


def test_nothing_to_end_is_nothing(agent_id: str) -> None:
    assert leftovers.end(agent_id, []) == []
