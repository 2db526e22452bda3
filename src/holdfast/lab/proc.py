"""What the kernel says of a process: its state and its parent, out of ``/proc``."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

LIMIT_S = 10.0


def state(pid: int) -> str | None:
    """Its letter of proc_pid_stat(5), as "R", "S" or "Z" (a zombie); None: there is no such process."""
    fields = _fields(pid)
    return None if fields is None else fields[0]


def parent(pid: int) -> int | None:
    """Its parent's id; None: there is no such process."""
    fields = _fields(pid)
    return None if fields is None else int(fields[1])


def alive(pid: int) -> bool:
    """Whether it is there and not a zombie."""
    return state(pid) not in (None, "Z", "X")


def await_state(pid: int, wanted: Collection[str | None], limit_s: float = LIMIT_S) -> str | None:
    """Its state as soon as it is one of these, or whatever it is when the time is over."""
    until = time.monotonic() + limit_s
    while (found := state(pid)) not in wanted and time.monotonic() < until:
        time.sleep(0.002)
    return found


def _fields(pid: int) -> list[str] | None:
    """What follows the name, which may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
