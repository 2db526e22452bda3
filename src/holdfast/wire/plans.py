"""Requests about starts that wait: for a time, for a turn in a group, for other jobs.

A plan is a RUN that the agent keeps, and carries out when its conditions are met: the job gets a start key made of the
plan's id and the number of the firing, so each firing starts one command at most, through restarts.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.wire import limits
from holdfast.wire.request_types import Request, Seconds
from holdfast.wire.run import Run

PlanId = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS)]
GroupName = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS)]
PlanState = Literal["waiting", "running", "done", "failed", "cancelled", "skipped"]


class Plan(Request, frozen=True, tag="plan"):
    """Keep a start for later. The body is RUN's. Answered when the plan is on the disk.

    Attributes:
        id: Chosen by the client; asking again with the same id and content is harmless.
        run: What is started; ``attach`` is not, ``key`` is replaced.
        at_unix_s: Not before this.
        delay_s: Not before so long after the agent has it.
        every_s: Again and again, so far apart, from the first time on (``at_unix_s``, or after ``delay_s``, or at
            once); at least 1. A series does not overtake itself: what came due while its job ran fires afterwards, as
            one.
        skip_missed: What could not start within a minute of its time, since no agent ran or the one before of a series
            still did, does not start at all.
        group: The group in which it takes its turn; None: it starts as soon as its time has come.
        priority: Lower ones come first in their group.
        after: Ids of plans or jobs of this agent that must have ended well before. If one does not, the plan fails.
    """

    id: PlanId
    run: Run
    at_unix_s: float | None = None
    delay_s: Seconds | None = None
    every_s: Seconds | None = None
    skip_missed: bool = False
    group: GroupName | None = None
    priority: float = 0.0
    after: Annotated[tuple[PlanId, ...], Meta(max_length=limits.NAMES_AT_ONCE)] = ()


class Unplan(Request, frozen=True, tag="unplan"):
    """Do not start it (again); a job that runs already is not touched. A failed one is not retried with its group."""

    id: PlanId


class Replan(Request, frozen=True, tag="replan"):
    """Start a failed plan again, as a new firing; a series goes on at its next time.

    ``id`` None: all failed ones of ``group`` that the caller may change.
    """

    id: PlanId | None = None
    group: GroupName | None = None


class Plans(Request, frozen=True, tag="plans"):
    """Plans in the order in which they would start; ``all``: also those that are over, last. ``id``: this one alone.

    ``skip``: those at the start that an answer with ``more`` has told already.
    """

    id: PlanId | None = None
    group: GroupName | None = None
    all: bool = False
    skip: Annotated[int, Meta(ge=0, le=limits.UNITS)] = 0


class Group(Request, frozen=True, tag="group"):
    """Change a group: how many of its jobs run at a time, whether it starts any; ``drain``: take no more plans.

    Plans of a series do not come to the line of a draining group. Who may change every plan in it may change a group.
    """

    name: GroupName
    parallel: Annotated[int, Meta(ge=1, le=limits.UNITS)] | None = None
    paused: bool | None = None
    drain: bool | None = None


class Groups(Request, frozen=True, tag="groups"):
    """All groups."""


# --- answers ---------------------------------------------------------------------------------------------------------


class PlanInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One plan.

    Attributes:
        argv: The command for people; long ones are cut.
        due_unix_s: When the next firing is due; None: it waits for no time.
        fired: How many firings there were.
        missed: How many there should have been beside them.
        job: Of the latest firing.
        why: Why it failed, or of a series, its latest firing.
    """

    id: str
    state: PlanState
    argv: tuple[str, ...] = ()
    shell: bool = False
    principal: str = ""
    group: str | None = None
    priority: float = 0.0
    due_unix_s: float | None = None
    every_s: float | None = None
    after: tuple[str, ...] = ()
    fired: int = 0
    missed: int = 0
    job: str | None = None
    why: str = ""
    ended_unix_s: float | None = None


class PlansAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to PLAN, UNPLAN, REPLAN and PLANS: the plans that were asked for, as they are now.

    ``more``: there are others, which did not fit.
    """

    plans: tuple[PlanInfo, ...] = ()
    more: bool = False


class GroupInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One group, with how many of its plans that the caller may see are in which state.

    ``repeating``: how many of the waiting ones are series.
    """

    name: str
    parallel: int = 1
    paused: bool = False
    draining: bool = False
    waiting: int = 0
    repeating: int = 0
    running: int = 0
    failed: int = 0


class GroupsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to GROUP and GROUPS."""

    groups: tuple[GroupInfo, ...] = ()
