"""Shims and keepers that die under jobs: nothing runs twice, nothing is stuck, no status is made up."""

from __future__ import annotations

import os

import pytest

from holdfast.keeper import messages
from holdfast.store import control
from holdfast.types import Cause, JobId, JobState
from holdfast.wire import messages as m
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.fake_shims import FakeKeeper, FakeShim
from tests.unit.agent.world import Client, World


def starting(world: World, client: Client, **options: object) -> tuple[int, str, FakeShim]:
    stream = client.run("cmd", **options)
    job = client.accepted(stream).job
    return stream, job, world.shim_of(job)


def kill(world: World, shim: FakeShim, *, adopted: bool) -> None:
    shim.die()
    world.settle()
    world.keeper.bury(shim, adopted=adopted)
    world.settle()


def test_a_job_whose_shim_dies_before_the_claim_starts_under_another(world: World, client: Client) -> None:
    stream, job, shim = starting(world, client)
    kill(world, shim, adopted=False)
    again = world.shim_of(job)
    assert again is not shim
    assert again.run is not None
    assert again.run.attempt == 2
    again.start()
    world.finish(again, 7)
    assert client.receipt(stream).returncode == 7
    assert client.receipt(stream).attempt == 2


def test_a_claim_of_which_the_keeper_inherited_nothing_starts_again(world: World, client: Client) -> None:
    _, job, shim = starting(world, client)
    shim.claim()
    kill(world, shim, adopted=False)
    assert world.shim_of(job) is not shim


def test_a_shim_that_dies_while_its_record_is_in_flight_gets_no_job_lost(world: World, client: Client) -> None:
    world.hold_journal = True
    stream = client.run("cmd")
    victim = world.keeper.shims[-1]
    (live,) = world.board.jobs.values()
    assert live.job.shim == victim.id
    kill(world, victim, adopted=False)
    world.hold_journal = False
    world.commit()
    world.settle()
    world.advance(0.01)
    job = client.accepted(stream).job
    shim = world.shim_of(job)
    assert shim is not victim
    shim.start()
    world.finish(shim)
    assert client.receipt(stream).cause is Cause.EXITED


def test_a_started_job_that_nobody_inherited_is_lost(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"so far", told=False)
    kill(world, shim, adopted=False)
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.exit, receipt.stdout.bytes) == (Cause.LOST, None, 6)
    assert client.data(stream) == b"so far"


def test_an_adopted_job_goes_on_and_its_readers_read_on(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"one ")
    world.settle()
    kill(world, shim, adopted=True)
    shim.write(1, b"two")
    world.settle()
    assert client.data(stream) == b"one two"
    world.finish(shim, 3)
    receipt = client.receipt(stream)
    assert (receipt.returncode, receipt.supervisor) == (3, "keeper")
    assert client.data(stream) == b"one two"


def test_an_adoption_before_started_was_told_is_seen_from_the_adopter(world: World, client: Client) -> None:
    stream, _, shim = starting(world, client)
    shim.start(told=False)
    kill(world, shim, adopted=True)
    world.advance(0.01)
    assert [event.pid for event in client.told(stream) if isinstance(event, m.Started)] == [77]
    world.finish(shim)
    assert client.receipt(stream).cause is Cause.EXITED


