"""Start and end of an agent: locks, limits, and when it leaves by itself."""

from __future__ import annotations

import asyncio
import os
import resource
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.agent import app
from holdfast.agent.network import Bound
from holdfast.config import Settings
from holdfast.errors import StorageError
from holdfast.keeper.launch import NOFILE_VARIABLE
from tests.unit.agent.manual_loop import ManualLoop


def test_a_state_directory_has_one_agent(tmp_path: Path) -> None:
    state_dir = tmp_path / "new"
    lock = app._lock(str(state_dir))
    assert lock is not None
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert (state_dir / "agent.lock").read_text() == f"{os.getpid()}\n"
    os.close(lock)


def test_a_directory_that_others_can_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o755)
    settings = Settings(state_dir=str(tmp_path), config_dir="", cache_dir="")
    assert app.run(state_dir=str(tmp_path), embedded=True, keeper_fd=None, settings=settings) == 73
    assert "others can read it" in capsys.readouterr().err


def test_descriptors_are_raised_to_the_hard_limit_and_commands_keep_what_we_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.delenv(NOFILE_VARIABLE, raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: given.append(limits))
    app._raise_descriptor_limit()
    assert given == [(4096, 4096)]
    assert os.environ[NOFILE_VARIABLE] == "1024"
    monkeypatch.setattr(resource, "getrlimit", lambda which: (4096, 4096))
    app._raise_descriptor_limit()  # the next agent, which inherits from this one
    assert os.environ[NOFILE_VARIABLE] == "1024"
    monkeypatch.delenv(NOFILE_VARIABLE)


def test_one_records_trouble_is_not_that_of_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[StorageError | None] = []

    def broken(error: StorageError | None) -> None:
        raise RuntimeError("a bug")

    app._finish([(broken, None), (heard.append, None)])
    assert heard == [None]
    assert "a bug" in capsys.readouterr().err


class _Quiet:
    def tick(self, now: float) -> None:
        """A client that is there and says nothing."""


@pytest.fixture
def idle_app(tmp_path: Path) -> Any:
    """An embedded agent's ticker over a board and service that the test fills; ``advance`` lets a second pass."""
    loop = ManualLoop()
    settings = Settings(state_dir=str(tmp_path), config_dir="", cache_dir="", idle_exit_s=600.0)

    async def make() -> app._App:
        return app._App(str(tmp_path), True, settings, Bound(settings, embedded=True, log=lambda line: None))

    made: Any = loop.run_until_complete(make())
    made._loop = loop
    made._board = SimpleNamespace(jobs={})
    made._service = SimpleNamespace(peers=set())
    made._plans = SimpleNamespace(waiting=0)
    made._shared = SimpleNamespace(is_needed=False)

    def advance(seconds: int) -> None:
        for _ in range(seconds):
            loop.now += 1.0
            made._ticker.cancel()
            made._tick()

    made._ticker = loop.call_later(0, lambda: None)
    made.advance = advance
    yield made
    made._ticker.cancel()
    loop.settle()
    loop.close()


def test_a_private_agent_leaves_after_ten_minutes_without_work_and_clients(idle_app: Any) -> None:
    idle_app.advance(600)
    assert not idle_app._stopping.is_set()
    idle_app.advance(2)
    assert idle_app._stopping.is_set()


@pytest.mark.parametrize("busy", ["job", "client", "plan", "lease"])
def test_work_and_clients_put_the_leaving_off(idle_app: Any, busy: str) -> None:
    idle_app.advance(500)
    if busy == "job":
        idle_app._board.jobs["j"] = object()
    elif busy == "plan":
        idle_app._plans.waiting = 1
    elif busy == "lease":
        idle_app._shared.is_needed = True
    else:
        idle_app._service.peers.add(_Quiet())
    idle_app.advance(1000)
    assert not idle_app._stopping.is_set()
    idle_app._board.jobs.clear()
    idle_app._service.peers.clear()
    idle_app._plans.waiting = 0
    idle_app._shared.is_needed = False
    idle_app.advance(500)
    assert not idle_app._stopping.is_set()
    idle_app.advance(200)
    assert idle_app._stopping.is_set()


def test_a_service_of_the_system_never_leaves_by_itself(idle_app: Any) -> None:
    idle_app._embedded = False
    idle_app.advance(2000)
    assert not idle_app._stopping.is_set()


def test_a_keeper_that_does_not_start_is_tried_again_ever_less_often(
    idle_app: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[float] = []
    loop: ManualLoop = idle_app._loop

    def fail(*_: object, **__: object) -> Any:
        tries.append(loop.now)
        raise OSError("no processes")

    monkeypatch.setattr(app, "start_keeper", fail)
    idle_app._board.crew = SimpleNamespace(keeper_pid=None)
    idle_app._keeper_closed()
    for _ in range(1200):
        loop.now += 0.1
        loop.settle()
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert max(gaps) <= 30.2
    assert len(tries) < 12
    idle_app._stopping.set()
    loop.now += 60
    loop.settle()
    assert asyncio.all_tasks(loop) == set()
