"""Makes many zombies, bounded, and looks what they cost."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final

from holdfast.keeper import linux
from holdfast.lab import proc
from holdfast.lab.cases.zombies_orphans.data import Limit

SPARE: Final = 50
"""Processes that the user may still have when the limit is tried."""
NOBODY: Final = 64999
"""A user id that nobody has: a limit on its processes touches no other program."""
_RECORDS: Final = ("task_struct", "signal_cache", "cred", "cred_jar", "pid")
_KINDS: Final = ("SUnreclaim", "KernelStack", "PageTables")


def pile(steps: Sequence[int]) -> tuple[tuple[int, ...], int, float]:
    """Zombies after so many forks of a parent that never waits, how many outlive it, and kernel KiB for each.

    The parent runs below a sub-reaper that does wait: what it leaves goes there, and not to whoever runs the lab.
    """
    told, tell = os.pipe()
    house = os.fork()
    if house == 0:
        try:
            os.close(told)
            _house(steps, tell)
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answers:
        words = answers.read().split()
    os.waitpid(house, 0)
    *piled, left, kernel = words
    return tuple(map(int, piled)), int(left), float(kernel)


def _house(steps: Sequence[int], tell: int) -> None:
    linux.become_subreaper()
    ids, name = os.pipe()
    loop = os.fork()
    if loop == 0:
        try:
            os.close(ids)
            before = _kernel_kib()
            pids: list[int] = []
            for step in steps:
                pids += [_dead() for _ in range(step - len(pids))]
                os.write(tell, f"{_zombies(pids)} ".encode())
            kernel = (_kernel_kib() - before) / len(pids)
            with os.fdopen(name, "w") as names:
                names.write(" ".join(map(str, (kernel, *pids))))
        finally:
            os._exit(0)
    os.close(name)
    with os.fdopen(ids) as names:
        kernel_kib, *dead = names.read().split()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    left = sum(proc.state(int(pid)) is not None for pid in dead)
    os.write(tell, f"{left} {kernel_kib}".encode())


def by_multiprocessing(count: int) -> int:
    """Zombies after so many starts without a join; each child has ended before the next is started."""
    processes = []
    for _ in range(count):
        process = ForkProcess(target=_nothing)
        process.start()
        assert process.pid is not None
        proc.await_state(process.pid, ("Z",))
        processes.append(process)
    zombies = sum(process.pid is not None and proc.state(process.pid) == "Z" for process in processes)
    multiprocessing.active_children()  # takes them away
    return zombies


def limits() -> tuple[tuple[str, int], ...]:
    """What bounds the number of processes, where it is told."""
    found = [(name, int(Path("/proc/sys/kernel", name).read_text())) for name in ("pid_max", "threads-max")]
    soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if soft != resource.RLIM_INFINITY:
        found.append(("RLIMIT_NPROC", soft))
    if (most := _cgroup_limit()) is not None:
        found.append(("pids.max", most))
    return tuple(found)


def records_kib() -> float | None:
    """Size of the records kept of a process that has ended, out of slabinfo(5); None: only root may read it."""
    try:
        lines = Path("/proc/slabinfo").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split()[0]: int(line.split()[3]) for line in lines[2:]}
    found = [sizes[name] for name in _RECORDS if name in sizes]
    return sum(found) / 1024 if "task_struct" in sizes else None


def refused() -> Limit:
    """A parent that never waits, of a user who may have ``SPARE`` processes more."""
    told, tell = os.pipe()
    loop = os.fork()
    if loop == 0:
        try:
            _until_refused(tell)
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answers:
        zombies, error, available = answers.read().split(";")
    os.waitpid(loop, 0)
    return Limit(SPARE, int(zombies), error, float(available))


def memory_mib() -> float:
    """Of the machine."""
    return _meminfo("MemTotal") / 1024


def _until_refused(tell: int) -> None:
    if os.geteuid() == 0:  # the limit does not bind root
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    allowed = _processes_of(os.getuid()) + SPARE
    resource.setrlimit(resource.RLIMIT_NPROC, (allowed, allowed))
    pids: list[int] = []
    error = ""
    while not error and len(pids) < 3 * SPARE:
        try:
            pids.append(_dead())
        except OSError as found:
            error = found.strerror or str(found)
    os.write(tell, f"{_zombies(pids)};{error};{_meminfo('MemAvailable') / 1024}".encode())


def _zombies(pids: Sequence[int]) -> int:
    """How many of these are zombies, once they have had time to end."""
    return sum(proc.await_state(pid, ("Z",)) == "Z" for pid in pids)


def _dead() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


def _nothing() -> None:
    """What a child does that is to end at once."""


def _processes_of(user: int) -> int:
    """Threads of that user: this is what the limit counts."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == user:
                    count += len(os.listdir(f"{entry.path}/task"))
            except OSError:  # it has gone
                continue
    return count


def _cgroup_limit() -> int | None:
    """The limit of this process's control group, of either version; None: there is none, or it cannot be seen."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds in ("", "pids"):
            for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
                try:
                    text = Path(f"{root}{path}", "pids.max").read_text().strip()
                except OSError:
                    continue
                return int(text) if text.isdigit() else None
    return None


def _kernel_kib() -> int:
    return sum(_meminfo(kind) for kind in _KINDS)


def _meminfo(kind: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == kind:
            return int(rest.split()[0])
    return 0
