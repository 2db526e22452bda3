"""The machine of shared objects against somebody who only watches: what was asked, what was answered, and the clock.

The watcher knows nothing of lines. From the answers alone it says who holds the locks and where each item is, and
checks what users rely on: never two holders, greater tokens, each number carried out once, no item lost and none given
twice. Every so often the machine is put together again from its snapshot, and once more from its records.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest

from holdfast.coordination.records import (
    Answer,
    AnyNumbered,
    Asked,
    Ended,
    Handed,
    LeaseOver,
    Record,
    Renewed,
    Restored,
    Tick,
    encode,
)
from holdfast.coordination.space import Space
from holdfast.wire import coordination as w
from tests.property.test_locks import drawn_seed

INSTANCES: Final = ["alpha", "beta", "gamma"]
OBJECTS: Final = {
    "lock": w.ObjectAsked("lock"),
    "again": w.ObjectAsked("rlock"),
    "three": w.ObjectAsked("semaphore", units=3),
    "two": w.ObjectAsked("bounded", units=2, passing=True),
    "word": w.ObjectAsked("condition", lock="again"),
    "flag": w.ObjectAsked("event"),
    "pair": w.ObjectAsked("barrier", units=2),
    "last": w.ObjectAsked("barrier", units=2, acts=True),
    "items": w.ObjectAsked("queue", maxsize=3),
    "work": w.ObjectAsked("queue", maxsize=4, visible_s=5.0, most_deliveries=1000),
}
SHARE, STEPS = 30_000, 1_000_000


class Watcher:
    """What can be known from outside."""

    def __init__(self) -> None:
        self.token = 0
        self.requests: dict[tuple[str, int], AnyNumbered] = {}
        self.answers: dict[tuple[str, int], Answer] = {}
        self.holder: dict[str, str] = {}  # of "lock" and "again"
        self.depth: Counter[str] = Counter()  # of "again", by owner
        self.items: set[bytes] = set()  # put and neither seen by who took it nor acknowledged
        self.out: dict[tuple[str, int], tuple[str, bytes]] = {}  # taken, and not seen yet: queue and value

    def asked(self, instance: str, request: AnyNumbered) -> None:
        self.requests[instance, request.number] = request
        for number in request.seen:
            self.answers.pop((instance, number), None)
            name, value = self.out.pop((instance, number), ("", b""))
            if name == "items":
                self.items.discard(value)

    def answer(self, answer: Answer) -> None:
        key = (answer.instance, answer.number)
        request = self.requests.pop(key, None)
        assert request is not None, f"{key} was answered twice, or never asked"
        self.answers[key] = answer
        header = answer.header
        if isinstance(header, w.AcquireAnswer) and header.granted:
            assert isinstance(request, w.Acquire)
            self.granted(f"{answer.instance}/{request.owner}", request.units, header.token)
        elif isinstance(header, w.AwaitAnswer):
            assert isinstance(request, w.Await)
            owner = f"{answer.instance}/{request.owner}"
            self.granted(owner, {"again": self.depth.pop(f"{owner} waits")}, header.token)
        elif isinstance(request, w.Release) and not answer.code:
            self.given_back(request.name, f"{answer.instance}/{request.owner}")
        elif isinstance(header, w.PutAnswer) and header.item:
            self.items.add(b"%d" % answer.number)
        elif isinstance(header, w.TakeAnswer) and header.item:
            assert isinstance(request, w.Take)
            assert answer.body in self.items, "an item was given that is not there"
            assert (request.name, answer.body) not in self.out.values() or request.name == "work"
            self.out[key] = (request.name, answer.body)

    def granted(self, owner: str, units: dict[str, int], token: int) -> None:
        assert token > self.token, "a token that is not greater than all before"
        self.token = token
        for name in ("lock", "again"):
            if name in units:
                assert self.holder.get(name, owner) == owner, f"{name} has two holders"
                assert name == "again" or name not in self.holder, "the lock was granted while it is held"
                self.holder[name] = owner
        self.depth[owner] += units.get("again", 0)

    def given_back(self, name: str, owner: str) -> None:
        if name == "lock":
            assert self.holder.pop("lock").partition("/")[0] == owner.partition("/")[0]
        elif name == "again":
            assert self.holder["again"] == owner
            self.depth[owner] -= 1
            if not self.depth[owner]:
                del self.holder["again"], self.depth[owner]

    def gone(self, instance: str) -> None:
        """Its session is over: what it held, had asked, and had not seen."""
        for table in (self.requests, self.answers, self.out):
            for key in [key for key in table if key[0] == instance]:
                del table[key]
        for name in [name for name, owner in self.holder.items() if owner.startswith(instance)]:
            del self.holder[name]
        for owner in [owner for owner in self.depth if owner.startswith(instance)]:
            del self.depth[owner]


class Play:
    """Random requests, one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.space = Space()
        self.watcher = Watcher()
        self.now = 100.0
        self.number = 0
        self.kinds: Counter[str] = Counter()
        self.kept = self.space.snapshot()
        self.since: list[tuple[bytes, float]] = []

    def step(self) -> None:
        rng = self.rng
        choice = rng.random()
        if choice < 0.93:
            instance = rng.choice(INSTANCES)
            self.ask(instance, self.request(instance))
        elif choice < 0.98:
            self.now += rng.choice((0.1, 1.0, 3.0, 25.0)) * rng.random()
            records: list[Record] = [Tick(), Restored(), *[Renewed(name, "me", 15.0) for name in INSTANCES] * 3]
            self.record(rng.choice(records))
        elif choice < 0.99:
            instance, owner = rng.choice(INSTANCES), rng.choice((1, 2))
            if self.space.holds(instance, owner, ("lock",)) is None:
                pass
            elif (
                self.watcher.holder.get("lock") == f"{instance}/{owner}" and "job:j" not in self.watcher.holder.values()
            ):
                self.watcher.holder["lock"] = "job:j"
                self.record(Handed(instance, owner, ("lock",), "j"))
        else:
            if self.watcher.holder.get("lock") == "job:j":
                del self.watcher.holder["lock"]
            self.record(Ended("j"))
        self.space.validate()

    def request(self, instance: str) -> AnyNumbered:
        rng, name, owner = self.rng, self.rng.choice(sorted(OBJECTS)), self.idle_owner(instance)
        limit, wait = rng.choice((None, 0.5, 4.0)), rng.random() < 0.8
        self.number += 1
        number, seen = self.number, self.seen(instance)
        if rng.random() < 0.2 or self.space.principal_of(name) is None:
            return w.Open(name, OBJECTS[name], number=number, seen=seen)
        if rng.random() < 0.08:
            mine = [which for who, which in (*self.watcher.requests, *self.watcher.answers) if who == instance]
            return w.Withdraw(rng.choice([*mine, 1]), number=number, seen=())
        match OBJECTS[name].kind:
            case "lock" | "rlock" | "semaphore" | "bounded" | "condition" if not owner:
                return w.Open(name, OBJECTS[name], number=number, seen=seen)
            case "lock" | "rlock" | "semaphore" | "bounded":
                if rng.random() < 0.55:
                    return w.Release(owner, name, number=number, seen=seen)
                names = [name, *(["three"] if rng.random() < 0.2 and "three" in self.space._core.objects else [])]
                return w.Acquire(owner, dict.fromkeys(names, 1), wait, limit, number=number, seen=seen)
            case "condition":
                if rng.random() < 0.5:
                    return w.Await(owner, name, limit, number=number, seen=seen)
                return w.Notify(owner, name, rng.choice((1, 2, None)), number=number, seen=seen)
            case "event":
                return w.Flag(name, rng.choice(("set", "clear", "wait")), limit, number=number, seen=seen)
            case "barrier":
                acts = [of for of, (which, _) in self.acts(instance).items() if which == name]
                if acts:
                    return w.Meet(name, rng.choice(("acted", "failed")), acts[0], number=number, seen=seen)
                if rng.random() < 0.3:
                    return w.Meet(name, "reset" if rng.random() < 0.5 else "abort", number=number, seen=seen)
                return w.Meet(name, "wait", timeout_s=limit, number=number, seen=seen)
        if rng.random() < 0.45:
            return w.Put(name, wait=wait, timeout_s=limit, number=number, seen=seen)
        if name == "work" and rng.random() < 0.5:
            had = [
                key for key, (which, _) in self.watcher.out.items() if which == "work" and key in self.watcher.answers
            ]
            if had:
                header = self.watcher.answers[rng.choice(had)].header
                assert isinstance(header, w.TakeAnswer)
                return w.Settle(
                    name,
                    "ack" if rng.random() < 0.5 else "fail",
                    header.item,
                    header.delivery,
                    number=number,
                    seen=seen,
                )
        if rng.random() < 0.1:
            return w.Join(name, limit, number=number, seen=seen)
        return w.Take(name, wait, limit, number=number, seen=seen)

    def idle_owner(self, instance: str) -> int:
        """A thread of this client that does not wait: one that does asks for nothing else. 0: both wait."""
        waiting = {
            getattr(request, "owner", 0) for (who, _), request in self.watcher.requests.items() if who == instance
        }
        return self.rng.choice([owner for owner in (1, 2) if owner not in waiting] or [0])

    def seen(self, instance: str) -> tuple[int, ...]:
        return tuple(n for who, n in self.watcher.answers if who == instance and self.rng.random() < 0.7)

    def acts(self, instance: str) -> dict[int, tuple[str, int]]:
        session = self.space._core.sessions.get(instance)
        return {} if session is None else {of: (name, ticket) for name, (of, ticket) in session.acts.items()}

    def ask(self, instance: str, request: AnyNumbered) -> None:
        """Ask it; now and then twice, as after a cut."""
        watcher = self.watcher
        self.record(Tick())  # so that the watcher hears of what is over before it hears of the request
        self.kinds[type(request).__name__] += 1
        record = Asked(instance, "me", request, b"%d" % request.number)
        watcher.asked(instance, request)
        settled = self.settled(request)
        kept = isinstance(request, w.Withdraw) and self.withdrawn(instance, request)
        owner = f"{instance}/{getattr(request, 'owner', 0)}"
        depth = watcher.depth[owner]
        if isinstance(request, w.Await) and depth and "word" in self.space._core.objects:
            watcher.depth[f"{owner} waits"] = depth
            del watcher.depth[owner], watcher.holder["again"]
        self.record(record)
        answer = watcher.answers.get((instance, request.number))
        if kept:
            assert answer is not None
            assert answer.header == w.NumberedAnswer(ok=False), "it was told that a lock was taken back, and it was not"
        if isinstance(request, w.Settle) and request.do == "ack" and answer is not None and not answer.code:
            watcher.items.discard(settled)
        if self.rng.random() < 0.1:
            before = self.space.snapshot()
            self.record(record)
            assert self.space.snapshot() == before, "asked again, it was carried out again"

    def settled(self, request: AnyNumbered) -> bytes:
        """The value that an acknowledgement is about."""
        if isinstance(request, w.Settle):
            queue = self.space._core.objects["work"].thing
            return next((out.item.value for id_, out in getattr(queue, "_out", {}).items() if id_ == request.item), b"")
        return b""

    def withdrawn(self, instance: str, request: w.Withdraw) -> bool:
        """Note what will be given back; whether it is nothing, since the lock's owner has gone on with it."""
        watcher, key = self.watcher, (instance, request.of)
        waiting = watcher.requests.get(key)
        if waiting is not None and not isinstance(waiting, (w.Await, w.Withdraw)):
            del watcher.requests[key]
        answer = watcher.answers.pop(key, None)
        watcher.out.pop(key, None)
        kept = self.space._core.sessions.get(instance)
        if answer is None or kept is None or request.of not in kept.given:
            return False
        if isinstance(answer.header, w.AwaitAnswer) and request.of not in kept.let_go:
            watcher.answers[key] = answer
            return False
        given = kept.given[request.of]
        gone_on = self.space._core.locks.is_waiting(given.owner)
        for name, units in given.units.items():
            if name == "again" and gone_on:
                continue
            if watcher.holder.get(name) == given.owner:
                for _ in range(units if name == "again" else 1):
                    watcher.given_back(name, given.owner)
        return gone_on and list(given.units) == ["again"]

    def record(self, record: Record) -> None:
        data = encode(record)
        self.since.append((data, self.now))
        here = set(self.space._core.sessions)
        effects = self.space.apply(data, self.now)
        asking = record.instance if isinstance(record, Asked) else ""
        for instance in sorted(here - (self.space._core.sessions.keys() - {asking})):
            if asking != instance:
                self.watcher.gone(instance)
        for effect in effects:
            if isinstance(effect, Answer):
                self.watcher.answer(effect)
            else:
                assert isinstance(effect, LeaseOver)
                self.kinds["LeaseOver"] += 1

    def rebuild(self) -> None:
        """From the snapshot, and from the earlier one and the records since: the same machine."""
        snapshot = self.space.snapshot()
        replayed = Space()
        replayed.restore(self.kept)
        for data, now in self.since:
            replayed.apply(data, now)
        assert replayed.snapshot() == snapshot
        self.space = Space()
        self.space.restore(snapshot)
        assert self.space.snapshot() == snapshot
        self.kept, self.since = snapshot, []

    def empty(self) -> None:
        """Everybody leaves; whatever was put and not seen or acknowledged can still be had, once."""
        self.now += 1000.0
        self.record(Tick())
        left: list[bytes] = []
        for name in ("items", "work"):
            if self.space.principal_of(name) is not None:
                while True:
                    self.number += 1
                    request = w.Take(name, wait=False, number=self.number, seen=(self.number - 1,))
                    effects = self.space.apply(encode(Asked("omega", "me", request)), self.now)
                    answer = next(each for each in effects if isinstance(each, Answer))
                    if not answer.body:
                        break
                    left.append(answer.body)
                    delivery = answer.header
                    assert isinstance(delivery, w.TakeAnswer)
        assert sorted(left) == sorted(self.watcher.items)


@pytest.mark.parametrize("steps", [SHARE, pytest.param(STEPS, marks=pytest.mark.soak)])
def test_what_users_rely_on_holds(steps: int) -> None:
    seed = drawn_seed()
    print(f"seed {seed}")
    kinds: Counter[str] = Counter()
    for part in range(steps // 1000):
        play = Play(seed + part)
        for number in range(1000):
            try:
                play.step()
                if number % 97 == 0:
                    play.rebuild()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, part {part}, step {number}: {error}") from error
        play.empty()
        kinds += play.kinds
    print(dict(kinds))
    assert min(kinds.values()) > steps / 3000, "some requests were hardly made"
