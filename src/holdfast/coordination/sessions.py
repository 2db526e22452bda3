"""What a machine of shared objects knows about each client process, each object and each wait. Plain records."""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.coordination.meetings import Barrier, Condition, Event
from holdfast.coordination.queues import Item, Queue
from holdfast.coordination.records import Answer, AnyNumbered, Instance
from holdfast.coordination.waiters import Ticket
from holdfast.wire.coordination import ObjectAsked

LOCKS: Final = ("lock", "rlock", "semaphore", "bounded")
"""Kinds of objects that are held."""

Thing = Event | Condition | Barrier | Queue | None
"""What stands behind a name; None for what is held: that is in ``Locks``."""


class Grant(msgspec.Struct):
    """What one owner holds of one object: the token of its first grant, and the owner's name for people."""

    token: int
    label: str = ""


class Pending(msgspec.Struct):
    """A request that waits.

    Attributes:
        place: The object in whose line it stands; empty: in a line of locks.
        ticket: Its place there.
        depth: Of AWAIT: how often the lock was held.
        notified: Of AWAIT: by whom it was woken, a notification or its time limit.
    """

    number: int
    request: AnyNumbered
    place: str
    ticket: Ticket
    depth: int = 0
    notified: bool = False


class Session(msgspec.Struct):
    """A client process.

    Attributes:
        opened: Names that it has open.
        owners: Its owners that hold something or wait.
        answers: What it was answered and has not said to have seen, by number.
        pending: What it waits for, by number.
        acts: Barriers at which it was told to act: number of the wait to (name, ticket).
        granted: Grants that it has not said to have seen: number to (owner, units by name).
        unseen: Items in answers that it has not said to have seen: number to (name, item).
        out: Deliveries that it has not settled: (name, item id) to the delivery's number.
    """

    instance: Instance
    principal: str
    opened: set[str] = msgspec.field(default_factory=set)
    owners: set[str] = msgspec.field(default_factory=set)
    answers: dict[int, Answer] = msgspec.field(default_factory=dict)
    pending: dict[int, Pending] = msgspec.field(default_factory=dict)
    acts: dict[int, tuple[str, Ticket]] = msgspec.field(default_factory=dict)
    granted: dict[int, tuple[str, dict[str, int]]] = msgspec.field(default_factory=dict)
    unseen: dict[int, tuple[str, Item]] = msgspec.field(default_factory=dict)
    out: dict[tuple[str, int], int] = msgspec.field(default_factory=dict)


class Object:
    """Something that has a name.

    Attributes:
        principal: Who made it.
        opened: Client processes that have it open.
        users: Conditions that use this lock.
    """

    __slots__ = ("name", "opened", "principal", "thing", "users", "what")

    def __init__(self, name: str, what: ObjectAsked, principal: str, thing: Thing) -> None:
        self.name = name
        self.what = what
        self.principal = principal
        self.thing = thing
        self.opened: set[Instance] = set()
        self.users: set[str] = set()


def describe(what: ObjectAsked) -> str:
    """An object in a few words, with an article."""
    if what.kind in ("semaphore", "bounded"):
        return f"a {'bounded ' if what.kind == 'bounded' else ''}semaphore of {what.units}"
    if what.kind == "barrier":
        return f"a barrier for {what.units}"
    if what.kind == "condition":
        return f"a condition with the lock {what.lock!r}"
    if what.kind == "queue":
        words = [f"a {what.order} queue", f"of {what.maxsize} items" if what.maxsize else "without limit"]
        words += ["kept through power failures"] if what.durable else []
        words += [f"with {what.visible_s:g} s to acknowledge"] if what.visible_s is not None else []
        return ", ".join(words)
    return {"lock": "a lock", "rlock": "a reentrant lock", "event": "an event"}[what.kind]
