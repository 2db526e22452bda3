"""What is observed of pools."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Task(msgspec.Struct, frozen=True):
    """One task and its callback: seconds since the start, and the names of who did it."""

    began_s: float
    ended_s: float
    worker: str
    called_s: float
    """When its callback began."""
    called_until_s: float
    caller: str
    """Process and thread of the callback."""


class Timed(msgspec.Struct, frozen=True):
    """Four tasks of five seconds of the notes and callbacks of one, in one kind of pool."""

    kind: str
    tasks: tuple[Task, ...]
    seconds: float
    main: str
    """Process and thread that submitted them."""
    submitted_s: float
    """How long it took to submit all, callbacks and all."""


class Calls(msgspec.Struct, frozen=True):
    """Which thread calls back, by what has happened before."""

    after_the_end: str
    """Added when the future had been done for long."""
    adder: str
    cancelled: str
    """Added to a future that was then cancelled before it had begun."""
    canceller: str
    failed: bool
    """Whether it was called for a future with an exception in place of a value."""
    cancelled_called: bool
    own_error_stops: bool
    """Whether an exception of one callback kept the next one from being called."""


class Entrance(msgspec.Struct, frozen=True):
    """A pool that is shut down with tasks in it."""

    refused: str
    """What a later submit raises."""
    finished: int
    given: int
    """Of so many that had been given, so many were still done."""
    waited: bool
    """Whether shutdown(wait=True) came back when the last was done."""
    cancelled: int
    """With cancel_futures=True so many were not done any more."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    pace: float
    workers: int
    most_at_once: int
    """Of many tasks so many ran at the same time, at the most."""
    most_without: int
    """The same with a thread for each task."""
    many: int
    together: Ran
    """The notes' "synchronous" program."""
    one_by_one: Ran
    processes: Ran
    threads: Ran
    timed: tuple[Timed, ...]
    uneven: int
    """So many tasks of different lengths were given to a pool with a thread for each;"""
    uneven_own: int
    """so many of their callbacks were called by the thread that had done the task,"""
    uneven_free: int
    """and for so many of them another thread of the pool had nothing to do."""
    calls: Calls
    entrance: Entrance
