"""S29: a policy replaced while something is decided: one version holds for all of it, and the record names it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.access import Role
from holdfast.store.audit import Record, read
from holdfast.wire import messages as m
from tests.unit.agent.world import World

OPEN = '[principals."bert@desk"]\nsees = ["anna@laptop"]\ncontrols = ["anna@laptop"]\nprofiles = ["p"]\n'
OPEN += '[profiles.p]\nprogram = "/bin/do"\n'
SHUT = '[principals."bert@desk"]\nrole = "viewer"\n'


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An agent without processes."""
    (tmp_path / "state").mkdir(mode=0o700)
    made = World(tmp_path / "state")
    yield made
    made.close()


def put(world: World, text: str) -> None:
    new = world.policy_path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(world.policy_path)


def last(world: World, action: str) -> Record:
    return [record for record, _ in read(str(world.state_dir / "audit")) if record.action == action][-1]


@pytest.mark.parametrize(("before", "after", "allowed"), [(OPEN, SHUT, True), (SHUT, OPEN, False)])
def test_s29_a_stop_is_decided_by_the_policy_it_began_with(
    world: World, monkeypatch: pytest.MonkeyPatch, before: str, after: str, allowed: bool
) -> None:
    job = world.job_done(world.remote("anna@laptop"))
    bert = world.remote("bert@desk")
    put(world, before)
    real = world.journal.find

    def find(*args: Any, **more: Any) -> Any:
        put(world, after)  # between finding the job and deciding about it
        return real(*args, **more)

    monkeypatch.setattr(world.journal, "find", find)
    stream = bert.ask(m.Stop(job=job))
    if allowed:
        assert bert.answer(stream, m.DoneAnswer)
    else:
        assert bert.failure(stream).code == m.ErrorCode.NOT_FOUND
    assert last(world, "stop").policy == digest(before)
    monkeypatch.undo()
    bert.ask(m.Stop(job=job))
    assert last(world, "stop").policy == digest(after)


@pytest.mark.parametrize(("before", "after", "allowed"), [(OPEN, SHUT, True), (SHUT, OPEN, False)])
def test_s29_a_start_is_decided_by_the_policy_it_began_with(
    world: World, monkeypatch: pytest.MonkeyPatch, before: str, after: str, allowed: bool
) -> None:
    bert = world.remote("bert@desk", Role.RUNNER)
    put(world, before)
    real = world.guard.caller

    def caller(*args: Any) -> Any:
        found = real(*args)
        put(world, after)
        return found

    monkeypatch.setattr(world.guard, "caller", caller)
    stream = bert.run("/bin/do", attach=False)
    if allowed:
        assert bert.answer(stream, m.AcceptedAnswer).job
    else:
        assert bert.failure(stream).code == m.ErrorCode.FORBIDDEN
    assert last(world, "run").policy == digest(before)
