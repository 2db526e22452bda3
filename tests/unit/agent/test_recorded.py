"""A recorded machine: written before it happens, in order, refused when it cannot be, the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.agent import recorded
from holdfast.agent.recorded import Recorded, RecordedClock
from holdfast.errors import StorageError
from holdfast.store.interface import Finished
from holdfast.store.memory import MemoryJournal
from holdfast.store.writes import SetMeta
from tests.unit.agent.manual_loop import ManualLoop

FULL = StorageError("no room for the journal", path="x", full=True)


class Adder:
    """Adds up what it is told; each event orders its sum."""

    def __init__(self) -> None:
        self.total = 0
        self.times: list[float] = []

    def apply(self, event: bytes, now: float) -> list[int]:
        if event == b"bad":
            raise ZeroDivisionError
        self.total += int(event)
        self.times.append(now)
        return [self.total]

    def snapshot(self) -> bytes:
        return b"%d" % self.total

    def restore(self, snapshot: bytes) -> None:
        self.total = int(snapshot)


class Desk:
    """One machine on one journal."""

    def __init__(self, loop: ManualLoop, journal: MemoryJournal) -> None:
        self.journal = journal
        self.machine = Adder()
        self.told: list[int | str] = []
        self.log: list[str] = []
        self.clock = RecordedClock(journal, loop.time)
        self.recorded: Recorded[int] = Recorded(
            "sum", self.machine, journal, loop=loop, clock=self.clock, log=self.log.append
        )
        self.recorded.on_effect = self.told.append
        self.replayed = self.recorded.restore()
        self.clock.keep()

    def record(self, event: bytes, **options: Any) -> None:
        self.recorded.record(event, refused=lambda error: self.told.append(str(error)), **options)


@pytest.fixture
def loop() -> Iterator[ManualLoop]:
    made = ManualLoop()
    yield made
    assert not made.failures
    made.close()


def let_lull_pass(loop: ManualLoop) -> None:
    loop.settle()
    loop.now += recorded.LULL_S
    loop.settle()


class Holding:
    """A journal whose answers wait for ``answer``."""

    def __init__(self) -> None:
        self.answers: list[Finished] = []
        self.journal = MemoryJournal(on_group=self.answers.extend)

    def answer(self, number: int = 0) -> None:
        done, error = self.answers.pop(number)
        done(error)


def test_what_is_recorded_happens_at_once_and_orders_its_effects(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    assert desk.told == [1]
    assert [row.event for row in desk.journal.log("sum", 0)] == [b"1"]


def test_events_of_one_turn_of_the_loop_share_a_commit(loop: ManualLoop) -> None:
    holding = Holding()
    desk = Desk(loop, holding.journal)
    holding.answers.clear()
    for event in (b"1", b"2", b"3"):
        desk.record(event)
    assert len(holding.answers) == 1
    loop.settle()
    assert len(holding.answers) == 2
    holding.answer()
    assert desk.told == [1]
    holding.answer()
    assert desk.told == [1, 3, 6]


def test_nothing_happens_before_it_is_written_nor_before_what_was_recorded_earlier(loop: ManualLoop) -> None:
    holding = Holding()
    desk = Desk(loop, holding.journal)
    holding.answers.clear()
    desk.record(b"1", power=True)
    desk.record(b"2")
    assert desk.told == []
    holding.answer(1)  # a commit overtakes a flush
    assert desk.told == []
    assert desk.machine.total == 0
    holding.answer()
    assert desk.told == [1, 3]


def test_one_that_must_survive_a_power_failure_does_not_overtake_those_of_its_turn(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    for event, power in ((b"1", False), (b"2", False), (b"3", True)):
        desk.record(event, power=power)
    assert desk.told == [1, 3, 6]
    assert [row.event for row in desk.journal.log("sum", 0)] == [b"1", b"2", b"3"]


def test_what_cannot_be_written_does_not_happen(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    desk.journal.fail = FULL
    desk.record(b"2")
    loop.settle()
    desk.journal.fail = None
    desk.record(b"4")
    loop.settle()
    assert desk.told == [1, str(FULL), 5]
    assert Desk(loop, desk.journal.reopened(boot_id="boot")).machine.total == 5


def test_a_closed_journal_refuses(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.journal.close()
    desk.record(b"1")
    assert desk.told == ["the journal is closed"]
    desk.recorded.keep_snapshot()
    told: list[StorageError | None] = []
    desk.recorded.flushed(told.append)
    assert [str(error) for error in told] == ["the journal is closed"]


def test_what_an_effect_records_comes_after_it(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())

    def again(total: int) -> None:
        if total == 1:
            desk.record(b"10")
        desk.told.append(total)

    desk.recorded.on_effect = again
    desk.record(b"1")
    loop.settle()
    assert desk.told == [1, 11]


def test_who_recorded_it_hears_that_it_has_happened_and_that_all_is_settled(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.recorded.on_settled = lambda: desk.told.append("settled")
    desk.record(b"1", then=lambda: desk.told.append("then"))
    assert desk.told == [1, "then", "settled"]
    desk.told.clear()
    desk.journal.fail = FULL
    desk.record(b"1", then=lambda: desk.told.append("then"))
    loop.settle()
    assert desk.told == [str(FULL), "settled"]


def test_a_restart_gives_the_same_machine_and_orders_nothing_again(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    for event in (b"1", b"2", b"3"):
        desk.record(event)
        loop.now += 1.5
        loop.settle()
    other = Desk(loop, desk.journal.reopened(boot_id="boot"))
    assert (other.machine.total, other.replayed, other.told) == (6, 3, [])
    assert other.machine.times == desk.machine.times
    other.record(b"4")
    assert other.told == [10]
    assert [row.seq for row in other.journal.log("sum", 0)] == [1, 2, 3, 4]


def test_a_snapshot_takes_the_place_of_the_log(loop: ManualLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "SNAPSHOT_EVENTS", 3)
    desk = Desk(loop, MemoryJournal())
    for event in (b"1", b"2", b"3"):
        desk.record(event)
    let_lull_pass(loop)
    desk.record(b"4")
    loop.settle()
    assert [row.seq for row in desk.journal.log("sum", 0)] == [4]
    other = Desk(loop, desk.journal.reopened(boot_id="boot"))
    assert (other.machine.total, other.replayed) == (10, 1)
    other.record(b"5")
    assert [row.seq for row in other.journal.log("sum", 0)] == [4, 5]


def test_a_snapshot_waits_for_a_lull_but_not_for_ever(loop: ManualLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "SNAPSHOT_EVENTS", 3)
    desk = Desk(loop, MemoryJournal())
    kept = []
    for _ in range(6):
        desk.record(b"1")
        loop.settle()
        loop.now += recorded.LULL_S * 0.9
        kept.append(desk.recorded.events == 0)
    assert kept == [False] * 5 + [True]


def test_a_snapshot_holds_only_what_has_happened(loop: ManualLoop) -> None:
    holding = Holding()
    desk = Desk(loop, holding.journal)
    holding.answers.clear()
    desk.record(b"1")
    holding.answer()
    loop.settle()
    desk.record(b"2")
    desk.recorded.keep_snapshot()
    assert Desk(loop, holding.journal.reopened(boot_id="boot")).machine.total == 3


def test_many_bytes_ask_for_a_snapshot_too_but_not_for_fewer_than_it_had(
    loop: ManualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "SNAPSHOT_BYTES", 2)
    desk = Desk(loop, MemoryJournal())
    kept = []
    for event in (b"1", b"1", b"99990", b"1", b"1", b"1", b"1", b"1"):
        desk.record(event)
        let_lull_pass(loop)
        kept.append(desk.recorded.events == 0)
    assert kept == [False, True, True, False, False, False, False, True]


def test_a_snapshot_that_cannot_be_written_leaves_the_log(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    desk.journal.fail = FULL
    desk.recorded.keep_snapshot()
    assert desk.log == [f"no snapshot of sum: {FULL}"]
    assert Desk(loop, desk.journal.reopened(boot_id="boot")).machine.total == 1


def test_an_event_that_fails_does_so_again_and_the_others_happen(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    for event in (b"1", b"bad", b"2"):
        desk.record(event)
        loop.settle()
    assert desk.told[0::2] == [1, 3]
    assert "mistake" in str(desk.told[1])
    other = Desk(loop, desk.journal.reopened(boot_id="boot"))
    assert (other.machine.total, other.replayed) == (3, 3)
    assert "bad" in other.log[0]


def test_a_consequence_that_fails_costs_no_other_one(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())

    def fails(total: int) -> None:
        desk.told.append(total)
        raise ZeroDivisionError

    desk.recorded.on_effect = fails
    desk.record(b"1")
    desk.record(b"2")
    loop.settle()
    assert desk.told == [1, 3]
    assert len(desk.log) == 2


# --- the clock -------------------------------------------------------------------------------------------------------


def test_the_clock_goes_on_through_a_restart_of_the_agent(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    before = desk.clock.now()
    loop.now += 100
    other = Desk(loop, desk.journal.reopened(boot_id="boot"))
    assert not other.clock.rebooted
    assert other.clock.now() == before + 100


def test_after_another_boot_the_clock_goes_on_from_the_last_event(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    loop.now += 50
    desk.record(b"1")
    at = desk.machine.times[-1]
    loop.now = 3.0
    other = Desk(loop, desk.journal.reopened(boot_id="another"))
    assert other.clock.rebooted
    assert other.clock.now() == at
    loop.now += 7
    assert other.clock.now() == at + 7
    again = Desk(loop, other.journal.reopened(boot_id="another"))
    assert not again.clock.rebooted
    assert again.clock.now() == at + 7


def test_a_boot_that_recorded_nothing_is_no_gap_in_the_clock(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    at = desk.machine.times[-1]
    journal = desk.journal.reopened(boot_id="b")
    loop.now = 5.0
    killed_at_once = RecordedClock(journal, loop.time)
    assert killed_at_once.rebooted
    loop.now = 9.0
    clock = RecordedClock(journal.reopened(boot_id="b"), loop.time)
    assert clock.rebooted  # nobody has recorded that yet
    assert clock.now() == at


def test_the_clock_never_goes_back(loop: ManualLoop) -> None:
    clock = RecordedClock(MemoryJournal(), loop.time)
    before = clock.now()
    loop.now -= 10
    assert clock.now() == before


# --- together with something else ------------------------------------------------------------------------------------


def test_an_event_can_be_written_with_something_else_and_what_follows_waits_for_it(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    desk.record(b"1")
    desk.record(b"2")
    write, written = desk.recorded.joined(b"3", refused=lambda error: desk.told.append(str(error)))
    desk.record(b"4")
    loop.settle()
    assert desk.told == [1, 3]
    desk.journal.submit((SetMeta("other", 1), write), done=written)
    assert desk.told == [1, 3, 6, 10]
    again = Desk(loop, desk.journal.reopened(boot_id="boot"))
    assert again.machine.total == 10


def test_if_that_cannot_be_written_the_event_has_not_happened(loop: ManualLoop) -> None:
    desk = Desk(loop, MemoryJournal())
    _, written = desk.recorded.joined(b"3", refused=lambda error: desk.told.append(str(error)))
    desk.record(b"4")
    written(FULL)
    assert desk.told == [str(FULL), 4]
    assert Desk(loop, desk.journal.reopened(boot_id="boot")).machine.total == 4
