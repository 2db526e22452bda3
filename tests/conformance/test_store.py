"""``check_store``: what every journal promises, held against SQLite's and the one of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import ClosedError
from holdfast.store.interface import JobJournal
from holdfast.store.memory import MemoryJournal
from holdfast.store.rows import EventRow, KeyRow, LogRow, SnapshotRow
from holdfast.store.writes import (
    AppendEvent,
    AppendLog,
    DeleteJob,
    DropEvents,
    DropKeys,
    ForgetKey,
    KeepSnapshot,
    MarkEnding,
    MarkQueued,
    MarkStarted,
    MarkStarting,
    ReplaceSpec,
    SetMeta,
    UpdateReceipt,
    Write,
)
from holdfast.types import Cause, JobState, ShimId
from tests.unit.store.journal_builders import BOOT, commit, done, insert, job_id, open_journal, receipt


@pytest.fixture(params=["sqlite", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobJournal]:
    made: JobJournal
    made = open_journal(tmp_path / "journal") if request.param == "sqlite" else MemoryJournal(boot_id=BOOT)
    yield made
    made.close()


def ok(journal: JobJournal, *writes: Write) -> None:
    assert commit(journal, writes) is None


def test_a_new_job_is_there_with_its_body_and_its_key(journal: JobJournal) -> None:
    body = b"=\xff\xfe\0=\0\0=A=b\0\0/srv"
    ok(journal, insert(1, body=body, spec=b'{"label":"x"}', label="x", durability="power", not_after_unix_s=5.5))
    row = journal.job(job_id(1))
    assert row is not None
    assert (row.state, row.principal, row.label, row.durability) == (JobState.QUEUED, "ada", "x", "power")
    assert (row.seq, row.boot_id, row.spec, row.not_after_unix_s) == (1, BOOT, b'{"label":"x"}', 5.5)
    assert journal.body(job_id(1)) == body
    assert journal.key("ada", row.key_hash) == KeyRow(job_id(1), row.body_hash, "generated", 0.0)
    assert journal.key("bob", row.key_hash) is None


def test_what_is_not_there_is_none(journal: JobJournal) -> None:
    assert journal.job(job_id(1)) is None
    assert journal.body(job_id(1)) is None
    assert journal.output(job_id(1), 1) is None
    assert journal.meta("x") is None
    assert journal.last_event() == 0
    for nothing in (journal.jobs(), journal.unfinished(), journal.events(0), journal.find("")):
        assert not nothing


def test_a_job_goes_through_its_states(journal: JobJournal) -> None:
    ok(journal, insert(1))
    ok(journal, MarkStarting(job_id(1), 1, ShimId("s1")))
    ok(journal, MarkQueued(job_id(1)))
    assert (row := journal.job(job_id(1))) is not None
    assert (row.state, row.attempt, row.shim) == (JobState.QUEUED, 1, None)
    ok(journal, MarkStarting(job_id(1), 2, ShimId("s2")))
    ok(journal, MarkEnding(job_id(1), JobState.STARTING, Cause.STOPPED, "person:eve", 2.5))
    ok(journal, MarkStarted(job_id(1), 77, 123456, 1001.5))
    assert (row := journal.job(job_id(1))) is not None
    assert (row.state, row.attempt, row.shim, row.pid) == (JobState.RUNNING, 2, "s2", 77)
    assert (row.start_ticks, row.started_unix_s) == (123456, 1001.5)
    ok(journal, MarkEnding(job_id(1)))
    assert (row := journal.job(job_id(1))) is not None
    assert (row.state, row.stop_cause, row.stop_by, row.stop_grace_s) == (
        JobState.ENDING,
        Cause.STOPPED,
        "person:eve",
        2.5,
    )
    assert journal.unfinished() == [row]
    ok(journal, done(1, stderr=b"", pid=77))
    assert (row := journal.job(job_id(1))) is not None
    assert (row.state, row.cause, row.ended_unix_s, row.pid) == (JobState.DONE, Cause.EXITED, 2001.0, 77)
    assert row.receipt == receipt(1)
    assert journal.unfinished() == []
    assert (journal.output(job_id(1), 1), journal.output(job_id(1), 2)) == (b"hi\n", b"")


def test_a_finished_job_is_never_brought_back(journal: JobJournal) -> None:
    ok(journal, insert(1), done(1))
    before = journal.job(job_id(1))
    for late in (
        MarkQueued(job_id(1)),
        MarkStarting(job_id(1), 2, ShimId("s")),
        MarkStarted(job_id(1), 1, 2, 3.0),
        MarkEnding(job_id(1)),
        MarkEnding(job_id(1), JobState.ENDING, Cause.STOPPED, "x", 1.0),
        done(1, receipt=receipt(1, cause=Cause.LOST, exit=None)),
    ):
        assert commit(journal, [late]) is not None
    assert journal.job(job_id(1)) == before


def test_a_key_never_gets_a_second_job_and_the_transaction_leaves_nothing(journal: JobJournal) -> None:
    ok(journal, insert(1))
    error = commit(journal, [insert(2, key_hash=insert(1).key_hash), AppendEvent(job_id(2), "accepted", 1.0)])
    assert error is not None
    assert not error.read_only
    assert journal.job(job_id(2)) is None
    assert journal.events(0) == []
    ok(journal, insert(3, principal="bob", key_hash=insert(1).key_hash))
    assert [row.seq for row in journal.jobs()] == [2, 1]


def test_a_write_to_an_unknown_job_fails_alone(journal: JobJournal) -> None:
    assert commit(journal, [insert(1), MarkStarted(job_id(9), 1, 2, 3.0)]) is not None
    assert journal.job(job_id(1)) is None
    ok(journal, insert(1))


def test_pages_are_newest_first_and_filtered(journal: JobJournal) -> None:
    for number in range(1, 11):
        ok(journal, insert(number, principal="ada" if number % 2 else "bob"))
    for number in (1, 2, 3, 4):
        ok(journal, done(number))
    assert [row.job for row in journal.jobs(limit=3)] == [job_id(10), job_id(9), job_id(8)]
    assert [row.job for row in journal.jobs(limit=3, before=journal.jobs(limit=3)[-1].seq)] == [
        job_id(7),
        job_id(6),
        job_id(5),
    ]
    assert [row.job for row in journal.jobs(states=[JobState.DONE])] == [job_id(n) for n in (4, 3, 2, 1)]
    assert [row.job for row in journal.jobs(states=[JobState.QUEUED], principals=["bob"])] == [
        job_id(n) for n in (10, 8, 6)
    ]
    assert len(journal.jobs(states=[JobState.QUEUED, JobState.DONE])) == 10
    assert journal.jobs(states=[JobState.RUNNING]) == []
    assert journal.jobs(states=[]) == []
    assert journal.jobs(principals=["nobody"]) == journal.jobs(principals=[]) == []
    assert len(journal.jobs(principals=["bob", "nobody", "ada"])) == 10
    assert [row.job for row in journal.unfinished()] == [job_id(n) for n in range(5, 11)]


def test_ids_are_found_by_their_beginning(journal: JobJournal) -> None:
    for number in (1, 12, 123):
        ok(journal, insert(number, principal="bob" if number == 12 else "ada"))
    assert journal.find("00000000012") == [job_id(123)]
    assert journal.find("0000000000") == [job_id(1), job_id(12)]
    assert len(journal.find("0000000000", limit=5)) == 2
    assert journal.find("9") == []
    assert len(journal.find("", limit=9)) == 3
    assert journal.find("0000000000", principals=["bob"]) == [job_id(12)]
    assert journal.find("0000000000", principals=["bob", "ada"]) == [job_id(1), job_id(12)]
    assert journal.find("0000000000", principals=[]) == journal.find("0000000000", principals=["nobody"]) == []


def test_events_are_numbered_in_order_without_gaps(journal: JobJournal) -> None:
    assert journal.submit([AppendEvent(job_id(1), "accepted", 1.0, b"{}"), AppendEvent(None, "note", 2.0)]) == 2
    ok(journal, AppendEvent(job_id(1), "done", 3.0))
    assert journal.last_event() == 3
    assert journal.events(0, limit=2) == [
        EventRow(1, job_id(1), "accepted", 1.0, b"{}"),
        EventRow(2, None, "note", 2.0, b""),
    ]
    assert [event.kind for event in journal.events(2)] == ["done"]
    assert journal.events(3) == []


def test_event_numbers_outlive_their_events(journal: JobJournal) -> None:
    for _ in range(5):
        ok(journal, AppendEvent(None, "x", 1.0))
    ok(journal, DropEvents(through=99))
    assert [event.number for event in journal.events(0)] == [5]
    assert journal.submit([AppendEvent(None, "x", 1.0)]) == 6


def test_pruning_keeps_the_keys_of_users_for_ever(journal: JobJournal) -> None:
    ok(journal, insert(1, key_kind="user", key_born_unix_s=10.0), done(1))
    ok(journal, insert(2, key_kind="generated", key_born_unix_s=10.0), done(2))
    ok(journal, insert(3, key_kind="generated", key_born_unix_s=10.0))
    assert journal.prunable(ended_before_unix_s=2001.5) == [job_id(1)]
    assert journal.prunable(ended_before_unix_s=9999.0) == [job_id(1), job_id(2)]
    ok(journal, DeleteJob(job_id(1)), DeleteJob(job_id(2)))
    assert journal.prunable(ended_before_unix_s=9999.0) == []
    assert journal.output(job_id(1), 1) is None
    ok(journal, DropKeys(born_before_unix_s=100.0))
    user = journal.key("ada", insert(1).key_hash)
    assert user is not None
    assert (user.forgotten, user.kind, user.job) == (True, "user", job_id(1))
    assert journal.key("ada", insert(2).key_hash) is None
    assert journal.key("ada", insert(3).key_hash) is not None, "its job is still there"


def test_a_key_is_forgotten_only_by_name(journal: JobJournal) -> None:
    ok(journal, insert(1, key_kind="user"), done(1), insert(2, key_kind="user"), done(2))
    ok(journal, ForgetKey("ada", insert(1).key_hash))
    assert journal.key("ada", insert(1).key_hash) is not None, "the key of a job that is there goes with the job"
    ok(journal, DeleteJob(job_id(1), forget_key=True))
    assert journal.key("ada", insert(1).key_hash) is None
    ok(journal, DeleteJob(job_id(2)))
    ok(journal, ForgetKey("ada", insert(2).key_hash))
    assert journal.key("ada", insert(2).key_hash) is None


def test_an_unfinished_job_cannot_be_deleted(journal: JobJournal) -> None:
    ok(journal, insert(1))
    assert commit(journal, [DeleteJob(job_id(1))]) is not None
    assert journal.job(job_id(1)) is not None


def test_sequence_numbers_are_never_used_again(journal: JobJournal) -> None:
    ok(journal, insert(1), done(1), insert(2), done(2))
    ok(journal, DeleteJob(job_id(1)), DeleteJob(job_id(2)))
    ok(journal, insert(3))
    assert [row.seq for row in journal.jobs()] == [3]


def test_what_was_asked_for_can_be_changed_until_the_end(journal: JobJournal) -> None:
    ok(journal, insert(1))
    ok(journal, ReplaceSpec(job_id(1), b'{"label":"other"}'))
    assert (row := journal.job(job_id(1))) is not None
    assert row.spec == b'{"label":"other"}'
    ok(journal, done(1))
    assert commit(journal, [ReplaceSpec(job_id(1), b"{}")]) is not None
    assert (row := journal.job(job_id(1))) is not None
    assert row.spec == b'{"label":"other"}'


def test_digests_come_later(journal: JobJournal) -> None:
    ok(journal, insert(1))
    assert commit(journal, [UpdateReceipt(job_id(1), receipt(1))]) is not None
    ok(journal, done(1))
    ok(journal, UpdateReceipt(job_id(1), receipt(1, reason="with more in it")))
    assert (row := journal.job(job_id(1))) is not None
    assert row.receipt is not None
    assert row.receipt.reason == "with more in it"
    assert journal.output(job_id(1), 1) == b"hi\n"


def test_kept_files_are_counted(journal: JobJournal) -> None:
    assert journal.spool_bytes() == 0
    ok(journal, insert(1), done(1, stdout=None, spooled=0b010, spool_bytes=100_000))
    ok(journal, insert(2), done(2, stdout=None, spooled=0b110, spool_bytes=50))
    assert journal.spool_bytes() == 100_050
    assert (row := journal.job(job_id(1))) is not None
    assert (row.is_spooled(1), row.is_spooled(2)) == (True, False)
    ok(journal, DeleteJob(job_id(1)))
    assert journal.spool_bytes() == 50


@pytest.mark.parametrize("value", [None, 0, 2.5, "words", b"\x00\xff"])
def test_values_of_the_agent_are_kept(journal: JobJournal, value: bytes | str | int | float | None) -> None:
    ok(journal, SetMeta("name", "before"), SetMeta("name", value))
    assert journal.meta("name") == value


def test_a_closed_journal_says_so(journal: JobJournal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(ClosedError):
        journal.submit([insert(1)])


def test_an_immediate_commit_answers_before_it_returns(journal: JobJournal) -> None:
    answers: list[object] = []
    journal.submit([insert(1)], at_once=True, done=answers.append)
    assert answers == [None]
    journal.submit([insert(1)], at_once=True, done=answers.append)
    assert len(answers) == 2
    assert answers[1] is not None


# --- recorded machines -----------------------------------------------------------------------------------------------


def test_each_machine_has_a_log_in_order(journal: JobJournal) -> None:
    ok(journal, AppendLog("a", 1, 1.5, b"one"), AppendLog("b", 1, 1.5, b"other"))
    ok(journal, AppendLog("a", 2, 2.5, b""))
    assert journal.log("a", 0) == [LogRow(1, 1.5, b"one"), LogRow(2, 2.5, b"")]
    assert journal.log("a", 1) == [LogRow(2, 2.5, b"")]
    assert journal.log("a", 0, limit=1) == [LogRow(1, 1.5, b"one")]
    assert journal.log("c", 0) == []


def test_a_snapshot_replaces_the_log_of_its_machine_up_to_its_event(journal: JobJournal) -> None:
    assert journal.snapshot("a") is None
    ok(journal, *(AppendLog("a", seq, float(seq), b"x") for seq in (1, 2, 3)), AppendLog("b", 1, 0.5, b"y"))
    ok(journal, KeepSnapshot("a", 2, 2.5, b"all of it"))
    assert journal.snapshot("a") == SnapshotRow(2, 2.5, b"all of it")
    assert journal.log("a", 0) == [LogRow(3, 3.0, b"x")]
    assert journal.log("b", 0) == [LogRow(1, 0.5, b"y")]
    ok(journal, KeepSnapshot("a", 3, 3.0, b""))
    assert journal.snapshot("a") == SnapshotRow(3, 3.0, b"")
    assert journal.log("a", 0) == []
    ok(journal, AppendLog("a", 4, 4.0, b"z"))
    assert journal.log("a", 3) == [LogRow(4, 4.0, b"z")]


def test_a_snapshot_comes_with_its_deletion_or_not_at_all(journal: JobJournal) -> None:
    ok(journal, AppendLog("a", 1, 1.0, b"x"))
    assert commit(journal, [KeepSnapshot("a", 1, 1.0, b"s"), MarkQueued(job_id(9))]) is not None
    assert journal.snapshot("a") is None
    assert journal.log("a", 0) == [LogRow(1, 1.0, b"x")]


def test_the_latest_recorded_time_is_known_also_after_a_snapshot(journal: JobJournal) -> None:
    assert journal.recorded_until() is None
    ok(journal, AppendLog("a", 1, 7.0, b"x"), AppendLog("b", 1, 6.0, b"x"))
    assert journal.recorded_until() == 7.0
    ok(journal, KeepSnapshot("a", 1, 7.5, b""), KeepSnapshot("b", 1, 6.5, b""))
    assert journal.recorded_until() == 7.5
