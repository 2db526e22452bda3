"""Killing any one process loses no output, no status and no job, starts nothing twice, and leaves nothing behind."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

import holdfast
from holdfast.types import Cause
from tests.e2e.harness import procfs
from tests.e2e.harness.storm import KILLS_AT_ONCE, Killer, Load
from tests.e2e.harness.work import Work, starts
from tests.e2e.harness.world import World, eventually


@pytest.mark.parametrize(
    ("victims", "kills"),
    [(("agent",), 12), (("shim",), 30), (("keeper",), 8), (("agent", "shim", "shim", "keeper"), 20)],
    ids=lambda value: "-".join(dict.fromkeys(value)) if isinstance(value, tuple) else str(value),
)
def test_kills_under_load(world: World, victims: tuple[str, ...], kills: int) -> None:
    world.warm()
    killer = Killer(world)
    with Load(world) as load:
        killer.storm(victims, kills)
    print(f"{killer.killed}, {load.done} jobs, serving again after {killer.slowest_s:.2f} s at the most")
    load.check()


def test_an_agent_is_back_within_a_second(world: World) -> None:
    world.warm()
    took = []
    for _ in range(KILLS_AT_ONCE):
        world.kill(world.agent_pid())
        took.append(world.serving_again(1.0))
    print(f"serving again after {max(took):.2f} s at the most")


def test_agent_and_keeper_killed_together(world: World) -> None:
    """Shims alone carry the jobs on; the next client starts an agent that takes them over."""
    host = world.warm()
    works = [Work.drawn(world.random.randrange(1 << 40), world.starts, pieces=60, pause_s=0.05) for _ in range(4)]
    jobs = [host.start(work.argv, detach=True) for work in works]
    eventually(lambda: len(starts(world.starts)) == 4, "four starts")
    agent, keeper = world.agent_pid(), world.keeper_pid()
    os.kill(keeper, signal.SIGKILL)
    os.kill(agent, signal.SIGKILL)
    world.kill(agent)
    world.kill(keeper)
    again = world.connect()
    for work, job in zip(works, jobs, strict=True):
        found = again.job(job.id)
        assert found.wait(20) == work.code
        assert (found.read(1), found.read(2)) == work.expected
    assert set(starts(world.starts).values()) == {1}


KERNEL_TELLS = tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= (6, 15)


def shim_of(pid: int) -> int:
    found = procfs.stat(pid)
    assert found is not None
    return found.parent


@pytest.mark.parametrize("pause_s", [0.0, 0.1])
def test_keeper_and_shim_of_a_job_killed_together(world: World, pause_s: float) -> None:
    """The status is what the kernel still tells (Linux 6.15), or the job is called lost; it is never made up."""
    host = world.warm()
    job = host.start(["sh", "-c", "echo before; sleep 0.6; exit 7"], detach=True)
    pid = eventually(lambda: job.refresh().pid or 0, "the start")
    eventually(lambda: job.refresh().stdout_bytes, "the first line")
    keeper, shim = world.keeper_pid(), shim_of(pid)
    os.kill(keeper, signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    time.sleep(pause_s)  # the agent hears of the one before the other, or of both at once
    os.kill(keeper, signal.SIGKILL)
    world.kill(keeper)
    receipt = job.wait_receipt(20)
    if KERNEL_TELLS:
        assert (receipt.cause, receipt.returncode, receipt.supervisor) == (Cause.EXITED, 7, "agent")
    else:
        assert (receipt.cause, receipt.exit) == (Cause.LOST, None)
        with pytest.raises(holdfast.JobLost):
            job.wait(1)
    assert job.read(1) == b"before\n"
    shown = world.cli("wait", job.id)
    assert shown.returncode == (7 if KERNEL_TELLS else 255)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    world.reap()


def kill_supervisors(world: World, job: holdfast.Job) -> int:
    """Keeper and shim of a job at once; its command's pid."""
    pid = eventually(lambda: job.refresh().pid or 0, "the start")
    keeper, shim = world.keeper_pid(), shim_of(pid)
    os.kill(keeper, signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    world.kill(keeper)
    return pid


@pytest.mark.skipif(not KERNEL_TELLS, reason="Linux before 6.15 does not tell the status of a process that is no child")
def test_a_success_that_nobody_tended_is_not_called_one(world: World) -> None:
    """The status is true, but what was in the pipes is gone: without whole output there is no exit code 0."""
    host = world.warm()
    job = host.start(["sleep", "0.6"], detach=True)
    kill_supervisors(world, job)
    receipt = job.wait_receipt(20)
    assert (receipt.cause, receipt.returncode, receipt.output_is_whole) == (Cause.EXITED, 0, False)
    shown = world.cli("wait", job.id)
    assert shown.returncode == 255
    assert b"its output may lack the end" in shown.stderr
    world.reap()


def test_a_job_that_nobody_tends_can_be_stopped_with_all_its_tree(world: World) -> None:
    host = world.warm()
    script = "trap '' TERM; (trap '' TERM; setsid sleep 60) & echo $!; sleep 60; sleep 60"
    job = host.start(["sh", "-c", script], detach=True)
    eventually(lambda: job.refresh().stdout_bytes, "the child's pid")
    pid = kill_supervisors(world, job)
    time.sleep(0.3)
    job.stop(grace=0.5)
    receipt = job.wait_receipt(20)
    assert not procfs.alive(pid)
    assert (receipt.tree, receipt.left) == ("gone", ())
    if KERNEL_TELLS:
        assert (receipt.cause, receipt.exit) == (Cause.STOPPED, holdfast.ExitStatus(signal=signal.SIGKILL))
        assert receipt.ended_by.startswith("person:")
    assert host.leftovers() == ()
    world.reap()


def test_everything_killed_at_once(world: World) -> None:
    """Agent, keeper and shim: output stays as far as it was written, the status is lost, nothing is started again."""
    host = world.warm()
    work = Work(world.random.randrange(1 << 40), world.starts, pieces=400, pause_s=0.1, code=5)
    job = host.start(work.argv, detach=True)
    pid = eventually(lambda: job.refresh().pid or 0, "the start")
    eventually(lambda: job.refresh().stdout_bytes, "some output")
    for victim in (world.agent_pid(), world.keeper_pid(), shim_of(pid)):
        os.kill(victim, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not procfs.alive(pid), "the end of the command")
    world.reap()
    receipt = world.connect().job(job.id).wait_receipt(20)
    assert (receipt.cause, receipt.exit) == (Cause.LOST, None)
    out = world.connect().job(job.id).read(1)
    assert 0 < len(out) == receipt.stdout.bytes
    assert work.expected[0].startswith(out)
    assert starts(world.starts) == {str(work.seed): 1}


CLIENT = """
import os, sys
import holdfast
with holdfast.connect(state_dir=sys.argv[1]) as host:
    job = host.start(sys.argv[3:], key=sys.argv[2], on_disconnect="keep")
    for channel, chunk in job.output():
        os.write(channel, chunk)
"""


@pytest.mark.parametrize("by_cli", [True, False], ids=["cli", "python"])
def test_a_killed_client_is_followed_by_another(world: World, by_cli: bool) -> None:
    """Whoever asks under the same key gets the same job, from its first byte on."""
    world.warm()
    for n in range(4):
        work = Work.drawn(world.random.randrange(1 << 40), world.starts, pieces=60, pause_s=0.03)
        key = f"client-{n}"
        if by_cli:
            args = ("run", "--on-disconnect", "keep", "--once", key, "--", *work.argv)
            client = world.cli.popen(*args)
        else:
            command = [sys.executable, "-c", CLIENT, world.agent.state_dir, key, *work.argv]
            client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with client:
            eventually(lambda seed=str(work.seed): seed in starts(world.starts), "the start")  # type: ignore[misc]
            time.sleep(world.random.random() * 0.2)
            client.kill()
            client.communicate()
        if by_cli:
            done = world.cli("run", "--on-disconnect", "keep", "--once", key, "--", *work.argv)
            code = work.code if work.code >= 0 else 128 - work.code
            assert (done.returncode, done.stdout) == (code, work.expected[0])
        else:
            with holdfast.connect(state_dir=world.agent.state_dir) as host:
                job = host.start(work.argv, key=key, on_disconnect="keep")
                assert job.deduplicated
                assert b"".join(chunk for channel, chunk in job.output() if channel == 1) == work.expected[0]
                assert job.wait(20) == work.code
    assert set(starts(world.starts).values()) == {1}


def test_clients_killed_under_load_leave_the_others_alone(world: World) -> None:
    world.warm()
    with Load(world, threads=2) as load:
        for _ in range(8):
            with world.cli.popen(
                "run", "--on-disconnect", "kill", "--", "sh", "-c", "yes | head -c 3000000; sleep 60"
            ) as client:
                assert client.stdout is not None
                client.stdout.read(1 + world.random.randrange(100_000))
                client.kill()
    load.check()
    eventually(lambda: not world.status().jobs["running"], "the end of the lost clients' jobs")
