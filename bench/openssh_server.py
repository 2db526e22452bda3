"""The neighbour's server: an ``sshd`` on a loopback port with keys of its own; nothing of the system's is read.

It lets in this user with the key of this run, and nobody else. Its limits on connections and sessions are raised, so
that what is measured is its work and not its patience.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from typing import Final

from bench.samples import ContestantFailed

CONFIG: Final = "client.conf"
HOST: Final = "bench"
"""Name of the server in that file."""
NOT_LOGIN: Final = "SHLVL=1"
"""For a bash that thinks it is the first one below ``sshd`` reads ~/.bashrc for every command (bash(1), INVOCATION)."""
PRIVILEGE_SEPARATION: Final = "/run/sshd"
"""An empty directory that a root ``sshd`` insists on (Debian; made by its service when the machine starts)."""
START_S: Final = 10.0
STOP_S: Final = 10.0

_SERVER: Final = """\
Port {port}
ListenAddress 127.0.0.1
HostKey "{folder}/host"
AuthorizedKeysFile "{folder}/client.pub"
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
MaxStartups 500
MaxSessions 500
PrintMotd no
SetEnv {not_login}
LogLevel ERROR
"""
_CLIENT: Final = """\
Host {host}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile "{folder}/client"
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile "{folder}/hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  Ciphers aes128-gcm@openssh.com
  LogLevel ERROR
"""


def missing() -> str:
    """Which part of OpenSSH is not installed; empty: all there."""
    absent = [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
    if _sshd() is None:
        absent.append("sshd")
    elif _needs_a_namespace() and not _may_have_a_namespace():
        absent.append(f"the directory {PRIVILEGE_SEPARATION}")
    return f"not installed ({', '.join(absent)})" if absent else ""


def version() -> str:
    """Of the client; the server is of the same package as a rule."""
    if shutil.which("ssh") is None:
        return "not installed"
    done = subprocess.run(["ssh", "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stderr.partition(",")[0].strip().removeprefix("OpenSSH_")


class OpensshServer:
    """A running ``sshd``.

    Args:
        folder: Does not exist yet.

    Raises:
        ContestantFailed: not installed, or it did not come up; with its last words.
    """

    def __init__(self, folder: str) -> None:
        if absent := missing():
            raise ContestantFailed(absent)
        os.mkdir(folder, 0o700)
        self.folder = folder
        for name in ("host", "client"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", os.path.join(folder, name)],
                check=True, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip
        self._log = open(os.path.join(folder, "log"), "w+b")  # noqa: SIM115 - closed by `stop`
        port = _free_port()
        self._write("server.conf", _SERVER.format(port=port, folder=folder, not_login=NOT_LOGIN))
        self._write(CONFIG, _CLIENT.format(host=HOST, port=port, folder=folder, user=getpass.getuser()))
        with open(os.path.join(folder, "host.pub"), encoding="ascii") as file:
            self._write("hosts", f"[127.0.0.1]:{port} {file.read()}")
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=folder
        )
        try:
            self._wait_until_it_listens(port)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Of the process that listens; its descendants serve the connections."""
        return self._process.pid

    def stop(self) -> None:
        """End it; its sessions end with their clients."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> OpensshServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        """The server; as root, where the directory that it insists on is missing, in a mount namespace that has it."""
        server = [_sshd() or "sshd", "-D", "-e", "-f", os.path.join(self.folder, "server.conf")]
        if not _needs_a_namespace():
            return server
        made = f'mount -t tmpfs none /run && mkdir -m 755 {PRIVILEGE_SEPARATION} && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", made, "sh", *server]

    def _wait_until_it_listens(self, port: int) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            except OSError:
                pass  # not yet
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                words = self._log.read().decode(errors="replace").strip().splitlines()
                raise ContestantFailed(f"sshd did not start: {words[-1] if words else 'without a word'}")
            time.sleep(0.05)

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)


def _sshd() -> str | None:
    """Its path, which it must be started with; it is often in no directory of a user's PATH."""
    return shutil.which("sshd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


def _needs_a_namespace() -> bool:
    return os.geteuid() == 0 and not os.path.isdir(PRIVILEGE_SEPARATION)


def _may_have_a_namespace() -> bool:
    """Not in every container, root or not."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /run"]
    return subprocess.run(tried, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    """A port that was free a moment ago: ``sshd`` cannot tell which one the kernel has chosen."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
