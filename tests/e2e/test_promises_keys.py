"""A start key starts at most one command, with the agent killed in between as well; old keys are refused, never new."""

from __future__ import annotations

import threading
import time

import pytest

import holdfast
from holdfast.client.calls import run_request, start_detached, uuid7
from holdfast.lab.chaos import ChaosProxy
from holdfast.wire.messages import ErrorCode
from tests.e2e.harness.storm import Killer
from tests.e2e.harness.work import starts
from tests.e2e.harness.world import World

DAY_S = 86_400.0


def test_keys_over_cut_links_and_killed_agents(world: World) -> None:
    """Two clients ask for each key at the same moment, while links are cut and the agent is killed."""
    world.warm()
    keys = [f"key-{world.random.randrange(1 << 40)}" for _ in range(150)]
    seen: list[dict[str, str]] = [{}, {}]
    gate, connected = threading.Barrier(2), threading.Barrier(3)

    def ask(proxy: ChaosProxy, ids: dict[str, str]) -> None:
        with holdfast.connect(proxy.address, timeout=20.0) as host:
            connected.wait(30)  # before its welcome, a client has nothing to resume
            for key in keys:
                gate.wait(30)
                job = host.start(["sh", "-c", f"echo {key} >> {world.starts}"], key=key, on_disconnect="keep")
                job.wait(30)
                ids[key] = job.id

    killer, kills = Killer(world), 0
    with (
        ChaosProxy(f"unix://{world.tmp_path}/one", f"unix://{world.agent.socket_path}") as one,
        ChaosProxy(f"unix://{world.tmp_path}/two", f"unix://{world.agent.socket_path}") as two,
    ):
        clients = [threading.Thread(target=ask, args=(proxy, ids)) for proxy, ids in zip((one, two), seen, strict=True)]
        for client in clients:
            client.start()
        connected.wait(30)
        next_kill = time.monotonic() + 0.3
        while any(client.is_alive() for client in clients):
            time.sleep(world.random.random() * 0.04)
            world.random.choice((one, two)).cut()
            if time.monotonic() > next_kill and kills < 4:
                killer.kill("agent")
                kills += 1
                next_kill = time.monotonic() + 0.3
        print(f"{kills} agents killed, {one.served + two.served} connections")
    assert starts(world.starts) == dict.fromkeys(keys, 1)
    assert seen[0] == seen[1]
    assert set(seen[0]) == set(keys)
    assert kills


def test_another_command_under_a_key_is_refused(world: World) -> None:
    host = world.warm()
    script = f"echo x >> {world.starts}; echo shown"
    first = host.run(["sh", "-c", script], key="mine")
    for other in ({"args": ["sh", "-c", script, "more"]}, {"args": ["sh", "-c", script], "env": {"A": "b"}}):
        with pytest.raises(holdfast.Conflict) as refused:
            host.run(**other, key="mine")
        assert (refused.value.code, refused.value.ran) == (ErrorCode.KEY_REUSED, "no")
    assert world.cli("run", "--once", "mine", "--", "true").returncode == 125
    assert starts(world.starts) == {"x": 1}
    assert world.cli("rm", "--forget-key", first.job_id).returncode == 0
    assert host.run(["sh", "-c", script], key="mine").job_id != first.job_id
    assert starts(world.starts) == {"x": 2}


def test_a_users_key_outlives_its_job_and_the_agent(world: World) -> None:
    host = world.warm()
    command = ["sh", "-c", f"echo x >> {world.starts}"]
    host.run(command, key="old")
    host.prune(0)
    assert host.jobs(all=True) == []
    world.kill(world.agent_pid())
    world.serving_again(5.0)
    with pytest.raises(holdfast.HoldfastError) as refused:
        host.run(command, key="old")
    assert refused.value.ran == "yes"
    assert starts(world.starts) == {"x": 1}


@pytest.mark.parametrize(("age_s", "taken"), [(0.0, True), (6.9 * DAY_S, True), (7.1 * DAY_S, False), (-DAY_S, False)])
def test_generated_keys_have_a_horizon(world: World, age_s: float, taken: bool) -> None:
    """A client that comes back after the horizon cannot know whether its command ran: it is refused, never run anew."""
    host = world.warm()
    key = uuid7(int((time.time() - age_s) * 1000), world.random.randbytes(10))
    run = run_request(["sh", "-c", f"echo x >> {world.starts}"], fresh_key=key, encode=str.encode, attach=False)
    ask = start_detached(run)
    if taken:
        first, again = host._connection.call(ask), host._connection.call(ask)
        assert first.job == again.job
        host.job(first.job).wait(20)
        assert starts(world.starts) == {"x": 1}
        return
    with pytest.raises(holdfast.Refused) as refused:
        host._connection.call(ask)
    assert refused.value.code == ErrorCode.KEY_EXPIRED
    assert not world.starts.exists()
