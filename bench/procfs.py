"""What Linux tells of processes and of the machine (proc(5)); sizes in bytes."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

KIB: Final = 1024
_RESET_PEAK: Final = "5"
"""Written to ``clear_refs`` it lets VmHWM begin anew (proc_pid_clear_refs(5), since Linux 4.0)."""


def pss(pid: int) -> int:
    """Proportional set size: private pages, and of each shared one its share."""
    return _field(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:")


def peak_rss(pid: int | str) -> int:
    """Largest resident set since the start, or since ``reset_peak_rss``; shared pages count in full."""
    return _field(Path(f"/proc/{pid}/status").read_text(), "VmHWM:")


def reset_peak_rss(pid: int | str) -> None:
    """Let ``peak_rss`` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def children(pid: int) -> list[int]:
    """Children of all threads of a process."""
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def naming(text: str) -> list[int]:
    """Living processes with this text in their command line, without this one."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if os.fsencode(text) in command and int(name) != os.getpid():
            found.append(int(name))
    return found


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def machine() -> dict[str, str]:
    """The facts that a reader needs to judge absolute values."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{_field(Path('/proc/meminfo').read_text(), 'MemTotal:') / (1 << 30):.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def filesystem(path: str) -> str:
    """Type of the file system of a path, from the longest mount point above it."""
    real = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if len(point) > len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, found
    return kind


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * KIB
    raise ValueError(f"no {name} in this file")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
