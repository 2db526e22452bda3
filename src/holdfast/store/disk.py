"""How full the disk is, in three levels with room between going and coming back; the decision is pure."""

from __future__ import annotations

import os
from enum import IntEnum

import msgspec


class DiskLevel(IntEnum):
    """``LOW``: no new jobs. ``FULL``: running jobs wait in their pipes as well."""

    OK = 0
    LOW = 1
    FULL = 2


class DiskMarks(msgspec.Struct, frozen=True):
    """Where the levels begin: shares of the file system, and bytes for LOW where those are more."""

    low_share: float = 0.05
    low_bytes: int = 512 * 1024 * 1024
    full_share: float = 0.01
    full_until_share: float = 0.02


DEFAULT_MARKS = DiskMarks()


def disk_level(
    free_bytes: int, total_bytes: int, *, before: DiskLevel = DiskLevel.OK, marks: DiskMarks = DEFAULT_MARKS
) -> DiskLevel:
    """The level for these numbers.

    Args:
        free_bytes: What we may still write (``f_bavail``, not what root alone may).
        total_bytes: Size of the file system; 0 (some network file systems): always OK.
        before: The level until now: FULL is left only above ``full_until_share``, so that jobs do not flutter.
        marks: Where levels begin.
    """
    if total_bytes <= 0:
        return DiskLevel.OK
    share = free_bytes / total_bytes
    if share < marks.full_share or (before is DiskLevel.FULL and share <= marks.full_until_share):
        return DiskLevel.FULL
    if share < marks.low_share or free_bytes < marks.low_bytes:
        return DiskLevel.LOW
    return DiskLevel.OK


def disk_space(path: str) -> tuple[int, int]:
    """Free and total bytes of the file system that holds ``path`` (statvfs(3)).

    Raises:
        OSError: it cannot be asked.
    """
    numbers = os.statvfs(path)
    return numbers.f_bavail * numbers.f_frsize, numbers.f_blocks * numbers.f_frsize
