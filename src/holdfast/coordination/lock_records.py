"""What a table of locks (``coordination.locks``) is asked and says, and what it keeps of each name and each wait."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.coordination.deadlock import Link, Owner, Wait
from holdfast.coordination.waiters import Ticket

Kind = Literal["lock", "rlock", "semaphore", "bounded"]


class Spec(msgspec.Struct, frozen=True):
    """What a name stands for; ``units`` is 1 for locks and the first value of a semaphore, 0 or more."""

    kind: Kind
    units: int = 1


class Granted(msgspec.Struct, frozen=True):
    """All that was asked for is held; ``token`` is greater than any before."""

    ticket: Ticket
    owner: Owner
    token: int


class Waiting(msgspec.Struct, frozen=True):
    """It stands in its queues."""

    ticket: Ticket


class Unavailable(msgspec.Struct, frozen=True):
    """Not granted: not asked to wait, or its time is over. Nothing is held of it."""

    ticket: Ticket
    owner: Owner


class Deadlocked(msgspec.Struct, frozen=True):
    """It would have waited for ever, or has given way; ``circle`` says for whom. Nothing is held of it."""

    ticket: Ticket
    owner: Owner
    circle: tuple[Link, ...]


Outcome = Granted | Waiting | Unavailable | Deadlocked
Told = Granted | Unavailable | Deadlocked


class LockMisuse(Exception):
    """A call that ``threading`` refuses too: giving back what is not held, or more than a bounded semaphore has."""


class SpecDiffers(Exception):
    """The name stands for something else already."""


class LocksState(msgspec.Struct, frozen=True):
    """A table as it is kept: resources by name, waits in their order, what each owner holds."""

    last_token: int
    last_ticket: int
    resources: dict[str, tuple[Spec, int, int, list[tuple[Owner, int]], bool]]
    requests: list[tuple[Owner, dict[str, int], dict[str, int], bool, bool, Ticket, float | None]]
    held: list[tuple[Owner, dict[str, int]]]


class Resource(msgspec.Struct):
    """What a name stands for, as it is now.

    Attributes:
        holders: Units; of a reentrant lock: how deep.
        signal: Units were given by somebody who held none.
    """

    spec: Spec
    free: int
    total: int
    holders: dict[Owner, int]
    signal: bool = False


class Request(msgspec.Struct):
    """Who asks, and for what.

    Attributes:
        again: Reentrant locks that the owner has already: they are held once more when the rest is granted.
        limited: It ends by itself.
        outside: It waits for what its owner holds: another thread may give that back, so it is never reported.
        certain: It is not refused.
    """

    ticket: Ticket
    wait: Wait
    again: dict[str, int]
    limited: bool
    outside: bool
    certain: bool
