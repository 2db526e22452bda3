"""More of the same, for longer: kills by the hundred, jobs by the ten thousand, and what is left of them."""

from __future__ import annotations

import threading

import pytest

import holdfast
from tests.e2e.harness import procfs
from tests.e2e.harness.storm import Killer, Load, journal_bytes, resident_kib
from tests.e2e.harness.work import PROGRAM
from tests.e2e.harness.world import World
from tests.soak.conftest import Figures

pytestmark = pytest.mark.soak

GROWTH_KIB = 16 * 1024
KEEPER_GROWTH_KIB = 2 * 1024
JOB_JOURNAL_BYTES = 4096
"""Most that a small job may add to the journal."""


@pytest.mark.parametrize("time_limit", [900], indirect=True)
@pytest.mark.parametrize(
    ("name", "victims", "kills"),
    [
        ("agent killed", ("agent",), 200),
        ("shim killed", ("shim",), 500),
        ("keeper killed", ("keeper",), 200),
        ("any of them killed", ("agent", "shim", "shim", "keeper"), 300),
    ],
)
def test_kills(world: World, figures: Figures, name: str, victims: tuple[str, ...], kills: int) -> None:
    world.warm()
    killer = Killer(world)
    with Load(world) as load:
        killer.storm(victims, kills)
    load.check()
    figures(name, f"{kills} kills, 0 faults", f"{sum(killer.killed.values())} kills, {load.done} jobs, 0 faults")
    if killer.killed["agent"]:
        figures(f"{name}: serving again", "<= 1.0 s", f"{killer.slowest_s:.2f} s at the most")


def _run_many(state_dir: str, count: int, faults: list[str]) -> None:
    with holdfast.connect(state_dir=state_dir) as host:
        for n in range(count):
            done = host.run(["sh", "-c", f"echo {n}; exit {n % 256}"])
            if (done.returncode, done.stdout) != (n % 256, b"%d\n" % n):
                faults.append(f"{n}: {done.returncode} {done.stdout!r}")


def _many(world: World, count: int, threads: int) -> list[str]:
    faults: list[str] = []
    runners = [
        threading.Thread(target=_run_many, args=(world.agent.state_dir, count // threads, faults))
        for _ in range(threads)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return faults


@pytest.mark.parametrize("time_limit", [600], indirect=True)
def test_twenty_thousand_short_jobs(world: World, figures: Figures) -> None:
    """Memory, threads, descriptors and journal are compared after 2 000 jobs and after 20 000 more."""
    host = world.warm()
    assert _many(world, 2_000, 8) == []
    world.settle(host)
    agent, keeper = world.agent_pid(), world.keeper_pid()
    before = resident_kib(agent), resident_kib(keeper), procfs.status_field(agent, "Threads")
    journal = journal_bytes(world.state_dir)
    faults = _many(world, 20_000, 8)
    world.settle(host)
    assert (world.agent_pid(), world.keeper_pid()) == (agent, keeper)
    after = resident_kib(agent), resident_kib(keeper), procfs.status_field(agent, "Threads")
    grown = [now - then for now, then in zip(after, before, strict=True)]
    a_job = (journal_bytes(world.state_dir) - journal) / 20_000
    figures("20 000 short jobs", "0 faults", f"{len(faults)} faults")
    figures("agent's memory", f"+ <= {GROWTH_KIB} KiB", f"{grown[0]:+} KiB")
    figures("keeper's memory", f"+ <= {KEEPER_GROWTH_KIB} KiB", f"{grown[1]:+} KiB")
    figures("agent's threads", "+ 0", f"{grown[2]:+}")
    figures("journal", f"<= {JOB_JOURNAL_BYTES} bytes a job", f"{a_job:.0f} bytes a job")
    assert faults == []
    assert grown[0] <= GROWTH_KIB
    assert grown[1] <= KEEPER_GROWTH_KIB
    assert grown[2] <= 0
    assert a_job <= JOB_JOURNAL_BYTES


@pytest.mark.parametrize("time_limit", [300], indirect=True)
def test_trees_leave_nobody(world: World, figures: Figures) -> None:
    """Double forks, sessions of their own, ignored TERM: after each job no process with its mark is there."""
    host = world.warm()
    script = (
        "import os, random, signal, sys, time\n"
        "r = random.Random(int(sys.argv[1]))\n"
        "def grow(depth):\n"
        " if r.random() < .4: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        " if r.random() < .4: os.setsid() if os.getpid() != os.getpgrp() else None\n"
        " for _ in range(r.randrange(3) if depth < 4 else 0):\n"
        "  r.random()\n"
        "  if not os.fork(): grow(depth + 1); time.sleep(60); os._exit(0)\n"
        "grow(0)\n"
        "time.sleep(60 if r.random() < .5 else 0)\n"
    )
    count, worst = 100, 0
    for n in range(count):
        job = host.start([*PROGRAM, script, str(n)], grace=0.2, timeout=0.3)
        receipt = job.wait_receipt(30)
        worst = max(worst, len(procfs.carrying(f"HOLDFAST_JOB_ID={job.id}")))
        assert receipt.tree == "gone"
    figures("process trees ended", f"{count} trees, 0 left", f"{count} trees, {worst} left")
    assert worst == 0
