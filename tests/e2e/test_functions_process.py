"""Processes, durable calls and timers on a real agent."""

from __future__ import annotations

import asyncio
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import aio
from holdfast.functions.errors import CallTimeout, RemoteError, WorkerDied
from holdfast.types import JobState
from tests.conftest import AgentUnderTest

LIMIT_S = 60.0


def wait_for(condition: Callable[[], Any], timeout_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def say_where(path: str) -> None:
    from holdfast.local import current_process

    Path(path).write_text(f"{current_process().name} {os.getpid()}")
    print("said")


def exit_with(code: Any) -> None:
    sys.exit(code)


def write_late(path: str, text: str, seconds: float = 0.0) -> str:
    time.sleep(seconds)
    with open(path, "a") as file:
        file.write(f"{text}\n")
    return text


def add(a: int, b: int) -> int:
    print("adding")
    return a + b


def tell_and_wait(path: str) -> str:
    holdfast.progress(1, 2, "half")
    while not os.path.exists(path):
        time.sleep(0.01)
    holdfast.progress(2, 2, "whole")
    return "over"


class Boom(ValueError):
    pass


def boom() -> None:
    raise Boom("b", 2)


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_process_runs_a_function(host: holdfast.Host, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    process = host.Process(target=say_where, args=(str(tmp_path / "said"),), name="speaker")
    process.start()
    assert multiprocessing.connection.wait([process.sentinel], LIMIT_S) == [process.sentinel]
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert (tmp_path / "said").read_text() == f"speaker {process.pid}"
    assert capfd.readouterr().out == "said\n"
    process.close()


def test_a_subclass_is_known_to_itself_as_the_current_process(
    host: holdfast.Host, capfd: pytest.CaptureFixture[str]
) -> None:
    class Speaker(host.Process):  # type: ignore[name-defined, misc]
        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

        def run(self) -> None:
            from holdfast.local import current_process

            print(self.word, current_process() is self, self.name)

    process = Speaker("hello")
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert capfd.readouterr().out == f"hello True {process.name}\n"


@pytest.mark.parametrize(("code", "status"), [(None, 0), (3, 3), ("words", 1)])
def test_exit_codes_are_those_of_multiprocessing(host: holdfast.Host, code: Any, status: int) -> None:
    process = host.Process(target=exit_with, args=(code,))
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == status


def test_an_uncaught_error_is_exit_code_1_with_a_traceback(
    host: holdfast.Host, capfd: pytest.CaptureFixture[str]
) -> None:
    process = host.Process(target=boom)
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 1
    assert "Boom: ('b', 2)" in capfd.readouterr().err


def test_signals_are_negative_exit_codes(host: holdfast.Host) -> None:
    for end, code in (("terminate", -signal.SIGTERM), ("kill", -signal.SIGKILL)):
        process = host.Process(target=time.sleep, args=(1000,))
        process.start()
        assert process.is_alive()
        process.join(0.05)
        assert process.exitcode is None
        getattr(process, end)()
        process.join(LIMIT_S)
        assert process.exitcode == code


def test_a_killed_agent_is_not_noticed(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    process = host.Process(target=write_late, args=(str(tmp_path / "text"), "x", 1.0))
    process.start()
    os.kill(int(host.status().agent["pid"]), signal.SIGKILL)
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert (tmp_path / "text").read_text() == "x\n"


def test_at_the_end_daemons_are_terminated_and_others_joined(agent: AgentUnderTest, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        f"import holdfast, time\nhost = holdfast.connect(state_dir={agent.state_dir!r})\n"
        "def late():\n    time.sleep(0.5)\n    print('late')\n"
        "daemon = host.Process(target=time.sleep, args=(1000,), daemon=True)\n"
        "daemon.start()\n"
        "host.Process(target=late).start()\n"
        "print('over', daemon.job, flush=True)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.stderr == ""
    first, job, last = done.stdout.split()
    assert (first, last) == ("over", "late")
    receipt = agent.connect().job(job).receipt
    assert receipt is not None
    assert receipt.returncode == -signal.SIGTERM


def test_when_the_starter_is_killed_daemons_die_and_others_run_on(agent: AgentUnderTest, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        f"import holdfast, os, signal, time\nhost = holdfast.connect(state_dir={agent.state_dir!r})\n"
        "def run_on(path):\n    time.sleep(12)\n    open(path, 'w').close()\n"
        "daemon = host.Process(target=time.sleep, args=(1000,), daemon=True)\n"
        "daemon.start()\n"
        f"other = host.Process(target=run_on, args=({str(tmp_path / 'there')!r},))\n"
        "other.start()\n"
        "print(daemon.job, other.job, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT_S)
    daemon, other = done.stdout.split()
    host = agent.connect()
    assert host.job(daemon).wait(LIMIT_S) == -signal.SIGTERM
    assert host.job(daemon).receipt.ended_by == "lost-client"  # type: ignore[union-attr]
    assert host.job(other).wait(LIMIT_S) == 0
    assert (tmp_path / "there").exists()


def test_processes_can_be_awaited(agent: AgentUnderTest, tmp_path: Path) -> None:
    async def whole() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20.0) as host:
            process = host.Process(target=write_late, args=(str(tmp_path / "text"), "x"))
            await process.start()
            await process.join(LIMIT_S)
            assert process.exitcode == 0
            other = host.Process(target=time.sleep, args=(1000,))
            await other.start()
            await other.kill()
            await other.join(LIMIT_S)
            assert other.exitcode == -signal.SIGKILL

    asyncio.run(whole())


# --- durable calls ---------------------------------------------------------------------------------------------------


def test_a_durable_call_is_a_job_with_a_receipt_and_its_future_can_be_had_again(
    agent: AgentUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    host = agent.connect()
    future = host.submit(add, 3, b=4, key="sum")
    assert future.job is not None
    assert future.result(LIMIT_S) == 7
    job = host.job(future.job)
    assert job.wait(LIMIT_S) == 0
    assert job.read(2) == b"adding\n"
    assert capfd.readouterr().out == ""
    again = agent.connect()
    assert again.future(future.job).result(LIMIT_S) == 7
    assert again.future(future.job[:8]).done() in (True, False)
    assert again.submit(add, 3, b=4, key="sum").job == future.job, "a key makes one call"
    with pytest.raises(holdfast.Conflict):
        again.submit(add, 3, b=5, key="sum")


def test_another_program_has_the_result_of_one_that_was_killed(agent: AgentUnderTest, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        f"import holdfast, os, signal, sys\nsys.path.insert(0, {os.getcwd()!r})\n"
        f"host = holdfast.connect(state_dir={agent.state_dir!r})\n"
        "from tests.e2e.test_functions_process import write_late\n"
        f"future = host.submit(write_late, {str(tmp_path / 'text')!r}, 'x', 1.0, key='k')\n"
        "print(future.job, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.stderr == ""
    future = agent.connect().future(done.stdout.strip())
    assert future.result(LIMIT_S) == "x"
    assert (tmp_path / "text").read_text() == "x\n"


def test_what_a_durable_call_raises_is_raised_again_and_again(agent: AgentUnderTest) -> None:
    host = agent.connect()
    future = host.submit(boom, results="plain")
    assert future.job is not None
    for each in (future, agent.connect().future(future.job, results="plain")):
        error = each.exception(LIMIT_S)
        assert isinstance(error, RemoteError)
        assert isinstance(error, Boom)
        assert error.args == ("b", 2)


def test_a_durable_call_that_is_killed_may_have_run(host: holdfast.Host) -> None:
    future = host.submit(time.sleep, 1000)
    assert future.job is not None
    wait_for(future.running)
    assert not future.cancel()
    host.job(future.job).signal(signal.SIGKILL)
    error = future.exception(LIMIT_S)
    assert isinstance(error, WorkerDied)
    assert (error.ran, "signal 9" in str(error)) == ("unknown", True)


def test_a_durable_call_can_be_stopped(host: holdfast.Host) -> None:
    future = host.submit(time.sleep, 1000)
    assert future.job is not None
    wait_for(future.running)
    assert future.cancel(force=True)
    assert future.cancelled()
    wait_for(lambda: host.job(str(future.job)).info.state is JobState.DONE)  # type: ignore[union-attr]


def test_a_durable_call_is_ended_at_its_limit(host: holdfast.Host) -> None:
    with pytest.raises(CallTimeout, match=r"0\.3 s"):
        host.submit(time.sleep, 1000, timeout=0.3).result(LIMIT_S)


def test_the_progress_of_a_durable_call_is_heard(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    told: list[str] = []
    future = host.submit(tell_and_wait, str(tmp_path / "go"), on_progress=lambda progress: told.append(progress.text))
    wait_for(lambda: told == ["half"])
    assert future.progress is not None
    assert future.progress.total == 2
    again = agent.connect().future(str(future.job), on_progress=lambda progress: told.append(f"again {progress.text}"))
    (tmp_path / "go").touch()
    assert future.result(LIMIT_S) == again.result(LIMIT_S) == "over"


def test_a_job_that_is_no_call_has_no_future(host: holdfast.Host) -> None:
    job = host.start(["true"])
    with pytest.raises(ValueError, match="no call of a function"):
        host.future(job.id)
    with pytest.raises(holdfast.NotFound):
        host.future("00000000")


def test_callbacks_of_durable_calls_may_wait(host: holdfast.Host) -> None:
    found: list[Any] = []
    future = host.submit(add, 1, 2)
    future.add_done_callback(lambda done: found.append(host.submit(add, done.result(), 10).result(LIMIT_S)))
    wait_for(lambda: found)
    assert found == [13]


def test_durable_calls_can_be_awaited(agent: AgentUnderTest) -> None:
    async def whole() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20.0) as host:
            future = await host.submit(add, 3, 4, key="k")
            assert await future == 7
            assert await (await host.future(str(future.job))) == 7
            with pytest.raises(Boom):
                await (await host.submit(boom))

    asyncio.run(asyncio.wait_for(whole(), LIMIT_S))


def test_a_durable_call_outlives_a_killed_agent(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    future = host.submit(write_late, str(tmp_path / "text"), "x", 1.0)
    os.kill(int(host.status().agent["pid"]), signal.SIGKILL)
    assert future.result(LIMIT_S) == "x"
    assert (tmp_path / "text").read_text() == "x\n"


# --- timers ----------------------------------------------------------------------------------------------------------


def test_a_timer_calls_once_and_hands_on_what_is_printed(
    host: holdfast.Host, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    timer = host.timer(0.3, add, args=(3,), kwargs={"b": 4})
    begun = time.monotonic()
    timer.start()
    timer.join(LIMIT_S)
    assert time.monotonic() - begun >= 0.3
    assert timer.finished.is_set()
    assert timer.job is not None
    assert host.job(timer.job).wait(LIMIT_S) == 0
    assert capfd.readouterr().out == "adding\n"
    with pytest.raises(RuntimeError):
        timer.start()


def test_a_cancelled_timer_does_not_call(host: holdfast.Host, tmp_path: Path) -> None:
    timer = host.timer(0.5, write_late, args=(str(tmp_path / "text"), "x"))
    timer.start()
    timer.cancel()
    timer.join(LIMIT_S)
    other = host.timer(0.1, write_late, args=(str(tmp_path / "text"), "y"))
    other.start()
    other.join(LIMIT_S)
    time.sleep(0.5)
    assert (tmp_path / "text").read_text() == "y\n"
    other.cancel()


def test_a_timer_outlives_its_program_and_a_killed_agent(agent: AgentUnderTest, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        f"import holdfast, os, signal, sys\nsys.path.insert(0, {os.getcwd()!r})\n"
        f"host = holdfast.connect(state_dir={agent.state_dir!r})\n"
        "from tests.e2e.test_functions_process import write_late\n"
        f"host.timer(2.0, write_late, args=({str(tmp_path / 'text')!r}, 'x')).start()\n"
        "os.kill(int(host.status().agent['pid']), signal.SIGKILL)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, str(script)], capture_output=True, timeout=LIMIT_S)
    agent.connect()
    wait_for((tmp_path / "text").exists)
    time.sleep(0.5)
    assert (tmp_path / "text").read_text() == "x\n"


def test_timers_can_be_awaited(agent: AgentUnderTest, tmp_path: Path) -> None:
    async def whole() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20.0) as host:
            timer = host.timer(0.2, write_late, args=(str(tmp_path / "text"), "x"))
            with pytest.raises(RuntimeError):
                await timer.join()
            await timer.start()
            await timer.join(LIMIT_S)
            assert timer.job is not None
            with pytest.raises(RuntimeError):
                await timer.start()
            off = host.timer(0.3, write_late, args=(str(tmp_path / "text"), "y"))
            await off.start()
            await off.cancel()
            await off.join(LIMIT_S)

    asyncio.run(asyncio.wait_for(whole(), LIMIT_S))
    assert (tmp_path / "text").read_text() == "x\n"
