"""A machine of shared objects and client processes that ask it, step by step; checked and kept anew after each step."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from holdfast.coordination import records
from holdfast.coordination.records import Answer, Effect, LeaseOver, Record
from holdfast.coordination.sessions import Pending
from holdfast.coordination.space import Space
from holdfast.wire import coordination as c

H = TypeVar("H", bound=msgspec.Struct)

LOCK = c.ObjectAsked("lock")
RLOCK = c.ObjectAsked("rlock")
OVER_S = 16.6
"""A little longer than a lease."""


class World:
    """See above. ``checks``: after each step; for few steps, it takes long."""

    def __init__(self) -> None:
        self.space = Space()
        self.now = 100.0
        self.checks = True
        self.effects: list[Effect] = []
        self.answers: dict[tuple[str, int], Answer] = {}

    def record(self, record: Record) -> list[Effect]:
        """Let it happen."""
        self.effects = self.space.apply(records.encode(record), self.now)
        if self.checks:
            self.space.validate()
            again = Space()
            again.restore(self.space.snapshot())
            again.validate()
            assert again.snapshot() == self.space.snapshot()
        for effect in self.effects:
            if isinstance(effect, Answer):
                self.answers[effect.instance, effect.number] = effect
        return self.effects

    def wait(self, seconds: float, *there: Client) -> list[Effect]:
        """Time passes; these clients are heard of meanwhile."""
        end, effects = self.now + seconds, []
        while there and self.now + 5.0 < end:
            self.now += 5.0
            for client in there:
                effects += self.record(records.Renewed(client.instance, client.principal))
        self.now = end
        effects += self.record(records.Tick())
        return effects

    def restart(self) -> None:
        """Another machine goes on from what was kept."""
        kept = self.space.snapshot()
        self.space = Space()
        self.space.restore(kept)

    def state(self, name: str) -> c.ObjectStateAnswer:
        """What it is now."""
        found = self.space.look(c.ObjectState(name), self.now)
        assert isinstance(found, c.ObjectStateAnswer)
        return found

    def leases(self, name: str | None = None) -> tuple[c.LeaseInfo, ...]:
        """What is held and waited for."""
        found = self.space.look(c.Leases(name), self.now)
        assert isinstance(found, c.LeasesAnswer)
        return found.leases

    @property
    def over(self) -> list[tuple[str, tuple[str, ...]]]:
        """Leases that ended in the last step."""
        return [(each.instance, each.names) for each in self.effects if isinstance(each, LeaseOver)]


class Client:
    """A client process; a request is known by its number."""

    def __init__(self, world: World, instance: str, principal: str = "eve") -> None:
        self.world = world
        self.instance = instance
        self.principal = principal
        self.number = 0

    def send(self, kind: type[c.Numbered], *args: Any, body: bytes = b"", number: int = 0, **options: Any) -> int:
        """Ask; the number."""
        if not number:
            self.number += 1
            number = self.number
        request: Any = kind(*args, number=number, **options)
        self.world.record(records.Asked(self.instance, self.principal, request, body))
        return number

    def waits(self, number: int) -> bool:
        """Whether this request is not decided yet."""
        return isinstance(self.world.space.known(self.instance, number), Pending)

    def answer(self, number: int, kind: type[H]) -> H:
        """What it was answered."""
        answer = self.world.answers[self.instance, number]
        assert isinstance(answer.header, kind), answer
        return answer.header

    def failure(self, number: int) -> tuple[int, str]:
        """How it was refused."""
        answer = self.world.answers[self.instance, number]
        assert answer.header is None, answer
        return answer.code, answer.text

    def said(self, number: int) -> bool:
        """Whether it was ever answered."""
        return (self.instance, number) in self.world.answers

    def saw(self, *numbers: int) -> None:
        """These answers have come."""
        self.send(c.Drop, "nothing of that name", seen=numbers)

    def open(self, name: str, what: c.ObjectAsked = LOCK) -> bool:
        """Open; whether it was made."""
        return self.answer(self.send(c.Open, name, what), c.OpenAnswer).made

    def acquire(self, *names: str, owner: int = 1, **options: Any) -> int:
        """Ask for one of each; the number."""
        return self.send(c.Acquire, owner, dict.fromkeys(names, 1), **options)

    def hold(self, *names: str, owner: int = 1, **options: Any) -> int:
        """Have one of each; the token."""
        return self.token(self.acquire(*names, owner=owner, **options))

    def token(self, number: int) -> int:
        """The token of a grant."""
        answer = self.answer(number, c.AcquireAnswer)
        assert answer.granted
        return answer.token

    def release(self, name: str, owner: int = 1, units: int = 1) -> int:
        """Give back; the number."""
        return self.send(c.Release, owner, name, units)

    def put(self, name: str, value: bytes, **options: Any) -> int:
        """Put; the number."""
        return self.send(c.Put, name, body=value, **options)

    def take(self, name: str, **options: Any) -> int:
        """Take; the number."""
        return self.send(c.Take, name, **options)

    def got(self, number: int) -> bytes:
        """The value that was taken."""
        assert self.answer(number, c.TakeAnswer).item
        return self.world.answers[self.instance, number].body

    def withdraw(self, of: int) -> bool:
        """Give up; whether there was anything to give up."""
        return self.answer(self.send(c.Withdraw, of), c.NumberedAnswer).ok
