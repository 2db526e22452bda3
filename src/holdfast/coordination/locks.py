"""What can be held: locks, reentrant locks, semaphores, and several of them at once. Decides only; times are arguments.

Rules:

* Nobody overtakes: a request is granted when it is the first one of each of its resources and there is enough of each.
  A large request is not starved by small ones, and several locks asked for at once are taken in one step, so that no
  order of theirs can be a wrong one.
* Each grant has a token that is greater than all tokens before it (a *fencing token*): who guards a resource with it
  can turn down a holder whose time is over.
* A request that would wait for ever is refused at once: the youngest wait is the one that closes the circle. Where that
  one cannot be refused (a condition's lock must be taken again) the youngest of the others gives way.

As in ``threading``: what somebody holds may be given back by another thread, so an owner who waits for a lock that it
holds itself, or for more of a semaphore, is not in a deadlock. A wait with a time limit ends by itself, so nobody else
waits for ever behind it. A semaphore that is given units by somebody who holds none of it is used as a signal; from
then on anybody may come with more, and no wait for it is reported.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from holdfast.coordination import deadlock
from holdfast.coordination.deadlock import Link, Owner, Wait
from holdfast.coordination.lock_records import (
    Deadlocked,
    Granted,
    LockMisuse,
    LocksState,
    Outcome,
    Request,
    Resource,
    Spec,
    SpecDiffers,
    Told,
    Unavailable,
    Waiting,
)
from holdfast.coordination.waiters import Line, Ticket

NAMES: Final = 10_000
"""Resources of one table."""
_DEEPEST: Final = 2**31 - 1
"""How often a reentrant lock can be held."""


class Locks:
    """The resources of one space, who holds them and who waits.

    Args:
        last_token: No token is this or below; whoever starts a table anew gives what the one before may have reached.
    """

    def __init__(self, *, last_token: int = 0) -> None:
        self.last_token = last_token
        self._resources: dict[str, Resource] = {}
        self._requests: Line[Request] = Line()
        self._queues: dict[str, OrderedDict[Ticket, None]] = {}
        self._of_owner: dict[Owner, Ticket] = {}
        self._held: defaultdict[Owner, dict[str, int]] = defaultdict(dict)
        self._last_ticket = 0

    # --- what there is -----------------------------------------------------------------------------------------------

    def open(self, name: str, spec: Spec) -> None:
        """Make a resource, or find the one of that name.

        Raises:
            SpecDiffers: it is of another kind, or has another number of units.
            ValueError: the number is not possible, or there are ``NAMES`` already.
        """
        found = self._resources.get(name)
        if found is not None:
            if found.spec != spec:
                raise SpecDiffers(
                    f"{name!r} is a {found.spec.kind} of {found.spec.units}, not a {spec.kind} of {spec.units}"
                )
            return
        if spec.units < 0 or (spec.kind in ("lock", "rlock") and spec.units != 1):
            raise ValueError(f"a {spec.kind} of {spec.units} units")
        if len(self._resources) >= NAMES:
            raise ValueError(f"{NAMES} names are in use")
        self._resources[name] = Resource(spec, spec.units, spec.units, {})
        self._queues[name] = OrderedDict()

    def value(self, name: str) -> int:
        """Units that nobody holds."""
        return self._resources[name].free

    def holders(self, name: str) -> dict[Owner, int]:
        """Units by owner; of a reentrant lock how many times it is held."""
        return dict(self._resources[name].holders)

    def waiting(self, name: str) -> list[Owner]:
        """Who waits for it, the next one first."""
        return [self._requests[ticket].wait.owner for ticket in self._queues[name]]

    def held(self, owner: Owner, name: str) -> int:
        """Units that this owner holds; 0 also where there is no such resource."""
        return self._held.get(owner, {}).get(name, 0)

    def holder(self, name: str) -> Owner | None:
        """One who holds it: of a lock, the one."""
        return next(iter(self._resources[name].holders), None)

    def is_signal(self, name: str) -> bool:
        """Whether units of it were given by somebody who held none."""
        return self._resources[name].signal

    def is_waiting(self, owner: Owner) -> bool:
        """Whether this owner waits."""
        return owner in self._of_owner

    def ticket_of(self, owner: Owner) -> Ticket | None:
        """The ticket with which this owner waits."""
        return self._of_owner.get(owner)

    def is_fresh(self, name: str) -> bool:
        """Whether opening it anew would give the same, and nobody holds it or waits for it."""
        resource = self._resources[name]
        return not resource.holders and not self._queues[name] and resource.free == resource.spec.units

    # --- asking and giving back --------------------------------------------------------------------------------------

    def ask(
        self,
        owner: Owner,
        units: Mapping[str, int],
        *,
        wait: bool = True,
        until: float | None = None,
        certain: bool = False,
    ) -> Outcome:
        """Ask for units of one or several resources, all or none of them.

        Args:
            owner: Who asks; it must not be waiting already.
            units: By name, at least one name, each at least 1; of a reentrant lock: how deep.
            wait: Stand in line if it is not to be had now.
            until: When to give up (the caller's clock); None: never.
            certain: Wait also where that may be for ever: it is no choice (a condition's lock must be taken again).
                Call ``give_way`` then.

        Raises:
            KeyError: no such resource.
            ValueError: nothing, or a number below 1, or more units than there are.
            LockMisuse: this owner is waiting.
        """
        self._check(owner, units)
        self._last_ticket += 1
        ticket = self._last_ticket
        again = {name: count for name, count in units.items() if self._has_reentrant(owner, name)}
        wanted = {name: count for name, count in units.items() if name not in again}
        outside = self._waits_for_itself(owner, wanted)
        request = Request(ticket, Wait(owner, wanted), again, until is not None, outside, certain)
        if not any(self._queues[name] for name in wanted) and self._has_room(wanted):
            return self._grant(request)
        if not wait:
            return Unavailable(ticket, owner)
        self._stand(request, until)
        circle = () if certain else self._circle(request)
        if circle:
            self._leave(request)
            return Deadlocked(ticket, owner, circle)
        return Waiting(ticket)

    def give_way(self, ticket: Ticket) -> list[Told]:
        """Refuse other waits, the youngest first, until this one (``certain``) is in no circle."""
        told: list[Told] = []
        while ticket in self._requests:
            circle = self._circle(self._requests[ticket])
            waits = [self._requests[self._of_owner[link.owner]] for link in circle]
            others = [wait for wait in waits if not wait.certain]
            if not others:
                break
            victim = max(others, key=lambda wait: wait.ticket)
            self._leave(victim)
            told.append(Deadlocked(victim.ticket, victim.wait.owner, circle))
            told += self._advance(list(victim.wait.units))
        return told

    def give_back(self, owner: Owner, name: str, units: int = 1) -> list[Told]:
        """Give units back, and grant what can be granted then, in order.

        Args:
            owner: Who gives them back.
            name: What.
            units: How many; 1 for locks; of a reentrant lock: how often.

        Raises:
            KeyError: no such resource.
            ValueError: a number below 1.
            LockMisuse: not held, or (``bounded``) more than there were; a reentrant lock of an owner who is waiting.
        """
        resource = self._resources[name]
        if units < 1:
            raise ValueError(f"{units} units")
        kind, holders = resource.spec.kind, resource.holders
        if kind == "rlock":
            if holders.get(owner, 0) < units:
                raise LockMisuse(f"{name!r} is not held by {owner}")
            if owner in self._of_owner:
                raise LockMisuse(f"{owner} is waiting")
            self._drop(owner, name, units)
            resource.free += owner not in holders
        elif kind == "lock":
            if not holders or units != 1:
                raise LockMisuse(f"{name!r} is not held")
            self._drop(next(iter(holders)), name, 1)
            resource.free += 1
        else:
            if kind == "bounded" and resource.free + units > resource.spec.units:
                raise LockMisuse(f"{name!r} would have more units than {resource.spec.units}")
            self._return(owner, name, units)
        return self._advance([name])

    def withdraw(self, *tickets: Ticket) -> list[Told]:
        """Wait no longer; those behind may go on. Unknown tickets are ignored: it was granted, or is over."""
        names: list[str] = []
        for request in [self._requests[ticket] for ticket in tickets if ticket in self._requests]:
            self._leave(request)
            names += request.wait.units
        return self._advance(names)

    def end(self, *owners: Owner) -> list[Told]:
        """These owners are gone: they wait for nothing, and all that they held is given back, in one step."""
        names: list[str] = []
        for ticket in [self._of_owner[owner] for owner in owners if owner in self._of_owner]:
            names += self._requests[ticket].wait.units
            self._leave(self._requests[ticket])
        for owner in owners:
            for name, units in list(self._held.get(owner, {}).items()):
                names.append(name)
                self._drop(owner, name, units)
                self._resources[name].free += self._need(name, units)
        return self._advance(names)

    def hand(self, owner: Owner, names: Iterable[str], to: Owner) -> None:
        """All that the owner holds of these is another's from now on.

        Raises:
            KeyError: it does not hold one of them.
        """
        for name in names:
            units = self._held[owner].pop(name)
            holders = self._resources[name].holders
            del holders[owner]
            holders[to] = holders.get(to, 0) + units
            self._held[to][name] = holders[to]
        if not self._held[owner]:
            del self._held[owner]

    def close(self, name: str) -> None:
        """Forget a resource that nobody waits for; who holds it holds it no more."""
        if self._queues[name]:
            raise ValueError(f"{name!r} is waited for")
        for owner in self._resources[name].holders:
            del self._held[owner][name]
            if not self._held[owner]:
                del self._held[owner]
        del self._resources[name], self._queues[name]

    # --- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When ``handle_timeout`` is due; None: not before another call."""
        return self._requests.next_deadline()

    def handle_timeout(self, now: float) -> list[Told]:
        """End the waits whose time is over; a call too early does nothing."""
        told: list[Told] = []
        names: list[str] = []
        for ticket in self._requests.due(now):
            request = self._requests[ticket]
            self._leave(request)
            told.append(Unavailable(request.ticket, request.wait.owner))
            names += request.wait.units
        return told + self._advance(names)

    # --- keeping -----------------------------------------------------------------------------------------------------

    def state(self) -> LocksState:
        """All of it, to be kept."""
        return LocksState(
            self.last_token,
            self._last_ticket,
            {
                name: (each.spec, each.free, each.total, list(each.holders.items()), each.signal)
                for name, each in self._resources.items()
            },
            [
                (request.wait.owner, dict(request.wait.units), request.again,
                 request.outside, request.certain, ticket, until)
                for ticket, request, until in self._requests.state()
            ],
            [(owner, dict(held)) for owner, held in self._held.items()],
        )  # fmt: skip

    @classmethod
    def restored(cls, state: LocksState) -> Locks:
        """As it was when it was kept."""
        locks = cls(last_token=state.last_token)
        locks._last_ticket = state.last_ticket
        for name, (spec, free, total, holders, signal) in state.resources.items():
            locks._resources[name] = Resource(spec, free, total, dict(holders), signal)
            locks._queues[name] = OrderedDict()
        for owner, held in state.held:
            locks._held[owner] = held
        for owner, units, again, outside, certain, ticket, until in state.requests:
            locks._stand(Request(ticket, Wait(owner, units), again, until is not None, outside, certain), until)
        return locks

    def validate(self) -> None:
        """All that must hold between two calls.

        Raises:
            AssertionError: something does not.
        """
        for name, resource in self._resources.items():
            kind = resource.spec.kind
            out = len(resource.holders) if kind == "rlock" else sum(resource.holders.values())
            assert resource.free >= 0
            assert all(units > 0 for units in resource.holders.values())
            assert resource.free + out == resource.total, (name, resource)
            for owner, units in resource.holders.items():
                assert self._held[owner][name] == units
            for ticket in self._queues[name]:
                assert name in self._requests[ticket].wait.units
            assert list(self._queues[name]) == [ticket for ticket in self._requests if ticket in self._queues[name]]
        assert all(held for held in self._held.values())
        assert sorted(self._of_owner.values()) == sorted(self._requests)
        for ticket, owner in ((ticket, self._requests[ticket].wait.owner) for ticket in self._requests):
            assert self._of_owner[owner] == ticket
        for request in self._requests.values():
            first = all(next(iter(self._queues[name])) == request.ticket for name in request.wait.units)
            assert not (first and self._has_room(request.wait.units)), request

    # --- inside ------------------------------------------------------------------------------------------------------

    def _check(self, owner: Owner, units: Mapping[str, int]) -> None:
        if not units:
            raise ValueError("nothing is asked for")
        for name, count in units.items():
            resource = self._resources[name]
            most = _DEEPEST if resource.spec.kind == "rlock" else resource.total
            if count < 1 or (count > most and not resource.signal and resource.spec.kind != "semaphore"):
                raise ValueError(f"{count} of {name!r}, which has {resource.total}")
        if owner in self._of_owner:
            raise LockMisuse(f"{owner} is waiting")

    def _has_reentrant(self, owner: Owner, name: str) -> bool:
        resource = self._resources[name]
        return resource.spec.kind == "rlock" and owner in resource.holders

    def _waits_for_itself(self, owner: Owner, units: Mapping[str, int]) -> bool:
        """Whether the owner holds some of what it asks for; a reentrant lock of its own it need not wait for."""
        return any(
            owner in self._resources[name].holders for name in units if self._resources[name].spec.kind != "rlock"
        )

    def _has_room(self, units: Mapping[str, int]) -> bool:
        return all(self._need(name, count) <= self._resources[name].free for name, count in units.items())

    def _need(self, name: str, count: int) -> int:
        """Units that go: a reentrant lock is one, however deep it is held."""
        return 1 if self._resources[name].spec.kind == "rlock" else count

    def _grant(self, request: Request) -> Granted:
        owner = request.wait.owner
        held = self._held[owner]
        for name, count in request.wait.units.items():
            self._resources[name].free -= self._need(name, count)
        for name, count in {**request.wait.units, **request.again}.items():
            holders = self._resources[name].holders
            held[name] = holders[owner] = holders.get(owner, 0) + count
        self.last_token += 1
        return Granted(request.ticket, owner, self.last_token)

    def _drop(self, owner: Owner, name: str, units: int) -> None:
        holders, held = self._resources[name].holders, self._held[owner]
        left = holders[owner] - units
        if left:
            holders[owner] = held[name] = left
            return
        del holders[owner], held[name]
        if not held:
            del self._held[owner]

    def _return(self, owner: Owner, name: str, units: int) -> None:
        """Units of a semaphore: first what the owner holds, then what others hold, and then new ones."""
        resource = self._resources[name]
        resource.free += units
        own = min(units, resource.holders.get(owner, 0))
        if own:
            self._drop(owner, name, own)
        units -= own
        if units:
            resource.signal = True
        for other in list(resource.holders):
            if not units:
                return
            taken = min(units, resource.holders[other])
            self._drop(other, name, taken)
            units -= taken
        resource.total += units

    def _stand(self, request: Request, until: float | None) -> None:
        self._requests.stand(request.ticket, request, until)
        self._of_owner[request.wait.owner] = request.ticket
        for name in request.wait.units:
            self._queues[name][request.ticket] = None

    def _leave(self, request: Request) -> None:
        self._requests.leave(request.ticket)
        del self._of_owner[request.wait.owner]
        for name in request.wait.units:
            del self._queues[name][request.ticket]

    def _advance(self, names: list[str]) -> list[Told]:
        """Grant the first ones of these queues, while there is room; a grant may let others come to the front."""
        told: list[Told] = []
        while names:
            queue = self._queues[names.pop()]
            if not queue:
                continue
            request = self._requests[next(iter(queue))]
            units = request.wait.units
            if all(next(iter(self._queues[name])) == request.ticket for name in units) and self._has_room(units):
                self._leave(request)
                told.append(self._grant(request))
                names += units
        return told

    def _circle(self, request: Request) -> tuple[Link, ...]:
        """Who this request waits for in a circle; empty: it may be granted one day.

        There was no circle before it, and it is the last one in its lines. So a new circle leads through something that
        its owner holds and somebody waits for; where there is no such thing, nothing is searched.
        """
        if not any(self._queues[name] for name in self._held.get(request.wait.owner, ())):
            return ()
        if self._has_way_out(request):
            return ()
        names, tickets = self._reach(request)
        waits = [
            Wait(each.wait.owner, {name: self._need(name, count) for name, count in each.wait.units.items()})
            for each in (self._requests[ticket] for ticket in sorted(tickets))
        ]
        free = {name: self._resources[name].free for name in names}
        held: defaultdict[Owner, dict[str, int]] = defaultdict(dict)
        for name in names:
            for owner, count in self._resources[name].holders.items():
                held[owner][name] = self._need(name, count)
        stuck = deadlock.blocked_for_ever(free, held, waits)
        if request.wait.owner not in stuck:
            return ()
        return deadlock.circle(free, held, waits, stuck, request.wait.owner)

    def _reach(self, request: Request) -> tuple[list[str], list[Ticket]]:
        """What can have to do with this wait: names, and tickets of waits that nobody outside may end.

        Whoever waits for one of the names, or holds one and waits, is among them, with all names that it waits for.
        """
        names, tickets = dict.fromkeys(request.wait.units), {request.ticket: None}
        left = list(names)
        while left:
            name = left.pop()
            owners = self._resources[name].holders
            for ticket in (
                *self._queues[name],
                *(self._of_owner[owner] for owner in owners if owner in self._of_owner),
            ):
                each = self._requests[ticket]
                if ticket in tickets or each.limited or self._has_way_out(each):
                    continue
                tickets[ticket] = None
                new = [wanted for wanted in each.wait.units if wanted not in names]
                names.update(dict.fromkeys(new))
                left += new
        return list(names), list(tickets)

    def _has_way_out(self, request: Request) -> bool:
        """Whether this may be granted by somebody who holds nothing."""
        return request.outside or any(
            resource.signal or (resource.spec.kind == "semaphore" and count > resource.total)
            for count, resource in ((count, self._resources[name]) for name, count in request.wait.units.items())
        )
