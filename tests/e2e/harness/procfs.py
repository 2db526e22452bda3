"""What the kernel says about processes, read without the help of the code under test (proc(5))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36


class Stat(NamedTuple):
    """One process: name, state letter, parent."""

    pid: int
    name: str
    state: str
    parent: int


def stat(pid: int) -> Stat | None:
    """None: there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    name = text[text.index(b"(") + 1 : text.rindex(b")")]
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(pid, os.fsdecode(name), fields[0].decode(), int(fields[1]))


def processes() -> Iterator[Stat]:
    """All of them, zombies too."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (found := stat(int(name))) is not None:
            yield found


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def zombies_of(parents: list[int]) -> list[Stat]:
    """Dead children that one of these has not reaped."""
    return [found for found in processes() if found.state == "Z" and found.parent in parents]


def carrying(variable: str) -> list[int]:
    """Living processes with ``NAME=VALUE`` in the environment that they were executed with."""
    wanted = variable.encode()
    found = []
    for process in processes():
        try:
            items = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in items and alive(process.pid):
            found.append(process.pid)
    return found


def command_line(pid: int) -> bytes:
    """Its arguments, separated by NUL; empty for a zombie and for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descriptors(pid: int) -> list[str]:
    """What its descriptors refer to, one entry a descriptor, numbers of sockets and pipes left out."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{number}").partition("[")[0])
        except OSError:
            continue
    return sorted(found)


def status_field(pid: int, field: str) -> int:
    """A number of /proc/PID/status: ``VmRSS`` and ``VmHWM`` in KiB, ``Threads``."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise LookupError(field)


def be_subreaper(on: bool) -> None:
    """Orphans below us become our children (prctl(2)), so that none of them can hide."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
