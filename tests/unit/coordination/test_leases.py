"""Leases: what the service believes, what the client may, and that the two never overlap."""

from __future__ import annotations

import random

import pytest

from holdfast.coordination.leases import (
    DEFAULT_S,
    LEAST_S,
    LONGEST_S,
    SERVICE_FACTOR,
    Leases,
    over_for_client_s,
    renew_after_s,
)


def test_a_lease_ends_by_itself_and_lives_by_renewal() -> None:
    leases = Leases()
    assert leases.next_deadline() is None
    leases.open("anna", 10.0, now=100.0)
    assert leases.next_deadline() == pytest.approx(111.0)
    assert leases.handle_timeout(110.9) == []
    assert leases.renew("anna", now=110.9)
    assert leases.handle_timeout(111.0) == []
    assert leases.next_deadline() == pytest.approx(121.9)
    assert leases.handle_timeout(121.9) == ["anna"]
    assert not leases.renew("anna", now=122.0)
    assert leases.next_deadline() is None
    assert "anna" not in leases


def test_a_renewal_that_comes_too_late_is_none_although_nobody_has_looked() -> None:
    leases = Leases()
    leases.open("anna", 10.0, now=0.0)
    assert not leases.renew("anna", now=11.0)
    assert leases.handle_timeout(11.0) == ["anna"]


def test_a_shorter_lease_takes_effect() -> None:
    leases = Leases()
    leases.open("anna", 1000.0, now=0.0)
    leases.open("anna", 10.0, now=0.0)
    assert leases.handle_timeout(11.0) == ["anna"]
    leases.open("anna", 10.0, now=20.0)
    leases.close("anna")
    leases.close("nobody")
    assert leases.next_deadline() is None
    assert len(leases) == 0


def test_nobody_loses_a_lease_because_the_service_was_away() -> None:
    leases = Leases()
    leases.open("anna", 10.0, now=0.0)
    leases.restored(now=500.0)
    assert leases.handle_timeout(510.9) == []
    assert leases.handle_timeout(511.0) == ["anna"]


@pytest.mark.parametrize("ttl_s", [LEAST_S - 0.001, LONGEST_S + 1, 0.0, -1.0, float("nan")])
def test_what_is_no_lease_is_refused(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="3 to 3600"):
        Leases().open("anna", ttl_s, now=0.0)


@pytest.mark.parametrize("ttl_s", [LEAST_S, DEFAULT_S, 60.0, LONGEST_S])
@pytest.mark.parametrize("drift", [0.91, 1.0, 1.09])
def test_the_client_has_given_up_before_the_service_takes_it_away(ttl_s: float, drift: float) -> None:
    """Clocks may run apart by a tenth, and the request take any time: real time decides."""
    for travel_s in (0.0, 0.1, 2.0):
        client_over = over_for_client_s(ttl_s) / drift  # of real time, from before it asked
        service_over = travel_s + ttl_s * SERVICE_FACTOR  # the service's clock is the true one
        assert client_over < service_over
    assert 0 < 2 * renew_after_s(ttl_s) < over_for_client_s(ttl_s), "one renewal may be lost"


def test_many_leases_against_a_plain_list() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    leases, plain, now = Leases(), dict[str, tuple[float, float]](), 0.0
    for _ in range(20_000):
        now += rng.random()
        holder = f"h{rng.randrange(20)}"
        match rng.randrange(5):
            case 0 | 1:
                ttl_s = rng.uniform(3.0, 60.0)
                leases.open(holder, ttl_s, now=now)
                plain[holder] = (ttl_s, now + ttl_s * SERVICE_FACTOR)
            case 2:
                lives = holder in plain and plain[holder][1] > now
                assert leases.renew(holder, now=now) == lives
                if lives:
                    plain[holder] = (plain[holder][0], now + plain[holder][0] * SERVICE_FACTOR)
            case 3:
                leases.close(holder)
                plain.pop(holder, None)
            case _:
                over = {each for each, (_, ends) in plain.items() if ends <= now}
                assert set(leases.handle_timeout(now)) == over
                plain = {each: entry for each, entry in plain.items() if each not in over}
        assert leases.next_deadline() == min((ends for _, ends in plain.values()), default=None)
        assert len(leases) == len(plain)
