"""Shared objects for longer: the agent is killed by the hundred while locks are held, items passed on, timers run."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.e2e.harness.sharing import Sharing
from tests.e2e.harness.storm import Killer
from tests.e2e.harness.world import World, eventually
from tests.soak.conftest import Figures

pytestmark = pytest.mark.soak

KILLS = 100
TIMERS = 60
SPREAD_S = 90.0
"""The timers are due within this, which is about how long the kills take."""


@pytest.mark.parametrize("time_limit", [900], indirect=True)
def test_kills_with_locks_queues_and_timers_alive(world: World, figures: Figures, seed: int) -> None:
    world.warm()
    log = world.tmp_path / "fired"
    log.touch()
    timers = []
    for number in range(TIMERS):
        delay = f"{world.random.random() * SPREAD_S:.2f}s"
        done = world.cli("run", "--delay", delay, "--", "sh", "-c", f"echo {number} >> {log}")
        assert done.returncode == 0, done.stderr
        timers.append(str(number))
    killer = Killer(world)
    with Sharing(world.agent.socket_path, seed=seed) as sharing:
        time.sleep(0.3)
        killer.storm(("agent",), KILLS, most_pause_s=0.6)
    eventually(lambda: len(log.read_text().split()) >= TIMERS, "all timers", SPREAD_S)
    fired = Counter(log.read_text().split())
    figures("agent killed, sharing", f"{KILLS} kills, 0 faults", f"{killer.killed['agent']} kills, {sharing.grants} "
            f"grants, {len(sharing.put)} items, {len(fired)} timers, {len(sharing.faults)} faults")  # fmt: skip
    figures("sharing: serving again", "<= 4.0 s", f"{killer.slowest_s:.2f} s at the most")
    sharing.check()
    assert fired == Counter(timers)
