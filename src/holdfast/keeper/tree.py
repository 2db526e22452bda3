"""The processes of a job: who they are, and signals to all of them.

Every process of a job descends from its supervisor or from a child that a dead one left to the keeper, because both
are sub-reapers. So parent links find them all, whatever sessions and groups they have made for themselves; only the
kernel's list of children is trusted, no environment and no name.

A process id is never signalled on its own word: a pidfd is opened first, then the parent link is checked once more, and
the signal goes through the pidfd. A re-used id can so not be hit.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from holdfast.store.control import NamedTuple

_PF_FORKNOEXEC = 0x40
"""include/linux/sched.h: forked, and has not executed anything yet."""
_TERM_PASSES = 5


class Process(NamedTuple):
    """Some fields of ``/proc/PID/stat`` (proc_pid_stat(5)); a zombie still has all of them."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    flags: int
    start_ticks: int

    @property
    def executed(self) -> bool:
        """Whether it has executed a program since it was forked."""
        return not self.flags & _PF_FORKNOEXEC


def process(pid: int) -> Process | None:
    """A process by its id, or None: there is none (or it is not ours to see)."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, 4096)
    except OSError:  # ESRCH: reaped after the open
        return None
    finally:
        os.close(fd)
    fields = data[data.rindex(b")") + 2 :].split()  # the name may hold anything, parentheses too
    parent, group, session = (int(field) for field in fields[1:4])
    return Process(pid, fields[0].decode(), parent, group, session, int(fields[6]), int(fields[19]))


def children(pid: int) -> list[int]:
    """The children of a process, zombies included; empty if it is gone."""
    if not _HAS_CHILDREN_FILES:
        return [p.pid for p in _all_processes() if p.parent == pid]
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found.extend(int(child) for child in file.readall().split())
        except OSError:  # this thread has ended
            continue
    return found


def descendants(roots: list[int]) -> list[Process]:
    """These processes and all that descend from them, parents first, zombies left out.

    A snapshot: who forks while it is taken may be missing, so callers ask again until there is none.
    """
    found: list[Process] = []
    queue = list(roots)
    seen = set(queue)
    for pid in queue:  # grows while it is walked
        known = process(pid)
        if known is None:
            continue
        if known.state not in "ZX":
            found.append(known)
        for child in children(pid):
            if child not in seen:
                seen.add(child)
                queue.append(child)
    return found


def send(target: Process, signum: int) -> bool:
    """Signals exactly this process; False if it is gone or not ours to signal."""
    try:
        fd = os.pidfd_open(target.pid)
    except OSError:
        return False
    try:
        now = process(target.pid)
        if now is None or now.start_ticks != target.start_ticks:
            return False
        signal.pidfd_send_signal(fd, signum)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def terminate(roots: list[int]) -> None:
    """TERM to every process below, once each; stopped ones are continued, or they would not notice."""
    told: set[int] = set()
    for _ in range(_TERM_PASSES):
        new = [target for target in descendants(roots) if target.pid not in told]
        if not new:
            return
        for target in new:
            told.add(target.pid)
            if send(target, signal.SIGTERM) and target.state in "Tt":
                send(target, signal.SIGCONT)


def kill(roots: list[int]) -> list[Process]:
    """One round of KILL to every process below; those that were there. Repeat it until no child is left."""
    found = descendants(roots)
    for target in found:
        send(target, signal.SIGKILL)
    return found


def signal_all(roots: list[int], signum: int, *, group: int | None = None) -> None:
    """A signal to every process below, or to those of one process group."""
    for target in descendants(roots):
        if group is None or target.group == group:
            send(target, signum)


def _all_processes() -> list[Process]:
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [known for known in found if known is not None]


_HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
"""A kernel built without CONFIG_PROC_CHILDREN has none; then all of /proc is scanned."""
