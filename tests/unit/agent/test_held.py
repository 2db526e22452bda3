"""Jobs that hold: handed over with their acceptance, kept through restarts, given back when nothing of them lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.agent import held, leftovers
from holdfast.agent.access import Role
from holdfast.errors import StorageError
from holdfast.keeper import messages
from holdfast.store import control
from holdfast.store.writes import AppendEvent, AppendLog, InsertJob, Write
from holdfast.types import Cause, JobState
from holdfast.wire import coordination as c
from holdfast.wire import messages as m
from holdfast.wire.codes import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.fake_shims import FakeKeeper, FakeShim
from tests.unit.agent.test_coordination_desk import ANNA, BERT, OVER_S, User, let_pass, state
from tests.unit.agent.world import World

HOLD = c.Hold(1, ("db",))
FULL = StorageError("no room for the journal", path="x", full=True)


@pytest.fixture
def anna(world: World) -> User:
    """Holds the lock."""
    user = User(world, ANNA)
    user.open()
    user.locked()
    return user


@pytest.fixture
def bert(world: World) -> User:
    return User(world, BERT)


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs of which there is a process."""
    alive: list[str] = []
    monkeypatch.setattr(leftovers, "of_job", lambda agent_id, job: [job] if job in alive else [])
    return alive


def running(world: World, user: User, **options: Any) -> tuple[str, FakeShim]:
    stream, shim = world.start(user.client, hold=HOLD, **options)
    return user.client.accepted(stream).job, shim


def holder(user: User) -> dict[str, int]:
    return state(user).held


def fence(shim: FakeShim) -> int:
    assert shim.run is not None
    found = [item for item in shim.run.env if item.startswith(b"HOLDFAST_FENCE=")]
    assert len(found) == 1
    return int(found[0].partition(b"=")[2])


def test_a_job_takes_over_what_its_client_held_and_gives_it_back_at_its_end(
    world: World, anna: User, bert: User
) -> None:
    waiting = bert.lock()
    job, shim = running(world, anna)
    assert holder(anna) == {f"job {job}": 1}
    assert anna.client.failure(anna.release()).code == ErrorCode.NOT_HOLDER
    token = fence(shim)
    assert bert.client.is_open(waiting)
    world.finish(shim)
    assert bert.token(waiting) > token


def test_what_a_job_holds_has_no_lease(world: World, anna: User, bert: User) -> None:
    job, shim = running(world, anna, on_disconnect="keep")
    anna.client.cut()
    let_pass(world, 2 * OVER_S)
    (lease,) = bert.client.answer(bert.client.ask(c.Leases()), c.LeasesAnswer).leases
    assert (lease.owner, lease.principal, lease.left_s) == (f"job {job}", "eve", None)
    world.finish(shim)
    assert bert.open()  # nobody had it open any more
    bert.locked()


def test_who_does_not_hold_it_all_starts_nothing(world: World, anna: User, bert: User) -> None:
    bert.open("other")
    bert.locked("other")
    for hold in (HOLD, c.Hold(1, ("other", "db")), c.Hold(2, ("other",)), c.Hold(1, ("nothing",))):
        failure = bert.client.failure(bert.client.run("cmd", hold=hold))
        assert (failure.code, failure.ran) == (ErrorCode.NOT_HOLDER, "no")
    assert world.board.jobs == {}
    assert holder(anna) == {f"owner 1 of eve ({ANNA[:6]})": 1}


def test_asking_again_for_the_same_start_needs_nothing_to_be_held(world: World, anna: User) -> None:
    key = world.fresh_key()
    stream, shim = world.start(anna.client, hold=HOLD, key=key, user_key=False)
    job = anna.client.accepted(stream).job
    anna.cut()
    again = anna.client.run("cmd", hold=HOLD, key=key, user_key=False)
    assert anna.client.accepted(again).job == job
    world.finish(shim)
    later = anna.client.run("cmd", hold=HOLD, key=key, user_key=False)
    assert anna.client.receipt(later).job == job


def test_a_job_that_the_journal_did_not_take_has_taken_nothing_over(world: World, anna: User) -> None:
    world.journal.fail = FULL
    failure = anna.client.failure(anna.client.run("cmd", hold=HOLD))
    assert failure.code == ErrorCode.DISK_FULL
    world.journal.fail = None
    assert holder(anna) == {f"owner 1 of eve ({ANNA[:6]})": 1}
    job, _ = running(world, anna)
    assert holder(anna) == {f"job {job}": 1}


