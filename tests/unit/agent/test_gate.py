"""Admission before authentication: limits by source and in all, early drop, penalties."""

from __future__ import annotations

import random

import pytest

from holdfast.agent import gate as gates
from holdfast.agent.gate import Gate, Offence, Shed, Source, Ticket, source_of

A, B = Source("192.0.2.1"), Source("192.0.2.2")


def admit(gate: Gate, source: Source, now: float = 0.0, draw: float = 0.999999) -> Ticket:
    ticket = gate.admit(source, now, draw)
    assert isinstance(ticket, Ticket)
    gate.validate()
    return ticket


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2:ffff::1", "2001:0db8:0001:0002"),
        ("fe80::1%eth0", "fe80:0000:0000:0000"),
        ("::1", "0000:0000:0000:0000"),
    ],
)
def test_a_source_is_an_ipv4_address_or_64_bits_of_ipv6(host: str, source: str) -> None:
    assert source_of(host) == source


def test_a_source_has_sixteen_connections_before_it_is_authenticated() -> None:
    gate = Gate()
    tickets = [admit(gate, A) for _ in range(16)]
    assert gate.admit(A, 0, 0.9) is Shed.SOURCE
    admit(gate, B)
    gate.left(tickets[0])
    admit(gate, A)
    assert gate.admit(A, 0, 0.9) is Shed.SOURCE
    assert gate.counters["shed_source_limit"] == 2
    assert gate.counters["admitted"] == 18


def test_authenticated_connections_do_not_count() -> None:
    gate = Gate()
    for second in range(100):
        gate.authenticated(admit(gate, A), float(second))
    assert gate.unauthenticated == 0


def test_a_source_that_authenticated_of_late_has_four_times_the_room_for_ten_minutes() -> None:
    gate = Gate()
    gate.authenticated(admit(gate, A), 0.0)
    tickets = [admit(gate, A, 599.0) for _ in range(64)]
    assert gate.admit(A, 599.0, 0.9) is Shed.SOURCE
    for ticket in tickets[16:]:
        gate.left(ticket)
    assert gate.admit(A, 600.0, 0.9) is Shed.SOURCE, "it is a stranger again, and holds sixteen"


def test_128_strangers_in_all_and_known_sources_beside_them() -> None:
    gate = Gate()
    gate.authenticated(admit(gate, B), 0.0)
    for number in range(128):
        admit(gate, Source(f"198.51.100.{number}"))
    assert gate.admit(A, 0, 0.999999) is Shed.FULL
    admit(gate, B, 1.0, 0.0)


def test_known_sources_have_a_limit_of_their_own() -> None:
    gate = Gate(per_source=16, strangers=4)
    for number in range(20):
        gate.authenticated(admit(gate, Source(f"s{number}")), 0.0)
    for number in range(16):
        admit(gate, Source(f"s{number}"))
    assert gate.admit(Source("s17"), 0.0, 0.9) is Shed.FULL


def test_from_half_of_the_limit_on_strangers_are_dropped_at_random_more_and_more() -> None:
    gate = Gate()
    for number in range(64):
        admit(gate, Source(f"198.51.100.{number}"), draw=0.0)
    admit(gate, Source("198.51.100.64"), draw=0.0)
    assert gate.admit(A, 0, 0.0) is Shed.EARLY
    for number in range(65, 96):
        admit(gate, Source(f"198.51.100.{number}"))
    assert gate.admit(A, 0, 0.499) is Shed.EARLY
    assert isinstance(gate.admit(A, 0, 0.501), Ticket)


def test_penalties_bite_from_fifteen_seconds_and_run_out() -> None:
    gate = Gate()
    gate.blame(A, Offence.AUTHENTICATION, 0.0)
    gate.blame(A, Offence.AUTHENTICATION, 0.0)
    admit(gate, A)
    gate.blame(A, Offence.AUTHENTICATION, 0.0)
    assert gate.admit(A, 0.0, 0.9) is Shed.PENALTY
    assert gate.admit(A, 14.9, 0.9) is Shed.PENALTY
    admit(gate, B)
    admit(gate, A, 15.0)


def test_a_protocol_error_costs_ten_seconds() -> None:
    gate = Gate()
    gate.blame(A, Offence.PROTOCOL, 0.0)
    admit(gate, A, 0.0)
    gate.blame(A, Offence.PROTOCOL, 0.0)
    assert gate.penalised(A, 19.9)
    assert not gate.penalised(A, 20.0)


def test_penalties_that_are_far_apart_never_bite() -> None:
    gate = Gate()
    for minute in range(100):
        gate.blame(A, Offence.PROTOCOL, minute * 60.0)
        assert not gate.penalised(A, minute * 60.0)


def test_no_penalty_reaches_further_than_ten_minutes() -> None:
    gate = Gate()
    for _ in range(1000):
        gate.blame(A, Offence.PROTOCOL, 0.0)
    assert gate.penalised(A, 599.0)
    assert not gate.penalised(A, 600.0)


def test_a_known_source_is_not_blamed_for_others_behind_its_address() -> None:
    gate = Gate()
    gate.authenticated(admit(gate, A), 0.0)
    for _ in range(10):
        gate.blame(A, Offence.PROTOCOL, 1.0)
    admit(gate, A, 1.0)


def test_ended_connections_cost_nothing() -> None:
    gate = Gate()
    for _ in range(10_000):
        gate.left(admit(gate, A))
    assert not gate.penalised(A, 0.0)
    assert gate.unauthenticated == 0


def test_the_tables_are_bounded_and_the_oldest_entry_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "SOURCES", 3)
    gate = Gate()
    for name in "abcd":
        for _ in range(2):
            gate.blame(Source(name), Offence.PROTOCOL, 0.0)
        gate.validate()
    assert not gate.penalised(Source("a"), 0.0)
    assert gate.penalised(Source("d"), 0.0)
    for name in "efgh":
        gate.authenticated(admit(gate, Source(name)), 0.0)
    assert not gate.is_known(Source("e"), 0.0)
    assert gate.is_known(Source("h"), 0.0)


def test_the_books_balance_whatever_happens() -> None:
    dice = random.Random(3)
    gate, tickets, now = Gate(per_source=3, strangers=8), [], 0.0
    for _ in range(20_000):
        now += dice.random() * 20
        source = Source(f"s{dice.randrange(30)}")
        draw = dice.random()
        if draw < 0.5:
            outcome = gate.admit(source, now, dice.random())
            if isinstance(outcome, Ticket):
                tickets.append(outcome)
        elif draw < 0.9 and tickets:
            ticket = tickets.pop(dice.randrange(len(tickets)))
            if dice.random() < 0.3:
                gate.authenticated(ticket, now)
            else:
                gate.left(ticket)
        else:
            gate.blame(source, dice.choice(list(Offence)), now)
        gate.validate()
        assert gate.unauthenticated == len(tickets)
