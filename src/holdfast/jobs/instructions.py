"""What the job's machine orders, in the imperative. They are carried out in the order given.

The record comes before the act: everything that follows a :class:`Record` in a list waits until it is committed (and
flushed, for a job of durability ``power``), unless that record is ``lazy``.
"""

from __future__ import annotations

import msgspec

from holdfast.jobs.stimuli import Scope
from holdfast.store.writes import Write
from holdfast.types import Cause, JobId, Receipt, ShimId


class Record(msgspec.Struct, frozen=True):
    """Submit these writes as one transaction.

    ``lazy``: nothing waits for it, and it may be held back (100 ms is sensible). It is dropped once a later record of
    the same job is submitted, which says all of it again. So a job that lasts 1 ms costs two writes.
    """

    writes: tuple[Write, ...]
    power: bool = False
    lazy: bool = False


class Spawn(msgspec.Struct, frozen=True):
    """Send the job description to this shim."""

    shim: ShimId
    attempt: int


class Requeue(msgspec.Struct, frozen=True):
    """Nothing ran: give the slot back and put the job at the head of the queue."""

    job: JobId


class Stop(msgspec.Struct, frozen=True):
    """Tell its supervisor to run the kill ladder. ``adopted``: the keeper is that supervisor."""

    cause: Cause
    by: str
    grace_s: float
    adopted: bool = False


class Signal(msgspec.Struct, frozen=True):
    """Tell its supervisor to send one signal."""

    signum: int
    scope: Scope
    adopted: bool = False


class Release(msgspec.Struct, frozen=True):
    """The job is over and recorded: free its slot; ``shim`` (if it had one) may forget it."""

    shim: ShimId | None


class Notify(msgspec.Struct, frozen=True):
    """Tell whoever watches: accepted, starting, started, ending, requeued or done (then with the receipt)."""

    kind: str
    receipt: Receipt | None = None


Instruction = Record | Spawn | Requeue | Stop | Signal | Release | Notify
