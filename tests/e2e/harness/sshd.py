"""A real ``sshd`` on a loopback port, with keys and settings of its own; nothing of the system's is read or changed.

``ssh`` reads the configuration of the user in the password file, whatever HOME says, so the clients under test get a
directory for their PATH whose ``ssh`` is the real one with another configuration.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HOST: Final = "far"
"""What the server is called in the clients' configuration."""
PRIVILEGE_SEPARATION: Final = "/run/sshd"
"""An empty directory that an ``sshd`` of root insists on (Debian; made by its service)."""
START_S: Final = 10.0

_SERVER: Final = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
PrintMotd no
LogLevel ERROR
SetEnv {env}
"""
_CLIENT: Final = """\
Host {host}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/client
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
Host stranger
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/nokey
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
"""


def missing() -> str:
    """Why there can be no server here; empty: there can."""
    absent = [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
    if _program() is None:
        absent.append("sshd")
    return f"not installed: {', '.join(absent)}" if absent else ""


class Sshd:
    """A running server that lets in this user, with the key of this run.

    Args:
        folder: For its files; does not exist yet.
        state_dir: Of the agent that its sessions find. Their ``holdfast`` is the one under test.

    Attributes:
        bin_dir: To be the first in the PATH of clients.
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, state_dir: str) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        for name in ("host", "client"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)],
                check=True, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port: int = sock.getsockname()[1]
        env = {"PATH": f"{folder}/far:/usr/bin:/bin", "HOLDFAST_STATE_DIR": state_dir, "LC_ALL": "C.UTF-8"}
        words = " ".join(f'"{name}={value}"' for name, value in env.items())
        self._write("server.conf", _SERVER.format(port=self.port, folder=folder, env=words))
        client = _CLIENT.format(host=HOST, port=self.port, folder=folder, user=getpass.getuser())
        self._write("client.conf", client)
        self._write("known", f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        self.bin_dir = folder / "bin"
        self.bin_dir.mkdir()
        (folder / "far").mkdir()
        sources = os.pathsep.join(path for path in sys.path if path)
        program = f'exec env "PYTHONPATH={sources}" {sys.executable} -m holdfast "$@"'
        self._write("far/holdfast", f"#!/bin/sh\n{program}\n")
        (folder / "far" / "holdfast").chmod(0o755)
        self._write("bin/ssh", f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client.conf "$@"\n')
        (self.bin_dir / "ssh").chmod(0o755)
        self._start()

    def sessions(self) -> list[int]:
        """Processes that serve a connection."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if parent == self._process.pid:
                    found.append(int(name))
        return found

    def cut(self) -> None:
        """End every connection the hard way."""
        for pid in self.sessions():
            for each in [pid, *_children(pid)]:
                try:
                    os.kill(each, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def stop(self) -> None:
        """End it and its connections."""
        self.cut()
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def start_again(self) -> None:
        """Listen on the same port as before, after ``stop``."""
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._process.poll() is None:
            self.stop()

    def _start(self) -> None:
        self._log = open(self._folder / "log", "ab")  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=self._folder
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            except OSError:
                pass  # not yet
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.02)

    def _command(self) -> list[str]:
        """The server; for root, where the directory that it insists on is missing, in a mount namespace that has it."""
        server = [_program() or "sshd", "-D", "-e", "-f", str(self._folder / "server.conf")]
        if os.geteuid() != 0 or os.path.isdir(PRIVILEGE_SEPARATION):
            return server
        made = f'mount -t tmpfs none /run && mkdir -m 755 {PRIVILEGE_SEPARATION} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", made, "sh", *server]

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _program() -> str | None:
    """Its path, by which it insists to be started; it is often in no directory of a user's PATH."""
    return shutil.which("sshd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
