"""Requests about what many programs share: locks, semaphores, conditions, events, barriers, queues, leases.

Rules:

* An object has a name and is opened before it is used; opening it again finds it, with the same description.
* What changes something carries a ``number`` that this client process (its instance, from HELLO) never uses twice. The
  agent carries a number out once and keeps its answer until the client has named it in ``seen``, so asking again after
  a cut is harmless, also for a request that still waits: it keeps its place in line.
* ``owner`` is a number of the client's own for a thread or a task; owners of different client processes are different.
* Waits are limited by ``timeout_s``, counted from when the agent first has the request; None: no limit.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.wire import limits
from holdfast.wire.request_types import Request, Seconds

ObjectName = Annotated[str, Meta(min_length=1, max_length=limits.OBJECT_NAME_CHARS)]
ObjectKind = Literal["lock", "rlock", "semaphore", "bounded", "condition", "event", "barrier", "queue"]
QueueOrder = Literal["fifo", "lifo", "priority"]
Units = Annotated[int, Meta(ge=1, le=limits.UNITS)]
Count = Annotated[int, Meta(ge=0, le=limits.UNITS)]
Owner = Annotated[int, Meta(ge=0, le=limits.OFFSET)]
Number = Annotated[int, Meta(ge=1, le=limits.OFFSET)]
Seen = Annotated[tuple[Number, ...], Meta(max_length=limits.SEEN_NUMBERS)]


class ObjectAsked(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an object is to be.

    Attributes:
        kind: What it is.
        units: Of a semaphore its first value, of a barrier its parties; 1 for everything else.
        maxsize: Of a queue: most items in it; 0: no limit of its own.
        order: Of a queue.
        durable: Of a queue: each item is flushed to the disk before its put is answered.
        visible_s: Of a queue: an item that was taken comes back unless it is acknowledged within this; None: taking it
            is the end of it.
        most_deliveries: Of such a queue: after so many an item is a dead letter.
        lock: Of a condition: the name of its lock, a ``lock`` or an ``rlock`` that is open.
        acts: Of a barrier: the last one to come does something before the others go on.
        passing: Forget it, whatever it holds, when no client has it open any more.
    """

    kind: ObjectKind
    units: Count = 1
    maxsize: Count = 0
    order: QueueOrder = "fifo"
    durable: bool = False
    visible_s: Seconds | None = None
    most_deliveries: Annotated[int, Meta(ge=1, le=1000)] = 5
    lock: ObjectName | None = None
    acts: bool = False
    passing: bool = False


class Numbered(Request, frozen=True, kw_only=True):
    """Base of requests that are carried out once; see the rules above."""

    number: Number
    seen: Seen = ()


class Open(Numbered, frozen=True, tag="open"):
    """Make an object, or find the one of that name; from now on this client has it open."""

    name: ObjectName
    what: ObjectAsked


class Drop(Numbered, frozen=True, tag="drop"):
    """This client needs an object no more; ``forget``: nobody does, so it goes with all that it holds."""

    name: ObjectName
    forget: bool = False


class Acquire(Numbered, frozen=True, tag="acquire"):
    """Take units of locks and semaphores, all of them or none. ``label`` names the owner for people."""

    owner: Owner
    units: Annotated[dict[ObjectName, Units], Meta(min_length=1, max_length=limits.NAMES_AT_ONCE)]
    wait: bool = True
    timeout_s: Seconds | None = None
    label: Annotated[str, Meta(max_length=limits.NAME_CHARS)] = ""


class Release(Numbered, frozen=True, tag="release"):
    """Give units back. A plain lock may be given back by any owner of the same client process."""

    owner: Owner
    name: ObjectName
    units: Units = 1


class Await(Numbered, frozen=True, tag="await"):
    """Give a condition's lock back, wait for a notification, take the lock again (as often as it was held)."""

    owner: Owner
    name: ObjectName
    timeout_s: Seconds | None = None
    label: Annotated[str, Meta(max_length=limits.NAME_CHARS)] = ""


class Notify(Numbered, frozen=True, tag="notify"):
    """Wake ``count`` of those who wait for a condition; None: all. The owner must hold its lock."""

    owner: Owner
    name: ObjectName
    count: Count | None = 1


class Flag(Numbered, frozen=True, tag="flag"):
    """Set, clear or wait for an event."""

    name: ObjectName
    do: Literal["set", "clear", "wait"]
    timeout_s: Seconds | None = None


class Meet(Numbered, frozen=True, tag="meet"):
    """Come to a barrier (``wait``), break it, empty it, or say that the act was done (``acted``) or has failed.

    ``of``: for the last two, the number of the ``wait`` that was answered with ``act``.
    """

    name: ObjectName
    do: Literal["wait", "acted", "failed", "reset", "abort"]
    of: Number | None = None
    timeout_s: Seconds | None = None


class Put(Numbered, frozen=True, tag="put"):
    """Put an item; the body is its value. Lower priorities come first, among equals lower ranks, then older items."""

    name: ObjectName
    priority: float = 0.0
    wait: bool = True
    timeout_s: Seconds | None = None
    rank: Annotated[str, Meta(max_length=limits.RANK_CHARS)] = ""


