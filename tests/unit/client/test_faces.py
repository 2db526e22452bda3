"""Every operation on both faces: written once, played on each."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import holdfast
from holdfast.types import Cause
from holdfast.wire import messages as m
from tests.socket_agent import SocketAgent
from tests.unit.client.conftest import BIG

Play = Callable[..., None]


def test_run_gives_what_subprocess_would(play: Play) -> None:
    async def scenario(host: Any) -> None:
        done = await host.run(["noisy"])
        assert (done.args, done.returncode, done.stdout, done.stderr) == (["noisy"], 3, b"out\r\n", b"err")
        assert done.receipt.cause is Cause.EXITED
        text = await host.run(["noisy"], text=True)
        assert (text.stdout, text.stderr) == ("out\n", "err")
        silent = await host.run(["noisy"], capture_output=False)
        assert (silent.returncode, silent.stdout) == (3, None)
        with pytest.raises(subprocess.CalledProcessError):
            await host.run(["noisy"], check=True)

    play(scenario)


def test_run_takes_input(play: Play) -> None:
    async def scenario(host: Any) -> None:
        assert (await host.run(["cat"], input=b"")).stdout == b""
        assert (await host.run(["cat"], input=BIG)).stdout == BIG
        assert (await host.run(["cat"], input="grün", encoding="latin-1")).stdout == "grün"
        with pytest.raises(TypeError):
            await host.run(["cat"], input="text")

    play(scenario)


def test_run_stops_a_job_that_writes_too_much(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        with pytest.raises(holdfast.OutputTooLarge):
            await host.run(["big"], max_output=1000)
        await host.status()
        assert [type(request) for request in served.agent.requests[-2:]] == [m.Stop, m.Status]

    play(scenario)


def test_bad_arguments_are_refused_before_anything_is_sent(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        for args, options, error in (
            ([], {}, ValueError),
            (["a\0b"], {}, ValueError),
            ("a text", {}, TypeError),
            (["a"], {"shell": True}, TypeError),
            (["a"], {"env": {"A=B": "x"}}, ValueError),
            (["a"], {"key": ""}, ValueError),
            (["a" * 3_000_000], {}, ValueError),
        ):
            with pytest.raises(error):
                await host.run(args, **options)
        assert served.agent.requests == []

    play(scenario)


def test_start_output_wait_and_attributes(play: Play) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["big"])
        assert job.pid == 4242
        got = b"".join([chunk async for _, chunk in job.output()])
        assert got == BIG
        assert job.delivered == {1: len(BIG), 2: 0}
        assert job.returncode == 0
        assert await job.wait() == 0
        again = b"".join([chunk async for _, chunk in job.output(offsets={1: 12_345})])
        assert again == BIG[12_345:]

    play(scenario)


def test_read_and_tail(play: Play) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["lines"], detach=True)
        assert await job.read(1, 2, 5) == b"1\n2\n3"
        tail = b"".join([chunk async for _, chunk in job.output(tail_lines=2)])
        assert tail == b"998\n999\n"
        assert b"".join([chunk async for _, chunk in job.output(tail_lines=0)]) == b""

    play(scenario)


def test_stdin_of_a_started_job(play: Play) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["cat"], stdin=True)
        assert await job.stdin.write(b"one ") == 4
        await job.stdin.write(BIG)
        await job.stdin.close()
        await job.stdin.close()
        assert b"".join([chunk async for _, chunk in job.output()]) == b"one " + BIG
        with pytest.raises(holdfast.HoldfastError):
            await job.stdin.write(b"more")

    play(scenario)


def test_the_input_of_a_job_that_was_found_again(play: Play) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["cat"], stdin=True, detach=True)
        found = await host.job(job.id)
        await found.stdin.write(b"hello")
        await found.stdin.close()
        assert await found.wait() == 0
        assert await found.read() == b"hello"

    play(scenario)


def test_a_cut_in_the_middle_is_told_and_resumed(play: Play, served: SocketAgent) -> None:
    changes: list[holdfast.LinkChange] = []

    async def scenario(host: Any) -> None:
        job = await host.start(["big"])
        got = b""
        async for _, chunk in job.output():
            if not got:
                await asyncio.to_thread(served.cut)
            got += chunk
        assert got == BIG
        assert [change.kind for change in changes] == ["lost", "resumed"]

    play(scenario, on_link_event=changes.append)


def test_waiting_has_a_limit(play: Play) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["sleep"])
        with pytest.raises(holdfast.DeadlineExceeded):
            await job.wait(timeout=0.01)
        assert await job.is_alive()
        await job.stop(grace=1)
        assert await job.wait() == -15
        assert not await job.is_alive()

    play(scenario)


def test_the_small_operations(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["noisy"], detach=True, key="mine")
        assert (job.key, job.deduplicated) == ("mine", False)
        assert (await host.start(["noisy"], detach=True, key="mine")).deduplicated
        await job.signal(10, "tree")
        await job.kill()
        again = await job.retry()
        assert again.id != job.id
        assert (await job.verify()).mismatches == ()
        assert (await host.status()).agent == {"pid": 1}
        assert (await host.prune(5.0)).jobs == 2
        assert [left.ended for left in await host.leftovers(end=True)] == [True]
        await job.forget()
        with pytest.raises(holdfast.NotFound) as caught:
            await job.refresh()
        assert caught.value.ran == "no"
        await host.shutdown()

    play(scenario)


def test_who_may_come_is_asked_and_changed(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        invited = await host.invite(role="viewer", ttl=5.0, address="tls://a:1")
        assert (invited.invitation, invited.role, invited.expires_unix_s) == ("hf1.x", "viewer", 5.0)
        assert await host.principals() == ()
        assert (await host.revoke("anna@box", jobs=True)).jobs_stopped == 1
        assert served.agent.requests == [
            m.Invite("viewer", 5.0, "tls://a:1"),
            m.Principals(),
            m.Revoke("anna@box", True),
        ]

    play(scenario)


def test_jobs_are_paged(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        for _ in range(12):
            await host.start(["ok"], detach=True)
        assert len(await host.jobs(all=True)) == 12
        newest = await host.jobs(all=True, limit=3)
        assert [info.job for info in newest] == ["job000000011", "job000000010", "job000000009"]

    play(scenario)


def test_another_journal_behind_the_address_is_never_asked_to_run_again(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        job = await host.start(["sleep"])
        served.agent.incarnation = "j" * 32
        await asyncio.to_thread(served.cut)
        with pytest.raises(holdfast.OutcomeUnknown) as caught:
            async for _ in job.output():
                pass
        assert caught.value.key == job.key

    play(scenario)


def test_wrong_bytes_are_not_believed(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        served.agent.corrupt = True
        with pytest.raises(holdfast.OutputMismatch):
            await host.run(["noisy"])

    play(scenario)


def test_many_runs_at_once(play: Play) -> None:
    async def scenario(host: Any) -> None:
        done = await asyncio.gather(*[host.run(["noisy"]) for _ in range(64)])
        assert len({each.receipt.job for each in done}) == 64

    play(scenario)


def test_a_closed_host_refuses_and_says_that_nothing_ran(play: Play) -> None:
    async def scenario(host: Any) -> None:
        await host.close()
        await host.close()
        with pytest.raises(holdfast.ClosedError) as caught:
            await host.run(["ok"])
        assert caught.value.ran == "no"

    play(scenario)


def test_close_during_calls_wakes_everybody(play: Play, served: SocketAgent) -> None:
    async def scenario(host: Any) -> None:
        served.mute = True
        call = asyncio.ensure_future(host.run(["ok"]))
        assert await asyncio.to_thread(served.swallowed.wait, 10)
        await asyncio.gather(host.close(), host.close())
        with pytest.raises(holdfast.ClosedError) as caught:
            await call
        assert caught.value.ran == "unknown"

    play(scenario)
