"""What is observed of the dead and the abandoned."""

from __future__ import annotations

import msgspec


class State(msgspec.Struct, frozen=True):
    """A child's state from this moment on; "" once the kernel has no entry for it."""

    at_s: float
    letter: str
    note: str = ""
    """What was done at this moment."""


class Zombie(msgspec.Struct, frozen=True):
    """One child that ended before its parent asked for it."""

    states: tuple[State, ...]
    memory_kib: int
    """Resident memory that the kernel counts for it while it is a zombie."""
    memory_kib_alive: int
    state_after_kill: str | None
    """After a SIGKILL sent to the zombie."""
    state_after_wait: str | None
    exit_code: int
    """What the wait call handed over."""
    left_if_ignored: str | None
    """State of an ended child whose parent ignores SIGCHLD."""
    left_after_parent: str | None
    """State of a zombie once its parent was dead too, and that one's heir waited."""


class Orphan(msgspec.Struct, frozen=True):
    """A child whose parent was killed below a process that adopts (a sub-reaper)."""

    parent: int
    """Id of the parent while it lived."""
    adopter: int
    """Id of the nearest sub-reaper."""
    parent_after: int | None
    """Whose child it was afterwards."""
    parent_in_namespace: int | None
    """The same below the init of a pid namespace of its own; None: not tried."""
    lock_held: bool
    """Whether a lock on a file, inherited from the dead parent, was still held."""
    state_unburied: str | None
    """Its state after its own end, while the adopter did not wait."""
    state_buried: str | None
    """And after the adopter waited."""


class Limit(msgspec.Struct, frozen=True):
    """A user who may have so many processes, and a parent that never waits."""

    allowed: int
    zombies: int
    error: str
    """What the next fork said; "": it worked."""
    available_mib: float
    """Memory that was free for programs then."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    zombie: Zombie
    orphan: Orphan
    forks: tuple[int, ...]
    """A loop of bare forks that never waits: so many have ended…"""
    piled: tuple[int, ...]
    """… and so many zombies there are then."""
    piled_after_parent: int
    """How many of them were there once the loop's process was gone."""
    starts: int
    piled_by_multiprocessing: int
    """Zombies after as many ``Process.start()`` without ``join()``."""
    kernel_kib: tuple[float, ...]
    """Growth of kernel memory per zombie, by round: of the whole machine, so other programs are in it."""
    records_kib: float | None
    """Size of the records that the kernel keeps of a zombie; None: it does not tell this user."""
    memory_mib: float
    """Of the machine."""
    slots: int
    """The least of the limits below."""
    limits: tuple[tuple[str, int], ...]
    """What bounds the number of processes here, and by how many."""
    limit: Limit
    holdfast_left: int
    """Processes of a job of Holdfast that were there after it had ended; its command left three behind."""
    holdfast_tree: str
    """What the receipt says of them."""
