"""What is observed of the GIL."""

from __future__ import annotations

import msgspec


class Python(msgspec.Struct, frozen=True):
    """An interpreter of this machine."""

    version: str
    gil: bool
    """Whether it was built with a GIL."""
    subinterpreters: bool
    """Whether it can make interpreters inside one process."""

    @property
    def own_gil(self) -> bool:
        """Whether each of its sub-interpreters has a GIL of its own (since 3.12, PEP 684)."""
        return self.subinterpreters and tuple(int(part) for part in self.version.split(".")[:2]) >= (3, 12)


class Task(msgspec.Struct, frozen=True):
    """One task; seconds since the start of its round."""

    began_s: float
    ended_s: float
    runs: tuple[tuple[float, float], ...]
    """When it truly ran (see ``contest.py``); none for one that waits."""


class Round(msgspec.Struct, frozen=True):
    """All tasks once."""

    seconds: float
    tasks: tuple[Task, ...]


class Contest(msgspec.Struct, frozen=True):
    """Some rounds of the same."""

    kind: str
    """``wait``, ``compute`` (Python code), ``hash`` (C code that gives up the GIL)."""
    means: str
    """``serial``, ``threads``, ``processes``, ``coroutines``, ``subinterpreters``, ``holdfast`` (a pool of
    its worker processes)."""
    python: Python
    rounds: tuple[Round, ...]


class Steps(msgspec.Struct, frozen=True):
    """Steps that another thread made while one thread was within a call, by round."""

    call: str
    taken: tuple[int, ...]


class Collector(msgspec.Struct, frozen=True):
    """Objects dropped with the cyclic collector switched off."""

    dropped: int
    freed_at_once: int
    """How many were gone when the last name for them was."""
    collections: int
    """How often the collector had run meanwhile."""
    cycles: int
    """Objects that refer to themselves, dropped as well."""
    cycles_freed: int
    """How many of them were gone before a collection was asked for."""
    cycles_collected: int
    """How many after it."""
    steps: tuple[int, ...]
    """As ``Steps.taken``, within a call of Python's own C code, the collector still off."""


class Counted(msgspec.Struct, frozen=True):
    """A number in memory that two processes count up, as a reference count is; with nothing in between, with a lock."""

    wanted: int
    bare: int
    locked: int


class Programs(msgspec.Struct, frozen=True):
    """What the notes' two programs print, in seconds, by round."""

    wait_s: float
    """How long each of the four tasks waits, at this run's pace."""
    wait_threads: tuple[float, ...]
    wait_processes: tuple[float, ...]
    wait_spawned: tuple[float, ...]
    """Processes started as Windows has to: a new interpreter for each."""
    loops_share: float
    """Part of the notes' hundred million rounds that was done."""
    compute_threads: tuple[float, ...]
    compute_processes: tuple[float, ...]


class Cores(msgspec.Struct, frozen=True):
    """What the machine has, and what a program is told."""

    logical: int
    """``os.cpu_count()``."""
    usable: int
    """What the scheduler lets this process use."""
    physical: int | None
    """Cores that /proc/cpuinfo names; None: it names none."""
    told_when_bound: int
    """``os.cpu_count()`` of a process that is bound to one core."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    python: Python
    cores: Cores
    contests: tuple[Contest, ...]
    steps: tuple[Steps, ...]
    collector: Collector
    counted: Counted
    programs: Programs