def test_acceptance_and_handing_over_are_one(world: World, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[set[type]] = []
    submit = world.journal.submit

    def watched(writes: Sequence[Write], **options: Any) -> int:
        kinds.append({type(write) for write in writes})
        return submit(writes, **options)

    monkeypatch.setattr(world.journal, "submit", watched)
    world.hold_journal = True
    anna.client.run("cmd", hold=HOLD)
    assert [kind for kind in kinds if InsertJob in kind or AppendLog in kind] == [{InsertJob, AppendEvent, AppendLog}]
    world.restart()  # before anybody heard of the commit
    (job,) = world.board.jobs
    assert world.shared.space.jobs() == [job]


def test_a_job_whose_client_was_given_up_meanwhile_does_not_start(world: World, anna: User, bert: User) -> None:
    waiting = bert.lock()
    world.hold_journal = True
    release = anna.client.link.request(c.Release(1, "db", number=90), b"")
    stream = anna.client.run("cmd", hold=HOLD)
    world.commit()
    world.commit()
    world.hold_journal = False
    world.settle()
    anna.client.answer(release, c.NumberedAnswer)
    receipt = anna.client.receipt(stream)
    assert (receipt.cause, receipt.stage) == (Cause.START_FAILED, "hold")
    assert "'db'" in receipt.reason
    bert.token(waiting)


def test_a_job_that_waits_for_its_turn_holds_already(make_world: MakeWorld) -> None:
    world = make_world(slots=1)
    anna = User(world, ANNA)
    anna.open()
    anna.locked()
    _, first = world.start(anna.client)
    job = anna.client.accepted(anna.client.run("cmd", hold=HOLD)).job
    assert world.board.jobs[job].job.state is JobState.QUEUED  # type: ignore[index]
    assert holder(anna) == {f"job {job}": 1}
    world.restart()
    world.finish(first)
    assert fence(world.shim_of(job)) > 0


def test_a_restart_while_the_job_runs_and_its_end_while_there_is_no_agent(world: World, anna: User, bert: User) -> None:
    bert.lock()
    job, shim = running(world, anna)
    world.restart()
    bert.connect()
    assert holder(bert) == {f"job {job}": 1}
    world.crash()
    shim.exit(0)
    world.recover()
    world.advance(0.3)
    bert.connect()
    bert.token(bert.lock(number=bert.number))


def test_an_end_that_was_recorded_and_not_given_back_is_given_back_by_the_next_agent(
    world: World, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, shim = running(world, anna)
    monkeypatch.setattr(world.held, "job_done", lambda live, receipt: None)
    world.finish(shim)
    assert holder(anna) == {f"job {job}": 1}
    world.restart()
    anna.connect()
    assert state(anna).free == 1


def test_the_end_waits_for_the_journal(world: World, anna: User) -> None:
    job, shim = running(world, anna)
    world.journal.fail = FULL
    world.finish(shim)
    assert holder(anna) == {f"job {job}": 1}
    world.journal.fail = None
    world.advance(held.AGAIN_S)
    assert state(anna).free == 1


def lose(world: World, shim: FakeShim) -> None:
    """Shim and command are gone, and nobody knows how the command ended."""
    shim.die()
    world.settle()
    world.keeper.bury(shim, adopted=False)
    world.settle()


def test_a_lost_job_holds_until_none_of_its_processes_is_left(world: World, anna: User, marks: list[str]) -> None:
    job, shim = running(world, anna)
    marks.append(job)
    lose(world, shim)
    row = world.journal.job(job)  # type: ignore[arg-type]
    assert row is not None
    assert row.cause is Cause.LOST
    let_pass(world, 10.0)
    assert holder(anna) == {f"job {job}": 1}
    marks.clear()
    let_pass(world, held.LOOK_MOST_S)
    assert state(anna).free == 1


def test_a_lost_job_is_looked_after_by_the_next_agent(world: World, anna: User, marks: list[str]) -> None:
    job, shim = running(world, anna)
    marks.append(job)
    lose(world, shim)
    world.restart()
    anna.connect()
    let_pass(world, 1.0)
    assert holder(anna) == {f"job {job}": 1}
    marks.clear()
    let_pass(world, held.LOOK_MOST_S)
    assert state(anna).free == 1


def test_a_lost_job_that_was_removed_is_looked_after_too(world: World, anna: User, marks: list[str]) -> None:
    job, shim = running(world, anna)
    marks.append(job)
    lose(world, shim)
    anna.client.ask(m.Forget(job))
    assert world.journal.job(job) is None  # type: ignore[arg-type]
    world.restart()
    anna.connect()
    assert holder(anna) == {"a job": 1} or holder(anna) == {f"job {job}": 1}
    marks.clear()
    let_pass(world, held.LOOK_MOST_S)
    assert state(anna).free == 1


def test_a_look_that_fails_gives_nothing_back(
    world: World, anna: User, monkeypatch: pytest.MonkeyPatch, marks: list[str]
) -> None:
    job, shim = running(world, anna)

    def fails(agent_id: str, job: str) -> list[str]:
        raise PermissionError

    monkeypatch.setattr(leftovers, "of_job", fails)
    lose(world, shim)
    let_pass(world, 1.0)
    assert holder(anna) == {f"job {job}": 1}
    assert any("cannot be looked for" in line for line in world.log)


def test_a_tree_that_cannot_be_killed_holds_on(world: World, anna: User, marks: list[str]) -> None:
    job, shim = running(world, anna)
    marks.append(job)
    world.finish(shim, tree=control.TREE_STUCK, left_count=1)
    assert holder(anna) == {f"job {job}": 1}
    marks.clear()
    let_pass(world, held.LOOK_MOST_S)
    assert state(anna).free == 1


def test_what_is_left_on_purpose_holds_nothing(world: World, anna: User, marks: list[str]) -> None:
    job, shim = running(world, anna, leave=True)
    marks.append(job)
    world.finish(shim, tree=control.TREE_LEFT, left_count=1)
    assert state(anna).free == 1


def test_a_reboot_ends_every_job(world: World, anna: User, marks: list[str]) -> None:
    job, _ = running(world, anna)
    marks.append(job)
    world.crash()
    world.keeper.close()
    world.recover(keeper=FakeKeeper(world.state_dir, pid=0xDEF), boot_id="another")
    anna.connect()
    assert state(anna).free == 1


def test_a_job_that_held_is_not_just_tried_again(world: World, anna: User) -> None:
    job, shim = running(world, anna)
    world.finish(shim)
    failure = anna.client.failure(anna.client.ask(m.Retry(job, world.fresh_key())))
    assert failure.code == ErrorCode.STATE
    assert "'db'" in failure.text


def test_which_job_holds_is_told_to_those_who_see_it(world: World, anna: User) -> None:
    job, _ = running(world, anna)
    other = User(world, "otto_b__________", principal="otto@b", role=Role.OPERATOR)
    assert holder(other) == {"a job": 1}
    (lease,) = other.client.answer(other.client.ask(c.Leases()), c.LeasesAnswer).leases
    assert (lease.owner, lease.principal) == ("a job", "eve")
    assert holder(anna) == {f"job {job}": 1}


def test_several_at_once_are_handed_over_together(world: World, anna: User, bert: User) -> None:
    anna.open("second")
    anna.locked("second")
    stream, shim = world.start(anna.client, hold=c.Hold(1, ("db", "second")))
    assert shim.run is not None
    job = anna.client.accepted(stream).job
    assert state(bert, "second").held == {f"job {job}": 1}
    world.finish(shim)
    assert state(bert, "second").free == state(bert).free == 1


def test_a_start_that_fails_gives_back(world: World, anna: User) -> None:
    stream = anna.client.run("cmd", hold=HOLD)
    world.shim_of(anna.client.accepted(stream).job).fail_start()
    world.settle()
    assert anna.client.receipt(stream).cause is Cause.START_FAILED
    assert state(anna).free == 1


def test_an_order_given_again_after_a_restart_finds_it_held(world: World, anna: User) -> None:
    job = anna.client.accepted(anna.client.run("cmd", hold=HOLD)).job
    shim = world.shim_of(job)
    token = fence(shim)
    world.crash()
    shim.run, shim.stage = None, messages.IDLE
    world.recover()
    assert fence(world.shim_of(job)) == token
