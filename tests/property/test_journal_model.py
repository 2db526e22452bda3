"""SQLite's journal against its twin in memory, over random orders, restarts and kills.

A kill is simulated by copying the files as they are at that moment and opening the copy: everything that was answered
must be there, and nothing may be there by half.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.store.journal import Journal
from holdfast.store.memory import MemoryJournal
from holdfast.store.writes import (
    AppendEvent,
    DeleteJob,
    DropEvents,
    DropKeys,
    ForgetKey,
    MarkEnding,
    MarkQueued,
    MarkStarted,
    MarkStarting,
    ReplaceSpec,
    SetMeta,
    UpdateReceipt,
    Write,
)
from holdfast.types import Cause, JobId, JobState, ShimId
from tests.unit.store.journal_builders import commit, done, insert, job_id, open_journal, receipt

NUMBERS = st.integers(1, 6)


@st.composite
def writes(draw: st.DrawFn) -> Write:
    number = draw(NUMBERS)
    job: JobId = job_id(number)
    other = draw(NUMBERS)
    choices: list[Write] = [
        insert(number),
        insert(number, principal="bob", key_kind="user", durability="power", body=bytes(5000)),
        insert(number, key_hash=insert(other).key_hash, key_born_unix_s=float(other)),
        MarkStarting(job, other, ShimId("s")),
        MarkStarted(job, 7, 8, 9.5),
        MarkQueued(job),
        MarkEnding(job),
        MarkEnding(job, JobState.STARTING, Cause.STOPPED, "person:eve", 1.5),
        done(number),
        done(number, stdout=b"x" * 20_000, stderr=b"", spooled=4, spool_bytes=other),
        UpdateReceipt(job, receipt(number, reason="later")),
        ReplaceSpec(job, b"{}"),
        DeleteJob(job),
        DeleteJob(job, forget_key=True),
        ForgetKey("ada", insert(number).key_hash),
        DropKeys(float(other)),
        AppendEvent(job, "kind", 1.0, b"{}"),
        DropEvents(other),
        SetMeta("name", other),
    ]
    return draw(st.sampled_from(choices))


class JournalAgainstMemory(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="journal-model-"))
        self.path = self.directory / "journal"
        self.boot = 0
        self.journal: Journal = open_journal(self.path, boot_id="0")
        self.model = MemoryJournal(boot_id="0")

    @rule(group=st.lists(writes(), min_size=1, max_size=5), power=st.booleans(), at_once=st.booleans())
    def submit(self, group: list[Write], power: bool, at_once: bool) -> None:
        error = commit(self.journal, group, power=power, at_once=at_once)
        expected = commit(self.model, group)
        assert (error is None) == (expected is None), (error, expected)
        assert error is None or not (error.read_only or error.full)

    @rule(first=st.lists(writes(), min_size=1, max_size=3), second=st.lists(writes(), min_size=1, max_size=3))
    def submit_two_and_wait_for_the_second(self, first: list[Write], second: list[Write]) -> None:
        answers: list[bool] = []
        self.journal.submit(first, done=lambda error: answers.append(error is None))
        answers.append(commit(self.journal, second) is None)
        assert answers == [commit(self.model, group) is None for group in (first, second)]

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        self.journal.close(clean=clean)
        self._open(clean)

    @rule()
    def kill(self) -> None:
        copy = Path(tempfile.mkdtemp(prefix="journal-model-"))
        for name in ("journal", "journal-wal"):
            shutil.copy(self.directory / name, copy / name)
        self.journal.close()
        shutil.rmtree(self.directory)
        self.directory, self.path = copy, copy / "journal"
        self._open(clean=False)

    def _open(self, clean: bool) -> None:
        self.boot += 1
        before = self.journal
        self.journal = open_journal(self.path, boot_id=str(self.boot))
        assert self.journal.clean_stop is clean
        assert self.journal.previous_boot_id == before.boot_id
        assert self.journal.incarnation == before.incarnation
        self.model = self.model.reopened(boot_id=str(self.boot), clean=clean)

    @precondition(lambda self: hasattr(self, "journal"))
    @invariant()
    def they_say_the_same(self) -> None:
        journal, model = self.journal, self.model
        assert journal.jobs() == model.jobs()
        assert journal.unfinished() == model.unfinished()
        assert journal.jobs(states=[JobState.DONE], principals=["ada"]) == model.jobs(
            states=[JobState.DONE], principals=["ada"]
        )
        assert journal.prunable(ended_before_unix_s=2004.0) == model.prunable(ended_before_unix_s=2004.0)
        assert journal.prunable(ended_before_unix_s=2004.0, principals=["bob"]) == model.prunable(
            ended_before_unix_s=2004.0, principals=["bob"]
        )
        assert journal.spool_bytes() == model.spool_bytes()
        assert [(e.job, e.kind) for e in journal.events(0)] == [(e.job, e.kind) for e in model.events(0)]
        numbers = [event.number for event in journal.events(0)]
        assert numbers == sorted(set(numbers))
        assert journal.meta("name") == model.meta("name")
        for number in range(1, 7):
            job = job_id(number)
            assert journal.body(job) == model.body(job)
            assert journal.find(job) == model.find(job)
            for channel in (1, 2):
                assert journal.output(job, channel) == model.output(job, channel)
            for principal in ("ada", "bob"):
                key = insert(number).key_hash
                assert journal.key(principal, key) == model.key(principal, key)

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            shutil.rmtree(self.directory)


JournalAgainstMemory.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestJournal = JournalAgainstMemory.TestCase
