"""Who this process is to an agent, and what a fork makes of it.

The instance id is random and one per process; it carries leases from connection to connection. A forked child is
another process: it gets an id of its own, and the handles it has inherited are closed in it, because two processes
that write to one socket tear each other's frames.
"""

from __future__ import annotations

import os
import time
from typing import Final, Protocol
from weakref import WeakSet

from holdfast import __version__
from holdfast.client.calls import uuid7

SOFTWARE: Final = f"holdfast/{__version__}"
"""Name and version, for greetings."""


class Inherited(Protocol):
    """A handle that must not be used by a forked child."""

    def forked(self) -> None:
        """We are the child now: close without a word."""


_handles: WeakSet[Inherited] = WeakSet()
_instance = ""


def instance_id() -> str:
    """32 hexadecimal digits, random per process."""
    global _instance
    if not _instance:
        _instance = os.urandom(16).hex()
    return _instance


def fresh_key() -> str:
    """A start key that nobody else has; its age can be read from it."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def watch_forks(handle: Inherited) -> None:
    """Close this handle in every child that is forked from now on."""
    _handles.add(handle)


def _after_fork() -> None:
    global _instance
    _instance = ""
    for handle in list(_handles):
        handle.forked()
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
