"""Locks against a model that is slow and plain: who holds, who waits, both lists looked through from the front.

A step does one thing to both and compares who was told what, who holds and who waits. Refusals for deadlock are checked
by ``blocked_for_ever``, which has an oracle of its own (test_deadlock.py).
"""

from __future__ import annotations

import os
import random
import sys
from typing import Final

import pytest

from holdfast.coordination.deadlock import Wait, blocked_for_ever
from holdfast.coordination.lock_records import (
    Deadlocked,
    Granted,
    LockMisuse,
    Outcome,
    Spec,
    SpecDiffers,
    Told,
    Unavailable,
    Waiting,
)
from holdfast.coordination.locks import Locks

STEPS: Final = 1_000_000
SHARE: Final = 30_000
SPECS: Final = {
    "a": Spec("lock"),
    "b": Spec("lock"),
    "r": Spec("rlock"),
    "s": Spec("bounded", 3),
    "t": Spec("bounded", 2),
}
OWNERS: Final = tuple("123456")


class Model:
    """Plain lists; every question is answered by looking through all of them."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str]] = []  # owner and name, once for each unit and each entry
        self.line: list[tuple[int, str, dict[str, int], float | None]] = []  # ticket, owner, units, until
        self.outside: set[int] = set()  # tickets of waits that may end otherwise

    def free(self, name: str) -> int:
        spec = SPECS[name]
        users = [owner for owner, held in self.held if held == name]
        return spec.units - len(set(users) if spec.kind == "rlock" else users)

    def needs(self, owner: str, units: dict[str, int]) -> dict[str, int]:
        """Without the reentrant locks that the owner has."""
        return {
            name: count
            for name, count in units.items()
            if not (SPECS[name].kind == "rlock" and (owner, name) in self.held)
        }

    def may_go(self, owner: str, units: dict[str, int], before: int) -> bool:
        needs = self.needs(owner, units)
        earlier = {name for _, other, wanted, _ in self.line[:before] for name in self.needs(other, wanted)}
        return not earlier & needs.keys() and all(count <= self.free(name) for name, count in needs.items())

    def waits_for_itself(self, owner: str, units: dict[str, int]) -> bool:
        """For more of what it holds; a reentrant lock of its own it has already."""
        return any((owner, name) in self.held for name in self.needs(owner, units))

    def take(self, owner: str, units: dict[str, int]) -> None:
        self.held += [(owner, name) for name, count in units.items() for _ in range(count)]

    def advance(self) -> set[int]:
        granted = set()
        position = 0
        while position < len(self.line):
            ticket, owner, units, _ = self.line[position]
            if self.may_go(owner, units, position):
                del self.line[position]
                self.take(owner, units)
                granted.add(ticket)
                position = 0
            else:
                position += 1
        return granted


class Pair:
    """The table and the model, side by side."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.locks = Locks(last_token=100)
        self.model = Model()
        self.now = 0.0
        self.last_token = 100
        self.kinds = dict.fromkeys(("granted", "waiting", "unavailable", "deadlocked", "told", "timed_out"), 0)
        for name, spec in SPECS.items():
            self.locks.open(name, spec)

    def step(self) -> None:
        self.now += self.rng.random()
        self.rng.choice(
            (self.ask, self.ask, self.ask, self.give_back, self.give_back, self.withdraw, self.end, self.time)
        )()
        self.compare()

    def ask(self) -> None:
        owner = self.rng.choice(OWNERS)
        if any(other == owner for _, other, _, _ in self.model.line):
            return
        names = self.rng.sample(sorted(SPECS), self.rng.choice((1, 1, 1, 2, 3)))
        units = {
            name: 1 if SPECS[name].kind in ("lock", "rlock") else self.rng.randint(1, SPECS[name].units)
            for name in names
        }
        wait = self.rng.random() < 0.8
        until = self.now + 5 * self.rng.random() if self.rng.random() < 0.3 else None
        got: Outcome = self.locks.ask(owner, units, wait=wait, until=until)
        if self.model.may_go(owner, units, len(self.model.line)):
            assert isinstance(got, Granted)
            self.model.take(owner, units)
            self.token(got)
            self.kinds["granted"] += 1
        elif not wait:
            assert isinstance(got, Unavailable)
            self.kinds["unavailable"] += 1
        else:
            hopeless = self.hopeless(owner, units)
            assert isinstance(got, Deadlocked if hopeless else Waiting)
            if isinstance(got, Waiting):
                self.model.line.append((got.ticket, owner, units, until))
                if until is not None or self.model.waits_for_itself(owner, units):
                    self.model.outside.add(got.ticket)
            self.kinds["deadlocked" if hopeless else "waiting"] += 1

    def hopeless(self, owner: str, units: dict[str, int]) -> bool:
        model = self.model
        if model.waits_for_itself(owner, units):
            return False
        waits = [
            Wait(who, model.needs(who, wanted)) for ticket, who, wanted, _ in model.line if ticket not in model.outside
        ]
        held: dict[str, dict[str, int]] = {}
        for who, name in model.held:
            mine = held.setdefault(who, {})
            mine[name] = 1 if SPECS[name].kind == "rlock" else mine.get(name, 0) + 1
        waits.append(Wait(owner, model.needs(owner, units)))
        return owner in blocked_for_ever({name: model.free(name) for name in SPECS}, held, waits)

    def give_back(self) -> None:
        if not self.model.held:
            return
        owner, name = self.rng.choice(self.model.held)
        if SPECS[name].kind == "rlock" and any(other == owner for _, other, _, _ in self.model.line):
            with pytest.raises(LockMisuse, match="is waiting"):
                self.locks.give_back(owner, name)
            return
        self.told(self.locks.give_back(owner, name), after=lambda: self.model.held.remove((owner, name)))

    def withdraw(self) -> None:
        if self.model.line:
            entry = self.rng.choice(self.model.line)
            self.told(self.locks.withdraw(entry[0]), after=lambda: self.model.line.remove(entry))
        assert self.locks.withdraw(10**9) == []

    def end(self) -> None:
        owner = self.rng.choice(OWNERS)

        def after() -> None:
            self.model.held = [each for each in self.model.held if each[0] != owner]
            self.model.line = [each for each in self.model.line if each[1] != owner]

        self.told(self.locks.end(owner), after=after)

    def time(self) -> None:
        over = {ticket for ticket, _, _, until in self.model.line if until is not None and until <= self.now}
        due = min((until for *_, until in self.model.line if until is not None), default=None)
        assert self.locks.next_deadline() == due
        told = self.locks.handle_timeout(self.now)
        assert {each.ticket for each in told if isinstance(each, Unavailable)} == over
        self.kinds["timed_out"] += len(over)

        def after() -> None:
            self.model.line = [each for each in self.model.line if each[0] not in over]

        self.told([each for each in told if isinstance(each, Granted)], after=after)

    def told(self, told: list[Told], after: object) -> None:
        assert callable(after)
        after()
        assert all(isinstance(each, Granted) for each in told)
        assert {each.ticket for each in told} == self.model.advance()
        for each in told:
            assert isinstance(each, Granted)
            self.token(each)
        self.kinds["told"] += len(told)

    def token(self, granted: Granted) -> None:
        assert granted.token > self.last_token
        self.last_token = granted.token

    def compare(self) -> None:
        for name in SPECS:
            assert self.locks.value(name) == self.model.free(name)
            users = [owner for owner, held in self.model.held if held == name]
            assert self.locks.holders(name) == {owner: users.count(owner) for owner in users}
            line = [owner for _, owner, units, _ in self.model.line if name in self.model.needs(owner, units)]
            assert self.locks.waiting(name) == line


