"""The disk's marks, and the room between going and coming back."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.store.disk import DiskLevel, disk_level, disk_space

GIB = 1024**3
OK, LOW, FULL = DiskLevel


@pytest.mark.parametrize(
    ("free", "total", "before", "level"),
    [
        (50 * GIB, 100 * GIB, OK, OK),
        (5 * GIB, 100 * GIB, OK, OK),
        (5 * GIB - 1, 100 * GIB, OK, LOW),
        (1 * GIB, 100 * GIB, OK, LOW),
        (1 * GIB - 1, 100 * GIB, OK, FULL),
        (1 * GIB, 100 * GIB, FULL, FULL),
        (2 * GIB, 100 * GIB, FULL, FULL),
        (2 * GIB + 1, 100 * GIB, FULL, LOW),
        (50 * GIB, 100 * GIB, FULL, OK),
        (GIB // 2, 2 * GIB, OK, OK),
        (GIB // 2 - 1, 2 * GIB, OK, LOW),
        (0, 100 * GIB, OK, FULL),
        (0, 0, FULL, OK),
    ],
)
def test_levels(free: int, total: int, before: DiskLevel, level: DiskLevel) -> None:
    assert disk_level(free, total, before=before) is level


def test_levels_are_in_order() -> None:
    assert OK < LOW < FULL


def test_the_disk_can_be_asked(tmp_path: Path) -> None:
    free, total = disk_space(str(tmp_path))
    assert 0 <= free <= total
    with pytest.raises(OSError, match="No such file"):
        disk_space(str(tmp_path / "none"))
