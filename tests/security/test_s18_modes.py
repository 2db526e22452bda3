"""S18: everything an agent makes is its user's alone, from the first instant, whatever the umask.

The oracle is lstat(2), and a umask that takes nothing away: a mode that was left to it would show.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import eventually

WIDE = 0o077


def _wide(folder: Path) -> list[str]:
    found = []
    for path in [folder, *folder.rglob("*")]:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & WIDE:
            found.append(f"{path.relative_to(folder)}: {stat.S_IMODE(mode):04o}")
    return found


def test_s18_all_that_an_agent_makes_is_its_users_alone(agent: AgentUnderTest) -> None:
    before = os.umask(0)
    try:
        host = agent.connect()
    finally:
        os.umask(before)
    host.run(["sh", "-c", "head -c 300000 /dev/zero; echo x >&2"], max_output=1_000_000)
    host.run(["cat"], input=b"x" * 300_000)
    assert _wide(Path(agent.state_dir)) == []
    mode = os.stat(agent.socket_path).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) & WIDE == 0


def test_s18_of_an_agent_of_the_network_too(agent: AgentUnderTest, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "holdfast",
            "agent",
            "run",
            "--state-dir",
            agent.state_dir,
            "--listen",
            "tls://127.0.0.1:0",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        umask=0,
    )
    try:
        eventually(lambda: os.path.exists(agent.socket_path), 20.0)
        host = agent.connect()
        host.invite()
        host.run(["true"])
        assert _wide(Path(agent.state_dir)) == []
        names = {path.name for path in Path(agent.state_dir).iterdir()}
        assert {"identity", "audit", "invitations.json"} <= names, "what is looked at is there"
    finally:
        agent.stop()
        process.wait(timeout=20)


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_s18_a_wider_state_directory_is_refused(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "agent", "run", "--state-dir", str(state)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode != 0
    assert b"chmod 700" in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("name", ["identity/identity.pem", "identity", "principals.json"])
def test_s18_wider_keys_are_refused(agent: AgentUnderTest, name: str) -> None:
    """Whoever could have read or changed them may be somebody else by now."""
    command = [sys.executable, "-m", "holdfast", "agent", "run", "--state-dir", agent.state_dir]
    state = Path(agent.state_dir)
    if name == "principals.json":
        state.mkdir(mode=0o700, exist_ok=True)
        (state / name).write_text("{}")
        (state / name).chmod(0o644)
    else:
        from holdfast.transport.identity import load_or_make

        load_or_make(str(state / "identity"))
        state.chmod(0o700)
        path = state / name
        path.chmod(path.stat().st_mode | 0o040)
    done = subprocess.run(
        [*command, "--listen", "tls://127.0.0.1:0"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20
    )
    assert done.returncode != 0
    assert b"others can read" in done.stderr
    assert b"Traceback" not in done.stderr
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(OSError):
        probe.connect(agent.socket_path)