def go(steps: int, seed: int) -> dict[str, int]:
    pair = Pair(random.Random(seed))
    for number in range(steps):
        try:
            pair.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {number}: {error}") from error
    return pair.kinds


def drawn_seed() -> int:
    return int(os.environ.get("HOLDFAST_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)


@pytest.mark.parametrize("steps", [SHARE, pytest.param(STEPS, marks=pytest.mark.soak)])
def test_locks_do_what_the_model_does(steps: int) -> None:
    seed = drawn_seed()
    print(f"seed {seed}")
    kinds = go(steps, seed)
    print(kinds)
    assert min(kinds.values()) > steps // 1000, "everything that can happen did"


def test_a_name_stands_for_one_thing() -> None:
    locks = Locks()
    locks.open("x", Spec("bounded", 3))
    locks.open("x", Spec("bounded", 3))
    for other in (Spec("bounded", 2), Spec("semaphore", 3), Spec("lock")):
        with pytest.raises(SpecDiffers, match="'x' is a bounded of 3"):
            locks.open("x", other)
    for spec in (Spec("lock", 2), Spec("rlock", 0), Spec("semaphore", -1)):
        with pytest.raises(ValueError, match="units"):
            locks.open("y", spec)


def test_what_threading_refuses_is_refused() -> None:
    locks = Locks()
    for name, spec in {**SPECS, "plain": Spec("semaphore", 0)}.items():
        locks.open(name, spec)
    for name in ("a", "r", "s"):
        with pytest.raises(LockMisuse):
            locks.give_back("1", name)
    locks.ask("1", {"r": 1})
    with pytest.raises(LockMisuse, match="not held by 2"):
        locks.give_back("2", "r")
    locks.ask("1", {"a": 1})
    assert locks.give_back("2", "a") == []  # another thread may, as in threading
    with pytest.raises(ValueError, match="4 of 's', which has 3"):
        locks.ask("1", {"s": 4})
    with pytest.raises(ValueError, match="nothing"):
        locks.ask("1", {})
    with pytest.raises(KeyError):
        locks.ask("1", {"nothing of that name": 1})


def test_a_semaphore_is_a_signal_too() -> None:
    """Units from somebody who holds none, as ``threading.Semaphore(0)`` is used; then no wait for it is a deadlock."""
    locks = Locks()
    locks.open("ready", Spec("semaphore", 0))
    locks.open("a", Spec("lock"))
    locks.ask("1", {"a": 1})
    assert isinstance(locks.ask("1", {"ready": 1}), Waiting)
    assert isinstance(locks.ask("2", {"a": 1}), Waiting)
    (granted,) = locks.give_back("3", "ready", 2)
    assert isinstance(granted, Granted)
    assert (granted.owner, locks.value("ready")) == ("1", 1)


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else drawn_seed()
    print(f"seed {chosen}", go(STEPS, chosen))
