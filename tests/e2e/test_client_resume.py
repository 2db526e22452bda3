"""What a client lives through: killed agents, cuts, crowds, interrupts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import holdfast
from holdfast import aio
from holdfast.types import Cause, JobState
from tests.conftest import AgentUnderTest

STREAM = "import sys, time\nfor n in range(400): sys.stdout.write(f'{n:06d}' * 2000 + chr(10)); time.sleep(0.005)"
EXPECTED = hashlib.sha256(b"".join(f"{n:06d}".encode() * 2000 + b"\n" for n in range(400))).hexdigest()


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_goes_on_over_killed_agents(agent: AgentUnderTest) -> None:
    changes: list[holdfast.LinkChange] = []
    host = agent.connect(changes.append)
    job = host.start([sys.executable, "-c", STREAM])
    digest, got, kills = hashlib.sha256(), 0, 0
    for _, chunk in job.output():
        digest.update(chunk)
        got += len(chunk)
        if kills < 2 and got > (kills + 1) * 1_000_000:
            kills += 1
            os.kill(int(host.status().agent["pid"]), signal.SIGKILL)
    assert digest.hexdigest() == EXPECTED
    assert job.wait() == 0
    assert kills == 2
    assert [change.kind for change in changes].count("resumed") == 2


def test_a_run_survives_a_killed_agent_and_starts_once(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    pid = int(host.status().agent["pid"])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(host.run, ["sh", "-c", f"echo x >> {tmp_path}/starts; sleep 0.5; echo done; exit 9"])
        wait_for((tmp_path / "starts").exists)
        os.kill(pid, signal.SIGKILL)
        done = run.result(30)
    assert (done.returncode, done.stdout) == (9, b"done\n")
    assert (tmp_path / "starts").read_text() == "x\n"


def test_a_crowd_of_clients_starts_one_agent(agent: AgentUnderTest) -> None:
    program = "import holdfast, sys; print(holdfast.connect(state_dir=sys.argv[1]).status().agent['pid'])"
    command = [sys.executable, "-c", program, agent.state_dir]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    with ThreadPoolExecutor(4) as pool:
        ours = list(pool.map(lambda _: agent.connect().status().agent["pid"], range(4)))
    theirs = [int(each.communicate(timeout=60)[0]) for each in crowd]
    assert len({*ours, *theirs}) == 1


def test_an_interrupt_stops_the_job_of_run(agent: AgentUnderTest) -> None:
    host = agent.connect()
    program = "import holdfast, sys; holdfast.connect(state_dir=sys.argv[1]).run(['sleep', '60'], label='interrupted')"
    client = subprocess.Popen([sys.executable, "-c", program, agent.state_dir], stderr=subprocess.PIPE)
    wait_for(lambda: any(info.state is JobState.RUNNING for info in host.jobs(label="interrupted")))
    client.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in client.communicate(timeout=20)[1]
    wait_for(lambda: not host.jobs(label="interrupted"))
    receipt = host.jobs(all=True, label="interrupted")[0].receipt
    assert receipt is not None
    assert receipt.cause is Cause.STOPPED


def test_cancelling_a_task_stops_its_run_and_no_other_job(agent: AgentUnderTest) -> None:
    async def play() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20) as host:
            job = await host.start(["sleep", "60"], label="started")
            run = asyncio.create_task(host.run(["sleep", "60"], label="run"))
            while not await host.jobs(label="run"):
                await asyncio.sleep(0.01)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            while await host.jobs(label="run"):
                await asyncio.sleep(0.01)
            assert await job.is_alive()
            await job.kill()

    agent.connect()
    asyncio.run(asyncio.wait_for(play(), 40))


def test_a_state_directory_with_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120) / "state"
    agent = AgentUnderTest(deep)
    try:
        assert agent.connect().run(["echo", "far"]).stdout == b"far\n"
    finally:
        agent.stop()


def test_an_agent_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    open_to_all = tmp_path / "state"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(holdfast.ConnectFailed, match="chmod 700") as caught:
        holdfast.connect(state_dir=str(open_to_all))
    assert "\n" not in str(caught.value)


def test_asyncio_runs_64_at_once(agent: AgentUnderTest) -> None:
    async def play() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20) as host:
            done = await asyncio.gather(*[host.run(["sh", "-c", f"echo {n}; exit {n}"]) for n in range(64)])
            assert [each.returncode for each in done] == list(range(64))
            assert [each.stdout for each in done] == [b"%d\n" % n for n in range(64)]

    agent.connect()
    asyncio.run(asyncio.wait_for(play(), 60))
