"""The way through ssh, with a stand-in for ssh that does what each test says; the real one is in ``tests/e2e``."""

from __future__ import annotations

import errno
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import ConnectFailed
from holdfast.transport import ssh
from holdfast.transport.address import Address, parse

FAR = Address("ssh", host="far")
StandIn = Callable[[str], None]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a shell script in the place of ssh."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(script: str) -> None:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)

    return write


def read_all(sock: socket.socket) -> bytes:
    found = b""
    while data := sock.recv(65536):
        found += data
    return found


def is_gone(pid: int) -> bool:
    """Ended and reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line() -> None:
    assert ssh.command(FAR, remote="holdfast", terminal=True) == [
        "ssh", "-T", "-x", "-o", "ClearAllForwardings=yes", "--", "far", "holdfast stdio",
    ]  # fmt: skip
    address = parse("ssh://anna@far:2222")
    assert ssh.command(address, remote="/opt/hf/bin/holdfast", terminal=False) == [
        "ssh", "-T", "-x", "-o", "ClearAllForwardings=yes", "-o", "BatchMode=yes", "-p", "2222", "-l", "anna",
        "--", "far", "/opt/hf/bin/holdfast stdio",
    ]  # fmt: skip


def test_a_host_that_looks_like_an_option_is_a_host() -> None:
    """``parse`` refuses it already; ssh would have to take it for a host, too."""
    with pytest.raises(ConnectFailed):
        parse("ssh://-oProxyCommand=touch%20x")
    words = ssh.command(Address("ssh", host="-oProxyCommand=x"), remote="holdfast", terminal=True)
    assert words.index("--") == words.index("-oProxyCommand=x") - 1


CONFIG = """\
Host far
  HostName far.example
  Port 2200
  User berta
  ProxyJump jump.example
  ServerAliveInterval 17
  ConnectTimeout 23
  LocalForward 9999 localhost:1
  BatchMode {batch}
"""


@pytest.mark.parametrize("batch", ["yes", "no"])
def test_the_users_configuration_holds(tmp_path: Path, batch: str) -> None:
    """Oracle: ``ssh -G`` tells what the options come to."""
    if shutil.which("ssh") is None:
        pytest.skip("no ssh on this machine")
    (tmp_path / "config").write_text(CONFIG.format(batch=batch))
    words = ssh.command(FAR, remote="holdfast", terminal=True)
    told = subprocess.run(
        [words[0], "-F", str(tmp_path / "config"), "-G", *words[1:]], capture_output=True, text=True, check=True
    )
    facts = dict(line.partition(" ")[::2] for line in told.stdout.splitlines())
    wanted = {
        "hostname": "far.example", "port": "2200", "user": "berta", "proxyjump": "jump.example",
        "serveraliveinterval": "17", "connecttimeout": "23", "batchmode": batch, "clearallforwardings": "yes",
        "requesttty": "false", "forwardx11": "no",
    }  # fmt: skip
    assert wanted.items() <= facts.items()


ASK = """
import os, sys
from holdfast.transport import ssh
from holdfast.transport.address import Address
link = ssh.open(Address("ssh", host="far"))
said = b""
while data := link.sock.recv(4096):
    said += data
link.close()
os.write(1, said)
"""


def test_nobody_is_asked_where_nobody_can_answer(stand_in: StandIn) -> None:
    stand_in('echo "$@"')
    alone = subprocess.run([sys.executable, "-c", ASK], capture_output=True, start_new_session=True, check=True)
    assert b"-o BatchMode=yes" in alone.stdout


def test_somebody_at_a_terminal_is_asked(stand_in: StandIn) -> None:
    """ssh is in the group of the terminal's foreground: another group may not read from it (tty_ioctl(4))."""
    stand_in('echo "$@" && exec 3</dev/tty && read -r answer <&3 && echo "answer $answer"')
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASK])
    os.write(master, b"secret\n")
    said = b""
    while True:
        try:
            said += os.read(master, 4096)
        except OSError as exc:
            assert exc.errno == errno.EIO  # noqa: PT017 - the end of a terminal
            break
    os.close(master)
    assert os.waitpid(pid, 0)[1] == 0, said
    assert b"ClearAllForwardings" in said
    assert b"BatchMode" not in said
    assert b"answer secret" in said


# --- the running ssh -------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways(stand_in: StandIn) -> None:
    stand_in("exec cat")
    link = ssh.open(FAR)
    link.sock.sendall(bytes(range(256)))
    link.sock.shutdown(socket.SHUT_WR)
    assert read_all(link.sock) == bytes(range(256))
    link.close()
    assert is_gone(link.pid)


