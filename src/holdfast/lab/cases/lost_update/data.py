"""What is observed of lost updates."""

from __future__ import annotations

import msgspec


class Round(msgspec.Struct, frozen=True):
    """What was left, and after how long."""

    left: int
    seconds: float


class Step(msgspec.Struct, frozen=True):
    """One thread of the round that is drawn: seconds since its start."""

    read_s: float
    wrote_s: float
    value: int
    """What it wrote."""


class Data(msgspec.Struct, frozen=True):
    """One run. The sleep in the middle is 0.1 s without the lock, as in the notes, and ``pause_s`` with it."""

    threads: int
    pause_s: float
    unlocked: tuple[Round, ...]
    """The notes' program, several times."""
    locked: tuple[Round, ...]
    """The repaired one."""
    unlocked_short: tuple[Round, ...]
    """Without a lock and with the same pause as the locked ones: the one to compare speed with."""
    locked_late: tuple[Round, ...]
    """The lock held for the change alone, and not for the pause before it."""
    holdfast: tuple[Round, ...]
    """The lock held for the change alone, and the lock is one of Holdfast."""
    steps: tuple[Step, ...]
    """One round without a lock, thread by thread."""
    increments: int
    """How often each of several threads did `n += 1` without any pause in between."""
    increments_missing: int
    """How many of them were lost."""
    switch_interval_s: float
    """After how long another thread may have its turn (``sys.getswitchinterval``), for that test."""
