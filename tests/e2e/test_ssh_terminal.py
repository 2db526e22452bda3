"""ssh with a person at a terminal: who is asked for a passphrase, and who hears Ctrl-C. Through a real sshd."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually
from tests.e2e.harness import sshd

pytestmark = pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())

FAR = f"ssh://{sshd.HOST}"
PASSPHRASE = "open sesame"
SHOWN_S = 30.0


@pytest.fixture
def server(tmp_path: Path, agent: AgentUnderTest) -> Iterator[sshd.Sshd]:
    """Another machine, as far as ssh can tell, that is reached through a proxy that is a shell script of its own."""
    with sshd.Sshd(tmp_path / "sshd", agent.state_dir) as running:
        proxy = tmp_path / "proxy"
        proxy.write_text(f"#!/bin/sh\n{sys.executable} -IS -c '{RELAY}' {running.port}\nexit $?\n")
        proxy.chmod(0o755)
        config = tmp_path / "sshd" / "client.conf"
        text = config.read_text().replace("BatchMode yes", f"ProxyCommand {proxy}", 1)
        config.write_text(text)
        yield running


RELAY = """
import os, socket, sys, threading
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def down():
    while data := sock.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=down, daemon=True).start()
while data := os.read(0, 65536):
    sock.sendall(data)
"""


@pytest.fixture
def cli(tmp_path: Path, server: sshd.Sshd) -> Cli:
    """The command line of a machine whose ssh knows the other one."""
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": f"{server.bin_dir}:{os.environ['PATH']}"}
    return Cli(str(tmp_path / "client-state"), **env)


class Terminal:
    """A command that has this terminal as its own; what it shows is kept."""

    def __init__(self, cli: Cli, *args: str) -> None:
        self._master, slave = pty.openpty()
        self.shown = b""
        self.process = cli.popen(
            *args, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        )
        os.close(slave)

    def until(self, words: bytes, times: int = 1) -> None:
        """Wait for something to be shown so many times."""
        deadline = time.monotonic() + SHOWN_S
        while self.shown.count(words) < times:
            left = deadline - time.monotonic()
            assert left > 0, self.shown
            assert self._more(left), f"it ended: {self.shown!r}"

    def _more(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return True
        try:
            self.shown += os.read(self._master, 4096)
        except OSError as exc:
            assert exc.errno == errno.EIO  # noqa: PT017 - the end of a terminal
            return False
        return True

    def type(self, keys: bytes) -> None:
        """Press these keys."""
        os.write(self._master, keys)

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def end(self) -> int:
        """Its exit code, when it has ended."""
        deadline = time.monotonic() + SHOWN_S
        while self._more(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"it does not end: {self.shown!r}"
        return self.process.wait(SHOWN_S)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def locked(tmp_path: Path, server: sshd.Sshd) -> None:
    """The client's key asks for a passphrase."""
    key = str(tmp_path / "sshd" / "client")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", key], check=True, capture_output=True)


CATCHES = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"


def test_a_passphrase_is_asked_for_and_ctrl_c_reaches_the_command(cli: Cli, locked: None) -> None:
    """Neither ssh nor its proxy hears it: what the command says of it comes back over the same connection."""
    terminal = Terminal(cli, "run", FAR, "--", "sh", "-c", CATCHES)
    try:
        terminal.until(b"Enter passphrase for key")
        eventually(lambda: not terminal.echoes)
        terminal.type(PASSPHRASE.encode() + b"\n")
        terminal.until(b"ready")
        assert terminal.echoes
        assert PASSPHRASE.encode() not in terminal.shown
        terminal.type(b"\x03")
        assert terminal.end() == 7, terminal.shown
        assert b"caught" in terminal.shown
        assert b"connection lost" not in terminal.shown
    finally:
        terminal.close()


def test_ctrl_c_at_the_passphrase_gives_up_and_leaves_a_terminal_that_echoes(
    cli: Cli, server: sshd.Sshd, locked: None
) -> None:
    terminal = Terminal(cli, "run", FAR, "--", "true")
    try:
        terminal.until(b"Enter passphrase for key")
        eventually(lambda: not terminal.echoes)
        terminal.type(b"\x03")
        assert terminal.end() == 130, terminal.shown
        assert terminal.echoes
        eventually(lambda: not server.sessions())
    finally:
        terminal.close()


def test_a_wrong_passphrase_is_ssh_s_to_tell(cli: Cli, locked: None) -> None:
    terminal = Terminal(cli, "run", FAR, "--", "true")
    try:
        for number in range(1, 4):
            terminal.until(b"Enter passphrase", number)
            terminal.type(b"wrong\n")
        assert terminal.end() == 255, terminal.shown
        assert b"Permission denied" in terminal.shown
        assert b"nothing was run" in terminal.shown
    finally:
        terminal.close()


def test_nobody_is_asked_without_a_terminal(cli: Cli, tmp_path: Path, locked: None) -> None:
    """It fails at once; no window of SSH_ASKPASS opens on somebody's screen (ssh(1), ENVIRONMENT)."""
    asked = tmp_path / "asked"
    script = tmp_path / "askpass"
    script.write_text(f"#!/bin/sh\ntouch {asked}\necho '{PASSPHRASE}'\n")
    script.chmod(0o755)
    cli.env |= {"DISPLAY": ":0", "SSH_ASKPASS": str(script)}
    begun = time.monotonic()
    done = cli("run", FAR, "--", "true", start_new_session=True)
    assert time.monotonic() - begun < 10
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr
    assert not asked.exists()


def test_the_end_of_the_client_ends_ssh_and_its_proxy(cli: Cli, server: sshd.Sshd) -> None:
    terminal = Terminal(cli, "run", "--on-disconnect", "kill", FAR, "--", "sh", "-c", "echo ready; sleep 100")
    try:
        terminal.until(b"ready")
        group = terminal.process.pid
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait(SHOWN_S)
        eventually(lambda: not _group(group))
        eventually(lambda: not server.sessions())
    finally:
        terminal.close()


def _group(pgid: int) -> list[str]:
    """Commands of the living processes of a process group."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [args for group, state, args in rows if int(group) == pgid and not state.startswith("Z")]
