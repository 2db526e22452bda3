"""Which process this is, as ``multiprocessing.current_process`` tells it: also in a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class AnyProcess(Protocol):
        """What can be asked of any process object."""

        @property
        def name(self) -> str: ...
        @property
        def daemon(self) -> bool: ...
        @property
        def pid(self) -> int | None: ...
        @property
        def exitcode(self) -> int | None: ...


state_dir = ""
"""In a worker: where its agent is at home, so that what it is handed can be asked for there; else empty."""


class ThisProcess:
    """A worker that runs a function, seen from inside.

    Attributes:
        name: As its starter has named it.
        daemon: Whether it ends with its starter.
    """

    exitcode = None

    def __init__(self, name: str, *, daemon: bool = False) -> None:
        self.name = name
        self.daemon = daemon

    @property
    def pid(self) -> int:
        """Process id."""
        return os.getpid()

    @property
    def ident(self) -> int:
        """The same."""
        return os.getpid()

    def is_alive(self) -> bool:
        """It asks for it itself."""
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r} pid={self.pid} started{' daemon' if self.daemon else ''}>"


_current: AnyProcess | None = None


def become(process: AnyProcess) -> None:
    """This process is that one from now on."""
    global _current
    _current = process


def current_process() -> AnyProcess:
    """The process object of this process: in a worker of ours its own, elsewhere that of ``multiprocessing``."""
    if _current is not None:
        return _current
    import multiprocessing

    return multiprocessing.current_process()
