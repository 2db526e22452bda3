"""S8: jobs of a revoked key: those that wait never start; those that run go on, or are stopped if the policy says so.

That its connections end within a second is tested over real sockets: ``tests/e2e/test_net_agent.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.agent.principals_desk import PrincipalsDesk
from holdfast.keeper import messages
from holdfast.types import JobState
from holdfast.wire import messages as m
from tests.unit.agent.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An agent without processes, with one slot, where keys can be revoked."""
    (tmp_path / "state").mkdir(mode=0o700)
    made = World(tmp_path / "state", slots=1)
    keys = SimpleNamespace(
        load_invitations=list, save_invitations=lambda kept: None, of_key=None, names=None,
        revoke=lambda name: None,
    )  # fmt: skip
    acceptor = SimpleNamespace(on_enrol=None, turn_out=lambda name, text: 1)
    PrincipalsDesk(made.service, cast(Any, keys), cast(Any, acceptor), made.log.append)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("policy", "asked", "stopped"),
    [("", False, False), ('on_revoke = "keep"', False, False), ('on_revoke = "stop"', False, True), ("", True, True)],
)
def test_s8_jobs_of_a_revoked_key(world: World, policy: str, asked: bool, stopped: bool) -> None:
    if policy:
        world.policy_path.write_text(policy)
        world.policy_path.chmod(0o600)
    anna, owner = world.remote("anna@laptop"), world.client()
    running, shim = world.start(anna, on_disconnect="keep")
    waiting = anna.accepted(anna.run("waits", on_disconnect="keep")).job
    others = owner.accepted(owner.run("waits", on_disconnect="keep")).job
    answer = owner.answer(owner.ask(m.Revoke(principal="anna@laptop", jobs=asked)), m.RevokeAnswer)
    assert (answer.connections, answer.jobs_cancelled, answer.jobs_stopped) == (1, 1, int(stopped))
    assert bool([heard for heard in shim.heard if isinstance(heard, messages.Stop)]) is stopped
    world.finish(shim)
    assert world.row_state(waiting) == "done"
    assert owner.answer(owner.ask(m.Get(job=waiting)), m.JobAnswer).job.started_unix_s is None
    assert owner.answer(owner.ask(m.Get(job=others)), m.JobAnswer).job.state is not JobState.QUEUED
    assert anna.receipt(running)
