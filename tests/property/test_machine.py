"""The machine over every stimulus in every state, and over random lives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.jobs.instructions import Record, Release, Spawn
from holdfast.jobs.machine import Job
from holdfast.jobs.moves import JOB_MOVES, IllegalMove
from holdfast.jobs.spec import JobSpec
from holdfast.jobs.stimuli import Spawned, Stimulus
from holdfast.store.memory import MemoryJournal
from holdfast.store.writes import MarkDone
from holdfast.types import JobState
from tests.unit.jobs.machine_builders import EXAMPLES, NOW, SHIM, STIMULI, acceptance, job_in


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("kind", STIMULI)
def test_every_stimulus_in_every_state(state: JobState, kind: type[Stimulus]) -> None:
    job = job_in(state)
    target = JOB_MOVES.get((state, kind))
    if target is None:
        before = {name: getattr(job, name) for name in Job.__slots__}
        with pytest.raises(IllegalMove):
            job.step(EXAMPLES[kind], NOW)
        assert {name: getattr(job, name) for name in Job.__slots__} == before
    else:
        job.step(EXAMPLES[kind], NOW)
        assert job.state is target
    job.validate()


def test_the_table_lists_known_states_and_stimuli_and_done_is_final() -> None:
    for (state, kind), target in JOB_MOVES.items():
        assert kind in EXAMPLES
        assert (state is JobState.DONE) <= (target is JobState.DONE)


def test_every_unfinished_state_has_a_way_to_the_end() -> None:
    for state in JobState:
        if state is not JobState.DONE:
            assert any(target is JobState.DONE for (came_from, _), target in JOB_MOVES.items() if came_from is state)


@given(
    shim=st.booleans(),
    power=st.booleans(),
    hold_back=st.booleans(),
    life=st.lists(st.sampled_from(sorted(EXAMPLES, key=lambda kind: kind.__name__)), max_size=30),
)
def test_random_lives(shim: bool, power: bool, hold_back: bool, life: list[type[Stimulus]]) -> None:
    """Whatever happens in whatever order: invariants hold, one end, one release, and the journal tells the same."""
    journal = MemoryJournal()
    spec = JobSpec(durability="power" if power else "process")
    job, orders = Job.accept(acceptance(), spec, now=NOW, shim=SHIM if shim else None)
    started = False
    ends = releases = 0
    held_back: list[Record] = []
    lives: list[type[Stimulus] | None] = [None, *life]
    for kind in lives:
        if kind is not None:
            if not job.allows(kind):
                continue
            orders = job.step(EXAMPLES[kind], NOW)
            if kind is Spawned:
                started = True
        job.validate()
        for order in orders:
            if isinstance(order, Spawn):
                assert not started, "nothing that ran is started again"
                assert order.attempt == job.attempt
            if isinstance(order, Release):
                releases += 1
            if isinstance(order, Record) and order.lazy and hold_back:
                held_back.append(order)
            elif isinstance(order, Record):
                held_back.clear()
                journal.submit(order.writes, done=_raise)
                ends += any(isinstance(write, MarkDone) for write in order.writes)
        if held_back:
            continue
        row = journal.job(job.id)
        assert row is not None
        assert row.state is job.state
        assert row.attempt == job.attempt
        assert row.receipt == job.receipt
        again = Job.from_row(row)
        assert (again.state, again.shim, again.pid) == (
            (job.state, job.shim, job.pid) if job.state is not JobState.DONE else (job.state, None, row.pid)
        )
        assert again.stop is None or job.stop is None or again.stop.cause is job.stop.cause
    assert ends == releases == (job.state is JobState.DONE)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
