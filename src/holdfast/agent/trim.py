"""Gives memory of ended connections back to the system.

uvloop takes 256 KiB for each TLS connection, of which one page is touched while it idles. glibc carves these out of
its heap from the second time on (mallopt(3), M_MMAP_THRESHOLD), where each lies on pages that others have dirtied, and
keeps what is freed: after five rounds of 400 connections that came and went, 36 MiB were held, and each new one cost
91 KiB instead of 28. ``malloc_trim`` gives all free pages back (2.5 MiB held, 31 KiB each), in some milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

WORTH: Final = 64
"""Connections that must have ended since the last time."""
AFTER_S: Final = 2.0
"""How long after that: it is done once for all that end meanwhile."""

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""


class Trim:
    """Counts connections that have ended.

    Args:
        loop: The agent's.
        trim: Gives memory back; tests have their own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, trim: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._trim = trim or _malloc_trim
        self._ended = 0
        self._timer: asyncio.TimerHandle | None = None

    def ended(self) -> None:
        """One more has ended."""
        self._ended += 1
        if self._ended >= WORTH and self._timer is None:
            self._timer = self._loop.call_later(AFTER_S, self._due)

    def close(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        self._timer = None
        self._ended = 0
        self._trim()


def keep_large_blocks_apart() -> None:
    """From now on blocks of 256 KiB lie outside the heap, where an idle connection's buffer costs its one touched page.

    Left to itself glibc moves them into the heap as soon as one was freed: 35 KiB an idle connection instead of 30.
    Smaller blocks, those of a stream among them, stay in the heap, which keeps up to 4 MiB at its end for them.
    """
    import ctypes

    function = getattr(ctypes.CDLL(None), "mallopt", None)
    if function is not None:
        function(_MMAP_THRESHOLD, 256 * 1024)
        function(_TRIM_THRESHOLD, 4 * 1024 * 1024)


def _malloc_trim() -> None:
    import ctypes

    function = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others do not
    if function is not None:
        function(ctypes.c_size_t(0))
