"""``holdfast lock``, ``sem`` and ``leases`` against a real agent: one at a time, in turn, with growing numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually
from tests.e2e.harness.world import World


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentUnderTest]:
    """One agent for the tests of this file that kill nothing."""
    state_dir = tmp_path_factory.mktemp("agent") / "state"
    state_dir.mkdir(mode=0o700)
    agent = AgentUnderTest(state_dir)
    yield agent
    agent.stop()


@pytest.fixture
def cli(running: AgentUnderTest) -> Cli:
    return Cli(running.state_dir)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a client; whatever becomes of the test, it is gone afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(cli: Cli, *args: str) -> subprocess.Popen[bytes]:
        started.append(cli.popen(*args))
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


def leases(cli: Cli, name: str, state: str = "holds") -> list[dict[str, Any]]:
    done = cli("leases", name, "--json")
    assert done.returncode == 0, done.stderr
    return [each for each in json.loads(done.stdout) if each["state"] == state]


def gate(path: Path) -> str:
    """A script that goes on when the file is there."""
    return f"while [ ! -e {path} ]; do sleep 0.02; done"


def test_like_run(cli: Cli, tmp_path: Path) -> None:
    script = "cat; echo $A; pwd; echo err >&2; exit 7"
    done = cli("lock", "like-run", "-i", "-e", "A=1", "-w", str(tmp_path), "--sh", script, input=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, f"in\n1\n{tmp_path}\n".encode(), b"err\n")
    fences = [int(cli("lock", "like-run", "--sh", "echo $HOLDFAST_FENCE").stdout) for _ in range(3)]
    assert fences == sorted(set(fences))
    assert leases(cli, "like-run") == []
    assert cli("lock", "like-run", "--", "nosuchcommand").returncode == 127
    assert cli("lock", "like-run", "-w", "/nonexistent", "--", "true").returncode == 125
    assert cli("lock", "like-run", "--timeout", "200ms", "--", "sleep", "9").returncode == 124
    lines = cli("lock", "like-run", "--json", "--", "true").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["accepted", "started", "receipt"]


def test_one_at_a_time_in_the_order_of_arrival(cli: Cli, start: Start, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    first = start(cli, "lock", "turns", "--sh", gate(go))
    eventually(lambda: leases(cli, "turns"))
    waiting = []
    for number in range(4):
        script = f"echo begin {number} $HOLDFAST_FENCE >> {log}; sleep 0.05; echo end {number} >> {log}"
        waiting.append(start(cli, "lock", "turns", "--sh", script))
        eventually(lambda: len(leases(cli, "turns", "waits")) == len(waiting))
    assert [each["owner"].split()[1] for each in leases(cli, "turns", "waits")] == ["begin"] * 4
    go.touch()
    for process in (first, *waiting):
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert not err or err.startswith(b"holdfast: waiting for lock 'turns', held by job ")
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [line[:2] for line in lines] == [[what, str(n)] for n in range(4) for what in ("begin", "end")]
    fences = [int(line[2]) for line in lines if line[0] == "begin"]
    assert fences == sorted(set(fences))


def test_so_many_units(cli: Cli, start: Start, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    script = f"echo + >> {log}; {gate(go)}; sleep 0.1; echo - >> {log}"
    processes = [start(cli, "sem", "units=2", "--sh", script) for _ in range(5)]
    eventually(lambda: len(leases(cli, "units")) == 2 and len(leases(cli, "units", "waits")) == 3)
    assert cli("sem", "units=2", "-n", "--", "true").returncode == 1
    other = cli("sem", "units=3", "--", "true")
    assert (other.returncode, other.stdout) == (125, b"")
    assert other.stderr == b"holdfast: 'units' is a semaphore of 2, not a semaphore of 3; nothing was run\n"
    assert cli("lock", "units", "--", "true").returncode == 125
    go.touch()
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    at_once = most = 0
    for mark in log.read_text().split():
        at_once += 1 if mark == "+" else -1
        most = max(most, at_once)
    assert most == 2


def test_what_is_not_to_be_had(cli: Cli, start: Start, tmp_path: Path) -> None:
    go = tmp_path / "go"
    holder = start(cli, "lock", "busy", "--sh", gate(go))
    eventually(lambda: leases(cli, "busy"))
    (held,) = leases(cli, "busy")
    begun = time.monotonic()
    done = cli("lock", "busy", "--no-wait", "--sh", f"touch {tmp_path}/never")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"holdfast: lock 'busy' is held by {held['owner']}; nothing was run\n"
    assert cli("lock", "busy", "--wait", "300ms", "-E", "75", "--", "true").returncode == 75
    assert time.monotonic() - begun < 20
    assert leases(cli, "busy", "waits") == []
    go.touch()
    assert holder.wait(20) == 0
    assert not (tmp_path / "never").exists()
    assert cli("lock", "busy", "--no-wait", "--", "true").returncode == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_waiting_leaves_the_line(
    cli: Cli, start: Start, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    go, name = tmp_path / "go", f"signal-{signum}"
    holder = start(cli, "lock", name, "--sh", gate(go))
    eventually(lambda: leases(cli, name))
    waiting = start(cli, "lock", name, "--", "true")
    eventually(lambda: leases(cli, name, "waits"))
    os.kill(waiting.pid, signum)
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == code
    assert err.splitlines()[-1].startswith(b"holdfast: ")
    assert err.splitlines()[-1].endswith(f"while waiting for lock '{name}'; nothing was run".encode())
    eventually(lambda: not leases(cli, name, "waits"), 3.0)
    go.touch()
    assert holder.wait(20) == 0


def test_ctrl_c_goes_to_the_command_once_it_runs(cli: Cli) -> None:
    script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    with cli.popen("lock", "ctrl-c", "--sh", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (5, b"caught\n")


def test_the_job_holds_it_and_not_the_client(cli: Cli, start: Start, tmp_path: Path) -> None:
    go = tmp_path / "go"
    holder = start(cli, "lock", "lost", "--on-disconnect", "keep", "--sh", f"{gate(go)} & wait")
    eventually(lambda: leases(cli, "lost"))
    (held,) = leases(cli, "lost")
    holder.kill()
    holder.communicate()
    assert cli("lock", "lost", "--wait", "1s", "--", "true").returncode == 1
    assert leases(cli, "lost") == [held]
    go.touch()
    assert cli("lock", "lost", "--wait", "20s", "--", "true").returncode == 0


def test_a_job_that_is_not_accepted_holds_nothing(cli: Cli) -> None:
    done = cli("lock", "refused", "--user", "nobody-of-this-name", "--", "true")
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.count(b"\n") == 1
    begun = time.monotonic()
    assert cli("lock", "refused", "--wait", "10s", "--", "true").returncode == 0
    assert time.monotonic() - begun < 9


def test_a_host_that_is_not_there_and_a_closed_pipe(cli: Cli, tmp_path: Path) -> None:
    for verb in (["lock", "x", "--", "true"], ["sem", "x=2", "--", "true"], ["leases"]):
        at = verb.index("--") if "--" in verb else len(verb)
        done = cli(*verb[:at], "-H", f"unix://{tmp_path}/none.sock", "--connect-timeout", "200ms", *verb[at:])
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (255, b"", 1)
    done = cli.sh("holdfast lock pipe --sh 'yes | head -c 10000000' | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}")
    assert done.stdout == b"141\n"


def test_agents_die_and_nobody_holds_it_twice(world: World, start: Start) -> None:
    """Ten clients take turns while the agent is killed again and again; some clients are killed, too."""
    world.connect()
    log = world.tmp_path / "log"
    script = f"echo begin $HOLDFAST_FENCE >> {log}; sleep 0.1; echo end $HOLDFAST_FENCE >> {log}"
    clients = [start(world.cli, "lock", "db", "--sh", script) for _ in range(10)]
    for _ in range(4):
        time.sleep(world.random.random() / 2)
        world.kill(world.agent_pid())
        world.serving_again(10.0)
    killed = world.random.sample(clients, 2)
    for client in killed:
        client.kill()
    ended = []
    for client in clients:
        _, err = client.communicate(timeout=50)
        if client not in killed:
            ended.append((client.returncode, err.decode()))
    assert [code for code, _ in ended] == [0] * 8, ended
    eventually(lambda: not [line for line in leases(world.cli, "db") if line["owner"].startswith("job ")], 20.0)
    lines = [line.split() for line in log.read_text().splitlines()]
    begun = [int(fence) for what, fence in lines if what == "begin"]
    assert begun == sorted(set(begun))
    assert len(begun) >= 8
    for at in range(0, len(lines) - 1, 2):
        assert [lines[at][0], lines[at + 1][0]] == ["begin", "end"]
        assert lines[at][1] == lines[at + 1][1]
