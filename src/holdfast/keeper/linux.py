"""The few calls of Linux that the standard library has no function for."""

from __future__ import annotations

import ctypes
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2


def become_subreaper() -> None:
    """Orphans of this process's descendants become its children from now on (PR_SET_CHILD_SUBREAPER, prctl(2)).

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def ask_for_signal_at_parents_death(signum: int) -> None:
    """This process gets ``signum`` when the thread that made it has ended (PR_SET_PDEATHSIG, prctl(2)).

    A parent that ended before the call sends nothing: compare ``os.getppid()`` afterwards.

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)


def forbid_core_dump() -> None:
    """This process leaves no core and cannot be traced by other users (PR_SET_DUMPABLE); an exec undoes it.

    Unlike RLIMIT_CORE this is not handed on to the commands.

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """No exec from here on gains privileges by set-user-id bits or file capabilities (PR_SET_NO_NEW_PRIVS).

    Raises:
        OSError: the kernel refused.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def punch_hole(fd: int, start: int, end: int) -> None:
    """Gives the disk space of ``[start, end)`` back; the file keeps its length (fallocate(2)).

    Raises:
        OSError: the file system cannot.
    """
    if _libc.fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, start, end - start):
        raise _last_error()


def boot_ns() -> int:
    """Nanoseconds since boot, sleep of the machine included: the clock of time limits (CLOCK_BOOTTIME)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
