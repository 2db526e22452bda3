"""The machine of shared objects against a plain model (``space_model``): random records, everything compared each time.

A second machine hears the same records. It is thrown away at random, and made anew from a snapshot of the first one, or
from all records since a snapshot: what it says must be the same, word for word, and so must its own snapshot.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from typing import Any, Final

import pytest

from holdfast.coordination import records
from holdfast.coordination.queues import Queue
from holdfast.coordination.records import Answer, LeaseOver, Record
from holdfast.coordination.sessions import Pending
from holdfast.coordination.space import Space
from holdfast.wire import coordination as c
from tests.property.space_asks import Asked
from tests.property.space_model import HELD, Key, Said

STEPS: Final = 1_000_000
SHARE: Final = 30_000
INSTANCES: Final = ("anna", "bert", "carl", "dora")
JOBS: Final = ("1", "2")
THINGS: Final = {
    "a": c.ObjectAsked("lock"),
    "b": c.ObjectAsked("lock", passing=True),
    "r": c.ObjectAsked("rlock"),
    "s": c.ObjectAsked("bounded", 3),
    "t": c.ObjectAsked("semaphore", 1),
    "ca": c.ObjectAsked("condition", lock="a"),
    "cb": c.ObjectAsked("condition", lock="b"),
    "cr": c.ObjectAsked("condition", lock="r", passing=True),
    "e": c.ObjectAsked("event"),
    "f": c.ObjectAsked("event", passing=True),
    "m": c.ObjectAsked("barrier", 3),
    "n": c.ObjectAsked("barrier", 2, acts=True),
    "q": c.ObjectAsked("queue", maxsize=3),
    "p": c.ObjectAsked("queue", order="priority", passing=True),
    "v": c.ObjectAsked("queue", maxsize=3, order="lifo", visible_s=4.0, most_deliveries=2),
}
LOCKS: Final = ("a", "b", "r", "s", "t")
KINDS: Final[dict[type[Any], int]] = {
    c.Acquire: 9,
    c.Release: 7,
    c.Await: 3,
    c.Notify: 4,
    c.Flag: 2,
    c.Meet: 3,
    c.Put: 3,
    c.Take: 3,
    c.Settle: 2,
    c.Join: 1,
    c.Withdraw: 2,
    c.Open: 2,
    c.Drop: 1,
}
"""How often each request is made, about."""
EXPECTED: Final = {
    *("open", "ok", "refused", "over", "granted True", "granted False", "deadlock", "await True", "await False"),
    *("flag", "meet", "put", "take"),
}


def said_of(answer: Answer) -> Said:
    """An answer as the model says it."""
    header: Any = answer.header
    if header is None:
        return ("refused", answer.code)
    match header:
        case c.OpenAnswer():
            return ("open", header.made)
        case c.AcquireAnswer():
            return ("deadlock",) if header.circle else ("granted", header.granted)
        case c.AwaitAnswer():
            return ("await", header.notified)
        case c.FlagAnswer():
            return ("flag", header.is_set)
        case c.MeetAnswer():
            return ("meet", header.index, header.act, header.broken)
        case c.PutAnswer():
            return ("put", header.why or header.item)
        case c.TakeAnswer() if header.why:
            return ("take", header.why)
        case c.TakeAnswer():
            return ("take", header.item, header.delivery, header.priority, answer.body)
        case c.NumberedAnswer():
            return ("ok", header.ok)
    raise AssertionError(header)


class Pair:
    """Machine and model, side by side, and the twin."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.space = Space()
        self.twin = Space()
        self.model = Asked()
        self.now = 0.0
        self.last_token = 0
        self.numbers = dict.fromkeys(INSTANCES, 0)
        self.puts = 0
        self.start = b""
        self.heard: list[tuple[bytes, float]] = []
        self.kinds: Counter[str] = Counter()
        self.active = list(INSTANCES)

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        rng = self.rng
        self.now += rng.choice((0.0, 0.1, 0.3)) if rng.random() < 0.98 else 10 * rng.random()
        roll = rng.random()
        if rng.random() < 0.01:  # nothing is heard of some for a while
            self.active = rng.sample(INSTANCES, rng.randint(1, 4))
        if roll < 0.9:
            instance, request, body = self.request()
            self.apply(records.Asked(instance, "eve", request, body), lambda: self.model.asked(instance, request, body))
        elif roll < 0.94:
            instance = rng.choice(self.active)
            self.apply(records.Renewed(instance, "eve"), lambda: self.model.renewed(instance))
        elif roll < 0.96:
            self.apply(records.Tick(), lambda: None)
        elif roll < 0.98:
            owner, names = rng.randint(1, 4), tuple(rng.sample(LOCKS, rng.choice((1, 1, 2))))
            instance, job = rng.choice(INSTANCES), rng.choice(JOBS)
            self.apply(
                records.Handed(instance, owner, names, job), lambda: self.model.handed(instance, owner, names, job)
            )
        elif roll < 0.99:
            job = rng.choice(JOBS)
            self.apply(records.Ended(job), lambda: self.model.ended(job))
        elif roll < 0.995:
            self.apply(records.Reserved(self.last_token + 50), lambda: None)
        else:
            self.last_token = max(self.last_token, self.space.reserved)
            self.apply(records.Restored(), self.model.restored)
        self.replace_twin()

    def apply(self, record: Record, model: Any) -> None:
        event = records.encode(record)
        effects = self.space.apply(event, self.now)
        assert self.twin.apply(event, self.now) == effects
        self.heard.append((event, self.now))
        said: dict[Key, Said] = {}
        over: dict[str, set[str]] = {}
        for effect in effects:
            if isinstance(effect, LeaseOver):
                over[effect.instance] = set(effect.names)
                continue
            assert isinstance(effect, Answer)
            key = (effect.instance, effect.number)
            assert key not in said, "answered twice"
            said[key] = said_of(effect)
            token = getattr(effect.header, "token", 0)
            if token:
                assert token > self.last_token
                self.last_token = token
        self.model.victims = {key for key, what in said.items() if what[0] == "deadlock"}
        if isinstance(record, records.Restored):
            self.model.now, self.model.said, self.model.over = self.now, {}, {}
        else:
            self.model.begin(self.now)
        model()
        self.model.finish()
        assert said == self.model.said
        assert over == self.model.over
        self.kinds.update(
            f"{what[0]} {what[1]}" if what[0] in ("granted", "await") else what[0] for what in said.values()
        )
        self.kinds["over"] += len(over)
        self.space.validate()
        if self.rng.random() < 0.25:
            self.compare()

    # --- requests ----------------------------------------------------------------------------------------------------

    def request(self) -> tuple[str, Any, bytes]:
        rng, model = self.rng, self.model
        instance = rng.choice(self.active)
        client = model.clients.get(instance)
        self.numbers[instance] += 1
        number = self.numbers[instance]
        if rng.random() < 0.03 and number > 20:  # asked again
            number = rng.randint(number - 20, number - 1)
        seen = tuple(n for n in client.answers if rng.random() < 0.4) if client is not None else ()
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in (c.Release, c.Await, c.Notify) and not self.holds(instance) and rng.random() < 0.9:
            kind = c.Acquire
        if kind is c.Acquire and not self.idle(instance) and rng.random() < 0.98:
            kind = rng.choice((c.Withdraw, c.Put, c.Take, c.Flag))
        request = getattr(self, "a_" + kind.__name__.lower())(instance, {"number": number, "seen": seen})
        body = b""
        if isinstance(request, c.Put):
            self.puts += 1
            body = str(self.puts).encode()
        names = getattr(request, "units", None) or {getattr(request, "name", "a"): 1} if kind is not c.Release else ()
        missing = [name for name in names if name not in model.things]
        if missing and rng.random() < 0.95:
            request = c.Open(missing[0], THINGS[missing[0]], number=number, seen=seen)
        return instance, request, body

    def limit(self) -> float | None:
        return self.rng.choice((None, 0.0, 0.5, 0.5, 3.0))

    def a_open(self, _: str, numbered: Any) -> Any:
        name = self.rng.choice(sorted(THINGS))
        what = THINGS[name if self.rng.random() < 0.95 else "e"]
        return c.Open(name, what, **numbered)

    def a_drop(self, _: str, numbered: Any) -> Any:
        return c.Drop(self.rng.choice(sorted(THINGS)), self.rng.random() < 0.15, **numbered)

    def a_acquire(self, instance: str, numbered: Any) -> Any:
        names = self.rng.sample(LOCKS, self.rng.choice((1, 1, 1, 1, 2)) if self.rng.random() < 0.95 else 3)
        units = {name: self.rng.choice((1, 1, 2)) if name in "rst" else 1 for name in names}
        wait = self.rng.random() < 0.8
        limit = self.limit() if self.rng.random() < 0.5 else None
        return c.Acquire(self.owner(instance), units, wait, limit, **numbered)

    def holds(self, instance: str) -> list[tuple[str, str]]:
        """What its owners hold who do not wait."""
        waiting = {each.owner for each in self.model.line}
        return [entry for entry in self.model.held if entry[0].startswith(instance + "/") and entry[0] not in waiting]

    def idle(self, instance: str) -> list[int]:
        """Owners that do not wait."""
        waiting = {each.owner for each in self.model.line}
        return [number for number in range(1, 5) if f"{instance}/{number}" not in waiting]

    def owner(self, instance: str) -> int:
        """Somebody who does not wait, mostly."""
        idle = self.idle(instance)
        return self.rng.choice(idle) if idle and self.rng.random() < 0.98 else self.rng.randint(1, 4)

    def holding(self, instance: str, names: tuple[str, ...]) -> tuple[int, str]:
        """Somebody who holds something, mostly."""
        held = [(owner, name) for owner, name in self.holds(instance) if name in names]
        if not held or self.rng.random() < 0.05:
            return self.rng.randint(1, 4), self.rng.choice(names)
        owner, name = self.rng.choice(held)
        return int(owner.rpartition("/")[2]), name

    def a_release(self, instance: str, numbered: Any) -> Any:
        owner, name = self.holding(instance, LOCKS)
        return c.Release(owner, name, self.rng.choice((1, 1, 1, 2)), **numbered)

    def a_await(self, instance: str, numbered: Any) -> Any:
        owner, name = self.holding(instance, ("a", "b", "r"))
        return c.Await(owner, "c" + name, self.limit(), **numbered)

    def a_notify(self, instance: str, numbered: Any) -> Any:
        owner, name = self.holding(instance, ("a", "b", "r"))
        return c.Notify(owner, "c" + name, self.rng.choice((1, 2, None)), **numbered)

    def a_flag(self, _: str, numbered: Any) -> Any:
        do: Any = self.rng.choice(("set", "clear", "wait", "wait"))
        return c.Flag(self.rng.choice("ef"), do, self.limit(), **numbered)

    def a_meet(self, instance: str, numbered: Any) -> Any:
        do: Any = self.rng.choice(("wait",) * 8 + ("acted", "acted", "failed", "reset", "reset", "abort"))
        actors = [thing.actor[1] for thing in self.model.things.values() if thing.actor and thing.actor[0] == instance]
        of = self.rng.choice(actors) if actors and self.rng.random() < 0.9 else self.rng.randint(1, 9)
        name = "n" if do in ("acted", "failed") else self.rng.choice("mn")
        return c.Meet(name, do, of, self.limit(), **numbered)

    def a_put(self, _: str, numbered: Any) -> Any:
        wait = self.rng.random() < 0.8
        priority, rank = float(self.rng.randint(0, 1)), self.rng.choice(("", "a", "b"))
        return c.Put(self.rng.choice("qpv"), priority, wait, self.limit(), rank=rank, **numbered)

    def a_take(self, _: str, numbered: Any) -> Any:
        if self.rng.random() < 0.02:
            return c.ShutQueue(self.rng.choice("qpv"), self.rng.random() < 0.5, **numbered)
        return c.Take(self.rng.choice("qpv"), self.rng.random() < 0.8, self.limit(), **numbered)

    def a_settle(self, _: str, numbered: Any) -> Any:
        out = [(name, item) for name, thing in self.model.things.items() for item in thing.out]
        if not out or self.rng.random() < 0.4:
            return c.Settle(self.rng.choice("qqqqppppv"), "task_done", **numbered)
        name, item = self.rng.choice(out)
        delivery = item.deliveries - (self.rng.random() < 0.1)
        return c.Settle(name, self.rng.choice(("ack", "fail")), item.id, delivery, **numbered)

    def a_join(self, _: str, numbered: Any) -> Any:
        return c.Join(self.rng.choice("qpv"), self.limit(), **numbered)

    def a_withdraw(self, instance: str, numbered: Any) -> Any:
        client = self.model.clients.get(instance)
        numbers = [each.key[1] for each in self.model.line if each.key[0] == instance]
        numbers += client.answers if client is not None else []
        if not numbers or self.rng.random() < 0.1:
            numbers = [self.rng.randint(1, 50)]
        return c.Withdraw(self.rng.choice(numbers), **numbered)

    # --- comparing ---------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        space, model = self.space, self.model
        core = space._core
        assert space.next_deadline() == model.next_deadline()
        assert set(core.sessions) == set(model.clients)
        assert core.objects.keys() == model.things.keys()
        for name, thing in model.things.items():
            found, kind = core.objects[name], thing.what.kind
            assert found.opened == thing.opened
            if kind in HELD:
                holders = model.holders(name)
                assert core.locks.holders(name) == {owner: model.units_of(owner, name) for owner in holders}
                assert core.locks.value(name) == model.free(name)
                line = [each.owner for each in model.line if not each.place and name in model.needs(each)]
                assert core.locks.waiting(name) == line
                for owner in holders:
                    assert (space._held_token(owner, (name,)) or 0) > 0
                continue
            state = space.look(c.ObjectState(name), self.now)
            assert isinstance(state, c.ObjectStateAnswer)
            assert state.waiting == len([each for each in model.in_line(name) if not each.met])
            if kind == "queue":
                assert isinstance(found.thing, Queue)
                counts = (len(thing.ready), len(thing.out), len(thing.dead), thing.unfinished, thing.shut)
                assert (state.size, state.out, state.dead, state.unfinished, state.shut) == counts
            else:
                assert (state.is_set, state.broken) == (thing.is_set, thing.broken)
        for instance, client in model.clients.items():
            waits = {each.key[1] for each in model.line if each.key[0] == instance}
            for number in range(max(1, self.numbers[instance] - 10), self.numbers[instance] + 1):
                known = space.known(instance, number)
                assert isinstance(known, Pending) == (number in waits)
                said = said_of(known) if isinstance(known, Answer) else None
                assert said == client.answers.get(number)

    def replace_twin(self) -> None:
        """By a copy, or by one that hears everything since the last copy was made."""
        roll = self.rng.random()
        if roll > 0.01:
            return
        if roll < 0.005:
            self.twin = Space()
            if self.start:
                self.twin.restore(self.start)
            for event, now in self.heard:
                self.twin.apply(event, now)
            assert self.twin.snapshot() == self.space.snapshot()
        else:
            self.start, self.heard = self.space.snapshot(), []
            self.twin = Space()
            self.twin.restore(self.start)
            assert self.twin.snapshot() == self.start
        self.twin.validate()


def go(steps: int, seed: int) -> Counter[str]:
    pair = Pair(random.Random(seed))
    for number in range(steps):
        try:
            pair.step()
        except Exception as error:
            raise AssertionError(f"seed {seed}, step {number}: {error!r}") from error
    return pair.kinds


def drawn_seed() -> int:
    return int(os.environ.get("HOLDFAST_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)


@pytest.mark.parametrize("steps", [SHARE, pytest.param(STEPS, marks=pytest.mark.soak)])
def test_shared_objects_are_those_of_the_model(steps: int) -> None:
    seed = drawn_seed()
    print(f"seed {seed}")
    kinds = go(steps, seed)
    print(kinds)
    assert kinds.keys() == EXPECTED
    assert min(kinds.values()) > steps // 3000, "everything that can happen did"


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else drawn_seed()
    print(f"seed {chosen}", go(int(sys.argv[2]) if len(sys.argv) > 2 else STEPS, chosen))
