"""The decisions about a job's end, by table, without a process and without a clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.keeper import supervision
from holdfast.keeper.supervision import (
    DONE,
    KILL_TREE,
    KILLING,
    LEFT,
    LINGERING,
    MS,
    NOTE_STOP,
    NOTE_STUCK,
    PART,
    RECORD,
    REST_GRACE_NS,
    RUNNING,
    TERM_TREE,
    TERMINATING,
    Supervision,
)
from holdfast.store import control


def job(*, timeout_ms: int = 0, leave: bool = False) -> Supervision:
    return Supervision(0, timeout_ms=timeout_ms, grace_ms=1_000, linger_ms=500, leave=leave)


def test_an_ordinary_end_in_every_order() -> None:
    for order in (["main", "tree", "channels"], ["channels", "main", "tree"], ["main", "channels", "tree"],
                  ["tree", "channels"], ["channels", "tree"]):  # fmt: skip
        one = job()
        steps = {"main": one.main_ended, "channels": one.channels_ended, "tree": one.tree_gone}
        told = [steps[fact](now) for now, fact in enumerate(order)]
        assert told == [()] * (len(order) - 1) + [(RECORD,)]
        assert (one.phase, one.tree, one.tainted, one.next_deadline()) == (DONE, control.TREE_GONE, False, None)


def test_the_rest_gets_linger_then_term_then_kill() -> None:
    one = job()
    assert one.main_ended(10) == ()
    assert (one.phase, one.next_deadline()) == (LINGERING, 10 + 500 * MS)
    now = 10 + 500 * MS
    assert one.handle_timeout(now - 1) == ()
    assert one.handle_timeout(now) == (TERM_TREE,)
    assert (one.phase, one.next_deadline()) == (TERMINATING, now + REST_GRACE_NS)
    now += REST_GRACE_NS
    assert one.handle_timeout(now) == (KILL_TREE,)
    assert one.phase == KILLING
    assert one.channels_ended(now) == ()
    assert one.tree_gone(now) == (RECORD,)
    assert one.cause == control.NO_CAUSE


def test_time_limit() -> None:
    one = job(timeout_ms=100)
    assert one.next_deadline() == 100 * MS
    assert one.handle_timeout(100 * MS) == (NOTE_STOP, TERM_TREE)
    assert (one.cause, one.kill_at, one.next_deadline()) == (control.TIMEOUT, 1_100 * MS, 1_100 * MS)
    assert one.handle_timeout(1_100 * MS) == (KILL_TREE,)


def test_the_time_limit_is_the_main_processs() -> None:
    one = job(timeout_ms=100)
    one.main_ended(99 * MS)
    assert one.next_deadline() == 599 * MS


def test_kill_rounds_go_on_and_the_stuck_are_named_once() -> None:
    one = job()
    assert one.stop(control.STOPPED, "me", 0, 0) == (NOTE_STOP, KILL_TREE)
    rounds, named, now = 0, 0, 0
    while now < 40_000 * MS:
        now = one.next_deadline() or 0
        steps = one.handle_timeout(now)
        rounds += steps.count(KILL_TREE)
        named += steps.count(NOTE_STUCK)
        assert (NOTE_STUCK in steps) <= (now >= supervision.STUCK_AFTER_NS)
    assert named == 1
    assert 300 < rounds < 400
    one.main_ended(now)
    one.channels_ended(now)
    assert one.tree_gone(now) == (RECORD,)


def test_the_first_cause_stays_and_the_kill_only_comes_nearer() -> None:
    one = job()
    assert one.stop(control.STOPPED, "a", 1_000, 0) == (NOTE_STOP, TERM_TREE)
    assert one.stop(control.CLIENT_LOST, "b", 5_000, 0) == ()
    assert one.next_deadline() == 1_000 * MS
    assert one.stop(control.CLIENT_LOST, "b", 200, 0) == ()
    assert one.next_deadline() == 200 * MS
    assert one.stop(control.CLIENT_LOST, "b", 0, 50) == (KILL_TREE,)
    assert one.stop(control.CLIENT_LOST, "b", 0, 51) == ()
    assert (one.cause, one.by) == (control.STOPPED, "a")


def test_what_ended_by_itself_keeps_that_cause() -> None:
    one = job()
    one.main_ended(0)
    assert one.stop(control.STOPPED, "a", 1_000, 1) == (TERM_TREE,)
    assert one.cause == control.NO_CAUSE


def test_held_output_stops_the_linger() -> None:
    one = job()
    one.main_ended(0)
    assert one.handle_timeout(500 * MS, held=True) == ()
    assert one.next_deadline() == 1_000 * MS
    assert one.handle_timeout(1_000 * MS) == (TERM_TREE,)


def test_a_strangers_writing_end_does_not_hold_the_end() -> None:
    one = job()
    one.main_ended(0)
    assert one.tree_gone(0) == ()
    assert one.handle_timeout(500 * MS, held=True) == ()
    assert one.handle_timeout(1_000 * MS) == (RECORD,)
    assert (one.tainted, one.tree) == (True, control.TREE_GONE)


def test_leave() -> None:
    one = job(leave=True)
    one.main_ended(0)
    assert one.handle_timeout(500 * MS) == (RECORD,)
    assert (one.phase, one.tree, one.next_deadline()) == (LEFT, control.TREE_LEFT, None)
    assert one.channels_ended(1) == ()
    assert one.tree_gone(2) == (PART,)


def test_the_left_can_be_stopped() -> None:
    one = job(leave=True)
    one.main_ended(0)
    one.handle_timeout(500 * MS)
    assert one.stop(control.STOPPED, "", 100, 500 * MS) == (TERM_TREE,)
    assert one.handle_timeout(600 * MS) == (KILL_TREE,)
    one.channels_ended(600 * MS)
    assert one.tree_gone(600 * MS) == (PART,)


def test_an_adopter_goes_on_where_the_stop_was() -> None:
    one = job(timeout_ms=100)
    one.resume_stop(control.STOPPED, "me", 50)
    assert one.handle_timeout(49) == ()
    assert one.handle_timeout(60) == (KILL_TREE,)
    assert (one.cause, one.by) == (control.STOPPED, "me")


def test_an_adopter_of_leftovers_parts_when_they_go() -> None:
    one = job()
    one.resume_left()
    assert one.next_deadline() is None
    one.channels_ended(0)
    assert one.tree_gone(0) == (PART,)


@given(st.integers(0, 1 << 32), st.booleans(), st.booleans())
def test_any_history_records_once_and_before_parting(seed: int, leave: bool, limited: bool) -> None:
    """Random facts at random times: one RECORD, nothing after the end, and an end as soon as all facts are there."""
    chance = random.Random(seed)
    one = job(timeout_ms=100 if limited else 0, leave=leave)
    told: list[str] = []
    now = 0
    facts = ["main", "channels", "tree"]
    for _ in range(60):
        now += chance.randrange(700 * MS)
        what = chance.choice(["time", "time", "stop", *facts])
        if what == "tree" and "main" in facts:
            continue
        if what in facts:
            facts.remove(what)
        if what == "time":
            told += one.handle_timeout(now, held=chance.random() < 0.2)
        elif what == "stop":
            told += one.stop(control.STOPPED, "", chance.randrange(2_000), now)
        else:
            told += {"main": one.main_ended, "channels": one.channels_ended, "tree": one.tree_gone}[what](now)
        if one.phase == DONE:
            assert one.next_deadline() is None
        assert told.count(RECORD) <= 1
        assert PART not in told or told.index(RECORD) < told.index(PART)
    if not facts:
        assert one.phase == DONE
    assert one.phase != RUNNING or "main" in facts


@pytest.mark.parametrize("phase", range(6))
def test_phases_have_names(phase: int) -> None:
    assert supervision.PHASES[phase]
