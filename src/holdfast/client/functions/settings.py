"""What a pool is to be, as its maker says it, and what follows from that. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from holdfast.functions.schedule import Schedule
from holdfast.functions.setup import POOL, FirstCall, WorkerSetup, environment

if TYPE_CHECKING:
    from holdfast.client.functions.code import Coder
    from holdfast.client.functions.tasks import Task

Kind = Literal["processes", "threads", "coroutines"]
Results = Literal["plain", "pickle"]

COROUTINES: Final = 1000
"""Calls that a pool of coroutines runs at a time, unless its maker says another number."""
THREADS: Final = 32
"""Threads of a pool of threads, unless its maker says another number: the most that ``concurrent.futures`` takes."""
WORKERS_MOST: Final = 400
"""Processes of one pool: each takes two of the 1 024 streams of its connection."""
THREADS_MOST: Final = 10_000
"""Threads or coroutines of one pool."""


class PoolSettings(msgspec.Struct, frozen=True):
    """Arguments of ``Host.executor``; see there. ``workers``: None: as many as the host has processors."""

    workers: int | None
    kind: Kind = "processes"
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    max_tasks_per_child: int | None = None
    results: Results = "plain"
    timeout: float | None = None
    name: str = ""
    output: Literal["inherit", "keep"] = "inherit"

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: a number out of its range, or a word that is none of those there are.
            TypeError: the initializer cannot be called, or ``max_tasks_per_child`` is no number.
        """
        most = WORKERS_MOST if self.kind == "processes" else THREADS_MOST
        if self.kind not in ("processes", "threads", "coroutines"):
            raise ValueError(f"kind is {self.kind!r}: it may be 'processes', 'threads' or 'coroutines'")
        if self.workers is not None and self.workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if self.workers is not None and self.workers > most:
            raise ValueError(f"{self.workers} workers; a pool of {self.kind} may have {most}")
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError("initializer must be a callable")
        if self.max_tasks_per_child is not None:
            if not isinstance(self.max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if self.max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        if self.results not in ("plain", "pickle"):
            raise ValueError(f"results is {self.results!r}: it may be 'plain' or 'pickle'")
        if self.output not in ("inherit", "keep"):
            raise ValueError(f"output is {self.output!r}: it may be 'inherit' or 'keep'")
        check_limit(self.timeout)

    @property
    def at_once(self) -> int:
        """Calls that one worker runs at a time."""
        if self.kind == "processes":
            return 1
        return self.workers or (COROUTINES if self.kind == "coroutines" else THREADS)

    @property
    def grows(self) -> bool:
        """The first worker tells how many there may be."""
        return self.kind == "processes" and self.workers is None

    @property
    def pickles(self) -> bool:
        """Pickles of results and exceptions are opened here."""
        return self.results == "pickle"

    def schedule(self) -> Schedule[Task]:
        """An empty line and no lanes, of these sizes."""
        if self.kind == "processes":
            return Schedule(workers=self.workers or 1, most_calls=self.max_tasks_per_child)
        return Schedule(workers=1, slots=self.at_once, most_calls=self.max_tasks_per_child)

    def variables(self, coder: Coder, *, sys_path: tuple[str, ...], argv: tuple[str, ...]) -> dict[str, str]:
        """The environment of a worker.

        Raises:
            CallRefused: the initializer cannot be sent.
            CallTooLarge: with its arguments it is too long.
        """
        first = None
        if self.initializer is not None:
            flags, arguments = coder.arguments(self.initargs, {})
            first = FirstCall(coder.function(self.initializer), flags, arguments)
        setup = WorkerSetup(
            kind=self.kind,
            at_once=self.at_once,
            pickles=self.pickles,
            sys_path=sys_path,
            argv=argv,
            name=self.name,
        )
        return environment(setup, first)


def command(worker: tuple[str, ...], last: str = POOL) -> list[str]:
    """The command line of a worker, from how the agent says that it begins."""
    return [*worker, last]


def check_limit(timeout: float | None) -> float:
    """A time limit as it is sent: 0 for none.

    Raises:
        ValueError: it is not above 0.
    """
    if timeout is None:
        return 0.0
    if not timeout > 0:
        raise ValueError(f"timeout is {timeout}: it must be greater than 0")
    return float(timeout)
