"""Everything that can be got wrong: the right exit code, and one line on what happened and whether anything ran."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.cli.app import main
from holdfast.wire.messages import Welcome, encode
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli


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


def one_line(done: subprocess.CompletedProcess[bytes], code: int, *words: str) -> None:
    """The whole of what a user gets to see: the code, nothing on standard output, one line of ours."""
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), said
    assert said.startswith("holdfast: ")
    assert said.count("\n") == 1, said
    for word in words:
        assert word in said


def test_flags(cli: Cli) -> None:
    one_line(cli("run", "--nonsense", "--", "true"), 2, "--nonsense", "nothing was run")
    one_line(cli("run", "true"), 2, "holdfast run -- ls -l", "nothing was run")
    one_line(cli("rnu", "--", "true"), 2, "run")


def test_hosts(cli: Cli) -> None:
    one_line(cli("run", "web9", "--", "true"), 255, "unknown host 'web9'", "nothing was run")
    one_line(cli("run", "unix:///nonexistent/agent.sock", "--", "true"), 255, "nothing was run")
    assert cli("run", "--transport-exit", "99", "web9", "--", "true").returncode == 99


def test_jobs(cli: Cli) -> None:
    for verb in ("logs", "attach", "wait", "stop", "kill", "rm", "verify", "retry"):
        one_line(cli(verb, "nosuchjob"), 1, "no such job: nosuchjob", "holdfast ps -a")


def test_commands(cli: Cli, tmp_path: Path) -> None:
    one_line(cli("run", "--", "nosuchcommand"), 127, "nosuchcommand: command not found", "did not run")
    one_line(cli("run", "--", str(tmp_path / "none")), 127, "did not run")
    (tmp_path / "plain").write_text("text")
    one_line(cli("run", "--", str(tmp_path / "plain")), 126, "Permission denied", "did not run")
    (tmp_path / "plain").chmod(0o755)
    one_line(cli("run", "--", str(tmp_path / "plain")), 126, "did not run")
    one_line(cli("run", "--", str(tmp_path)), 126, "did not run")


def test_directories_and_users(cli: Cli, tmp_path: Path) -> None:
    one_line(cli("run", "-w", str(tmp_path / "none"), "--", "true"), 125, "directory", "did not run")
    one_line(cli("run", "-w", str(Path(__file__)), "--", "true"), 125, "directory", "did not run")
    one_line(cli("run", "-u", "nosuchuser", "--", "true"), 125, "nosuchuser")


def test_ten_megabytes_of_arguments(
    running: AgentUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", running.state_dir)
    assert main(["run", "--", "echo", *["x" * 1000] * 10_000]) == 125
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "nothing was run" in said
    assert "10" in said


def test_a_single_argument_that_the_system_refuses(
    running: AgentUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", running.state_dir)
    assert main(["run", "--", "echo", "x" * 1_000_000]) == 125  # execve(2): 128 KiB for one string
    said = capfd.readouterr().err
    assert "too long" in said
    assert "did not run" in said


def test_a_nul_byte(
    running: AgentUnderTest, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", running.state_dir)
    assert main(["run", "--", "echo", "a\0b"]) == 125
    assert "NUL" in capfd.readouterr().err


def test_a_long_socket_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True, mode=0o700)
    agent = AgentUnderTest(deep)
    try:
        assert Cli(str(deep))("run", "--", "echo", "deep").stdout == b"deep\n"
    finally:
        agent.stop()


def test_a_state_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one_line(Cli(str(tmp_path / "file" / "state"))("run", "--", "true"), 125, "nothing was run")


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[str]:
    """The state directory of something that answers with another protocol version."""
    from holdfast.wire.frames import FrameType, encode_frame

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "agent.sock"))
    listener.listen()
    welcome = encode(Welcome(99, "a" * 16, "i" * 32, "b", "p", software="holdfast/99.0"))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                peer.sendall(encode_frame(FrameType.WELCOME, header=welcome))
                peer.recv(65536)

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(tmp_path)
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def test_an_agent_of_another_version(stranger: str) -> None:
    one_line(Cli(stranger)("run", "--", "true"), 255, "nothing was run")


def test_a_damaged_journal(agent: AgentUnderTest) -> None:
    cli = Cli(agent.state_dir)
    assert cli("run", "--", "true").returncode == 0
    assert cli("agent", "stop", "--jobs").returncode == 0
    for name in os.listdir(agent.state_dir):
        if "journal" in name:
            (Path(agent.state_dir) / name).write_bytes(b"not a journal" * 1000)
    one_line(cli("run", "--", "true"), 125, "journal", "nothing was run")


def test_a_full_disk(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", tmp_path], capture_output=True
    ).returncode:
        pytest.skip("no right to mount")
    agent = AgentUnderTest(tmp_path)
    try:
        one_line(Cli(str(tmp_path))("run", "--", "true"), 125, "free", "nothing was run")
    finally:
        agent.stop()
        subprocess.run(["umount", "-l", tmp_path], check=True)
