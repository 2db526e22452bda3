"""Killing shims, keepers and agents, at any moment: no byte, no status and no process is lost, nothing starts twice."""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.keeper import messages, tree
from holdfast.store import control
from tests.e2e.keeper_harness import (
    ENV,
    PYTHON,
    KeeperHarness,
    ShimClient,
    alive,
    kill_and_wait,
    marked,
    running_keeper,
    wait_until,
)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[KeeperHarness]:
    with running_keeper(tmp_path) as keeper:
        yield keeper


@pytest.fixture
def shim(keeper: KeeperHarness) -> ShimClient:
    return keeper.shim()


def adopted_exit(keeper: KeeperHarness, shim: ShimClient) -> control.Exit:
    """The record that the keeper writes for a job whose shim was killed."""
    died = keeper.hear(messages.Died)
    assert (died.shim, died.adopted) == (shim.name, True)
    assert keeper.hear(messages.Finished).shim == shim.name
    record = shim.slots().exit
    assert isinstance(record, control.Exit)
    assert record.supervisor == control.BY_KEEPER
    return record


def test_adopted_job_keeps_output_and_status(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "echo one; sleep 0.3; echo two; echo three >&2; exit 5")
    wait_until(lambda: shim.out == b"one\n", "the first line")
    os.kill(shim.pid, signal.SIGKILL)
    record = adopted_exit(keeper, shim)
    assert (record.wait_status, record.cause, record.tree) == (5 << 8, control.EXITED, control.TREE_GONE)
    assert (shim.out, shim.err) == (b"one\ntwo\n", b"three\n")
    assert record.started_wall_ns > 0


def test_main_that_ended_before_the_adoption(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "sleep 0.1; echo x; exit 6")
    pid = shim.started()
    os.kill(shim.pid, signal.SIGSTOP)
    wait_until(lambda: not alive(pid), "the end of the command")
    os.kill(shim.pid, signal.SIGKILL)
    assert adopted_exit(keeper, shim).wait_status == 6 << 8
    assert shim.out == b"x\n"


def test_main_that_was_reaped_before_the_adoption(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "(sleep 0.4; echo late) & exit 11")
    wait_until(lambda: shim.slots().main is not None, "MAIN")
    os.kill(shim.pid, signal.SIGKILL)
    record = adopted_exit(keeper, shim)
    assert (record.wait_status, record.cause, shim.out) == (11 << 8, control.EXITED, b"late\n")


def test_adopted_job_is_served_on_the_same_socket(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "trap 'echo u' USR1; while :; do sleep 0.01; done")
    pid = shim.started()
    os.kill(shim.pid, signal.SIGKILL)
    assert keeper.hear(messages.Died).adopted
    state = shim.reconnect()
    assert (state.supervisor, state.stage, state.main_pid) == (control.BY_KEEPER, messages.RUNNING, pid)
    with (shim.directory / "ctl").open("rb") as file:
        assert control.lock_holder(file.fileno()) == keeper.pid
    shim.say(messages.Watch(0))
    shim.say(messages.Signal(signal.SIGUSR1))
    assert shim.hear(messages.Grew).out_bytes == 2
    shim.say(messages.Stop(control.STOPPED, "person:me", 5_000))
    record = shim.exit()
    assert (record.cause, record.by, record.wait_status) == (control.STOPPED, "person:me", signal.SIGTERM)
    assert keeper.hear(messages.Finished).shim == shim.name


def test_adopted_job_goes_on_reading_its_stdin(keeper: KeeperHarness, shim: ShimClient) -> None:
    data = os.urandom(3 << 20)
    shim.start("sh", "-c", "sleep 0.3; exec cat", flags=control.STDIN)
    shim.hear(messages.Started)
    shim.write_stdin(data[: 2 << 20], 2 << 20, ended=False)
    wait_until(lambda: isinstance(shim.slots().note, control.Note), "the note of stdin")
    os.kill(shim.pid, signal.SIGKILL)
    assert keeper.hear(messages.Died).adopted
    shim.reconnect()
    shim.write_stdin(data[2 << 20 :], len(data), ended=True)
    record = shim.exit()
    assert (record.wait_status, record.stdin_bytes) == (0, len(data))
    assert shim.out == data


