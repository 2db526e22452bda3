"""Live processes that came from finished or forgotten jobs: found by the mark in their environment, ended by pidfd.

Every command starts with HOLDFAST_JOB_ID and HOLDFAST_AGENT in its environment, and its descendants inherit them
(proc(5), /proc/PID/environ). The mark names the agent too, so another agent's jobs are never taken for leftovers. A
pidfd is opened before the mark is read again, so a process id that was given to a stranger meanwhile is never hit.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
from collections.abc import Callable, Collection
from typing import Final

from holdfast.wire.messages import Leftover

TERM_S: Final = 2.0
"""From TERM to KILL."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def find(agent_id: str, live_jobs: Collection[str], *, own: Collection[int] = ()) -> list[Leftover]:
    """Processes of this agent's jobs that are not among the live ones.

    Args:
        agent_id: The mark of the agent whose jobs are looked for.
        live_jobs: Jobs that are not done.
        own: Process ids never to list: agent, keeper, shims.
    """
    return _marked(agent_id, lambda job: job not in live_jobs, own)


def of_job(agent_id: str, job: str) -> list[Leftover]:
    """All processes that carry the mark of this job."""
    return _marked(agent_id, lambda marked: marked == job, ())


def signal_job(agent_id: str, job: str, signum: int) -> None:
    """Send a signal to all processes that carry the mark of this job."""
    for process in of_job(agent_id, job):
        handle = _open_if_same(process.pid, job, agent_id)
        if handle is not None:
            try:
                signal.pidfd_send_signal(handle, signum)
            except (ProcessLookupError, PermissionError):
                continue
            finally:
                os.close(handle)


def _marked(agent_id: str, wanted: Callable[[str], bool], own: Collection[int]) -> list[Leftover]:
    found = []
    boot = _boot_unix_s()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in own:
            job = _job_of(int(name), agent_id)
            if job is not None and wanted(job):
                described = _describe(int(name), job, boot)
                if described is not None:
                    found.append(described)
    return sorted(found, key=lambda process: (process.job, process.pid))


def end(agent_id: str, processes: list[Leftover]) -> list[Leftover]:
    """End these: TERM, ``TERM_S`` seconds, KILL. Gives them back with ``ended`` where they are gone. For a thread."""
    handles: dict[int, int] = {}
    try:
        for process in processes:
            handle = _open_if_same(process.pid, process.job, agent_id)
            if handle is not None:
                handles[process.pid] = handle
        left = _signal_and_wait(handles, signal.SIGTERM, TERM_S)
        gone_after_kill = _signal_and_wait(left, signal.SIGKILL, TERM_S)
        return [_ended(process, process.pid not in gone_after_kill) for process in processes]
    finally:
        for handle in handles.values():
            os.close(handle)


def _signal_and_wait(handles: dict[int, int], signum: int, seconds: float) -> dict[int, int]:
    """Those that are still there after the signal and the time."""
    poll = select.poll()
    by_fd = {fd: pid for pid, fd in handles.items()}
    left = dict(handles)
    for pid, fd in handles.items():
        try:
            signal.pidfd_send_signal(fd, signum)
        except ProcessLookupError:
            left.pop(pid, None)
        except PermissionError:
            continue
        poll.register(fd, select.POLLIN)
    while left:
        ready = poll.poll(seconds * 1000)
        if not ready:
            break
        for fd, _ in ready:
            poll.unregister(fd)
            left.pop(by_fd[fd], None)
    return left


def _ended(process: Leftover, ended: bool) -> Leftover:
    return Leftover(
        pid=process.pid,
        job=process.job,
        name=process.name,
        command=process.command,
        started_unix_s=process.started_unix_s,
        user_s=process.user_s,
        rss_bytes=process.rss_bytes,
        owner=process.owner,
        ended=ended,
    )


def _open_if_same(pid: int, job: str, agent_id: str) -> int | None:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    if _job_of(pid, agent_id) == job:
        return handle
    os.close(handle)
    return None


def _job_of(pid: int, agent_id: str) -> str | None:
    """The job whose mark this process carries, if it is one of this agent's."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read(1 << 20)
    except OSError:
        return None
    mark = b"HOLDFAST_AGENT=" + agent_id.encode()
    if mark not in environ:  # as nearly everywhere
        return None
    items = environ.split(b"\0")
    if mark not in items:
        return None
    for item in items:
        if item.startswith(b"HOLDFAST_JOB_ID="):
            return item[16:].decode("ascii", "replace")
    return None


def _describe(pid: int, job: str, boot_unix_s: float) -> Leftover | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(4096)
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode("utf-8", "backslashreplace")
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] == b"Z":
        return None
    return Leftover(
        pid=pid,
        job=job,
        name=name,
        command=tuple(item.decode("utf-8", "backslashreplace") for item in command.rstrip(b"\0").split(b"\0")),
        started_unix_s=boot_unix_s + int(fields[19]) / _TICKS,
        user_s=int(fields[11]) / _TICKS,
        rss_bytes=int(fields[21]) * _PAGE,
        owner=_user_name(owner),
    )


def _boot_unix_s() -> float:
    with open("/proc/stat", "rb") as file:
        for line in file:
            if line.startswith(b"btime "):
                return float(line.split()[1])
    return 0.0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
