"""The way through ssh: the user's own OpenSSH client carries the bytes to ``holdfast stdio`` on the other machine.

Who may log in, with which key, over which jump hosts is ssh's business: ssh_config(5) holds, and nothing overrides it
but ClearAllForwardings, since a second connection must not fail on a port that the first one has forwarded.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Final

from holdfast.errors import ConnectFailed
from holdfast.transport.address import Address

LEAVE_S: Final = 0.5
"""What ssh gets to leave by itself when its input has ended; then TERM, then KILL."""
WORDS_BYTES: Final = 4096
"""How much of ssh's standard error is looked at for a message."""
ERRORS_BYTES: Final = 64 * 1024
"""How much of it is kept: the other machine can write there too, for as long as the connection lasts."""
DEAF: Final = ("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh")
"""Starts a program that ignores SIGINT, as does all that it starts in turn: a proxy that is a script, too."""
DIED: Final = 255
"""ssh's own exit status for an error of its own (ssh(1))."""


def command(address: Address, *, remote: str, terminal: bool) -> list[str]:
    """The command line of ssh.

    Args:
        address: Of kind ``ssh``; its parts never begin with a dash (``address.parse``).
        remote: The program to run over there, as the login shell of that machine reads it.
        terminal: Somebody can be asked for a password; otherwise ssh is told not to (BatchMode).
    """
    words = ["ssh", "-T", "-x", "-o", "ClearAllForwardings=yes"]
    if not terminal:
        words += ["-o", "BatchMode=yes"]
    if address.port:
        words += ["-p", str(address.port)]
    if address.user:
        words += ["-l", address.user]
    return [*words, "--", address.host, f"{remote} stdio"]


class SshLink:
    """A running ssh and our end of its standard input and output. Made by ``open``."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes], where: str) -> None:
        self.sock = sock
        self._process = process
        self._errors = errors
        self._where = where
        self._lock = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int:
        """Of the ssh process."""
        return self._process.pid

    def failure(self, wait_s: float = LEAVE_S) -> ConnectFailed:
        """Why the connection has ended, in ssh's own words: it is given ``wait_s`` to end and to say them."""
        try:
            status: int | None = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            status = None
        said = self._last_words()
        # A shell that finds no program says so by 127 (POSIX), csh by 1; ssh itself also misses files, keys and names.
        if status == 127 or (status not in (None, DIED) and "not found" in said.lower()):
            return ConnectFailed(
                f"{self._where}: holdfast is not installed there, or not in the PATH of a login without a terminal"
                f" (set `remote` in hosts.toml); it said: {said or 'nothing'}",
                layer="holdfast",
            )
        if status is None:
            return ConnectFailed(
                f"{self._where}: ssh does not get through" + (f": {said}" if said else ""), layer="ssh"
            )
        layer = "ssh" if status == DIED or status < 0 else "holdfast"  # any other status is the remote program's own
        ended = f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
        return ConnectFailed(f"{self._where}: ssh {ended}: {said or 'it said nothing'}", layer=layer)

    def close(self) -> None:
        """End ssh and reap it; within about a second, and safe to call more than once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.sock.close()
            for signum in (None, signal.SIGTERM, signal.SIGKILL):
                if signum is not None:
                    self._process.send_signal(signum)
                try:
                    self._process.wait(LEAVE_S)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._errors.close()

    def _last_words(self) -> str:
        """The last line of its standard error, without control characters."""
        try:
            written = os.lseek(self._errors.fileno(), 0, os.SEEK_CUR)  # ssh's descriptor and ours share the offset
            begin = max(0, written - WORDS_BYTES)
            text = os.pread(self._errors.fileno(), written - begin, begin).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""
        lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
        return next((line for line in reversed(lines) if line), "")


def open(address: Address, *, remote: str = "holdfast") -> SshLink:
    """Start ssh. Whether it gets through shows when the agent answers, or when the socket ends: ask ``failure`` then.

    How long ssh tries is its own business (ConnectTimeout); whoever has waited long enough calls ``close``.

    ssh keeps our terminal, so it can ask for a password there; it does not hear Ctrl-C, which is for the command.

    Args:
        address: Of kind ``ssh``.
        remote: The program to run over there.

    Raises:
        ConnectFailed: there is no ssh on this machine, or it cannot be started; layer ``ssh``.
    """
    program = _find()
    if program is None:
        raise ConnectFailed(f"{address.text}: there is no ssh on this machine", layer="ssh")
    words = [*DEAF, program, *command(address, remote=remote, terminal=_has_terminal())[1:]]
    with ExitStack() as kept:
        try:
            ours, theirs = socket.socketpair()
            kept.callback(ours.close)
            with theirs, _interrupts_held():
                errors = kept.enter_context(_errors_file())
                end = theirs.fileno()
                process = subprocess.Popen(words, stdin=end, stdout=end, stderr=errors.fileno())
        except OSError as exc:
            raise ConnectFailed(f"{address.text}: cannot start ssh: {exc.strerror}", layer="ssh") from exc
        kept.pop_all()
    return SshLink(ours, process, errors, address.text)


def _errors_file() -> IO[bytes]:
    """Where ssh's standard error goes: on Linux memory of a fixed size, so that nobody fills a disk of ours."""
    if sys.platform != "linux":
        import tempfile

        return tempfile.TemporaryFile()
    import fcntl

    fd = os.memfd_create("holdfast-ssh", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    file = os.fdopen(fd, "w+b", buffering=0)
    os.truncate(fd, ERRORS_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)  # a write beyond fails: fcntl(2)
    return file


def _find() -> str | None:
    """The user's ssh: the first in the PATH."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, "ssh")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A child that is started meanwhile does not hear SIGINT, until it ignores it: exec(2) keeps the thread's mask.

    A process group of its own would do that too, but a background group may not read from the terminal (tty_ioctl(4)).
    The mask alone is not enough: shells clear it in the children that they fork.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
