"""What is observed of processes."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Born(msgspec.Struct, frozen=True):
    """A child, as its parent and it itself saw it."""

    method: str
    """"fork", "spawn", "forkserver", or "holdfast"."""
    there_at_return: bool
    """Whether the kernel knew it when ``start()`` returned."""
    parent_pid: int
    """Of the process that called ``start()``."""
    pid_told: int
    """What the process object says."""
    pid: int
    """What the child says."""
    ppid: int
    name_given: str
    name: str
    memory_copied: bool
    """Whether a change to a global before ``start()`` reached the child."""
    new_program: bool
    """Whether its command line is another one than its parent's."""


class Order(msgspec.Struct, frozen=True):
    """Who spoke first after ``start()``."""

    how: str
    main_first: int
    rounds: int


class Passed(msgspec.Struct, frozen=True):
    """How many arguments reached the target."""

    written: str
    arrived: int


class Direct(msgspec.Struct, frozen=True):
    """A subclass, started and merely run."""

    parent_pid: int
    pid_by_start: int
    pid_by_run: int
    without_super: str
    """The error of a subclass that never called ``super().__init__()``; "": none."""


class Reaped(msgspec.Struct, frozen=True):
    """A child that had ended, and what was then called."""

    call: str
    state_before: str | None
    state_after: str | None


class Ended(msgspec.Struct, frozen=True):
    """A child that was told to end."""

    alive_right_after: bool
    seconds: float
    exitcode: int | None


class Leaving(msgspec.Struct, frozen=True):
    """A program whose main thread is through while something else of it is not."""

    other: str
    """"child", "command" (of ``subprocess``), "thread" or "daemon thread"."""
    leaves: str
    """"end" of the text, "_exit" or "kill"."""
    waited: bool
    """Whether the program stayed until the other had ended."""
    outlived: bool
    """Whether the other was still there when the program was not."""
    parent_after: int | None
    """Whose child the other then was."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    default_method: str
    born: tuple[Born, ...]
    orders: tuple[Order, ...]
    passed: tuple[Passed, ...]
    direct: Direct
    reaped: tuple[Reaped, ...]
    terminated: tuple[Ended, ...]
    """Sleeping children."""
    ignored_s: float
    """How long a child that ignores SIGTERM was watched afterwards."""
    ignoring_alive: bool
    """Whether it was alive then."""
    ignoring_killed: int | None
    """Its exit code after ``kill()``."""
    handler_exitcode: int | None
    """Exit code of a child that answers SIGTERM with an exit of its own."""
    leavings: tuple[Leaving, ...]
    by_function: Ran
    by_function_repaired: Ran
    by_subclass: Ran
    terminating: tuple[Ran, ...]
    holdfast_by_function: Ran
    holdfast_by_subclass: Ran
    holdfast_terminating: Ran
    holdfast_terminated: Ended
