"""The world of the tests that hold Holdfast to its promises."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.conftest import AgentUnderTest
from tests.e2e.harness import procfs
from tests.e2e.harness.world import World

LIMIT_S = 60


@pytest.fixture
def seed() -> int:
    """``HOLDFAST_TEST_SEED``, or a new one; printed with every failure."""
    return int(os.environ.get("HOLDFAST_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))


@pytest.fixture
def time_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that hangs: 60 s, or ``@pytest.mark.parametrize("time_limit", [seconds], indirect=True)``."""

    def over(signum: int, frame: FrameType | None) -> None:
        if any("_pytest/reports" in entry.f_code.co_filename for entry in _frames(frame)):
            signal.alarm(1)  # a failure is just being written up
            return
        faulthandler.dump_traceback(file=2)
        pytest.fail(f"not over after {seconds} s")

    seconds = getattr(request, "param", LIMIT_S)
    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


@pytest.fixture
def world(tmp_path: Path, agent: AgentUnderTest, seed: int, time_limit: None) -> Iterator[World]:
    """A real agent; the test fails if anything of it is left behind."""
    procfs.be_subreaper(True)
    made = World(agent, tmp_path, seed)
    try:
        yield made
        made.check()
        made.close()
    finally:
        agent.stop()
        made.reap()
        procfs.be_subreaper(False)
