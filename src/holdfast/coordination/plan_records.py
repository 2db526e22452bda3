"""What the machine of plans keeps, what happens to it, and what it orders (``coordination.plans``).

A plan is known by a number here, given in the order of arrival and never again; its id is unique among the plans of one
principal. Times: ``unix_s`` and what ends so are seconds of the clock that people read, everything else seconds of the
recorded clock, which never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

MOST: Final = 10_000
"""Plans that are not over."""
MOST_OVER: Final = 10_000
"""Plans that are over and still known."""
MOST_GROUPS: Final = 1_000
MOST_BYTES: Final = 16 * 1024 * 1024
"""All plans together, by ``Asked.size``: they are written as a whole from time to time."""
KEEP_S: Final = 7 * 86_400.0
"""How long a plan is known that is over."""

Phase = Literal[
    "waiting", "held", "standing", "starting", "running", "done", "failed", "cancelled", "skipped"
]  # fmt: skip
"""``waiting`` for a time or for others, ``held`` by its draining group, ``standing`` in the line of its group;
``starting``: ordered, its job is not known yet. The last four are over."""
OVER: Final = frozenset({"done", "failed", "cancelled", "skipped"})

Why = Literal["full", "taken", "draining", "gone", "repeats"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is to be.

    Attributes:
        id: Given by whoever made it.
        principal: Who that is.
        cargo: What is to be started; opaque.
        digest: Of everything that was asked for: the same id with another one is another plan.
        argv: The command, for people; with ``shell`` one text.
        group: In whose line it stands; None: in none.
        priority: Lower ones come first in the line.
        at_unix_s: Not before this.
        delay_s: Not before so long after it was recorded.
        every_s: Again and again, so far apart.
        skip_missed: What could not be started in time is not started at all.
        after: What must have ended well before, as it was named.
        plans: Numbers of those of them that are plans.
        jobs: Ids of those of them that are jobs.
    """

    id: str
    principal: str
    cargo: bytes
    digest: bytes
    argv: tuple[str, ...] = ()
    shell: bool = False
    group: str | None = None
    priority: float = 0.0
    at_unix_s: float | None = None
    delay_s: float | None = None
    every_s: float | None = None
    skip_missed: bool = False
    after: tuple[str, ...] = ()
    plans: tuple[int, ...] = ()
    jobs: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.cargo) + sum(map(len, (*self.argv, *self.after))) + 200


class Planned(msgspec.Struct, kw_only=True):
    """One plan as it is now.

    Attributes:
        at_unix_s: When firing 0 is due by the clock that people read; None: by no such clock.
        waits_at: It waits for that clock now.
        until: It waits until this, of the recorded clock.
        plans: Plans that must still end well.
        jobs: Jobs that must still end well.
        next: Number of the next firing.
        firing: Number of the latest one; -1: there was none.
        fired: How many there were.
        missed: How many there should have been, had they not fired as one with a later one, or been skipped.
        job: Of the latest firing, once it is known.
        last: It is not started again, whatever it was asked to be.
        why: Why it failed, or its latest firing.
        place: In line: those with a lower number came before.
    """

    number: int
    asked: Asked
    phase: Phase = "waiting"
    at_unix_s: float | None = None
    waits_at: bool = False
    until: float | None = None
    plans: set[int] = set()
    jobs: set[str] = set()
    next: int = 0
    firing: int = -1
    fired: int = 0
    missed: int = 0
    job: str | None = None
    last: bool = False
    why: str = ""
    ended_unix_s: float | None = None
    place: int = 0

    @property
    def over(self) -> bool:
        """It will not start (again), unless it is retried."""
        return self.phase in OVER

    @property
    def busy(self) -> bool:
        """It is being started, or its job runs."""
        return self.phase in ("starting", "running")

    @property
    def due_unix_s(self) -> float | None:
        """When the next firing is due by the clock that people read."""
        if not self.waits_at or self.at_unix_s is None:
            return None
        return self.at_unix_s + (self.asked.every_s or 0.0) * self.next


def in_order(plans: Iterable[Planned]) -> list[Planned]:
    """In the order in which they would start, as far as that is known; those that are over last, newest first."""
    return sorted(plans, key=_rank)


def _rank(plan: Planned) -> tuple[float | str, ...]:
    if plan.over:
        return 4.0, -(plan.ended_unix_s or 0.0), -plan.number
    if plan.busy:
        return 0.0, plan.number
    if plan.phase == "standing":
        return 1.0, plan.asked.group or "", 0.0, plan.asked.priority, plan.place
    if plan.phase == "held":
        return 1.0, plan.asked.group or "", 1.0, plan.number
    if plan.waits_at:
        return 2.0, plan.due_unix_s or 0.0, plan.number
    return 3.0, plan.until or 0.0, plan.number


class GroupSettings(msgspec.Struct):
    """How a group is to behave."""

    name: str
    parallel: int = 1
    paused: bool = False
    draining: bool = False


# --- what happens ----------------------------------------------------------------------------------------------------


class Happened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all events; ``unix_s``: when. ``ticket`` of those that are asked for: for the answer."""

    unix_s: float


class Added(Happened, frozen=True):
    """A plan was asked for."""

    ticket: int
    asked: Asked


class Cancelled(Happened, frozen=True):
    """A plan is not to start (again)."""

    ticket: int
    plan: int


class Retried(Happened, frozen=True):
    """These are to start again, as far as they have failed."""

    ticket: int
    plans: tuple[int, ...]


class GroupChanged(Happened, frozen=True):
    """A group is to behave otherwise; None: as before."""

    ticket: int
    name: str
    parallel: int | None = None
    paused: bool | None = None
    draining: bool | None = None


class Started(Happened, frozen=True):
    """The job of this firing was accepted."""

    plan: int
    firing: int
    job: str


class NotStarted(Happened, frozen=True):
    """The start of this firing was refused for good; ``why`` empty: it was given up before it was tried."""

    plan: int
    firing: int
    why: str = ""


class JobEnded(Happened, frozen=True):
    """A job has ended; ``why`` empty: well."""

    job: str
    why: str = ""


class TimePassed(Happened, frozen=True):
    """Nothing but that."""

    ticket: int


AnyHappened = (
    Added | Cancelled | Retried | GroupChanged | Started | NotStarted | JobEnded | TimePassed
)  # fmt: skip


# --- what is ordered -------------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Start the job of this firing; ``Started`` or ``NotStarted`` is awaited."""

    plan: int
    firing: int


class GiveUp(msgspec.Struct, frozen=True):
    """The start of this firing is not wanted any more: ``NotStarted`` is awaited if it can still be kept back."""

    plan: int
    firing: int


class Watch(msgspec.Struct, frozen=True):
    """``JobEnded`` of this job is awaited; it may have ended already."""

    job: str


class Answer(msgspec.Struct, frozen=True):
    """What came of a request: these plans, as they are now, or a refusal in words."""

    ticket: int
    plans: tuple[int, ...] = ()
    refused: Why | None = None
    text: str = ""


class Arm(msgspec.Struct, frozen=True):
    """``TimePassed`` is awaited at the first of these times, in place of those ordered before; None: never."""

    until: float | None
    unix_s: float | None


Order = Start | GiveUp | Watch | Answer | Arm
