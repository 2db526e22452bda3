"""Finding and signalling processes: real children, found by parent links alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from holdfast.keeper import tree


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A child in a session of its own, and its child; both wait."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        grandchild = os.fork()
        if grandchild == 0:
            signal.pause()
            os._exit(0)
        os.write(told, grandchild.to_bytes(4, "big"))
        signal.pause()
        os._exit(0)
    grandchild = int.from_bytes(os.read(ready, 4), "big")
    yield pid, grandchild
    os.close(ready)
    os.close(told)
    for one in (grandchild, pid):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def test_what_is_known_of_oneself() -> None:
    me = tree.process(os.getpid())
    assert me is not None
    assert (me.parent, me.session, me.group, me.executed) == (os.getppid(), os.getsid(0), os.getpgrp(), True)


def test_no_such_process() -> None:
    assert tree.process(1 << 22) is None
    assert tree.children(1 << 22) == []
    assert tree.descendants([1 << 22]) == []


@pytest.mark.parametrize("scan", [False, True])
def test_descendants(family: tuple[int, int], monkeypatch: pytest.MonkeyPatch, scan: bool) -> None:
    monkeypatch.setattr(tree, "_HAS_CHILDREN_FILES", not scan)
    assert family[0] in tree.children(os.getpid())
    found = tree.descendants([family[0]])
    assert [process.pid for process in found] == list(family)
    assert [process.executed for process in found] == [False, False]
    assert found[1].session == family[0]


def test_a_zombie_is_no_living_process(family: tuple[int, int]) -> None:
    tree.kill([family[0]])
    os.waitid(os.P_PID, family[0], os.WEXITED | os.WNOWAIT)
    zombie = tree.process(family[0])
    assert zombie is not None
    assert (zombie.state, zombie.session) == ("Z", family[0])
    assert tree.descendants([family[0]]) == []


def test_kill_reaches_all(family: tuple[int, int]) -> None:
    assert [process.pid for process in tree.kill([family[0]])] == list(family)
    assert os.waitpid(family[0], 0)[1] == signal.SIGKILL


def test_a_reused_id_is_not_signalled(family: tuple[int, int]) -> None:
    real = tree.process(family[0])
    assert real is not None
    assert not tree.send(real._replace(start_ticks=real.start_ticks - 1), signal.SIGKILL)
    assert tree.process(family[0]) is not None
    assert tree.send(real, signal.SIGKILL)


def test_terminate_wakes_the_stopped(family: tuple[int, int]) -> None:
    os.kill(family[0], signal.SIGSTOP)
    os.waitid(os.P_PID, family[0], os.WSTOPPED)
    tree.terminate([family[0]])
    assert os.waitpid(family[0], 0)[1] == signal.SIGTERM


def test_signals_by_group(family: tuple[int, int]) -> None:
    tree.signal_all([family[0]], signal.SIGTERM, group=1 << 22)
    assert len(tree.descendants([family[0]])) == 2
    tree.signal_all([family[0]], signal.SIGTERM, group=family[0])
    assert os.waitpid(family[0], 0)[1] == signal.SIGTERM
