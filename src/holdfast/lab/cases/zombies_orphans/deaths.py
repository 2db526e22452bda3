"""Makes zombies and orphans, one at a time."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from holdfast.keeper import linux
from holdfast.lab import proc
from holdfast.lab.cases.zombies_orphans.data import Orphan, State, Zombie

LIVES_S: Final = 0.15
DEAD_S: Final = 0.15
CODE: Final = 5
_CLONE_NEWPID: Final = 0x20000000
_GONE: Final = "X"


def zombie() -> Zombie:
    """A child lives, ends, is not taken away, cannot be killed, and is taken away."""
    began = time.monotonic()
    states: list[State] = []

    def note(pid: int, what: str = "") -> None:
        states.append(State(time.monotonic() - began, proc.state(pid) or "", what))

    pid = os.fork()
    if pid == 0:
        time.sleep(LIVES_S)
        os._exit(CODE)
    proc.await_state(pid, ("S",))
    note(pid, "fork")
    alive_kib = _memory_kib(pid)
    proc.await_state(pid, ("Z",))
    note(pid, "exit")
    dead_kib = _memory_kib(pid)
    time.sleep(DEAD_S / 2)
    os.kill(pid, signal.SIGKILL)
    time.sleep(DEAD_S / 2)
    note(pid, "SIGKILL")
    after_kill = proc.state(pid)
    _, status = os.waitpid(pid, 0)
    note(pid, "wait")
    return Zombie(
        states=tuple(states),
        memory_kib=dead_kib,
        memory_kib_alive=alive_kib,
        state_after_kill=after_kill,
        state_after_wait=proc.state(pid),
        exit_code=os.waitstatus_to_exitcode(status),
        left_if_ignored=_ignored(),
        left_after_parent=_inherited(),
    )


def orphan(folder: Path) -> Orphan:
    """In a house of its own: a process that adopts, its child, and that one's child, which is left behind."""
    told, tell = os.pipe()
    house = os.fork()
    if house == 0:
        _leave(lambda: _house(folder, tell))
    os.close(tell)
    with os.fdopen(told) as answers:
        mother, adopter, after, held, unburied, buried = answers.read().split()
    os.waitpid(house, 0)
    return Orphan(
        parent=int(mother),
        adopter=int(adopter),
        parent_after=int(after) or None,
        parent_in_namespace=_in_namespace(),
        lock_held=held == "True",
        state_unburied=None if unburied == _GONE else unburied,
        state_buried=None if buried == _GONE else buried,
    )


def _house(folder: Path, tell: int) -> None:
    linux.become_subreaper()
    gate, opener = os.pipe()
    ids, name = os.pipe()
    path = folder / "held"
    path.touch()
    mother = os.fork()
    if mother == 0:
        file = os.open(path, os.O_RDWR)
        fcntl.flock(file, fcntl.LOCK_EX)  # the child inherits it with the open file
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.write(name, str(os.getpid()).encode())
            os.read(gate, 1)
            os._exit(0)
        time.sleep(60)
        os._exit(0)
    child = int(os.read(ids, 20))
    os.kill(mother, signal.SIGKILL)
    os.waitpid(mother, 0)
    after = proc.parent(child)
    held = not _can_lock(path)
    os.close(opener)
    unburied = proc.await_state(child, ("Z",))
    os.waitpid(child, 0)
    buried = proc.state(child)
    line = (mother, os.getpid(), after or 0, held, unburied or _GONE, buried or _GONE)
    os.write(tell, " ".join(map(str, line)).encode())


def _in_namespace() -> int | None:
    """Whose child an orphan is in a pid namespace of its own; None: this user may not make one."""
    told, tell = os.pipe()
    outside = os.fork()
    if outside == 0:
        _leave(lambda: _namespace(tell))
    os.close(tell)
    with os.fdopen(told) as answers:
        answer = answers.read()
    os.waitpid(outside, 0)
    return int(answer) if answer else None


def _namespace(tell: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWPID):
        return
    init = os.fork()
    if init == 0:
        _leave(lambda: _init(tell))
    os.waitpid(init, 0)


def _init(tell: int) -> None:
    """The first process of the namespace: number 1 there. Its end is the end of all others."""
    mother = os.fork()
    if mother == 0:
        me = os.getpid()
        if os.fork() == 0:
            while os.getppid() == me:
                time.sleep(0.002)
            os.write(tell, str(os.getppid()).encode())
        os._exit(0)
    for _ in range(2):
        os.wait()


def _ignored() -> str | None:
    """A child ends whose parent has said that it will never ask."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        return proc.await_state(pid, (None,))
    finally:
        signal.signal(signal.SIGCHLD, before)


def _inherited() -> str | None:
    """A zombie whose parent dies too: its heir, a sub-reaper that waits, takes it away."""
    told, tell = os.pipe()
    house = os.fork()
    if house == 0:
        _leave(lambda: _heir(tell))
    os.close(tell)
    with os.fdopen(told) as answers:
        answer = answers.read()
    os.waitpid(house, 0)
    return None if answer == _GONE else answer


def _heir(tell: int) -> None:
    linux.become_subreaper()
    ids, name = os.pipe()
    mother = os.fork()
    if mother == 0:
        child = os.fork()
        if child == 0:
            os._exit(0)
        proc.await_state(child, ("Z",))
        os.write(name, str(child).encode())
        os._exit(0)
    child = int(os.read(ids, 20))
    for _ in range(2):
        os.wait()
    os.write(tell, (proc.state(child) or _GONE).encode())


def _can_lock(path: Path) -> bool:
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _leave(do: Callable[[], None]) -> None:
    """The whole life of a forked process: nothing of its parent's way out is run in it."""
    try:
        do()
    finally:
        os._exit(0)


def _memory_kib(pid: int) -> int:
    """VmRSS of proc_pid_status(5); a zombie has no such line."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