class Take(Numbered, frozen=True, tag="take"):
    """Get the next item; the answer's body is its value."""

    name: ObjectName
    wait: bool = True
    timeout_s: Seconds | None = None


class Settle(Numbered, frozen=True, tag="settle"):
    """An item is done: ``task_done`` of any one, ``ack`` or ``fail`` of this delivery of this item."""

    name: ObjectName
    do: Literal["task_done", "ack", "fail"]
    item: Annotated[int, Meta(ge=0, le=limits.OFFSET)] = 0
    delivery: Annotated[int, Meta(ge=0, le=limits.OFFSET)] = 0


class Join(Numbered, frozen=True, tag="join"):
    """Wait until all that was put is done."""

    name: ObjectName
    timeout_s: Seconds | None = None


class ShutQueue(Numbered, frozen=True, tag="shut"):
    """No more puts, and takes until the queue is empty; ``immediate``: what is in it is dropped."""

    name: ObjectName
    immediate: bool = False


class Withdraw(Numbered, frozen=True, tag="withdraw"):
    """Give up the request ``of``: it waits no longer, or, if it was granted already, what it got is given back.

    Its number is over, also for a copy of it that comes later. A wait for a condition ends with its lock held, when it
    was given up once; when it was given up again, without.
    """

    of: Number


class Renew(Request, frozen=True, tag="renew"):
    """This client process is alive: all its leases last ``ttl_s`` from now on. Any other request renews them, too."""

    ttl_s: Annotated[float, Meta(ge=limits.LEASE_LEAST_S, le=limits.LEASE_MOST_S)] = limits.LEASE_S


class ObjectState(Request, frozen=True, tag="object"):
    """What an object is and holds now."""

    name: ObjectName


class Leases(Request, frozen=True, tag="leases"):
    """Everything that is held or waited for, and by whom; ``name``: of this object alone."""

    name: ObjectName | None = None


class Hold(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """In RUN: what this owner of the client holds of these names becomes the job's, until its tree has ended."""

    owner: Owner
    names: Annotated[tuple[ObjectName, ...], Meta(min_length=1, max_length=limits.NAMES_AT_ONCE)]


# --- answers ---------------------------------------------------------------------------------------------------------


class OpenAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to OPEN. ``made``: it was not there before."""

    made: bool = False


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a deadlock: ``owner`` waits for ``name``, which ``blocker`` holds or, ``ahead``, asked for first."""

    owner: str
    name: str
    blocker: str
    ahead: bool = False


class AcquireAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to ACQUIRE. ``token`` is greater than all before; ``circle``: refused, it would have waited for ever."""

    granted: bool
    token: int = 0
    circle: tuple[Step, ...] = ()


class AwaitAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to AWAIT: the lock is held again. ``notified`` False: the time was over."""

    notified: bool
    token: int = 0


class FlagAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to FLAG: whether the event is set; for a wait, whether it was before the time was over."""

    is_set: bool


class MeetAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to MEET. Of a ``wait``: ``index``, 0 for who came first; ``act``: do what is to be done, and say so."""

    index: int = 0
    act: bool = False
    broken: bool = False


class PutAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to PUT: the item's number, or ``why`` it is not in the queue: ``full`` or ``shut``."""

    item: int = 0
    why: Literal["", "full", "shut"] = ""


class TakeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to TAKE: the item's number, which delivery of it this is and its priority; the body is its value.

    ``why`` there is none: ``empty`` or ``shut``.
    """

    item: int = 0
    delivery: int = 0
    priority: float = 0.0
    why: Literal["", "empty", "shut"] = ""


class NumberedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to DROP, RELEASE, NOTIFY, SETTLE, SHUT and WITHDRAW: done.

    ``ok`` False: of JOIN, the time was over; of WITHDRAW, there was nothing to withdraw.
    """

    ok: bool = True


class RenewAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to RENEW. ``known`` False: no lease was left, so all that was held is lost."""

    known: bool
    ttl_s: float = limits.LEASE_S


class ObjectStateAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to OBJECT.

    Attributes:
        kind: As it was opened.
        free: Of locks and semaphores: units that nobody holds.
        held: Of locks and semaphores: by owner.
        waiting: How many wait.
        is_set: Of an event.
        parties: Of a barrier.
        broken: Of a barrier.
        size: Of a queue: items that can be had now.
        maxsize: Of a queue.
        out: Of a queue: items that were taken and not acknowledged.
        unfinished: Of a queue: items that are not done.
        dead: Of a queue: dead letters.
        shut: Of a queue.
    """

    kind: ObjectKind
    free: int = 0
    held: dict[str, int] = {}
    waiting: int = 0
    is_set: bool = False
    parties: int = 0
    broken: bool = False
    size: int = 0
    maxsize: int = 0
    out: int = 0
    unfinished: int = 0
    dead: int = 0
    shut: bool = False


class LeaseInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One owner and one object. ``left_s``: what is left of the lease; None: a job holds it until it has ended."""

    name: str
    kind: ObjectKind
    owner: str
    principal: str = ""
    units: int = 1
    waiting: bool = False
    token: int = 0
    left_s: float | None = None


class LeasesAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer to LEASES."""

    leases: tuple[LeaseInfo, ...] = ()
