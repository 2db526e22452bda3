"""What is waited for when the interpreter ends: pools finish their calls, processes are joined or terminated.

As ``concurrent.futures`` and ``multiprocessing`` have it. It happens before other threads are joined, so callbacks and
prints of workers still find a whole interpreter.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

LOOK_S: Final = 0.05
"""Whoever waits at the end looks so often whether there is something that no thread can be started for."""

if TYPE_CHECKING:
    from typing import Protocol

    class Leaver(Protocol):
        """Something that must come to its end before the program does."""

        def _begin_leaving(self) -> None: ...
        def _finish_leaving(self) -> None: ...


_leavers: dict[Leaver, None] = {}
_lock = threading.Lock()
_registered = False
_over = False
_pid = 0


def is_over() -> bool:
    """Whether the interpreter is ending: nothing new is taken on."""
    return _over


def watch(leaver: Leaver) -> None:
    """Keep this alive, and let it come to its end when the interpreter ends, unless ``forget`` comes before.

    Raises:
        RuntimeError: the interpreter is ending.
    """
    global _registered, _pid
    with _lock:
        if _over:
            raise RuntimeError("the interpreter is ending: nothing new is started")
        if _pid != os.getpid():  # what a forked child has inherited is its parent's business
            _leavers.clear()
            _pid = os.getpid()
        _leavers[leaver] = None
        if not _registered:
            # Private, and what concurrent.futures itself uses: atexit is too late, since 3.12 starts no thread then.
            threading._register_atexit(_leave)  # type: ignore[attr-defined]
            _registered = True


def forget(leaver: Leaver) -> None:
    """This one has come to its end."""
    with _lock:
        _leavers.pop(leaver, None)


def _leave() -> None:
    global _over
    with _lock:
        _over = True
        leavers = list(_leavers) if _pid == os.getpid() else []
    for leaver in leavers:
        leaver._begin_leaving()
    for leaver in leavers:
        leaver._finish_leaving()
