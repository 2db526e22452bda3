"""``holdfast queue`` and ``run --at`` against a real agent."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentUnderTest]:
    """One agent for all tests of this file; each uses groups of its own."""
    state_dir = tmp_path_factory.mktemp("agent") / "state"
    state_dir.mkdir(mode=0o700)
    agent = AgentUnderTest(state_dir)
    yield agent
    agent.stop()


@pytest.fixture
def cli(running: AgentUnderTest) -> Cli:
    return Cli(running.state_dir)


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:60]


def add(cli: Cli, *args: str) -> str:
    """``queue add`` or another call that makes a plan; its id."""
    done = cli(*args)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().strip()


def plans(cli: Cli, *args: str) -> dict[str, dict[str, Any]]:
    done = cli("queue", "ls", "--json", *args)
    assert done.returncode == 0, done.stderr
    return {document["plan"]: document for document in json.loads(done.stdout)}


def ended(cli: Cli, plan: str) -> dict[str, Any]:
    """The plan once it is over."""

    def over() -> Any:
        return (found := plans(cli, "-a")[plan])["state"] in ("done", "failed", "cancelled", "skipped") and found

    found: dict[str, Any] = eventually(over, 20.0)
    return found


def test_one_after_the_other(cli: Cli, group: str, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    first = add(
        cli, "queue", "add", "--group", group, "--sh", f"while [ ! -e {gate} ]; do sleep 0.02; done; pwd; exit 3"
    )
    second = add(cli, "queue", "add", "--group", group, "-e", "A=1", "-w", str(tmp_path), "--sh", "echo $A; pwd")
    urgent = add(cli, "queue", "add", "--group", group, "--priority", "-1", "--", "true")
    assert list(plans(cli, "--group", group)) == [first, urgent, second]
    states = {plan: document["state"] for plan, document in plans(cli, "--group", group).items()}
    assert states == {first: "running", urgent: "waiting", second: "waiting"}
    table = cli("queue", "ls", "--group", group).stdout.decode()
    assert "its turn" in table
    gate.touch()
    found = ended(cli, second)
    assert found["state"] == "done"
    assert cli("logs", found["job"]).stdout.decode() == f"1\n{tmp_path}\n"
    assert cli("wait", found["job"]).returncode == 0
    failed = plans(cli, "-a")[first]
    assert (failed["state"], failed["why"]) == ("failed", f"job {failed['job']} returned 3")
    assert cli("wait", failed["job"]).returncode == 3
    again = cli("queue", "retry", "--json", first)
    assert (again.returncode, json.loads(again.stdout)["fired"]) == (0, 2)
    assert ended(cli, first)["job"] != failed["job"]


def test_after(cli: Cli, group: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    build = add(cli, "queue", "add", "--group", group, "--sh", f"sleep 0.2; echo build >> {log}")
    job = cli("run", "-d", "--sh", f"sleep 0.3; echo job >> {log}").stdout.decode().strip()
    flags = ("--group", f"{group}-2")
    check = add(cli, "queue", "add", *flags, "--after", build, "--after", job[:8], "--sh", f"echo check >> {log}")
    assert ended(cli, check)["state"] == "done"
    assert sorted(log.read_text().split()[:2]) == ["build", "job"]
    assert log.read_text().split()[2] == "check"
    gate = tmp_path / "go"
    bad = add(cli, "queue", "add", *flags, "--sh", f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 1")
    never = add(cli, "queue", "add", *flags, "--after", bad, "--sh", f"echo never >> {log}")
    gate.touch()
    assert ended(cli, never)["why"] == f"{bad}, which it was to come after, has failed"
    late = cli("queue", "add", *flags, "--after", never, "--", "true")
    assert late.returncode == 0
    assert b"has failed: " in late.stderr
    nobody = cli("queue", "add", "--after", "nobody", "--", "true")
    assert (nobody.returncode, nobody.stdout) == (1, b"")
    assert nobody.stderr == b"holdfast: no such job: nobody\n"


def test_groups_pause_parallel_and_drain(cli: Cli, group: str, tmp_path: Path) -> None:
    assert cli("queue", "pause", group).returncode == 0
    ids = [add(cli, "queue", "add", "--group", group, "--", "sleep", "0.3") for _ in range(4)]
    assert {document["state"] for document in plans(cli, "--group", group).values()} == {"waiting"}
    assert cli("queue", "parallel", "2", group).returncode == 0
    assert f"{group}  paused" in cli("queue", "groups").stdout.decode()
    assert cli("queue", "drain", "--timeout", "200ms", group).returncode == 124
    assert cli("queue", "resume", group).returncode == 0
    busy = [document["state"] for document in plans(cli, "--group", group).values()]
    assert busy.count("running") == 2
    done = cli("queue", "drain", group)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert {plans(cli, "-a")[plan]["state"] for plan in ids} == {"done"}
    refused = cli("queue", "add", "--group", group, "--", "true")
    assert refused.returncode == 125
    assert b"is draining and takes no more plans; nothing was run" in refused.stderr
    assert cli("queue", "resume", group).returncode == 0
    add(cli, "queue", "add", "--group", group, "--", "true")


def test_cancelling(cli: Cli, group: str) -> None:
    running = add(cli, "queue", "add", "--group", group, "--", "sleep", "30")
    waiting = add(cli, "queue", "add", "--group", group, "--", "true")
    assert cli("queue", "rm", waiting).returncode == 0
    assert plans(cli, "-a")[waiting]["state"] == "cancelled"
    told = cli("queue", "cancel", running)
    job = plans(cli)[running]["job"]
    assert told.stderr.decode() == f"holdfast: job {job} of plan {running} runs on; `holdfast stop {job}` ends it\n"
    assert cli("stop", job).returncode == 0
    assert ended(cli, running)["state"] == "failed"
    assert cli("queue", "cancel", "nobody").returncode == 1


def test_a_name_of_ones_own(cli: Cli, group: str) -> None:
    for _ in range(2):
        done = cli("queue", "add", "--group", group, "--name", f"{group}-x", "--sh", "echo once; sleep 0.1")
        assert (done.returncode, done.stdout.decode()) == (0, f"{group}-x\n")
    assert ended(cli, f"{group}-x")["fired"] == 1
    other = cli("queue", "add", "--group", group, "--name", f"{group}-x", "--", "else")
    assert other.returncode == 125
    assert b"which is another one; nothing was run" in other.stderr
    assert b"was made before" in cli("queue", "add", "--group", group, "--name", f"{group}-x", "--sh",
                                     "echo once; sleep 0.1").stderr  # fmt: skip


def test_at_a_time_after_a_delay_and_again_and_again(cli: Cli, tmp_path: Path) -> None:
    begun = time.time()
    at = add(cli, "run", "--at", "now+1s", "--sh", "date +%s.%N")
    delayed = add(cli, "run", "--delay", "500ms", "-d", "--sh", "date +%s.%N")
    beat = add(cli, "run", "--every", "1s", "--sh", f"echo $HOLDFAST_START_KEY >> {tmp_path}/beats")
    assert {at, delayed, beat} <= set(plans(cli, "-a"))
    for plan, least in ((at, 1.0), (delayed, 0.5)):
        ran = float(cli("logs", ended(cli, plan)["job"]).stdout)
        assert begun + least <= ran < begun + 20
    eventually(lambda: len((tmp_path / "beats").read_text().split()) >= 3, 20.0)
    assert cli("queue", "cancel", beat).returncode == 0
    found = ended(cli, beat)
    keys = (tmp_path / "beats").read_text().split()
    assert len(set(keys)) == len(keys) == found["fired"]
    assert keys[0] == f"plan:{beat}:0"


def test_ctrl_c_ends_the_waiting_and_not_the_draining(cli: Cli, group: str) -> None:
    plan = add(cli, "queue", "add", "--group", group, "--", "sleep", "30")
    with cli.popen("queue", "drain", group) as process:
        eventually(lambda: f"{group}  draining" in cli("queue", "groups").stdout.decode())
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read().decode() == (
            f"holdfast: group {group} takes no more plans, and was not waited for; "
            f"`holdfast queue resume {group}` opens it again\n"
        )
    assert f"{group}  draining" in cli("queue", "groups").stdout.decode()
    cli("stop", plans(cli)[plan]["job"])


def test_a_closed_pipe(cli: Cli, group: str) -> None:
    add(cli, "queue", "add", "--group", group, "--delay", "1h", "--", "true")
    done = cli.sh("holdfast queue ls | true; echo ${PIPESTATUS[0]}")
    assert done.stdout in (b"141\n", b"0\n")
    assert done.stderr == b""


def test_a_host_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    for verb in (["add", "--", "true"], ["ls"], ["groups"], ["pause"], ["retry"], ["cancel", "x"], ["drain"]):
        at = verb.index("--") if "--" in verb else len(verb)
        done = cli("queue", *verb[:at], "-H", f"unix://{tmp_path}/none.sock", "--connect-timeout", "200ms", *verb[at:])
        assert done.returncode == 255, verb
        assert done.stdout == b""
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"holdfast: ")
