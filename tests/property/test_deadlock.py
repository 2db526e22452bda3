"""Deadlock detection against an oracle that tries every way in which things can go on."""

from __future__ import annotations

import os
import random

import pytest

from holdfast.coordination.deadlock import Link, Wait, blocked_for_ever, circle

Held = dict[str, dict[str, int]]
GRAPHS = 10_000


def seed() -> int:
    return int(os.environ.get("HOLDFAST_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)


def by_trying(free: dict[str, int], held: Held, waits: list[Wait]) -> frozenset[str]:
    """Every order of grants and ends; stuck is who is granted in none of them.

    Anybody who does not wait may end and give back, a wait that is the first one of each of its resources may be
    granted if there is enough, and nothing else happens.
    """
    granted: set[str] = set()
    start = (tuple(sorted(free.items())), frozen(held), tuple(range(len(waits))))
    seen = {start}
    ahead = [start]
    while ahead:
        free_now, held_now, left = ahead.pop()
        room, has = dict(free_now), {owner: dict(units) for owner, units in held_now}
        waiting = {waits[index].owner for index in left}
        after = []
        for owner in has.keys() - waiting:  # it ends
            more = dict(room)
            for resource, count in has[owner].items():
                more[resource] = more.get(resource, 0) + count
            rest = {other: units for other, units in has.items() if other != owner}
            after.append((tuple(sorted(more.items())), frozen(rest), left))
        for position, index in enumerate(left):  # it is granted
            wait = waits[index]
            first = all(wait.units.keys().isdisjoint(waits[other].units) for other in left[:position])
            if first and all(count <= room.get(resource, 0) for resource, count in wait.units.items()):
                granted.add(wait.owner)
                less = {resource: count - wait.units.get(resource, 0) for resource, count in room.items()}
                own = dict(has.get(wait.owner, {}))
                for resource, count in wait.units.items():
                    own[resource] = own.get(resource, 0) + count
                after.append(
                    (
                        tuple(sorted(less.items())),
                        frozen({**has, wait.owner: own}),
                        left[:position] + left[position + 1 :],
                    )
                )
        for state in after:
            if state not in seen:
                seen.add(state)
                ahead.append(state)
    return frozenset(wait.owner for wait in waits) - granted


def frozen(held: Held) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    return tuple(sorted((owner, tuple(sorted(units.items()))) for owner, units in held.items() if units))


def a_graph(rng: random.Random) -> tuple[dict[str, int], Held, list[Wait]]:
    """Some owners, some resources; requests never ask for more than a resource has in all."""
    total = {f"r{number}": rng.choice((1, 1, 1, 2, 3)) for number in range(rng.randint(1, 4))}
    owners = [f"o{number}" for number in range(rng.randint(1, 5))]
    free = dict(total)
    held: Held = {owner: {} for owner in owners}
    for _ in range(rng.randint(0, 6)):
        owner, resource = rng.choice(owners), rng.choice(list(total))
        if free[resource]:
            free[resource] -= 1
            held[owner][resource] = held[owner].get(resource, 0) + 1
    rng.shuffle(owners)
    waits = []
    for owner in owners[: rng.randint(0, len(owners))]:
        wanted = rng.sample(list(total), min(len(total), rng.choice((1, 1, 1, 2, 3))))
        waits.append(Wait(owner, {resource: rng.randint(1, total[resource]) for resource in wanted}))
    return free, held, waits


def test_ten_thousand_graphs_without_a_miss_and_without_a_false_alarm() -> None:
    drawn = seed()
    print(f"seed {drawn}")
    rng = random.Random(drawn)
    found = 0
    for number in range(GRAPHS):
        free, held, waits = a_graph(rng)
        stuck = blocked_for_ever(free, held, waits)
        assert stuck == by_trying(free, held, waits), (drawn, number, free, held, waits)
        found += bool(stuck)
        for owner in stuck:
            check_circle(circle(free, held, waits, stuck, owner), held, waits)
    assert GRAPHS // 20 < found < GRAPHS - GRAPHS // 20, "graphs of both kinds were tried"


def check_circle(links: tuple[Link, ...], held: Held, waits: list[Wait]) -> None:
    """Each link is there in truth, and the last one leads to the first one."""
    order = [wait.owner for wait in waits]
    for link, following in zip(links, (*links[1:], links[0]), strict=True):
        assert link.blocker == following.owner
        assert link.resource in waits[order.index(link.owner)].units
        if link.ahead:
            assert order.index(link.blocker) < order.index(link.owner)
            assert link.resource in waits[order.index(link.blocker)].units
        else:
            assert held[link.blocker][link.resource]


def test_two_that_want_what_the_other_has() -> None:
    held = {"anna": {"fork": 1}, "ben": {"knife": 1}}
    waits = [Wait("anna", {"knife": 1}), Wait("ben", {"fork": 1})]
    stuck = blocked_for_ever({}, held, waits)
    assert stuck == {"anna", "ben"}
    assert circle({}, held, waits, stuck, "ben") == (
        Link("ben", "fork", "anna", ahead=False),
        Link("anna", "knife", "ben", ahead=False),
    )


def test_a_cycle_over_two_units_is_no_deadlock() -> None:
    """Whoever holds the other unit and waits for nothing may give it back."""
    held = {"anna": {"pool": 1, "lock": 1}, "ben": {"pool": 1}, "cleo": {"pool": 1}}
    waits = [Wait("anna", {"pool": 1}), Wait("ben", {"lock": 1})]
    assert blocked_for_ever({}, held, waits) == frozenset()
    assert blocked_for_ever({}, {**held, "cleo": {}}, waits) == {"anna", "ben"}


def test_who_waits_behind_a_deadlock_is_in_it() -> None:
    """One unit would do and is free, but nobody overtakes."""
    held = {"anna": {"pool": 2}}
    waits = [Wait("anna", {"pool": 2}), Wait("ben", {"pool": 1})]
    stuck = blocked_for_ever({"pool": 1}, held, waits)
    assert stuck == {"anna", "ben"}
    assert circle({"pool": 1}, held, waits, stuck, "ben") == (Link("anna", "pool", "anna", ahead=False),)


def test_ten_thousand_owners_take_no_time_to_speak_of() -> None:
    """A chain, and the same chain closed: a path of this length would end a recursion."""
    held = {f"o{number}": {f"r{number}": 1} for number in range(10_000)}
    waits = [Wait(f"o{number}", {f"r{number + 1}": 1}) for number in range(9_999)]
    assert blocked_for_ever({}, held, waits) == frozenset()
    waits.append(Wait("o9999", {"r0": 1}))
    stuck = blocked_for_ever({}, held, waits)
    assert len(stuck) == 10_000


def test_asking_for_more_than_there_is_has_no_circle() -> None:
    waits = [Wait("anna", {"pool": 3})]
    stuck = blocked_for_ever({"pool": 2}, {}, waits)
    assert stuck == {"anna"}
    with pytest.raises(ValueError, match="more than there is"):
        circle({"pool": 2}, {}, waits, stuck, "anna")
