"""Plans outlive the agent: killed again and again, each firing starts once, in its turn, and none is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.e2e.harness.world import World, eventually

GROUPS = {"one": 1, "three": 3}
EACH = 15


def plans(world: World) -> dict[str, dict[str, Any]]:
    done = world.cli("queue", "ls", "-a", "--json")
    assert done.returncode == 0, done.stderr
    return {document["plan"]: document for document in json.loads(done.stdout)}


def add(world: World, *args: str) -> str:
    done = world.cli(*args)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def until_over(world: World, ids: list[str]) -> dict[str, dict[str, Any]]:
    over = ("done", "failed", "cancelled", "skipped")

    def all_over() -> Any:
        found = plans(world)
        return all(found[plan]["state"] in over for plan in ids) and found

    found: dict[str, dict[str, Any]] = eventually(all_over, "the end of all plans", 60.0)
    return found


def kill_agent(world: World, *, keeper: bool = False) -> None:
    """kill -9; with its keeper, too, nobody starts it again but the next client."""
    agent = world.agent_pid()
    if keeper:
        pid = world.keeper_pid()
        os.kill(pid, signal.SIGKILL)
        world.kill(agent)
        world.kill(pid)
    else:
        world.kill(agent)
        world.serving_again(10.0)


@pytest.mark.parametrize("time_limit", [150], indirect=True)
def test_kills_with_plans_alive(world: World) -> None:
    world.connect()
    for group, parallel in GROUPS.items():
        add(world, "queue", "parallel", str(parallel), group)
        add(world, "queue", "pause", group)
    log = world.tmp_path / "log"
    script = f'echo "begin $1 $HOLDFAST_START_KEY" >> {log}; sleep 0.05; echo "end $1 $HOLDFAST_START_KEY" >> {log}'
    command = ("--", "sh", "-c", script, "sh")
    wanted: dict[str, list[tuple[float, int, str]]] = {group: [] for group in GROUPS}
    for number in range(EACH):
        for group in GROUPS:
            priority = float(world.random.randrange(3))
            plan = add(world, "queue", "add", "--group", group, "--priority", str(priority), *command, group)
            wanted[group].append((priority, number, plan))
    delayed = [add(world, "run", "--delay", f"{100 * number}ms", *command, "-") for number in range(5)]
    beat = add(world, "run", "--every", "1s", *command, "beat")
    last = add(world, "queue", "add", "--group", "after", "--after", wanted["one"][-1][2], *command, "after")
    for group in GROUPS:
        add(world, "queue", "resume", group)
    for _ in range(6):
        time.sleep(world.random.random() / 3)
        kill_agent(world)
    ids = [plan for entries in wanted.values() for *_, plan in entries]
    found = until_over(world, [*ids, *delayed, last])
    assert {found[plan]["state"] for plan in [*ids, *delayed, last]} == {"done"}
    assert {found[plan]["fired"] for plan in [*ids, *delayed, last]} == {1}
    assert world.cli("queue", "cancel", beat).returncode == 0
    beats = until_over(world, [beat])[beat]["fired"]

    lines = [line.split() for line in log.read_text().splitlines()]
    begun = [key for what, _, key in lines if what == "begin"]
    assert len(set(begun)) == len(begun)
    assert sorted(begun) == sorted(
        [f"plan:{plan}:0" for plan in (*ids, *delayed, last)] + [f"plan:{beat}:{n}" for n in numbers(begun, beat)]
    )
    assert len(numbers(begun, beat)) == beats
    for group, parallel in GROUPS.items():
        at_once = 0
        for what in [what for what, name, _ in lines if name == group]:
            at_once += 1 if what == "begin" else -1
            assert at_once <= parallel
    in_turn = [key.split(":")[1] for what, group, key in lines if (what, group) == ("begin", "one")]
    assert in_turn == [plan for *_, plan in sorted(wanted["one"])]


def numbers(begun: list[str], plan: str) -> list[int]:
    """Of the firings of a plan."""
    return [int(key.rpartition(":")[2]) for key in begun if key.startswith(f"plan:{plan}:")]


def test_what_happened_while_nobody_was_there(world: World) -> None:
    """Agent and keeper are gone: a job ends, times pass; the next client finds it all as it should be."""
    world.connect()
    flag = world.tmp_path / "flag"
    first = add(world, "queue", "add", "--sh", f"while [ ! -e {flag} ]; do sleep 0.02; done; exit 3")
    after = add(world, "queue", "add", "--group", "other", "--after", first, "--", "true")
    following = add(world, "queue", "add", "--sh", "echo late")
    delayed = add(world, "run", "--delay", "500ms", "--sh", "echo delayed")
    skipped = add(world, "run", "--at", "now+61m", "--", "true")
    beat = add(world, "run", "--every", "1s", "--at", "now+1s", "--sh", "echo beat")
    eventually(lambda: plans(world)[first]["job"], "the start of the first one")
    kill_agent(world, keeper=True)
    flag.touch()
    time.sleep(3.2)
    world.connect()
    found = until_over(world, [first, after, following, delayed])
    assert found[first]["why"] == f"job {found[first]['job']} returned 3"
    assert (found[after]["state"], found[following]["state"], found[delayed]["state"]) == ("failed", "done", "done")
    assert found[skipped]["state"] == "waiting"
    beats = eventually(lambda: (it := plans(world)[beat])["fired"] and it, "a late beat")
    assert beats["missed"] >= 1
    for plan in (beat, skipped):
        assert world.cli("queue", "cancel", plan).returncode == 0
    until_over(world, [beat, skipped])


def test_a_plan_is_on_the_disk_before_it_is_answered(world: World) -> None:
    world.connect()
    plan = add(world, "run", "--delay", "1h", "--", "true")
    kill_agent(world)
    assert plans(world)[plan]["state"] == "waiting"
    assert world.cli("agent", "stop").returncode == 0
    assert plans(world)[plan]["state"] == "waiting"
