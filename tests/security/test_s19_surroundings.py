"""S19: what a command finds around it is what was declared, and nothing of the agent's own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest

ALLOWED = {"HOME", "USER", "LOGNAME", "SHELL", "LANG", "PATH"}
REPORT = """
import json, os, resource, signal, sys
umask = os.umask(0)
json.dump({
    "env": dict(os.environ),
    "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)),
    "umask": umask,
    "cwd": os.getcwd(),
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
    "groups": sorted(os.getgroups()),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "ignored": [s for s in range(1, 32) if s not in (9, 19) and signal.getsignal(s) is signal.SIG_IGN],
}, sys.stdout)
"""


@pytest.fixture
def agents_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something in the agent's environment that is not for commands."""
    monkeypatch.setenv("AGENTS_OWN_SECRET", "not for commands")
    monkeypatch.setenv("LD_PRELOAD_NOT", "x")


@pytest.mark.usefixtures("agents_own")
def test_s19_a_command_gets_what_was_declared_and_no_more(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    done = host.run(
        [sys.executable, "-S", "-E", "-c", REPORT], cwd=str(tmp_path), env={"GIVEN": "yes"}, text=True, check=True
    )
    seen = json.loads(done.stdout)
    names = {name for name in seen["env"] if not name.startswith("HOLDFAST_")}
    assert names - {"LC_CTYPE"} <= ALLOWED | {"GIVEN"}  # LC_CTYPE: Python's own, PEP 538
    assert seen["env"]["GIVEN"] == "yes"
    assert "AGENTS_OWN_SECRET" not in seen["env"]
    assert [fd for fd in seen["fds"] if fd > 2] == []
    assert seen["umask"] == 0o022
    assert seen["cwd"] == str(tmp_path)
    assert seen["ids"] == [os.getuid(), os.geteuid(), os.getgid(), os.getegid()]
    assert seen["groups"] == sorted(os.getgroups())
    assert seen["blocked"] == []
    assert [signum for signum in seen["ignored"] if signum not in (13, 25)] == []  # Python itself ignores 13 and 25


def test_s19_another_user_gains_nothing_on_the_way(agent: AgentUnderTest) -> None:
    if os.getuid() != 0:
        pytest.skip("only root's agent can start commands as somebody else")
    host = agent.connect()
    done = host.run(
        ["sh", "-c", "id -u; grep -E '^(NoNewPrivs|CapEff|CapPrm|CapAmb)' /proc/self/status"], user="nobody"
    )
    lines = done.stdout.decode().split()
    assert lines[0] == "65534"
    status = dict(zip(lines[1::2], lines[2::2], strict=True))
    assert int(status["NoNewPrivs:"]) == 1
    assert int(status["CapEff:"], 16) == int(status["CapPrm:"], 16) == int(status["CapAmb:"], 16) == 0


def test_s19_declared_limits_hold(agent: AgentUnderTest) -> None:
    done = agent.connect().run(
        [sys.executable, "-S", "-E", "-c", REPORT], rlimits={"nofile": (99, 99), "core": (0, 0)}, text=True, check=True
    )
    seen = json.loads(done.stdout)
    assert seen["nofile"] == [99, 99]
    assert seen["core"] == [0, 0]


def test_s19_agent_and_keeper_leave_no_core(agent: AgentUnderTest) -> None:
    """Oracle: the kernel's own table of limits."""
    status = agent.connect().status()
    for pid in (status.agent["pid"], status.keeper["pid"]):
        (line,) = [x for x in Path(f"/proc/{pid}/limits").read_text().splitlines() if x.startswith("Max core")]
        assert line.split()[4] == "0", line
