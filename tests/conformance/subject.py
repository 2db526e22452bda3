"""What CPython's tests are run against: the names of ``holdfast.local``.

With ``HOLDFAST_CONFORMANCE=stdlib`` it is the standard library itself, to tell faults of the adapter from ours.
"""

from __future__ import annotations

import concurrent.futures
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from holdfast.client.coordination.places import shared_host
from tests.conftest import AgentUnderTest

STDLIB: Final = os.environ.get("HOLDFAST_CONFORMANCE") == "stdlib"


def _standard() -> Any:
    found = {name: getattr(module, name) for module in (threading, queue) for name in module.__all__}
    return SimpleNamespace(
        **found,
        ThreadPoolExecutor=concurrent.futures.ThreadPoolExecutor,
        ProcessPoolExecutor=concurrent.futures.ProcessPoolExecutor,
    )


def _holdfast() -> Any:
    import holdfast.local

    return holdfast.local


subject: Final[Any] = _standard() if STDLIB else _holdfast()


@contextmanager
def serving(state_dir: Path) -> Iterator[None]:
    """The user's agent, in a state directory of its own: connected before the first test, stopped after the last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_STATE_DIR", str(state_dir))
        agent = AgentUnderTest(state_dir)
        host = shared_host()
        try:
            with subject.Lock():  # held, so that what keeps its lease is there before the first test counts threads
                yield
        finally:
            host.close()
            agent.stop()
