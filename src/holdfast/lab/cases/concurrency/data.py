"""What is observed of tasks that share cores and memory."""

from __future__ import annotations

import msgspec


class Runner(msgspec.Struct, frozen=True):
    """One task in a process of its own; seconds since the start of its scene."""

    name: str
    core: int
    pid: int
    began_s: float
    ended_s: float
    runs: tuple[tuple[float, float], ...]
    """When it truly ran: all steps whose processor time is about the time that passed."""
    voluntary: int
    """How often it gave up its core since it had to wait (getrusage)."""
    involuntary: int
    """How often its core was taken away."""
    rounds: int
    """Rounds of its loop that it had counted at the end."""


class Scene(msgspec.Struct, frozen=True):
    """Tasks that were started together."""

    runners: tuple[Runner, ...]


class Shells(msgspec.Struct, frozen=True):
    """Two shells that count: no Python, no GIL. Processor time of both by the time that passed; None: not tried."""

    one_core: float
    two_cores: float | None


class Saved(msgspec.Struct, frozen=True):
    """Two counters by turns in one thread: generators, which keep their place, and functions, which begin again."""

    turns: int
    kept: tuple[int, int]
    """How far the generators came."""
    lost: tuple[int, int]
    """How far the functions came."""
    generator_ns: tuple[float, ...]
    """One switch between generators, by round."""
    process_ns: tuple[float, ...]
    """One switch between two processes on one core, woken through pipes."""


class Pages(msgspec.Struct, frozen=True):
    """The same pages in two processes, after a fork and after the child has written to them.

    A frame is the number of the physical page behind the first of them; None: only root is told.
    """

    same_address: bool
    parent_frame: int | None
    child_frame: int | None
    child_frame_written: int | None
    shared_kib: int | None
    """Of the child's pages, those that another process has as well (smaps); None: not told."""
    shared_kib_written: int | None
    size_kib: int
    parent_sees: bool
    """Whether the parent saw what the child had written."""
    parent_sees_shared: bool
    """The same of a page that was asked to be shared."""


class Priority(msgspec.Struct, frozen=True):
    """A task at work on a core, and one of higher priority that comes to it."""

    how: str
    """``SCHED_FIFO``, or ``nice 19 and 0`` where that is not allowed."""
    scene: Scene
    """The lower one first."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    python: str
    cores: int
    same_program: bool
    """Whether two processes with numbers of their own ran the very same program file."""
    serial: Scene
    concurrent: Scene
    """Both on one core."""
    parallel: tuple[Scene, ...]
    """Each on a core of its own, some rounds; (): there is but one core."""
    shells: Shells
    saved: Saved
    pages: Pages
    waits: int
    """How often the first task of ``waiting`` waits."""
    waiting: Scene
    """One that mostly waits and one that computes, on one core."""
    priority: Priority