@pytest.mark.parametrize("script", ["echo up; exec cat", "echo up; cat; echo over"])
def test_ctrl_c_is_not_heard_by_ssh_or_its_proxy(stand_in: StandIn, script: str) -> None:
    """The terminal sends SIGINT to the whole group; a shell clears its children's mask, but not what they ignore."""
    stand_in(script)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    link = ssh.open(FAR)
    assert link.sock.recv(100) == b"up\n"
    link.sock.sendall(b"and its child is up")
    assert link.sock.recv(100) == b"and its child is up"
    children = Path(f"/proc/{link.pid}/task/{link.pid}/children").read_text().split()
    assert len(children) == script.count("over")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before, "ours is as it was"
    assert os.getpgid(link.pid) == os.getpgrp(), "else it may not read a password"
    for pid in (link.pid, *map(int, children)):
        os.kill(pid, signal.SIGINT)
    link.sock.sendall(b"still there")
    assert link.sock.recv(100) == b"still there"
    link.close()


@pytest.mark.parametrize(
    "script", ["exec cat", "trap '' TERM; echo up; while :; do read -r _ </dev/zero; done", "echo up; exit 0"]
)
def test_ssh_is_gone_after_close(stand_in: StandIn, script: str) -> None:
    stand_in(script)
    link = ssh.open(FAR)
    if "up" in script:
        assert link.sock.recv(10) == b"up\n"
    begun = time.monotonic()
    link.close()
    link.close()
    assert is_gone(link.pid)
    assert time.monotonic() - begun < 5 * ssh.LEAVE_S


# --- why it ended ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "layer", "words"),
    [
        ("echo 'anna@far: Permission denied (publickey).' >&2; exit 255", "ssh", "Permission denied (publickey)."),
        ("echo 'PKCS#11 provider not found' >&2; exit 255", "ssh", "status 255: PKCS#11 provider not found"),
        ("exit 255", "ssh", "status 255: it said nothing"),
        ("echo 'sh: 1: holdfast: not found' >&2; exit 127", "holdfast", "not installed there"),
        ("echo 'holdfast: Command not found.' >&2; exit 1", "holdfast", "not installed there"),
        ("exit 127", "holdfast", "it said: nothing"),
        ("echo 'holdfast: /x: Permission denied' >&2; exit 126", "holdfast", "status 126: holdfast: /x: Permission"),
        ("kill -9 $$", "ssh", "ssh was ended by SIGKILL"),
        (r"printf 'first\r\n\033[31mred\007 end\r\n\n' >&2; exit 255", "ssh", "status 255: [31mred end"),
    ],
)
def test_why_it_ended(stand_in: StandIn, script: str, layer: str, words: str) -> None:
    stand_in(script)
    link = ssh.open(FAR)
    assert read_all(link.sock) == b""
    failure = link.failure(10)
    assert (failure.layer, failure.ran) == (layer, "no")
    assert words in str(failure)
    assert str(failure).startswith("ssh://far: ")
    assert str(failure).isprintable()
    link.close()


def test_an_ssh_that_does_not_get_through(stand_in: StandIn) -> None:
    stand_in("echo 'far: still looking' >&2; echo up; exec cat")
    link = ssh.open(FAR)
    assert link.sock.recv(10) == b"up\n"
    failure = link.failure(0.01)
    assert (failure.layer, str(failure)) == ("ssh", "ssh://far: ssh does not get through: far: still looking")
    link.close()
    assert str(link.failure(0.01)), "also asked late it is an answer"


def test_a_machine_that_talks_without_end_fills_nothing_here(stand_in: StandIn) -> None:
    """Standard error is the other machine's to write, as long as the connection lasts."""
    if sys.platform != "linux":
        pytest.skip("only Linux has memory files that cannot grow")
    stand_in("head -c 10000000 /dev/zero >&2; echo up; readlink /proc/$$/fd/2; stat -L -c %s /proc/$$/fd/2; exec cat")
    link = ssh.open(FAR)
    said = b""
    while said.count(b"\n") < 3:
        said += link.sock.recv(4096)
    up, where, size = said.decode().splitlines()
    assert up == "up", "and the connection goes on"
    assert where.startswith("/memfd:"), "no file of a disk"
    assert int(size) <= 64 * 1024
    link.close()


def test_no_ssh_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectFailed, match="ssh://far: there is no ssh on this machine") as caught:
        ssh.open(FAR)
    assert (caught.value.layer, caught.value.ran) == ("ssh", "no")


def test_no_room_to_start_it(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    stand_in("exec cat")
    monkeypatch.setattr(os, "memfd_create", full, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ConnectFailed, match="cannot start ssh: Too many open files") as caught:
        ssh.open(FAR)
    assert caught.value.layer == "ssh"
