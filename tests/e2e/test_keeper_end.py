"""How jobs end on real processes: time limits, stops, leftovers, and the proof that nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.keeper import messages, tree
from holdfast.store import control
from tests.e2e.keeper_harness import ENV, PYTHON, KeeperHarness, ShimClient, marked, running_keeper, wait_until

# A daemon as in the books: double fork, own session, ignores TERM, keeps or closes its output.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "closed" in sys.argv: [os.close(fd) for fd in (0, 1, 2)]
        time.sleep(60)
    os._exit(0)
os.wait()
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[KeeperHarness]:
    with running_keeper(tmp_path) as keeper:
        yield keeper


@pytest.fixture
def shim(keeper: KeeperHarness) -> ShimClient:
    return keeper.shim()


def env_of(tmp_path: Path) -> tuple[bytes, ...]:
    return (*ENV, b"HF_TEST_MARK=" + os.fsencode(tmp_path))


@pytest.mark.parametrize("kind", ["", "closed", "deaf", "deaf closed"])
def test_a_daemon_does_not_outlive_the_linger(shim: ShimClient, tmp_path: Path, kind: str) -> None:
    begun = time.monotonic()
    record = shim.run(PYTHON, "-ISc", DAEMON, *kind.split(), linger_ms=200, env=env_of(tmp_path))
    took = time.monotonic() - begun
    assert (record.wait_status, record.cause, record.tree) == (0, control.EXITED, control.TREE_GONE)
    assert marked(str(tmp_path)) == []
    assert took >= (2.2 if "deaf" in kind else 0.2)
    assert took < 6


def test_a_background_child_may_finish_within_the_linger(shim: ShimClient) -> None:
    record = shim.run("sh", "-c", "(sleep 0.2; echo late) & echo soon")
    assert (record.wait_status, shim.out) == (0, b"soon\nlate\n")


def test_time_limit(shim: ShimClient) -> None:
    record = shim.run("sleep", "30", timeout_ms=200)
    assert (record.cause, record.wait_status) == (control.TIMEOUT, signal.SIGTERM)
    assert 0.2e9 <= record.ended_wall_ns - record.started_wall_ns < 5e9


def test_time_limit_of_a_deaf_tree(shim: ShimClient, tmp_path: Path) -> None:
    script = "trap '' TERM; sh -c 'trap \"\" TERM; sleep 30 & sleep 30' & sleep 30; sleep 30"
    record = shim.run("sh", "-c", script, timeout_ms=200, grace_ms=300, env=env_of(tmp_path))
    assert (record.cause, record.wait_status) == (control.TIMEOUT, signal.SIGKILL)
    assert marked(str(tmp_path)) == []


def test_stop_lets_a_command_end_in_its_own_way(shim: ShimClient) -> None:
    shim.start("sh", "-c", "trap 'echo bye; exit 5' TERM; echo hi; while :; do sleep 0.01; done")
    wait_until(lambda: shim.out == b"hi\n", "its first word")
    shim.say(messages.Stop(control.STOPPED, "person:ä", 5_000))
    record = shim.exit()
    assert (record.cause, record.by, record.wait_status) == (control.STOPPED, "person:ä", 5 << 8)
    assert shim.out == b"hi\nbye\n"


def test_kill_of_a_stopped_tree(shim: ShimClient, tmp_path: Path) -> None:
    shim.start("sh", "-c", "sleep 30 & kill -STOP $!; kill -STOP $$", env=env_of(tmp_path))
    pid = shim.started()
    wait_until(lambda: (p := tree.process(pid)) is not None and p.state == "T", "the stop")
    shim.say(messages.Stop(control.CLIENT_LOST, "", 10_000))
    record = shim.exit()
    assert (record.cause, record.wait_status) == (control.CLIENT_LOST, signal.SIGTERM)
    assert marked(str(tmp_path)) == []


def test_second_stop_brings_the_kill_forward(shim: ShimClient) -> None:
    shim.start("sh", "-c", "trap '' TERM; echo hi; sleep 30 & wait; sleep 30")
    wait_until(lambda: shim.out == b"hi\n", "its first word")
    shim.say(messages.Stop(control.STOPPED, "first", 20_000))
    shim.say(messages.Stop(control.CLIENT_LOST, "second", 0))
    record = shim.exit()
    assert (record.cause, record.by, record.wait_status) == (control.STOPPED, "first", signal.SIGKILL)


def test_chains_of_forks_are_caught(shim: ShimClient, tmp_path: Path) -> None:
    chain = "import os,time\nwhile True:\n if os.fork(): os._exit(0)\n os.setsid()\n"
    shim.start(
        "sh", "-c", f"for i in 1 2 3; do {PYTHON.decode()} -ISc '{chain}' & done; sleep 30", env=env_of(tmp_path)
    )
    wait_until(lambda: len(marked(str(tmp_path))) >= 3, "the chains")
    begun = time.monotonic()
    shim.say(messages.Stop(control.STOPPED, "", 100))
    record = shim.exit()
    assert record.tree == control.TREE_GONE
    assert marked(str(tmp_path)) == []
    assert time.monotonic() - begun < 3


def test_leave(keeper: KeeperHarness, shim: ShimClient, tmp_path: Path) -> None:
    script = "(trap '' TERM; while :; do echo more; sleep 0.01; done) & echo main"
    record = shim.run("sh", "-c", script, flags=control.LEAVE, linger_ms=100, env=env_of(tmp_path))
    assert (record.wait_status, record.tree, record.cause) == (0, control.TREE_LEFT, control.EXITED)
    assert record.left_count >= 1
    note = shim.slots().note
    assert isinstance(note, control.Note)
    assert note.pids[0] in marked(str(tmp_path))
    assert len(shim.out) == record.out_bytes
    left = marked(str(tmp_path))
    shim.release()
    time.sleep(0.1)
    assert len(shim.out) == record.out_bytes, "what is said after the end is not the job's"
    assert set(left) & set(marked(str(tmp_path)))
    assert shim.connect().stage == messages.LEFT
    shim.say(messages.Stop(control.STOPPED, "", 0))
    died = keeper.hear(messages.Died)
    assert (died.wait_status, died.adopted) == (0, False)
    assert marked(str(tmp_path)) == []


def test_leave_with_nothing_left_is_an_ordinary_end(shim: ShimClient) -> None:
    record = shim.finish("true", flags=control.LEAVE)
    assert record.tree == control.TREE_GONE
    assert shim.finish("true").wait_status == 0


def test_signals_by_scope(shim: ShimClient) -> None:
    script = "trap 'echo main' USR1; sh -c 'trap \"echo child\" USR1; echo up; while :; do sleep 0.01; done' & "
    shim.start("sh", "-c", script + "while :; do sleep 0.01; done")
    wait_until(lambda: shim.out == b"up\n", "the child")
    shim.say(messages.Signal(signal.SIGUSR1))
    wait_until(lambda: shim.out == b"up\nmain\n", "the main process's answer")
    for scope in (messages.GROUP, messages.TREE):  # the sleeps have the default: they end
        before = len(shim.out)
        shim.say(messages.Signal(signal.SIGUSR1, scope))
        wait_until(lambda before=before: sorted(shim.out[before:].split()) == [b"child", b"main"], "both answers")  # type: ignore[misc]
    shim.say(messages.Signal(signal.SIGKILL, messages.TREE))
    record = shim.exit()
    assert (record.cause, record.wait_status) == (control.SIGNALED, signal.SIGKILL)


def test_a_stranger_that_holds_the_pipe_does_not_hold_the_end(
    keeper: KeeperHarness, shim: ShimClient, tmp_path: Path
) -> None:
    """A descriptor passed to a process outside of the tree: no end of file will ever come."""
    path = str(tmp_path / "passing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        program = f"import socket;s=socket.socket(1);s.connect({path!r});socket.send_fds(s,[b'x'],[1]);print('mine')"
        shim.start(PYTHON, "-ISc", program, linger_ms=300)
        peer, _ = listener.accept()
        _, fds, _, _ = socket.recv_fds(peer, 1, 1)
        peer.close()
        record = shim.exit()
        assert (record.wait_status, record.tree, record.out_bytes) == (0, control.TREE_GONE, 5)
        died = keeper.hear(messages.Died)  # such pipes are not used again
        assert (died.shim, died.wait_status) == (shim.name, 0)
        os.close(fds[0])


def test_usage_is_that_of_the_tree_waited_for(shim: ShimClient) -> None:
    record = shim.run(PYTHON, "-ISc", "x=bytearray(60<<20)\nfor i in range(2000000): pass")
    assert record.maxrss_kib > 60 << 10
    assert record.utime_us > 10_000


def test_bye_lets_busy_shims_finish(keeper: KeeperHarness) -> None:
    idle, busy, done = keeper.shim(), keeper.shim(), keeper.shim()
    busy.start("sh", "-c", "sleep 1.5; echo late", flags=control.STDIN)
    busy.say(messages.Stdin(0, True))
    done.run("true")
    keeper.say(messages.Bye())
    assert {keeper.hear(messages.Died).shim, keeper.hear(messages.Died).shim} == {idle.name, done.name}
    assert busy.exit().out_bytes == 5
    keeper.wait_for_end()
    assert not idle.directory.exists()
    assert isinstance(done.slots().exit, control.Exit)
    assert busy.out == b"late\n"


def test_retired_shim_goes_after_its_job(keeper: KeeperHarness) -> None:
    shim = keeper.shim()
    shim.start("sh", "-c", "sleep 0.1")
    shim.say(messages.Retire())
    assert shim.exit().wait_status == 0
    assert keeper.hear(messages.Died).wait_status == 0
