"""The other verbs against a real agent: listing, reading, waiting, ending, asking, tapping."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentUnderTest]:
    """One agent for all tests of this file."""
    state_dir = tmp_path_factory.mktemp("agent") / "state"
    state_dir.mkdir(mode=0o700)
    agent = AgentUnderTest(state_dir)
    yield agent
    agent.stop()


@pytest.fixture
def cli(running: AgentUnderTest) -> Cli:
    return Cli(running.state_dir)


def detached(cli: Cli, script: str, *flags: str) -> str:
    done = cli("run", "-d", *flags, "--sh", script)
    assert (done.returncode, done.stderr) == (0, b"")
    job = done.stdout.decode()
    assert job.endswith("\n")
    return job.strip()


def test_a_detached_job_from_start_to_end(cli: Cli, tmp_path: Path) -> None:
    script = f"echo one; echo err >&2; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo two; exit 3"
    job = detached(cli, script, "-l", "life")
    assert cli("ps", "-q", "--filter", "label=life").stdout.decode().split() == [job]
    assert cli("status", "-q", "--filter", "label=life").stdout.decode().split() == [job]
    assert eventually(lambda: cli("logs", "--channel", "out", job).stdout) == b"one\n"
    with cli.popen("logs", "-f", job) as reader, cli.popen("attach", "--from-start", job[:6]) as attached:
        time.sleep(0.3)
        (tmp_path / "go").touch()
        assert reader.communicate(timeout=20) == (b"one\ntwo\n", b"err\n")
        assert attached.communicate(timeout=20) == (b"one\ntwo\n", b"err\n")
    assert (reader.returncode, attached.returncode) == (0, 3)
    assert cli("logs", "-n", "1", job).stdout == b"two\n"
    assert cli("attach", "-n", "1", job).stdout == b"two\n"
    assert cli("wait", job).returncode == 3
    verified = cli("verify", "--json", job)
    assert (verified.returncode, json.loads(verified.stdout)["ok"]) == (0, True)
    (shown,) = json.loads(cli("ps", "-a", "--json", "--filter", f"id={job}").stdout)
    assert shown["receipt"]["exit_code"] == 3
    again = cli("retry", "--attach", job)
    assert (again.returncode, again.stdout) == (3, b"one\ntwo\n")
    assert cli("rm", job).returncode == 0
    assert cli("logs", job).returncode == 1


def test_wait_for_several(cli: Cli) -> None:
    jobs = [detached(cli, f"exit {code}") for code in (0, 9, 4)]
    assert cli("wait", *jobs).returncode == 9
    assert cli("wait", jobs[0], "nosuchjob").returncode == 1
    slow = detached(cli, "sleep 60")
    assert cli("wait", "--timeout", "100ms", slow).returncode == 124
    assert cli("kill", "-s", "KILL", slow).returncode == 0
    assert cli("wait", jobs[1], slow).returncode == 137


def test_stop_ends_the_whole_tree(cli: Cli) -> None:
    job = detached(cli, "trap '' TERM; sleep 300 & sleep 301 & wait; wait; wait", "--grace", "300ms")
    begun = time.monotonic()
    done = cli("stop", job)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert time.monotonic() - begun < 10
    (shown,) = json.loads(cli("ps", "-a", "--json", "--filter", f"id={job}").stdout)
    assert (shown["receipt"]["cause"], shown["receipt"]["tree"]) == ("stopped", "gone")
    assert cli("stop", job).returncode == 0


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "10"])
def test_kill_by_any_name(cli: Cli, name: str) -> None:
    job = detached(cli, "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done")
    eventually(lambda: cli("logs", job).stdout)
    assert cli("kill", "-s", name, job).returncode == 0
    assert cli("wait", job).returncode == 5


def test_leftovers(cli: Cli) -> None:
    job = detached(cli, "sleep 321 >/dev/null 2>&1 &", "--leave")
    assert cli("wait", job).returncode == 0

    def ours() -> list[dict[str, object]]:
        return [left for left in json.loads(cli("leftovers", "--json").stdout) if left["job"] == job]

    (left,) = eventually(ours)
    assert left["command"] == ["sleep", "321"]
    assert cli("leftovers", "--end").returncode == 0
    assert ours() == []


def test_prune(cli: Cli) -> None:
    job = detached(cli, "true")
    cli("wait", job)
    assert b"forgotten" in cli("prune", "--older-than", "0").stdout
    assert cli("logs", job).returncode == 1


def test_control_characters_are_shown_only_on_a_terminal(cli: Cli) -> None:
    import pty

    job = detached(cli, "printf '\\033[31mred\\n'")
    cli("wait", job)
    assert cli("logs", job).stdout == b"\x1b[31mred\n"
    for flags, expected in (([], b"^[[31mred\r\n"), (["--raw"], b"\x1b[31mred\r\n")):
        master, slave = pty.openpty()
        with cli.popen("logs", *flags, job, stdout=slave) as process:
            os.close(slave)
            process.wait(20)
            shown = os.read(master, 1000)
        os.close(master)
        assert shown == expected


def test_the_agent_is_asked_without_being_started(tmp_path: Path) -> None:
    cli = Cli(str(tmp_path / "none"))
    assert cli("agent", "status").returncode == 3
    assert cli("agent", "stop").returncode == 0
    assert b"none runs" in cli("version").stdout
    assert not (tmp_path / "none").exists()


def test_the_agents_life(agent: AgentUnderTest) -> None:
    cli = Cli(agent.state_dir)
    assert cli("agent", "start").returncode == 0
    status = json.loads(cli("agent", "status", "--json").stdout)
    network = {"listeners", "network", "disk", "policy"}
    assert set(status) == {"agent", "keeper", "socket", "state_dir", "jobs", "counters"} | network
    assert cli("agent", "start").returncode == 0
    assert json.loads(cli("agent", "status", "--json").stdout)["agent"]["pid"] == status["agent"]["pid"]
    assert b"pid" in cli("agent", "status").stdout
    job = detached(cli, "sleep 1; exit 4")
    begun = time.monotonic()
    assert cli("agent", "stop").returncode == 0
    assert time.monotonic() - begun < 10
    assert cli("agent", "status").returncode == 3
    assert cli("wait", job).returncode == 4
    lasting = detached(cli, "sleep 300")
    assert cli("agent", "stop", "--jobs").returncode == 0
    eventually(lambda: not agent.pids())
    assert cli("wait", lasting).returncode == 143


def test_doctor(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode == 0, done.stdout
    assert all(line.startswith((b"ok ", b"warn ")) for line in done.stdout.splitlines())
    checks = {check["name"]: check for check in json.loads(cli("doctor", "--json").stdout)["checks"]}
    assert {"python", "packages", "state directory", "disk", "agent", "keeper", "clock", "run"} <= set(checks)
    assert "verified" in checks["run"]["text"]


def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    done = Cli(str(tmp_path / "open"))("doctor")
    assert done.returncode == 1
    line = f"fail  state directory: {tmp_path}/open has mode 0755, open to others -- chmod 700"
    assert line.encode() in done.stdout


def test_a_simple_shell(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a dir").mkdir()
    lines = [
        "echo hello", "cd 'a dir'", "pwd", "cd ..", "cd - && true", "cd /nonexistent", "export A=1 B=$HOME/x",
        "echo $A$B", "unset A", "echo ${A:-none}", "", "# comment", "sh -c 'exit 3'", "echo end",
    ]  # fmt: skip
    done = cli("shell", "--simple", input="\n".join(lines).encode() + b"\n", cwd=tmp_path)
    home = cli.env["HOME"]
    assert done.stdout.decode().splitlines() == [
        "hello", f"{tmp_path}/a dir", f"{tmp_path}/a dir", f"1{home}/x", "none", "end",
    ]  # fmt: skip
    assert b"[exit 3]\n" in done.stderr
    assert done.stderr.count(b"[exit ") == 2
    assert done.returncode == 0
    assert cli("shell", "--simple", input=b"false\n").returncode == 1
    assert cli("shell", "--simple", input=b"exit 7\necho never\n").stdout == b""


def test_tap(cli: Cli, tmp_path: Path) -> None:
    done = cli("tap", "--save", str(tmp_path / "x"), "--", "sh", "-c", "echo tapped; exit 3")
    assert done.returncode == 3
    live = done.stdout.decode()
    for kind in ("HELLO", "WELCOME", "REQ", "EVT", "DATA", "END", "RES", "CLOSE"):
        assert f" {kind} " in live
    assert "b'tapped\\n'" in live
    assert cli("tap", "--read", str(tmp_path / "x")).stdout.decode() == live
    frames = [json.loads(line) for line in cli("tap", "--json", "--read", str(tmp_path / "x")).stdout.splitlines()]
    assert frames[0]["type"] == "HELLO"
    assert {"op": "run"}.items() <= frames[2]["header"].items()
    (tmp_path / "bad").write_text("no recording\n")
    assert cli("tap", "--read", str(tmp_path / "bad")).returncode == 125


def completed(cli: Cli, words: str) -> list[str]:
    """What the shell would offer for the last of these words."""
    cli.env |= {"_HOLDFAST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    try:
        return [line.partition(",")[2] for line in cli().stdout.decode().split()]
    finally:
        del cli.env["_HOLDFAST_COMPLETE"]


def test_completion(cli: Cli) -> None:
    job = detached(cli, "sleep 60")
    assert completed(cli, "holdfast log") == ["logs"]
    assert "--timeout" in completed(cli, "holdfast run --t")
    assert job in completed(cli, "holdfast logs ")
    assert completed(cli, f"holdfast attach {job[:5]}") == [job]
    assert {"stop", "start", "status"} <= set(completed(cli, "holdfast agent st"))
    plan = cli("queue", "add", "--delay", "1h", "--", "true").stdout.decode().strip()
    assert plan in completed(cli, "holdfast queue cancel pl")
    cli("queue", "cancel", plan)
    cli("kill", job)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, shell: str) -> None:
    script = cli("completion", shell).stdout
    assert b"_HOLDFAST_COMPLETE" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, check=True)


def test_completion_is_silent_where_no_agent_runs(tmp_path: Path) -> None:
    cli = Cli(str(tmp_path / "none"))
    assert completed(cli, "holdfast logs ") == []
    assert not (tmp_path / "none").exists()
