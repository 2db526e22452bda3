"""What is observed of deadlocks."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Hold(msgspec.Struct, frozen=True):
    """One thread and one lock: seconds since the start; None: it never came to that."""

    thread: str
    lock: str
    asked_s: float
    had_s: float | None


class Data(msgspec.Struct, frozen=True):
    """One run."""

    program: Ran
    """The notes' program; its return code is None if it had to be killed."""
    ordered: Ran
    """The repaired one."""
    one_rlock: Ran
    """The notes' cure."""
    holds: tuple[Hold, ...]
    """Two threads that take two locks in opposite orders, watched for a while, then let go from outside."""
    both_at_once: int
    """How often a thread of the notes' program held A and B at the same time, by its own lines."""
    rlock_depth: int
    """How often one thread took an RLock in a row without giving it back."""
    rlock_other_after_one_release: bool
    """Whether another thread could take it when the owner had given it back once."""
    rlock_other_after_all: bool
    """And when it was given back as often as taken."""
    rlock_stranger_refused: bool
    """Whether a thread that does not own it is refused to release it."""
    rlock_hand_over: bool
    """Whether, with A and B being one RLock, one thread could take B while another held A."""
    holdfast_error: str
    """What Holdfast told the one who would have closed the circle; "" if it told nothing."""
    holdfast_seconds: float
    """From the wait that closed the circle to that error."""
    holdfast_survivor: bool
    """Whether the other one got both locks then."""
