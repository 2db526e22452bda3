"""What is observed of timers."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.lab.seen import Ran


class Call(msgspec.Struct, frozen=True):
    """One timer: seconds from its start on."""

    asked_s: float
    started_s: float
    """When it was started, in seconds from the start of the round."""
    waited_s: float
    thread: str
    in_main: bool
    threads_id: int
    """The kernel's id of the thread that made the call."""


class Given(msgspec.Struct, frozen=True):
    """What was handed to a timer as its arguments, and what its function received."""

    what: Literal["tuple", "list", "generator", "dict", "text", "number in brackets"]
    written: str
    received: tuple[str, ...] | None
    """None: the call was not made."""
    error: str
    """What the timer's thread raised instead; "" nothing."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    programs: tuple[Ran, ...]
    """The notes' program, several times."""
    pause_s: float
    """For how long its timer waits."""
    main_id: int
    calls: tuple[Call, ...]
    given: tuple[Given, ...]
    waiting: int
    """So many timers waited at the same time;"""
    threads_of_waiting: int
    """so many threads more the process then had."""
    cancelled_calls: int
    """Calls of those timers, which were all cancelled in time."""
    at_once: int
    """Timers with no time to wait;"""
    at_once_before_main: int
    """how often the call came before main's next step."""
    python_after_death: bool
    """Whether the call of a `threading.Timer` was made although its process had been killed."""
    holdfast_after_death: bool
    """The same of Holdfast's timer."""
