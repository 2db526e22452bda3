"""A start key starts at most one command (P2): two clients ask for the same keys at once, over links that are cut.

The oracle is the command itself: each start appends its key to a file, so starts are counted outside of Holdfast.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import holdfast
import holdfast.aio as aio
from holdfast.errors import Conflict, HoldfastError
from holdfast.lab.chaos import ChaosProxy
from tests.conftest import AgentUnderTest

KEYS = 500
ASKED_PER_CLIENT = 2
"""500 keys, asked for twice by each of two clients: 2 000 requests to start."""
AT_ONCE = 16


async def _ask_all(address: str, keys: list[str], marks: Path, connected: threading.Barrier) -> dict[str, set[str]]:
    """One client: asks for every key, several at once; the job ids it was given for each.

    The cuts begin when both clients are connected: before its welcome, a client has nothing to resume.
    """
    seen: dict[str, set[str]] = {key: set() for key in keys}
    places = asyncio.Semaphore(AT_ONCE)
    async with aio.connect(address, timeout=30.0) as host:
        await asyncio.to_thread(connected.wait, 30)

        async def ask(key: str) -> None:
            async with places:
                command = ["/bin/sh", "-c", 'echo "$1" >> "$2"', "sh", key, str(marks)]
                job = await host.start(command, key=key, durability="process", on_disconnect="keep")
                await job.wait(60)
                seen[key].add(job.id)

        await asyncio.gather(*(ask(key) for key in keys))
    return seen


def _cut_now_and_then(
    proxy: ChaosProxy, dice: random.Random, connected: threading.Barrier, over: threading.Event
) -> None:
    connected.wait(30)
    while not over.wait(dice.uniform(0.005, 0.05)):
        proxy.cut()


@pytest.mark.parametrize("count", [KEYS, pytest.param(10 * KEYS, marks=pytest.mark.soak)])
def test_two_clients_over_cut_links_start_each_key_once(agent: AgentUnderTest, tmp_path: Path, count: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    agent.connect()
    marks = tmp_path / "starts"
    keys = [f"key-{seed:x}-{number}" for number in range(count)]
    asked = [dice.sample(keys * ASKED_PER_CLIENT, len(keys) * ASKED_PER_CLIENT) for _ in range(2)]
    over = threading.Event()
    connected = threading.Barrier(4)
    with (
        ChaosProxy(f"unix://{tmp_path}/one.sock", f"unix://{agent.socket_path}") as one,
        ChaosProxy(f"unix://{tmp_path}/two.sock", f"unix://{agent.socket_path}") as two,
    ):
        cutters = [
            threading.Thread(target=_cut_now_and_then, args=(proxy, random.Random(dice.random()), connected, over))
            for proxy in (one, two)
        ]
        for cutter in cutters:
            cutter.start()

        async def both() -> list[dict[str, set[str]]]:
            pairs = zip((one, two), asked, strict=True)
            return await asyncio.gather(*(_ask_all(proxy.address, mine, marks, connected) for proxy, mine in pairs))

        began = time.monotonic()
        try:
            answers = asyncio.run(both())
        finally:
            over.set()
            for cutter in cutters:
                cutter.join()
        print(
            f"{len(keys) * 4} requests in {time.monotonic() - began:.1f} s over {one.served + two.served} connections"
        )
        assert one.served + two.served > 4, "the links were not cut"
    starts = Counter(marks.read_text().split())
    assert {key: starts[key] for key in keys} == dict.fromkeys(keys, 1)
    assert all(answers[0][key] == answers[1][key] and len(answers[0][key]) == 1 for key in keys)


def test_a_key_belongs_to_its_command_and_survives_the_job(host: holdfast.Host, tmp_path: Path) -> None:
    marks = tmp_path / "starts"
    command = ["/bin/sh", "-c", f"echo x >> {marks}"]
    first = host.start(command, key="deploy")
    first.wait(20)
    with pytest.raises(Conflict) as refused:
        host.start(["/bin/sh", "-c", f"echo y >> {marks}"], key="deploy")
    assert refused.value.ran == "no"
    host.prune(older_than=0.0)
    with pytest.raises(HoldfastError) as gone:
        host.start(command, key="deploy")
    assert gone.value.ran == "yes"
    assert marks.read_text() == "x\n"


def test_a_forgotten_key_is_new_again(host: holdfast.Host, tmp_path: Path) -> None:
    marks = tmp_path / "starts"
    command = ["/bin/sh", "-c", f"echo x >> {marks}"]
    job = host.start(command, key="again")
    job.wait(20)
    job.forget(forget_key=True)
    host.start(command, key="again").wait(20)
    assert marks.read_text() == "x\nx\n"
