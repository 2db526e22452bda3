"""Who waits for ever: exact, for locks, semaphores and several of them at once.

A cycle of waits is a deadlock only where every resource has one unit: with two units of a semaphore out, either holder
may come back first. So the answer is found by *graph reduction* (R. C. Holt, "Some deadlock properties of computer
systems", 1972): assume that everybody who does not wait finishes and gives back what they hold; grant what can be
granted then; those too finish; go on until nothing changes. Who is left over waits for ever, and nobody else does.

Waiting is fair: nobody overtakes. A request is therefore granted only when it is the first one of each of its
resources, which is why the order of the waits counts here as well.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence

import msgspec

Owner = str
"""Who holds and waits: a thread or task of a client, or a job."""


class Wait(msgspec.Struct, frozen=True):
    """A request that has not been granted.

    Attributes:
        owner: Who waits; an owner has one wait at a time.
        units: How many of each resource, all at once; at least one resource, each at least 1.
    """

    owner: Owner
    units: Mapping[str, int]


class Link(msgspec.Struct, frozen=True):
    """One step of a circle: ``owner`` waits for what ``blocker`` holds or, if ``ahead``, has asked for earlier."""

    owner: Owner
    resource: str
    blocker: Owner
    ahead: bool


def blocked_for_ever(
    free: Mapping[str, int], held: Mapping[Owner, Mapping[str, int]], waits: Sequence[Wait]
) -> frozenset[Owner]:
    """The owners whose waits can never be granted, unless somebody gives way.

    Args:
        free: Units that nobody holds, by resource; a resource that is not named has none.
        held: Units by owner and resource.
        waits: In the order in which they were asked for.

    Returns:
        Owners of ``waits``; empty where all can go on. The time is linear in what is held and waited for.
    """
    left = dict(free)
    queues: dict[str, deque[int]] = defaultdict(deque)
    blockers = []  # of each wait: its resources where it is not the first, or that have too few units
    for index, wait in enumerate(waits):
        for resource in wait.units:
            queues[resource].append(index)
        blockers.append(len(wait.units))
    waiting = {wait.owner: index for index, wait in enumerate(waits)}
    met: set[tuple[int, str]] = set()
    able: list[int] = []

    def look(resource: str) -> None:
        """See whether the first one in this queue has enough here now."""
        queue = queues.get(resource)
        if not queue:
            return
        first = queue[0]
        if (first, resource) not in met and waits[first].units[resource] <= left.get(resource, 0):
            met.add((first, resource))
            blockers[first] -= 1
            if not blockers[first]:
                able.append(first)

    for owner, units in held.items():
        if owner not in waiting:
            for resource, count in units.items():
                left[resource] = left.get(resource, 0) + count
    for resource in queues:
        look(resource)
    gone: set[Owner] = set()
    while able:
        wait = waits[able.pop()]
        gone.add(wait.owner)
        for resource, count in held.get(wait.owner, {}).items():
            left[resource] = left.get(resource, 0) + count
        for resource in wait.units:
            queues[resource].popleft()
        for resource in {*wait.units, *held.get(wait.owner, {})}:
            look(resource)
    return frozenset(waiting) - gone


def circle(
    free: Mapping[str, int],
    held: Mapping[Owner, Mapping[str, int]],
    waits: Sequence[Wait],
    stuck: Collection[Owner],
    start: Owner,
) -> tuple[Link, ...]:
    """A circle of owners that wait for each other, for people to read.

    Args:
        free: As above.
        held: As above.
        waits: As above.
        stuck: What ``blocked_for_ever`` gave for these.
        start: One of them. The circle need not lead through it: it may wait for a circle of others.

    Returns:
        At least one link; each one's blocker is the next one's owner, and the last one's blocker the first one's owner.
    """
    at_most = dict(free)  # what is free once all that can finish have finished
    for owner, units in held.items():
        if owner not in stuck:
            for resource, count in units.items():
                at_most[resource] = at_most.get(resource, 0) + count
    place = {wait.owner: index for index, wait in enumerate(waits)}
    path: list[Link] = []
    seen: dict[Owner, int] = {}
    owner = start
    while owner not in seen:
        seen[owner] = len(path)
        link = _blocker(waits[place[owner]], at_most, held, waits[: place[owner]], stuck)
        path.append(link)
        owner = link.blocker
    return tuple(path[seen[owner] :])


def _blocker(
    wait: Wait,
    at_most: Mapping[str, int],
    held: Mapping[Owner, Mapping[str, int]],
    earlier: Sequence[Wait],
    stuck: Collection[Owner],
) -> Link:
    """One of those, stuck themselves, that keep this wait from being granted; a holder rather than who is ahead."""
    for resource in sorted(wait.units):
        if wait.units[resource] > at_most.get(resource, 0):
            for owner in sorted(stuck):
                if held.get(owner, {}).get(resource):
                    return Link(wait.owner, resource, owner, ahead=False)
    for resource in sorted(wait.units):
        for other in earlier:
            if other.owner in stuck and resource in other.units:
                return Link(wait.owner, resource, other.owner, ahead=True)
    raise ValueError(f"{wait.owner} asks for more than there is, or is not stuck")
