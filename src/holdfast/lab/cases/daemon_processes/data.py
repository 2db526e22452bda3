"""What is observed of daemon processes."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Ending(msgspec.Struct, frozen=True):
    """A parent that ends while its daemon child would run on."""

    leaves: str
    """"end" of the text, "exception", "SIGTERM", "_exit" or "SIGKILL"."""
    parent_gone: bool
    """Whether the parent was gone soon; if not it waits for the daemon."""
    daemon_alive: bool
    """Whether the daemon ran on by then."""
    ignores: bool = False
    """Whether the daemon ignores SIGTERM."""


class Ticks(msgspec.Struct, frozen=True):
    """A daemon that ticks beside another child that works, in seconds from the start of their parent."""

    ticks_s: tuple[float, ...]
    main_s: float
    """When the parent's text was through."""
    worked_s: float
    """When the other child was."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    programs: tuple[Ran, ...]
    """The notes' program, several times."""
    ticks: Ticks
    endings: tuple[Ending, ...]
    daemon_exitcode: int | None
    """Of a daemon whose parent came to its end."""
    cleaned_up: bool
    """Whether the daemon's ``finally`` was run then."""
    late_error: str
    """What ``daemon = True`` after ``start()`` raised; "": nothing."""
    late_error_optimised: str
    """The same under ``python -O``, which leaves assertions out."""
    grandchild_error: str
    """What a daemon that starts a child of its own gets."""
    holdfast_program: Ran
    holdfast_after_kill_s: float | None
    """How long a daemon of Holdfast lived after its program was killed; None: longer than it was watched."""
    watched_s: float
