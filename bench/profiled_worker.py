"""A worker of a pool under the profiler: two calls that it makes in its main thread, the first one and the last."""

from __future__ import annotations

import cProfile
from typing import Final

_PROFILER: Final = cProfile.Profile()


def begin() -> None:
    """Profile this thread from now on."""
    _PROFILER.enable()


def end(path: str) -> None:
    """Write what was found."""
    _PROFILER.disable()
    _PROFILER.dump_stats(path)