def test_an_end_recorded_by_a_dead_shim_is_taken(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.write(1, b"all", told=False)
    shim.exit(9, told=False)
    kill(world, shim, adopted=False)
    assert client.receipt(stream).returncode == 9
    assert client.data(stream) == b"all"


def test_a_status_that_was_recorded_before_the_reaping_is_not_lost(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    assert shim.run is not None
    control.write(shim.ctl, control.Main(shim.run.job, 1, 4 << 8, 1_700_000_003_000_000_000))
    world.keeper.close_socket()
    world.settle()
    shim.die()
    world.settle()
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.returncode, receipt.supervisor) == (Cause.EXITED, 4, "agent")


def test_what_the_slots_say_of_an_earlier_job_is_not_believed_of_this_one(world: World, client: Client) -> None:
    """RELEASE travels with the next RUN, so a shim may die with the records of the job before."""
    _, shim = world.start(client)
    shim.obeys_release = False
    world.finish(shim, 1)
    stream, _, again = starting(world, client)
    assert again is shim
    kill(world, shim, adopted=False)
    fresh = world.shim_of(client.accepted(stream).job)
    assert fresh is not shim
    fresh.start()
    world.finish(fresh, 2)
    assert client.receipt(stream).returncode == 2


def test_a_stop_asked_between_a_shims_death_and_the_adoption_is_delivered(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.die()
    world.settle()
    client.ask(m.Stop(client.accepted(stream).job, grace_s=1))
    client.ask(m.Signal(client.accepted(stream).job, 10))
    world.keeper.bury(shim, adopted=True)
    world.settle()
    assert messages.Stop(control.STOPPED, "person:eve", 1000) in shim.heard
    assert messages.Signal(10, messages.MAIN) in shim.heard


def test_a_broken_record_is_called_damage(world: World, client: Client) -> None:
    stream, _, shim = starting(world, client)
    shim.claim()
    os.pwrite(shim.ctl, b"rubbish", control.STARTED * control.SLOT_BYTES)
    kill(world, shim, adopted=False)
    assert client.receipt(stream).cause is Cause.DAMAGED


@pytest.mark.parametrize("claimed", [False, True])
def test_without_the_keeper_that_would_have_inherited_a_claim_is_not_started_again(
    world: World, client: Client, claimed: bool
) -> None:
    stream, job, shim = starting(world, client)
    world.keeper.close_socket()
    world.settle()
    world.join(FakeKeeper(world.state_dir, pid=0xDEF))
    world.board.supervisors.keeper_came()
    world.settle()
    if claimed:
        shim.claim()
    shim.die()
    world.settle()
    if claimed:
        assert client.receipt(stream).cause is Cause.LOST
    else:
        assert world.shim_of(job) is not shim


def test_a_job_goes_on_without_its_keeper_and_its_shim_is_not_used_again(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    world.keeper.close_socket()
    world.settle()
    shim.write(1, b"on")
    world.finish(shim, 6)
    assert client.receipt(stream).returncode == 6
    assert client.data(stream) == b"on"
    assert [type(message).__name__ for message in shim.heard[-2:]] == ["Release", "Retire"]
    shim.die()
    world.settle()
    assert not shim.directory.exists(), "nobody else removes what a shim without a keeper leaves"


def test_idle_shims_of_a_dead_keeper_go_home_and_jobs_wait_for_the_next(world: World, client: Client) -> None:
    world.board.crew.want(2)
    world.settle()
    old = list(world.keeper.shims)
    world.keeper.close_socket()
    world.settle()
    assert all(isinstance(shim.heard[-1], messages.Retire) for shim in old)
    stream = client.run("cmd")
    assert world.board.jobs[JobId(client.accepted(stream).job)].job.state is JobState.QUEUED
    world.join(FakeKeeper(world.state_dir, pid=0xDEF))
    world.board.supervisors.keeper_came()
    world.settle()
    assert world.shim_of(client.accepted(stream).job).run is not None
    assert world.board.counters["keepers_lost"] == 1


def test_a_wanted_shim_that_dies_before_it_is_ready_is_wanted_again(world: World, client: Client) -> None:
    world.keeper.lazy = True
    stream = client.run("cmd")
    shim = world.keeper.fork()
    shim.die()
    world.settle()
    world.keeper.lazy = False
    world.keeper.bury(shim, adopted=False)
    world.settle()
    assert world.shim_of(client.accepted(stream).job).run is not None


def test_shims_that_cannot_be_forked_are_wanted_again_in_a_second(world: World, client: Client) -> None:
    world.keeper.lazy = True
    stream = client.run("cmd")
    wanted = sum(message.number for message in world.keeper.heard if isinstance(message, messages.Want))
    world.keeper.say(messages.ForkFailed(wanted, 11))
    world.settle()
    world.keeper.lazy = False
    world.advance(1.1)
    assert world.shim_of(client.accepted(stream).job).run is not None


def test_ten_shims_that_die_before_a_start_are_enough(world: World, client: Client) -> None:
    stream, job, shim = starting(world, client)
    for _ in range(10):
        kill(world, shim, adopted=False)
        if not client.is_open(stream):
            break
        shim = world.shim_of(job)
    receipt = client.receipt(stream)
    assert (receipt.cause, receipt.started) == (Cause.START_FAILED, False)


def test_an_adopters_directory_goes_when_its_job_is_over(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    kill(world, shim, adopted=True)
    world.finish(shim)
    assert client.receipt(stream)
    world.advance(0.1)
    shim.die()
    world.settle()
    assert not shim.directory.exists()


def test_a_dead_shims_directory_goes_when_its_job_is_over(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.exit(0, told=False)
    kill(world, shim, adopted=False)
    assert client.receipt(stream)
    world.advance(0.1)
    assert not shim.directory.exists()


def test_words_that_make_no_sense_cost_the_connection_to_the_shim_alone(world: World, client: Client) -> None:
    stream, shim = world.start(client)
    shim.say_bytes(b"\0\0\0\1\x7f")
    world.settle()
    assert [failure["message"] for failure in world.loop.failures] == [f"the connection to shim {shim.id} is made anew"]
    world.loop.failures.clear()
    shim.write(1, b"still here")
    world.finish(shim, 1)
    world.settle()
    assert client.receipt(stream).returncode == 1
    assert client.data(stream) == b"still here"


def test_a_mistake_in_one_step_does_not_swallow_the_end_of_the_job(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, shim = world.start(client)
    grew = world.board.on_growth

    def broken(live: object) -> None:
        raise RuntimeError("a bug")

    world.board.on_growth = broken
    shim.write(1, b"x")
    shim.exit(3)
    world.settle()
    world.board.on_growth = grew
    assert world.board.jobs == {}
    assert client.receipt(stream).returncode == 3
    world.loop.failures.clear()


def test_output_that_cannot_be_taken_over_now_is_taken_over_later(make_world: MakeWorld) -> None:
    world = make_world()
    client = world.client()
    stream, shim = world.start(client)
    shim.write(1, b"y" * 100_000, told=False)
    (world.state_dir / "jobs").write_text("in the way")
    world.finish(shim, 2)
    assert not world.loop.failures
    (world.state_dir / "jobs").unlink()
    world.advance(5)
    assert client.receipt(stream).returncode == 2
    assert client.data(stream) == b"y" * 100_000


def test_a_shim_that_stays_with_what_its_job_has_left_takes_no_other_job(world: World, client: Client) -> None:
    stream, shim = world.start(client, leave=True)
    world.finish(shim, tree=control.TREE_LEFT, left_count=1)
    assert client.receipt(stream).tree == "left"
    next_job = client.accepted(client.run("next")).job
    assert world.shim_of(next_job) is not shim


def test_a_shim_that_refuses_a_job_does_not_keep_it_waiting(world: World, client: Client) -> None:
    stream, job, shim = starting(world, client)
    shim.say(messages.Rejected(1, "not idle"))
    world.settle()
    again = world.shim_of(job)
    assert again is not shim
    again.start()
    world.finish(again, 2)
    assert client.receipt(stream).returncode == 2
