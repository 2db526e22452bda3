"""What the kernel says of processes, out of ``/proc``: state, parent, command line, who is below whom."""

from __future__ import annotations

import os
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


def descendants(top: int) -> list[int]:
    """All below a process, zombies included, parents first."""
    below: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (above := parent(int(entry.name))) is not None:
            below.setdefault(above, []).append(int(entry.name))
    found = list(below.get(top, ()))
    for pid in found:  # grows while it is walked
        found += below.get(pid, ())
    return found


def command(pid: int) -> str:
    """Its command line, or its name in brackets (a zombie has no more); "" if it has gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return words or f"[{Path(f'/proc/{pid}/comm').read_text(errors='replace').strip()}]"
    except OSError:
        return ""


def _fields(pid: int) -> list[str] | None:
    """What follows the name, which may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
