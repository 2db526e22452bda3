"""The rules of shared objects in plain lists: slow, without a shortcut, every question answered by looking through all.

One list of who holds (an entry for each unit), one list of who waits (in the order of arrival), a few lists for each
queue and barrier. After each change everybody who can go on goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from holdfast.coordination.deadlock import Wait, blocked_for_ever
from holdfast.coordination.leases import DEFAULT_S, SERVICE_FACTOR
from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode

Key = tuple[str, int]
"""A client process and the number of one of its requests."""
Said = tuple[Any, ...]
HELD = ("lock", "rlock", "semaphore", "bounded")


@dataclass(eq=False)
class Waiter:
    """Somebody in a line. ``place``: empty for locks; ``met``: all have come and wait for the act of the last one."""

    key: Key
    request: Any
    place: str
    until: float | None
    owner: str = ""
    units: dict[str, int] = field(default_factory=dict)
    open: bool = False
    depth: int = 0
    notified: bool = False
    met: bool = False
    value: bytes = b""

    @property
    def retakes(self) -> bool:
        """It waits for the lock of its condition, and cannot be refused."""
        return not self.place and isinstance(self.request, c.Await)


@dataclass(eq=False)
class Item:
    """Something in a queue, or out of it: then with who has it and until when."""

    id: int
    value: bytes
    priority: float
    deliveries: int = 0
    unseen: int = 0
    rank: str = ""
    taker: str = ""
    until: float = math.inf


@dataclass(eq=False)
class Thing:
    """Something with a name."""

    what: c.ObjectAsked
    opened: set[str] = field(default_factory=set)
    total: int = 0
    signal: bool = False
    is_set: bool = False
    broken: bool = False
    actor: Key | None = None
    ready: list[Item] = field(default_factory=list)
    out: list[Item] = field(default_factory=list)
    dead: list[Item] = field(default_factory=list)
    unfinished: int = 0
    shut: bool = False
    emptied: bool = False
    last_id: int = 0

    def order(self, item: Item) -> tuple[float, str, int]:
        """Lowest first."""
        first = (item.priority, item.rank) if self.what.order == "priority" else (0.0, "")
        return *first, -item.id if self.what.order == "lifo" else item.id

    @property
    def full(self) -> bool:
        """No room for an item."""
        return 0 < self.what.maxsize <= len(self.ready) + len(self.out)


@dataclass(eq=False)
class Client:
    """A session."""

    ends: float
    answers: dict[int, Said] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    given: dict[int, tuple[str, dict[str, int], str]] = field(default_factory=dict)
    unseen: dict[int, tuple[str, Thing, Item]] = field(default_factory=dict)
    let_go: set[int] = field(default_factory=set)
    lost: list[tuple[str, str]] = field(default_factory=list)


class Model:
    """See above. ``said`` is what was said to whom in this step."""

    def __init__(self) -> None:
        self.now = 0.0
        self.things: dict[str, Thing] = {}
        self.clients: dict[str, Client] = {}
        self.gone: dict[str, Client] = {}
        self.held: list[tuple[str, str]] = []
        self.line: list[Waiter] = []
        self.said: dict[Key, Said] = {}
        self.over: dict[str, set[str]] = {}
        self.victims: set[Key] = set()

    # --- time --------------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """A step begins; what was over before is told first."""
        self.now, self.said, self.over = now, {}, {}
        self.time()

    def time(self) -> None:
        """Leases, then locks, then everything else by its time."""
        over = sorted((client.ends, name) for name, client in self.clients.items() if client.ends <= self.now)
        if over:
            self.end([name for _, name in over])
        late = [each for each in self.line if not each.place and self.is_late(each)]
        for each in late:
            self.line.remove(each)
            self.say(each.key, "granted", False)
        if late:
            self.advance()
        while due := min(((when, name) for name in self.things for when in self.limits(name)), default=None):
            if due[0] > self.now:
                break
            self.limit(due[1])
        self.tidy()

    def is_late(self, each: Waiter) -> bool:
        return each.until is not None and each.until <= self.now and not each.met

    def limits(self, name: str) -> list[float]:
        """When something is over in the lines of this object."""
        waits = [w.until for w in self.line if w.place == name and w.until is not None and not w.met]
        return waits + [item.until for item in self.things[name].out if item.until < math.inf]

    def next_deadline(self) -> float | None:
        limits = [when for name in self.things for when in self.limits(name)]
        limits += [w.until for w in self.line if not w.place and w.until is not None]
        return min([*limits, *(client.ends for client in self.clients.values())], default=None)

    def limit(self, name: str) -> None:
        thing = self.things[name]
        late = [each for each in self.line if each.place == name and self.is_late(each)]
        late.sort(key=lambda each: each.until or 0.0)
        if thing.what.kind == "barrier":
            self.abort(name)
            return
        for each in late:
            self.line.remove(each)
            if isinstance(each.request, c.Await):
                self.retake(each, notified=False)
            elif isinstance(each.request, c.Flag):
                self.say(each.key, "flag", False)
            elif isinstance(each.request, c.Join):
                self.say(each.key, "ok", False)
            else:
                self.say(each.key, *(("put", "full") if isinstance(each.request, c.Put) else ("take", "empty")))
        for item in sorted((i for i in thing.out if i.until <= self.now), key=lambda i: (i.until, i.id)):
            self.fail(thing, item)
        if thing.what.kind == "queue":
            self.move(name)

    # --- who is there ------------------------------------------------------------------------------------------------

    def heard(self, instance: str, ttl_s: float = DEFAULT_S) -> Client:
        """Its lease is renewed."""
        client = self.clients.get(instance)
        if client is None:
            client = self.clients[instance] = Client(0.0)
            before = self.gone.pop(instance, None)
            if before is not None:
                client.done, client.lost = before.done, before.lost
        client.ends = self.now + ttl_s * SERVICE_FACTOR
        return client

    def end(self, gone: list[str]) -> None:
        """These clients are not there any more."""
        mine = [each for each in self.line if each.key[0] in gone]
        self.line = [each for each in self.line if each.key[0] not in gone]
        for instance in gone:
            client = self.clients[instance]
            client.lost = [(owner, name) for owner, name in self.held if owner.startswith(instance + "/")]
            self.held = [entry for entry in self.held if entry not in client.lost]
        self.advance()
        for each in mine:
            if each.place and self.things[each.place].what.kind == "barrier" and not each.met:
                self.abort(each.place)
        for instance in gone:
            self.come_back(instance)
        for each in mine:
            if each.retakes and each.notified:
                self.notify(each.request.name, 1)
        for instance in gone:
            client = self.clients.pop(instance)
            redone = ("granted", "deadlock")
            client.done |= {number for number, said in client.answers.items() if said[0] not in redone}
            for thing in self.things.values():
                thing.opened.discard(instance)
            if client.lost or client.done:
                self.gone[instance] = client
            if client.lost:
                self.over[instance] = {name for _, name in client.lost}

    def come_back(self, instance: str) -> None:
        """What was given to a client that is gone."""
        client = self.clients[instance]
        for number in list(client.unseen):
            if self.untake(client, number):
                del client.answers[number]
        for name in sorted(self.things):
            thing = self.things[name]
            had = [item for item in thing.out if item.taker == instance]
            for item in had:
                self.fail(thing, item)
            if had:
                self.move(name)
        for name, thing in self.things.items():
            if thing.actor is not None and thing.actor[0] == instance:
                self.abort(name)
        for _, _, condition in client.given.values():
            if condition:
                self.notify(condition, 1)

    def say(self, key: Key, *said: Any) -> None:
        self.said[key] = said
        self.clients[key[0]].answers[key[1]] = said

    # --- locks -------------------------------------------------------------------------------------------------------

    def units_of(self, owner: str, name: str) -> int:
        return self.held.count((owner, name))

    def holders(self, name: str) -> list[str]:
        return list(dict.fromkeys(owner for owner, held in self.held if held == name))

    def free(self, name: str) -> int:
        users = [owner for owner, held in self.held if held == name]
        thing = self.things[name]
        return thing.total - len(set(users) if thing.what.kind == "rlock" else users)

    def needs(self, each: Waiter) -> dict[str, int]:
        """Without reentrant locks that the owner has; of others of them one, however deep."""
        needs = dict(each.units)
        for name in each.units:
            if self.things[name].what.kind == "rlock":
                needs[name] = 1
                if self.units_of(each.owner, name):
                    del needs[name]
        return needs

    def may_go(self, each: Waiter, before: list[Waiter]) -> bool:
        earlier = {name for other in before if not other.place for name in self.needs(other)}
        return self.is_next(self.needs(each), earlier)

    def is_next(self, needs: dict[str, int], earlier: set[str]) -> bool:
        return not earlier & needs.keys() and all(count <= self.free(name) for name, count in needs.items())

    def grant(self, each: Waiter) -> None:
        self.held += [(each.owner, name) for name, count in each.units.items() for _ in range(count)]
        client, number = self.clients[each.key[0]], each.key[1]
        if isinstance(each.request, c.Await):
            client.given[number] = (each.owner, each.units, each.request.name if each.notified else "")
            self.say(each.key, "await", each.notified)
        else:
            client.given[number] = (each.owner, each.units, "")
            self.say(each.key, "granted", True)

    def advance(self) -> None:
        earlier: set[str] = set()
        for each in [each for each in self.line if not each.place]:
            needs = self.needs(each)
            if self.is_next(needs, earlier):
                self.line.remove(each)
                self.grant(each)
                self.advance()
                return
            earlier |= needs.keys()

    def waits_for_itself(self, each: Waiter) -> bool:
        return any(self.things[name].what.kind != "rlock" and self.units_of(each.owner, name) for name in each.units)

    def is_open(self, each: Waiter) -> bool:
        """Somebody outside may end this wait."""
        things = [(self.things[name], count) for name, count in self.needs(each).items()]
        return each.open or any(
            thing.signal or (thing.what.kind == "semaphore" and count > thing.total) for thing, count in things
        )

    def stuck(self, also: Waiter | None = None) -> frozenset[str]:
        line = [each for each in self.line if not each.place and each.until is None]
        line = [each for each in [*line, *([also] if also else [])] if not self.is_open(each)]
        held: dict[str, dict[str, int]] = {}
        for owner, name in self.held:
            mine = held.setdefault(owner, {})
            mine[name] = 1 if self.things[name].what.kind == "rlock" else mine.get(name, 0) + 1
        free = {name: self.free(name) for name, thing in self.things.items() if thing.what.kind in HELD}
        return blocked_for_ever(free, held, [Wait(each.owner, self.needs(each)) for each in line])

    def retake(self, each: Waiter, *, notified: bool) -> None:
        """Who waited for a condition takes its lock again; others give way where that would never come to an end."""
        lock = self.things[each.place].what.lock
        assert lock is not None
        again = Waiter(each.key, each.request, "", None, each.owner, {lock: each.depth}, depth=each.depth)
        again.notified = notified
        if self.may_go(again, self.line):
            self.grant(again)
            return
        self.line.append(again)
        while again in self.line and again.owner in (stuck := self.stuck()):
            ways = [
                w for w in self.line if w.owner in stuck and w.key in self.victims and isinstance(w.request, c.Acquire)
            ]
            assert ways, "nobody gave way"
            self.line.remove(ways[-1])
            self.say(ways[-1].key, "deadlock")
            self.advance()

    def give_back(self, instance: str, owner: str, name: str, units: int) -> Said | None:
        """None: done."""
        thing = self.things[name]
        kind = thing.what.kind
        if kind == "lock":
            holder = next(iter(self.holders(name)), None)
            if holder is None or not holder.startswith(instance + "/") or units != 1:
                return self.not_held(instance, owner, name)
            self.held.remove((holder, name))
        elif kind == "rlock":
            if self.units_of(owner, name) < units:
                return self.not_held(instance, owner, name)
            if any(each.owner == owner and not each.place for each in self.line):
                return self.not_held(instance, owner, name)
            for _ in range(units):
                self.held.remove((owner, name))
        else:
            if kind == "bounded" and self.free(name) + units > thing.what.units:
                return self.not_held(instance, owner, name)
            if units > self.units_of(owner, name):
                thing.signal = True
            for _ in range(units):
                holders = self.holders(name)
                giver = owner if owner in holders else next(iter(holders), None)
                if giver is None:
                    thing.total += 1
                else:  # the last of its entries: the first one says who came first
                    del self.held[len(self.held) - 1 - self.held[::-1].index((giver, name))]
        return None

    def not_held(self, instance: str, owner: str, name: str) -> Said:
        lost = self.clients[instance].lost
        found = [each for each in lost if each[1] == name]
        if self.things[name].what.kind != "lock":
            found = [each for each in found if each[0] == owner]
        if not found:
            return ("refused", ErrorCode.NOT_HOLDER)
        lost.remove(found[0])
        return ("refused", ErrorCode.LEASE_LOST)

    # --- conditions, events, barriers --------------------------------------------------------------------------------

    def in_line(self, name: str, kind: type = object) -> list[Waiter]:
        return [each for each in self.line if each.place == name and isinstance(each.request, kind)]

    def notify(self, name: str, count: int | None) -> None:
        if name not in self.things:
            return
        woken = self.in_line(name)[:count]
        self.line = [each for each in self.line if each not in woken]
        for each in woken:
            self.retake(each, notified=True)

    def abort(self, name: str, *, broken: bool = True) -> None:
        """Everybody at the barrier is turned away."""
        thing = self.things[name]
        thing.broken, thing.actor = broken, None
        for each in self.in_line(name):
            self.line.remove(each)
            self.say(each.key, "meet", 0, False, True)

    def meet(self, name: str) -> None:
        """As many meetings as there are people for."""
        thing = self.things[name]
        parties = thing.what.units
        while thing.actor is None and len(came := self.in_line(name)) >= parties:
            if thing.what.acts:
                for each in came[:parties]:
                    each.met = True
                last = came[parties - 1]
                self.line.remove(last)
                thing.actor = last.key
                self.say(last.key, "meet", parties - 1, True, False)
            else:
                self.go_on(came[:parties])

    def go_on(self, met: list[Waiter]) -> None:
        for index, each in enumerate(met):
            self.line.remove(each)
            self.say(each.key, "meet", index, False, False)

    # --- queues ------------------------------------------------------------------------------------------------------

    def move(self, name: str) -> None:
        thing = self.things[name]
        if not thing.unfinished:
            for each in self.in_line(name, c.Join):
                self.line.remove(each)
                self.say(each.key, "ok", True)
        while True:
            takers, putters = self.in_line(name, c.Take), self.in_line(name, c.Put)
            if takers and thing.ready:
                self.line.remove(takers[0])
                self.deliver(name, takers[0].key)
            elif putters and not thing.full:
                self.line.remove(putters[0])
                self.add(name, putters[0].key, putters[0].value, putters[0].request)
            else:
                return

    def deliver(self, name: str, key: Key) -> None:
        thing = self.things[name]
        item = min(thing.ready, key=thing.order)
        thing.ready.remove(item)
        item.deliveries += 1
        if thing.what.visible_s is not None:
            item.taker, item.until = key[0], self.now + thing.what.visible_s
            thing.out.append(item)
        seen = Item(item.id, item.value, item.priority, item.deliveries, item.unseen, item.rank)
        self.clients[key[0]].unseen[key[1]] = (name, thing, seen)
        self.say(key, "take", item.id, item.deliveries, item.priority, item.value)

    def add(self, name: str, key: Key, value: bytes, put: c.Put) -> None:
        thing = self.things[name]
        thing.last_id += 1
        thing.unfinished += 1
        thing.ready.append(Item(thing.last_id, value, put.priority, rank=put.rank))
        self.say(key, "put", thing.last_id)

    def back(self, thing: Thing, item: Item) -> None:
        if thing.emptied:
            thing.unfinished -= min(1, thing.unfinished)
        else:
            thing.ready.append(item)

    def fail(self, thing: Thing, item: Item) -> None:
        thing.out.remove(item)
        if item.deliveries - item.unseen >= thing.what.most_deliveries:
            thing.dead.append(item)
            thing.unfinished -= min(1, thing.unfinished)
        else:
            self.back(thing, item)

    def untake(self, client: Client, number: int) -> bool:
        """The item of an answer that nobody has seen goes back to its place."""
        name, thing, item = client.unseen.pop(number)
        if self.things.get(name) is not thing:
            return False
        if thing.what.visible_s is not None:
            out = [each for each in thing.out if (each.id, each.deliveries) == (item.id, item.deliveries)]
            if not out:
                return False
            thing.out.remove(out[0])
        self.back(thing, Item(item.id, item.value, item.priority, item.deliveries, item.unseen + 1, item.rank))
        self.move(name)
        return True

    # --- names -------------------------------------------------------------------------------------------------------

    def is_idle(self, name: str) -> bool:
        thing = self.things[name]
        if thing.opened or any(other.what.lock == name for other in self.things.values()):
            return False
        owners = self.holders(name)
        if thing.what.passing and not any(owner.startswith("job:") for owner in owners):
            return True
        if thing.what.kind in HELD:
            waits = any(name in self.needs(each) for each in self.line if not each.place)
            return not owners and not waits and self.free(name) == thing.what.units
        fresh = not (thing.is_set or thing.broken or thing.actor or thing.ready or thing.out or thing.dead)
        return fresh and not (thing.unfinished or thing.shut or self.in_line(name))

    def tidy(self) -> None:
        while idle := [name for name in self.things if self.is_idle(name)]:
            self.forget(idle[0])

    def forget(self, name: str) -> None:
        waits = [each for each in self.line if each.place == name or (not each.place and name in each.units)]
        self.line = [each for each in self.line if each not in waits]
        for each in waits:
            self.say(each.key, "refused", ErrorCode.NOT_FOUND)
        self.advance()
        for each in waits:
            if each.retakes and each.notified:
                self.notify(each.request.name, 1)
        self.held = [entry for entry in self.held if entry[1] != name]
        del self.things[name]
