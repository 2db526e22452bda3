"""The user's own agent on this machine: find it, or start it, exactly one of it.

Rules:

* Connecting to the socket decides. Files, ids and ages prove nothing.
* Whoever starts an agent holds ``start.lock`` of the state directory meanwhile; the others wait for it and connect.
* A keeper that lives (it holds ``keeper.lock``) starts a crashed agent by itself, so it gets three seconds first.
* All of this blocks, for ten seconds at most; ``cancelled`` is asked in between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from holdfast.errors import ConnectFailed
from holdfast.transport import unix

START_LOCK: Final = "start.lock"
KEEPER_LOCK: Final = "keeper.lock"
LOG: Final = "agent.log"
SOCKET: Final = "agent.sock"

START_S: Final = 10.0
"""From spawning an agent to its first accepted connection, at the most."""
KEEPER_S: Final = 3.0
"""What a living keeper gets to start its agent again."""
OTHERS_S: Final = 0.3
"""What another agent gets to come up when ours has ended at its start."""
_TICK_S: Final = 0.01

_starting = threading.Lock()
"""File locks do not exclude threads of one process from each other."""


def connect(
    state_dir: str,
    *,
    start: bool,
    timeout_s: float = START_S,
    cancelled: Callable[[], bool] = lambda: False,
    command: Sequence[str] | None = None,
) -> socket.socket:
    """A connection to the agent of a state directory, which is started if there is none and ``start`` is set.

    Args:
        state_dir: The agent's.
        start: Start one if none runs.
        timeout_s: Longest time for all of it.
        cancelled: Asked in between; True: give up.
        command: What starts an agent; None: ``agent_command``, a private one.

    Raises:
        ConnectFailed: none runs and none may be started, or it does not come up; the message ends with the last line
            of its log.
    """
    path = os.path.join(state_dir, SOCKET)
    deadline = time.monotonic() + timeout_s
    try:
        return unix.connect(path, timeout_s=timeout_s)
    except ConnectFailed as error:
        if not _nobody_listens(error):
            raise
        if not start:
            raise ConnectFailed(f"no agent runs in {state_dir}") from error
    _make_state_dir(state_dir)
    with _lock(os.path.join(state_dir, START_LOCK), deadline, cancelled):
        sock = _try(path)
        if sock is None and _keeper_lives(state_dir):
            sock = _await_socket(path, min(deadline, time.monotonic() + KEEPER_S), cancelled)
        if sock is not None:
            return sock
        pid = _spawn(state_dir, agent_command(state_dir) if command is None else command)
        return _await_agent(pid, path, max(deadline, time.monotonic() + 1.0), cancelled)


def is_older(software: str, ours: str) -> bool:
    """Whether an agent's ``name/version`` is an older version of the same name than ``ours``."""
    name, _, version = software.partition("/")
    our_name, _, our_version = ours.partition("/")
    return name == our_name and _numbers(version) < _numbers(our_version)


def agent_command(state_dir: str, *, private: bool = True) -> list[str]:
    """The command line that starts an agent: a private one, which leaves by itself, or one that stays."""
    kind = ["--embedded"] if private else []
    return [sys.executable, "-m", "holdfast", "agent", "run", *kind, "--state-dir", state_dir]


def _await_agent(pid: int, path: str, deadline: float, cancelled: Callable[[], bool]) -> socket.socket:
    """A connection to an agent that was just spawned."""
    try:
        watched = os.pidfd_open(pid)
    except OSError:
        watched = -1
    try:
        sock = _await_socket(path, deadline, cancelled, watched)
    finally:
        if watched >= 0:
            os.close(watched)
    if sock is None:
        raise ConnectFailed(f"the agent was started (process {pid}) but does not answer on {path}")
    return sock


def _spawn(state_dir: str, command: Sequence[str]) -> int:
    """Start the agent as nobody's child: it outlives us, and its end is not ours to reap.

    The shell is the short-lived parent that makes it so; it is given the command as words, never as text.
    """
    log = os.open(os.path.join(state_dir, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
            check=True,
        )
        return int(shell.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as exc:
        raise ConnectFailed(f"cannot start an agent: {exc}") from exc
    finally:
        os.close(log)


def _await_socket(path: str, deadline: float, cancelled: Callable[[], bool], watched: int = -1) -> socket.socket | None:
    """Wait until somebody accepts at ``path``; ``watched`` is a pidfd of an agent that may end before."""
    over = False
    while True:
        if (sock := _try(path)) is not None:
            return sock
        now = time.monotonic()
        if over and now >= deadline:
            last = _last_line(os.path.join(os.path.dirname(path), LOG))
            raise ConnectFailed(f"the agent ended at its start: {last}")
        if cancelled() or now >= deadline:
            return None
        if not over and watched >= 0 and select.select([watched], [], [], 0)[0]:
            # Either it failed, or another one holds the directory and is just coming up.
            over = True
            deadline = min(deadline, now + OTHERS_S)
        time.sleep(_TICK_S)


def _try(path: str) -> socket.socket | None:
    try:
        return unix.connect(path, timeout_s=1.0)
    except ConnectFailed as error:
        if _nobody_listens(error):
            return None
        raise


def _nobody_listens(error: ConnectFailed) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR)


def _make_state_dir(state_dir: str) -> None:
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        found = os.stat(state_dir)
    except OSError as exc:
        raise ConnectFailed(f"state directory {state_dir}: {exc.strerror}") from exc
    if found.st_uid != os.geteuid():
        raise ConnectFailed(f"state directory {state_dir} belongs to another user ({found.st_uid})")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise ConnectFailed(f"state directory {state_dir} can be written by others: chmod 700 it")


@contextmanager
def _lock(path: str, deadline: float, cancelled: Callable[[], bool]) -> Iterator[None]:
    """An exclusive lock (fcntl(2), by process: it goes with us whatever happens)."""
    if not _starting.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise ConnectFailed("another thread is starting the agent and does not bring it up")
    descriptor = -1
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConnectFailed(f"{path}: {exc.strerror}") from exc
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as exc:
                if exc.errno not in (errno.EACCES, errno.EAGAIN):
                    raise ConnectFailed(f"{path}: {exc.strerror}") from exc
            if cancelled() or time.monotonic() >= deadline:
                raise ConnectFailed(f"another process holds {path} and does not bring an agent up")
            time.sleep(_TICK_S)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        _starting.release()


def _keeper_lives(state_dir: str) -> bool:
    try:
        descriptor = os.open(os.path.join(state_dir, KEEPER_LOCK), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _last_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1].strip() if lines else "its log is empty"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple([int(part) if part.isdigit() else 0 for part in version.split(".")])
