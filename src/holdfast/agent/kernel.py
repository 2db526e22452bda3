"""What the kernel tells about a process that is not our child: whether it is the one we mean, and how it ended."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Final

from holdfast.store import control

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_INFO: Final = struct.Struct("=Q52xi")  # struct pidfd_info (linux/pidfd.h): mask, ..., exit_code; 64 bytes
_INFO_EXIT: Final = 1 << 3
_GET_INFO: Final = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11  # _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)


def same_process(started: control.Started, claim: control.Claim | control.Damaged | None) -> bool:
    """Whether the recorded process runs and is the one that was spawned: it started between CLAIM and STARTED."""
    fields = _stat(started.pid)
    if fields is None or not isinstance(claim, control.Claim):
        return False
    start_ns = int(fields[19]) * _TICK_NS
    return fields[0] != b"Z" and claim.boot_ns - 2 * _TICK_NS <= start_ns <= started.boot_ns + 2 * _TICK_NS


def has_ended(pid: int) -> bool:
    """Whether the process of this number, which nobody else has got yet, runs no more."""
    fields = _stat(pid)
    return fields is None or fields[0] in (b"Z", b"X")


def exit_status(pidfd: int, pid: int) -> int | None:
    """The raw wait status of an ended process, if the kernel still tells.

    After it was reaped: by pidfd (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15). Before: field 52 of its stat, for
    those who may trace it (proc_pid_stat(5)).

    Args:
        pidfd: Opened while it ran.
        pid: Its number; as a zombie it still has it.
    """
    info = bytearray(_INFO.pack(_INFO_EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:  # ESRCH: reaped before the kernel could tell; ENOTTY, EINVAL: an older kernel
        return _zombie_status(pid)
    mask, status = _INFO.unpack(info)
    return int(status) if mask & _INFO_EXIT else _zombie_status(pid)


def _zombie_status(pid: int) -> int | None:
    fields = _stat(pid)
    try:
        visible = os.geteuid() in (0, os.stat(f"/proc/{pid}").st_uid)  # others are shown 0, whatever it was
    except OSError:
        return None
    return int(fields[49]) if visible and fields is not None and fields[0] == b"Z" else None


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the third on, or None: no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    return stat[stat.rindex(b")") + 2 :].split()
