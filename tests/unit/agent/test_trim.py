"""Memory of ended connections goes back to the system: not for a few, and once for many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.agent.trim import AFTER_S, WORTH, Trim, _malloc_trim
from tests.unit.agent.manual_loop import ManualLoop


@pytest.fixture
def loop() -> Iterator[ManualLoop]:
    made = ManualLoop()
    yield made
    made.close()


def test_it_is_done_once_for_many(loop: ManualLoop) -> None:
    done: list[float] = []
    trim = Trim(loop, lambda: done.append(loop.now))
    for _ in range(WORTH - 1):
        trim.ended()
    loop.now += 100
    loop.settle()
    assert done == []
    for _ in range(10 * WORTH):
        trim.ended()
    loop.settle()
    assert done == []
    loop.now += AFTER_S
    loop.settle()
    assert done == [loop.now]
    for _ in range(WORTH):
        trim.ended()
    trim.close()
    loop.now += AFTER_S
    loop.settle()
    assert len(done) == 1


def test_free_pages_go_back() -> None:
    """Small blocks on both sides keep glibc from giving the large ones back by itself."""
    blocks = [b"x" * (20_000 if number % 2 else 600) for number in range(2000)]
    del blocks[1::2]
    before = _resident_kib()
    _malloc_trim()
    assert _resident_kib() < before - 5_000
    assert len(blocks) == 1000


def _resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4
