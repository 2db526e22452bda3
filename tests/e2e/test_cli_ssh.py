"""Through a real sshd: true bytes and codes, a resume through a new ssh, and what is said where it fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.wire.frames import FrameParser, FrameType
from holdfast.wire.limits import MIB
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually
from tests.e2e.harness import sshd
from tests.e2e.test_cli_mistakes import one_line

pytestmark = pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())

FAR = f"ssh://{sshd.HOST}"


@pytest.fixture
def server(tmp_path: Path, agent: AgentUnderTest) -> Iterator[sshd.Sshd]:
    """Another machine, as far as ssh can tell; its agent is not started yet."""
    with sshd.Sshd(tmp_path / "sshd", agent.state_dir) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, server: sshd.Sshd) -> Cli:
    """The command line of a machine whose ssh knows the other one."""
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": f"{server.bin_dir}:{os.environ['PATH']}"}
    return Cli(str(tmp_path / "client-state"), **env)


def test_bytes_and_codes_are_the_commands(cli: Cli) -> None:
    done = cli("run", FAR, "--", "sh", "-c", "printf 'a\\000b'; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"a\0b", b"err\n")
    done = cli("run", "-i", FAR, "--", "cat", input=bytes(range(256)) * 4096)
    assert (done.returncode, done.stdout) == (0, bytes(range(256)) * 4096)
    assert cli("run", FAR, "--", "nosuchcommand").returncode == 127
    assert cli("ps", "-a", "-H", FAR).returncode == 0


def test_a_name_stands_for_it(cli: Cli) -> None:
    assert cli("host", "add", "db", "--address", FAR).returncode == 0
    assert cli("run", "db", "--", "echo", "hello").stdout == b"hello\n"
    assert cli("host", "ping", "db", "-n", "2").returncode == 0


def test_a_connection_that_is_cut_is_resumed_through_a_new_ssh(cli: Cli, server: sshd.Sshd) -> None:
    script = "for i in $(seq 40); do echo $i; sleep 0.1; done"
    running = cli.popen("run", FAR, "--", "sh", "-c", script)
    assert running.stdout is not None
    first = running.stdout.read(4)
    server.cut()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert first + out == b"".join(b"%d\n" % number for number in range(1, 41))
    lines = err.decode().splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("holdfast: connection lost, jobs go on")
    assert lines[1].startswith("holdfast: connected again")


def test_stdio_writes_nothing_but_frames(cli: Cli, server: sshd.Sshd, agent: AgentUnderTest) -> None:
    """Also when an agent has to be started first, which writes its log: not to here."""
    ssh = subprocess.Popen(
        ["ssh", "-T", sshd.HOST, "holdfast", "stdio"],
        env=cli.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    hello = agent_hello()
    out, err = ssh.communicate(hello, timeout=30)
    assert (ssh.returncode, err) == (0, b"")
    parser = FrameParser({int(type_): (MIB, MIB) for type_ in FrameType})
    parser.feed(out)
    frame = parser.next_frame()
    assert frame is not None
    assert frame.type == FrameType.WELCOME
    while parser.next_frame() is not None:
        pass


def agent_hello() -> bytes:
    """What a client says first."""
    from holdfast.client.identity import SOFTWARE, instance_id
    from holdfast.wire.frames import encode_frame
    from holdfast.wire.messages import Hello, encode

    return encode_frame(FrameType.HELLO, header=encode(Hello(1, 1, instance_id(), SOFTWARE)))


def test_what_ssh_says_is_told(cli: Cli, server: sshd.Sshd) -> None:
    done = cli("run", "ssh://stranger", "--", "true")
    one_line(done, 255, "Permission denied", "nothing was run")
    done = cli("run", "ssh://no-such-host.invalid", "--", "true")
    one_line(done, 255, "no-such-host.invalid", "nothing was run")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    one_line(cli("run", f"ssh://127.0.0.1:{port}", "--", "true"), 255, "refused", "nothing was run")


def test_a_machine_without_holdfast(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config" / "holdfast"
    config.mkdir(parents=True)
    (config / "hosts.toml").write_text(f'[db]\naddress = "{FAR}"\nremote = "/nonexistent/holdfast"\n')
    one_line(cli("run", "db", "--", "true"), 255, "/nonexistent/holdfast", "nothing was run")
    code, checks = doctor(cli, "db")
    assert (code, checks["ssh"]["state"], checks["holdfast"]["state"], checks["version"]["state"]) == (
        255, "ok", "fail", "skip",
    ), checks  # fmt: skip


def doctor(cli: Cli, host: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = cli("doctor", host, "--json")
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_the_doctor(cli: Cli, server: sshd.Sshd) -> None:
    code, checks = doctor(cli, FAR)
    assert code == 0
    assert {name: check["state"] for name, check in checks.items()} == dict.fromkeys(
        ["ssh", "holdfast", "version", "clock", "disk"], "ok"
    )
    code, checks = doctor(cli, "ssh://stranger")
    assert (code, checks["ssh"]["state"], checks["holdfast"]["state"]) == (255, "fail", "skip")
    assert "Permission denied" in checks["ssh"]["text"]


def test_ctrl_c_and_the_time_limit_while_ssh_connects(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ssh://127.0.0.1:{silent.getsockname()[1]}"
        running = cli.popen("run", address, "--connect-timeout", "60", "--", "true")
        conn, _ = silent.accept()
        with conn:
            running.send_signal(signal.SIGINT)
            begun = time.monotonic()
            out, err = running.communicate(timeout=10)
            assert time.monotonic() - begun < 4.0
            assert (running.returncode, out) == (130, b"")
            assert err.count(b"\n") == 1
            assert conn.recv(100).startswith(b"SSH-")
            assert conn.recv(100) == b"", "the ssh has gone, too"
        begun = time.monotonic()
        one_line(cli("run", address, "--connect-timeout", "1", "--", "true"), 255, "nothing was run")
        assert time.monotonic() - begun < 8.0


def test_nothing_is_left_of_a_connection(cli: Cli, server: sshd.Sshd) -> None:
    assert cli("run", FAR, "--", "true").returncode == 0
    eventually(lambda: not server.sessions())


def test_a_client_that_is_killed_leaves_no_ssh(cli: Cli, server: sshd.Sshd) -> None:
    running = cli.popen("run", "--on-disconnect", "kill", FAR, "--", "sleep", "100")
    eventually(lambda: b"sleep" in cli("ps", "-H", FAR).stdout)
    running.kill()
    running.communicate()
    eventually(lambda: not server.sessions())
    begun = time.monotonic()
    eventually(lambda: b"sleep" not in cli("ps", "-H", FAR).stdout)
    assert time.monotonic() - begun < 10
