"""What a machine of shared objects knows about each client process, each object and each wait. Plain records."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Final

import msgspec

from holdfast.coordination.meetings import Barrier, Condition, Event
from holdfast.coordination.queues import Item, Queue
from holdfast.coordination.records import Answer, AnyNumbered, Instance
from holdfast.coordination.waiters import Ticket
from holdfast.wire.coordination import Acquire, ObjectAsked

LOCKS: Final = ("lock", "rlock", "semaphore", "bounded")
"""Kinds of objects that are held."""
RANGES: Final = 1_000
"""Ranges of used numbers that are kept of a client process. It counts up, so there are few, unless it talks to several
agents, each of which sees some of its numbers. A request that was late for so long would be taken for a new one."""

Thing = Event | Condition | Barrier | Queue | None
"""What stands behind a name; None for what is held: that is in ``Locks``."""


class Grant(msgspec.Struct):
    """What one owner holds of one object: the token of its first grant, and the owner's name for people."""

    token: int
    label: str = ""


class Given(msgspec.Struct, frozen=True):
    """What an answer gave an owner that may not have come to it.

    ``condition``: it was notified there, which will have been in vain if the answer comes to nobody.
    """

    owner: str
    units: dict[str, int]
    condition: str = ""


class Unseen(msgspec.Struct, frozen=True):
    """An item in an answer that may not have come to its client.

    ``serial``: of the queue. ``bytes``: what the item counts for here; 0 where it still counts for its queue.
    """

    name: str
    serial: int
    item: Item
    bytes: int


class Pending(msgspec.Struct):
    """A request that waits.

    Attributes:
        place: The object in whose line it stands; empty: in a line of locks.
        ticket: Its place there.
        lock: Of AWAIT: the lock to be held again.
        depth: Of AWAIT: how often it was held.
        notified: Of AWAIT: by whom it was woken, a notification or its time limit.
    """

    number: int
    request: AnyNumbered
    place: str
    ticket: Ticket
    lock: str = ""
    depth: int = 0
    notified: bool = False

    def names(self) -> Iterable[str]:
        """The objects that it waits for, all of them open."""
        if self.place:
            return (self.place,)
        return self.request.units if isinstance(self.request, Acquire) else (self.lock,)


class Numbers:
    """Numbers that will not be used again, as ranges in their order; the lowest ones are forgotten (``RANGES``)."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self._first.append(first)
            self._last.append(last)

    def add(self, number: int) -> None:
        """One more, at most once."""
        at = bisect.bisect_left(self._first, number)
        before = at > 0 and self._last[at - 1] >= number - 1
        after = at < len(self._first) and self._first[at] <= number + 1
        if before and after:
            self._last[at - 1] = self._last.pop(at)
            del self._first[at]
        elif before:
            self._last[at - 1] = max(self._last[at - 1], number)
        elif after:
            self._first[at] = number
        else:
            self._first.insert(at, number)
            self._last.insert(at, number)
            if len(self._first) > RANGES:
                del self._first[0], self._last[0]

    def ranges(self) -> list[tuple[int, int]]:
        """First and last number of each range."""
        return list(zip(self._first, self._last, strict=True))

    def __contains__(self, number: int) -> bool:
        at = bisect.bisect_right(self._first, number)
        return at > 0 and self._last[at - 1] >= number

    def __bool__(self) -> bool:
        return bool(self._first)


class Session(msgspec.Struct):
    """A client process.

    Attributes:
        opened: Names that it has open.
        owners: Its owners that hold something or wait.
        answers: What it was answered and has not said to have seen, by number.
        pending: What it waits for, by number.
        acts: Barriers at which it was told to act: name to (number of the wait, ticket).
        given: Grants that it has not said to have seen, by number.
        unseen: Items that it has not said to have seen, by number.
        takes: Queues that want to know what becomes of items, and that it has taken from.
        let_go: Numbers of AWAITs that it has withdrawn once.
        done: Numbers of requests that are over and whose answer is not kept.
        lost: What its owners lost with an earlier lease and have not given back: units by owner and name.
    """

    instance: Instance
    principal: str
    opened: set[str] = msgspec.field(default_factory=set)
    owners: set[str] = msgspec.field(default_factory=set)
    answers: dict[int, Answer] = msgspec.field(default_factory=dict)
    pending: dict[int, Pending] = msgspec.field(default_factory=dict)
    acts: dict[str, tuple[int, Ticket]] = msgspec.field(default_factory=dict)
    given: dict[int, Given] = msgspec.field(default_factory=dict)
    unseen: dict[int, Unseen] = msgspec.field(default_factory=dict)
    takes: set[str] = msgspec.field(default_factory=set)
    let_go: set[int] = msgspec.field(default_factory=set)
    done: Numbers = msgspec.field(default_factory=Numbers)
    lost: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)


class Lost(msgspec.Struct, frozen=True):
    """What is remembered of a session that is over: ``Session.lost`` and ``Session.done`` of the next one."""

    held: dict[str, dict[str, int]]
    done: Numbers


class Object:
    """Something that has a name.

    Attributes:
        serial: No two objects have the same, also not two of one name, one after the other.
        principal: Who made it.
        opened: Client processes that have it open.
        users: Conditions that use this lock.
    """

    __slots__ = ("name", "opened", "principal", "serial", "thing", "users", "what")

    def __init__(self, name: str, serial: int, what: ObjectAsked, principal: str, thing: Thing) -> None:
        self.name = name
        self.serial = serial
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