def test_end_of_stdin_noted_before_the_death(keeper: KeeperHarness, shim: ShimClient) -> None:
    data = os.urandom(1 << 20)
    (shim.directory / "in").write_bytes(data)
    shim.start("sh", "-c", "sleep 0.3; exec cat", flags=control.STDIN)
    shim.say(messages.Stdin(len(data), True))
    wait_until(lambda: isinstance(shim.slots().note, control.Note), "the note of stdin")
    os.kill(shim.pid, signal.SIGKILL)
    assert adopted_exit(keeper, shim).stdin_bytes == len(data)
    assert shim.out == data


def test_adopted_job_keeps_its_time_limit(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "trap '' TERM; sleep 30; sleep 30", timeout_ms=400, grace_ms=200)
    shim.started()
    os.kill(shim.pid, signal.SIGKILL)
    record = adopted_exit(keeper, shim)
    assert (record.cause, record.wait_status) == (control.TIMEOUT, signal.SIGKILL)
    assert 0.4e9 <= record.ended_wall_ns - record.started_wall_ns < 5e9


def test_stop_under_way_is_finished(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.start("sh", "-c", "trap '' TERM; echo up; sleep 30; sleep 30")
    wait_until(lambda: shim.out == b"up\n", "the trap")
    shim.say(messages.Stop(control.CLIENT_LOST, "agent", 500))
    wait_until(lambda: isinstance(shim.slots().note, control.Note), "the note of the stop")
    os.kill(shim.pid, signal.SIGKILL)
    record = adopted_exit(keeper, shim)
    assert (record.cause, record.by, record.wait_status) == (control.CLIENT_LOST, "agent", signal.SIGKILL)


def test_adopted_tree_is_proved_gone(keeper: KeeperHarness, shim: ShimClient, tmp_path: Path) -> None:
    daemon = (
        "import os,time\nif os.fork()==0:\n os.setsid()\n if os.fork()==0: time.sleep(60)\n os._exit(0)\nos.wait()\n"
    )
    env = (*ENV, b"HF_TEST_MARK=" + os.fsencode(tmp_path))
    shim.start(PYTHON, "-ISc", daemon + "time.sleep(0.3)\nif os.fork()==0:\n time.sleep(60)", env=env, linger_ms=200)
    wait_until(lambda: len(marked(str(tmp_path))) == 2, "main and daemon")
    os.kill(shim.pid, signal.SIGKILL)
    record = adopted_exit(keeper, shim)
    assert (record.wait_status, record.tree) == (0, control.TREE_GONE)
    assert marked(str(tmp_path)) == []


def test_two_shims_killed_at_once_keep_their_jobs_apart(keeper: KeeperHarness) -> None:
    one, two = keeper.shim(), keeper.shim()
    script = "(setsid sh -c 'sleep 0.5; echo late') & sleep 0.3; echo main; wait; exit "
    for n, shim in enumerate((one, two)):
        shim.start("sh", "-c", script + str(n + 3), job=f"job{n}", env=(*ENV, f"HOLDFAST_JOB_ID=job{n}".encode()))
    for shim in (one, two):
        shim.started()
    os.kill(keeper.pid, signal.SIGSTOP)  # so that it finds both dead in one look
    os.kill(one.pid, signal.SIGKILL)
    os.kill(two.pid, signal.SIGKILL)
    os.kill(keeper.pid, signal.SIGCONT)
    for _ in range(2):
        keeper.hear(messages.Finished)
    for n, shim in enumerate((one, two)):
        record = shim.slots().exit
        assert isinstance(record, control.Exit)
        assert (record.job, record.wait_status, shim.out) == (f"job{n}", (n + 3) << 8, b"main\nlate\n")


_ORPHAN_MAKER = """
import os, signal, sys, time
def make(signum, frame):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(60)
        os._exit(0)
    os.wait()
signal.signal(signal.SIGUSR1, make)
os.write(1, b"up\\n")
while True: time.sleep(0.01)
"""


def test_a_late_orphan_does_not_bring_strangers_into_its_job(keeper: KeeperHarness) -> None:
    one = keeper.shim()
    one.start(PYTHON, "-ISc", _ORPHAN_MAKER, job="one")
    wait_until(lambda: one.out == b"up\n", "the handler")
    os.kill(one.pid, signal.SIGKILL)
    assert keeper.hear(messages.Died).adopted
    one.reconnect()
    one.say(messages.Signal(signal.SIGUSR1))
    wait_until(lambda: one.out.count(b"\n") == 2, "the orphan")
    orphan = int(one.out.split()[1])
    two = keeper.shim()
    two.start("sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done", job="two")
    wait_until(lambda: two.out == b"up\n", "the trap")
    os.kill(keeper.pid, signal.SIGSTOP)
    kill_and_wait(orphan)
    kill_and_wait(two.pid)
    os.kill(keeper.pid, signal.SIGCONT)
    assert keeper.hear(messages.Died).adopted
    one.say(messages.Stop(control.STOPPED, "", 0))
    assert one.exit().wait_status == signal.SIGKILL
    two.reconnect()
    two.say(messages.Stop(control.STOPPED, "", 5_000))
    assert two.exit().wait_status == 7 << 8


def test_left_processes_are_not_killed_with_their_shim(keeper: KeeperHarness, shim: ShimClient, tmp_path: Path) -> None:
    script = "while :; do echo more; sleep 0.01; done & echo main"
    env = (*ENV, b"HF_TEST_MARK=" + os.fsencode(tmp_path))
    record = shim.run("sh", "-c", script, flags=control.LEAVE, linger_ms=100, env=env)
    kill_and_wait(shim.pid)
    assert not keeper.hear(messages.Died).adopted
    left = marked(str(tmp_path))
    assert len(left) >= 1
    time.sleep(0.1)
    assert set(left) & set(marked(str(tmp_path)))
    assert len(shim.out) == record.out_bytes
    for pid in left:
        with suppress(ProcessLookupError):  # the short sleeps come and go
            os.kill(pid, signal.SIGKILL)


def test_idle_shim_killed(keeper: KeeperHarness, shim: ShimClient) -> None:
    os.kill(shim.pid, signal.SIGKILL)
    died = keeper.hear(messages.Died)
    assert (died.shim, died.wait_status, died.adopted) == (shim.name, signal.SIGKILL, False)
    assert not shim.directory.exists()


def test_shim_killed_with_its_job_recorded(keeper: KeeperHarness, shim: ShimClient) -> None:
    shim.run("sh", "-c", "echo x; exit 3")
    os.kill(shim.pid, signal.SIGKILL)
    assert not keeper.hear(messages.Died).adopted
    record = shim.slots().exit
    assert isinstance(record, control.Exit)
    assert record.wait_status == 3 << 8


# Kills at random moments.

_TALKER = """
import hashlib, os, random, sys, time
seed = int(sys.argv[1]); r = random.Random(seed)
for n in range(60):
    data = r.randbytes(r.randrange(1, 60000))
    fd = 1 + (n & 1)
    while data: data = data[os.write(fd, data):]
    if r.random() < .2: time.sleep(r.random() * .004)
os._exit(seed % 200)
"""


def _expected(seed: int) -> tuple[bytes, bytes]:
    generator = random.Random(seed)
    channels = [bytearray(), bytearray()]
    for n in range(60):
        channels[n & 1] += generator.randbytes(generator.randrange(1, 60000))
        if generator.random() < 0.2:
            generator.random()
    return bytes(channels[0]), bytes(channels[1])


def _killed_under_load(keeper: KeeperHarness, seed: int) -> bool:
    """One job with its shim killed at a random moment; whether it was adopted."""
    shim = keeper.shim()
    shim.start(PYTHON, "-ISc", _TALKER, str(seed), job=f"j{seed}")
    shim.hear(messages.Started)
    time.sleep(random.Random(-seed).random() * 0.08)
    os.kill(shim.pid, signal.SIGKILL)
    adopted = keeper.hear(messages.Died).adopted
    if adopted:
        keeper.hear(messages.Finished)
    record = shim.slots().exit
    assert isinstance(record, control.Exit)
    assert record.wait_status == seed % 200 << 8
    expected = _expected(seed)
    assert (record.out_bytes, record.err_bytes) == (len(expected[0]), len(expected[1]))
    assert hashlib.sha256(shim.out).digest() == hashlib.sha256(expected[0]).digest()
    assert hashlib.sha256(shim.err).digest() == hashlib.sha256(expected[1]).digest()
    shim.close()
    return adopted


def _killed_around_the_spawn(keeper: KeeperHarness, seed: int, marks: Path) -> str:
    """One job with its shim killed around the spawn: it started once, or provably not."""
    shim = keeper.shim()
    mark = marks / str(seed)
    shim.start("/bin/sh", "-c", f"echo x >> {mark}; exit 9", job=f"j{seed}")
    deadline = time.monotonic() + random.Random(seed).random() * 0.0025
    while time.monotonic() < deadline:
        pass
    os.kill(shim.pid, signal.SIGKILL)
    died = keeper.hear(messages.Died)
    if died.adopted:
        keeper.hear(messages.Finished)
    slots = shim.slots() if shim.directory.exists() else control.Slots()
    shim.close()
    if isinstance(slots.exit, control.Exit):
        assert slots.exit.wait_status == 9 << 8
        assert mark.read_text() == "x\n"
        return "adopted" if died.adopted else "finished"
    assert (slots.started, slots.main) == (None, None)
    time.sleep(0.02)
    assert not mark.exists()
    return "not run" if slots.claim else "not claimed"


def test_kills_under_load(keeper: KeeperHarness) -> None:
    assert sum(_killed_under_load(keeper, seed) for seed in range(1, 25)) > 8


def test_kills_around_the_spawn(keeper: KeeperHarness, tmp_path: Path) -> None:
    found = [_killed_around_the_spawn(keeper, seed, tmp_path) for seed in range(60)]
    assert found.count("adopted") > 5


@pytest.mark.soak
def test_many_kills(keeper: KeeperHarness, tmp_path: Path) -> None:
    for seed in range(1_000, 1_500):
        _killed_under_load(keeper, seed)
        _killed_around_the_spawn(keeper, seed, tmp_path)


# The keeper's own death, and the agent's.


def test_keeper_killed_and_the_job_goes_on(keeper: KeeperHarness, tmp_path: Path) -> None:
    idle, shim = keeper.shim(), keeper.shim()
    shim.start("sh", "-c", "read x; echo $x; sleep 0.3; exit 4", flags=control.STDIN)
    shim.hear(messages.Started)
    kill_and_wait(keeper.pid)
    shim.write_stdin(b"word\n", 5, ended=True)
    record = shim.exit()
    assert (record.wait_status, record.supervisor, shim.out) == (4 << 8, control.BY_SHIM, b"word\n")
    keeper.wait_for_end()
    for pid in (idle.pid, shim.pid):
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_end_of_stdin_without_the_keeper(keeper: KeeperHarness) -> None:
    shim = keeper.shim()
    kill_and_wait(keeper.pid)
    keeper.wait_for_end()
    assert os.waitstatus_to_exitcode(os.waitpid(shim.pid, 0)[1]) == 0


def test_termination_of_the_keeper_is_as_bye(keeper: KeeperHarness) -> None:
    shim = keeper.shim()
    shim.start("sh", "-c", "sleep 0.2")
    shim.hear(messages.Started)
    os.kill(keeper.pid, signal.SIGTERM)
    assert shim.exit().wait_status == 0
    keeper.wait_for_end()


AGENT = """
import os, socket, sys
sys.path.insert(0, {src!r})
from holdfast.keeper import launch, messages
assert sys.argv[-2] == "--keeper-fd"
keeper = launch.inherit_keeper(int(sys.argv[-1]))
assert os.get_inheritable(keeper.fileno()) is False
with open({log!r}, "a") as log:
    print(os.getpid(), file=log, flush=True)
    while True:
        packet = keeper.recv(4096)
        if not packet:
            sys.exit(1)
        print(messages.decode(packet), file=log, flush=True)
        {then}
"""


def agent_argv(tmp_path: Path, then: str) -> list[str]:
    """An agent that writes down what the keeper says."""
    script = tmp_path / "agent.py"
    src = str(Path(messages.__file__).parents[2])
    script.write_text(AGENT.format(src=src, log=str(tmp_path / "heard"), then=then))
    return [sys.executable, "-IS", str(script)]


def heard(tmp_path: Path) -> list[str]:
    path = tmp_path / "heard"
    return path.read_text().splitlines() if path.exists() else []


def test_crashed_agent_is_started_again_and_told_everything(tmp_path: Path) -> None:
    with running_keeper(tmp_path, agent_argv(tmp_path, "")) as keeper:
        lives, dies = keeper.shim(), keeper.shim()
        dies.run("sh", "-c", "exit 3")
        os.kill(dies.pid, signal.SIGKILL)
        keeper.hear(messages.Died)
        keeper.socket.close()
        wait_until(lambda: len(heard(tmp_path)) >= 4, "the new agent's words")
        pid, *said = heard(tmp_path)
        assert said[0].startswith(f"Hello(keeper_pid={keeper.pid}")
        assert said[1] == f"Forked(shim='{lives.name}', pid={lives.pid})"
        assert said[2].startswith(f"Died(shim='{dies.name}'")
        first = int(pid)
        kill_and_wait(first)
        wait_until(lambda: sum(line.isdigit() for line in heard(tmp_path)) == 2, "a second agent")
        second = next(int(line) for line in reversed(heard(tmp_path)) if line.isdigit())
        assert tree.children(keeper.pid).count(second) == 1
        assert lives.finish("true").wait_status == 0
        os.kill(keeper.pid, signal.SIGTERM)
        keeper.wait_for_end()


def test_another_agent_holds_the_state_directory(tmp_path: Path) -> None:
    with running_keeper(tmp_path, agent_argv(tmp_path, "sys.exit(75)")) as keeper:
        idle, busy = keeper.shim(), keeper.shim()
        busy.start("sh", "-c", "sleep 0.5; exit 8")
        busy.hear(messages.Started)
        keeper.socket.close()
        keeper.wait_for_end()
        assert busy.exit().wait_status == 8 << 8
        assert not idle.directory.exists()
        assert sum(line.isdigit() for line in heard(tmp_path)) == 1


def test_restarts_back_off(tmp_path: Path) -> None:
    with running_keeper(tmp_path, agent_argv(tmp_path, "sys.exit(1)")) as keeper:
        keeper.socket.close()
        wait_until(lambda: len(heard(tmp_path)) >= 6, "three agents")
        time.sleep(0.2)
        assert sum(line.isdigit() for line in heard(tmp_path)) <= 4
        os.kill(keeper.pid, signal.SIGTERM)
        keeper.wait_for_end()


def test_no_descriptor_and_no_zombie_is_left_by_many_shims(keeper: KeeperHarness) -> None:
    keeper.shim()

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{keeper.pid}/fd"))

    before = descriptors()
    for n in range(20):
        shim = keeper.shim()
        shim.start("sh", "-c", "cat; sleep 0.05", flags=control.STDIN * (n % 2), job=f"j{n}")
        shim.say(messages.Stdin(0, True))
        shim.started()
        if n % 2:  # what the shim has not read dies with it, and an agent would say it again
            wait_until(lambda: isinstance(note := shim.slots().note, control.Note) and note.stdin_ended, "NOTE")  # noqa: B023
        if n % 3:
            os.kill(shim.pid, signal.SIGKILL)
        else:
            shim.exit()
            shim.release()
            shim.say(messages.Retire())
        died = keeper.hear(messages.Died)
        if died.adopted:
            keeper.hear(messages.Finished)
        shim.close()
    assert descriptors() == before
    assert len(tree.children(keeper.pid)) == 1
    assert not select.select([keeper.socket], [], [], 0)[0]
