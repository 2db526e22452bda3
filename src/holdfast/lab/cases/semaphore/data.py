"""What is observed of semaphores."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Stay(msgspec.Struct, frozen=True):
    """One visitor: seconds since the start of the round."""

    asked_s: float
    entered_s: float
    left_s: float


class Data(msgspec.Struct, frozen=True):
    """One run."""

    cpus: int
    places: int
    program: Ran
    """The notes' program; it prints a line when a task enters."""
    semaphore: tuple[Stay, ...]
    """Visitors of a semaphore with ``places`` places, in the order in which they came."""
    mutex: tuple[Stay, ...]
    """The same visitors, and a mutex."""
    default_threads: int
    """How many enter a ``threading.Semaphore()`` before the next would wait."""
    default_processes: int
    """The same of ``multiprocessing.Semaphore()``."""
    forked_threading: int
    """How many of four processes are inside a ``threading.Semaphore(1)`` that all inherited."""
    forked_multiprocessing: int
    """The same with a ``multiprocessing.Semaphore(1)``."""
    holdfast_processes: int
    """The same with a semaphore of one place at an agent, each process a client of its own."""
    released_by_other: bool
    """Whether a thread that never entered could let somebody in."""
    lock_released_free: bool
    """Whether a lock that nobody holds can be released."""
