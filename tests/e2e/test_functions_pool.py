"""Pools on a real agent, with real workers: what is promised of calls when anything in between dies."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import aio
from holdfast.functions.errors import CallRefused, CallTimeout, RemoteError, WorkerDied
from tests.conftest import AgentUnderTest

LIMIT_S = 60.0


def wait_for(condition: Callable[[], Any], timeout_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def double(value: int) -> int:
    return 2 * value


def note(path: str, value: int, seconds: float = 0.0) -> int:
    """Write down that this call was begun."""
    with open(path, "a") as file:
        file.write(f"{value}\n")
    time.sleep(seconds)
    return value


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def own_pid(*_: object) -> int:
    return os.getpid()


def sleep_and_pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def kill_myself(path: str = "") -> None:
    if path:
        Path(path).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def say(text: str) -> None:
    print(text)
    print(f"{text} as an error", file=sys.stderr)


def tell_progress(steps: int) -> str:
    for step in range(steps + 1):
        holdfast.progress(step, steps, f"step {step}")
    return "done"


def set_up(path: str) -> None:
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")


def refuse_to_set_up() -> None:
    raise RuntimeError("no licence")


def thread_name(_: int) -> str:
    time.sleep(0.05)
    return threading.current_thread().name


async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


def leave_a_child(path: str) -> int:
    child = subprocess.Popen(["sleep", "100"], start_new_session=True)
    Path(path).write_text(str(child.pid))
    return child.pid


# --- what it is for --------------------------------------------------------------------------------------------------


def test_calls_are_made_in_other_processes(host: holdfast.Host) -> None:
    with host.executor(2) as pool:
        assert pool.submit(double, 21).result(LIMIT_S) == 42
        assert list(pool.map(double, range(3000), timeout=LIMIT_S)) == [2 * n for n in range(3000)]
        pid = pool.submit(own_pid).result(LIMIT_S)
        assert pid != os.getpid()
        with pytest.raises(ZeroDivisionError) as caught:
            pool.submit(divmod, 1, 0).result(LIMIT_S)
        assert caught.value.__cause__ is not None


def test_large_arguments_and_results_go_through(host: holdfast.Host) -> None:
    large = bytes(range(256)) * (200_000)
    with host.executor(1) as pool:
        assert pool.submit(bytes.upper, large).result(LIMIT_S) == large.upper()
        with pytest.raises(holdfast.CallTooLarge, match="MESSAGE_BYTES"):
            pool.submit(len, bytes(300 << 20)).result(LIMIT_S)
        assert pool.submit(len, "still there").result(LIMIT_S) == 11


def test_lambdas_closures_and_functions_of_the_main_program_go_as_code(host: holdfast.Host) -> None:
    held = {"factor": 3}
    with host.executor(1) as pool:
        assert pool.submit(lambda x: x * held["factor"], 5).result(LIMIT_S) == 15
        held["factor"] = 4
        assert pool.submit(lambda x: x * held["factor"], 5).result(LIMIT_S) == 20


def test_workers_are_jobs(host: holdfast.Host) -> None:
    with host.executor(2, name="mine") as pool:
        pool.submit(double, 1).result(LIMIT_S)
        (job,) = pool.jobs
        info = host.job(job).info
        assert info is not None
        assert info.label == "pool mine"
        assert info.argv[-1] == "pool"
        assert [each.job for each in host.jobs()] == [job]
    wait_for(lambda: not host.jobs())
    assert host.job(job).receipt.returncode == 0  # type: ignore[union-attr]


def test_workers_start_as_calls_need_them(host: holdfast.Host) -> None:
    with host.executor(3) as pool:
        for _ in range(5):
            pool.submit(double, 1).result(LIMIT_S)
        assert len(pool.jobs) == 1
        futures = [pool.submit(sleep_and_pid, 1.5) for _ in range(3)]
        assert len({future.result(LIMIT_S) for future in futures}) == 3


def test_prints_come_to_this_program_or_stay_on_the_host(
    host: holdfast.Host, capfd: pytest.CaptureFixture[str]
) -> None:
    with host.executor(1) as pool:
        pool.submit(say, "here").result(LIMIT_S)
    assert capfd.readouterr() == ("here\n", "here as an error\n")
    with host.executor(1, output="keep") as pool:
        pool.submit(say, "there").result(LIMIT_S)
        (job,) = pool.jobs
    assert capfd.readouterr() == ("", "")
    assert host.job(job).read(1) == b"there\n"


def test_an_initializer_runs_in_each_worker_first(host: holdfast.Host, tmp_path: Path) -> None:
    path = tmp_path / "set up"
    with host.executor(2, initializer=set_up, initargs=(str(path),)) as pool:
        pids = {future.result(LIMIT_S) for future in [pool.submit(sleep_and_pid, 1.0) for _ in range(2)]}
    assert set(noted(path)) == pids


def test_a_failing_initializer_breaks_the_pool_and_says_why(
    host: holdfast.Host, capfd: pytest.CaptureFixture[str]
) -> None:
    with host.executor(2, initializer=refuse_to_set_up) as pool:
        futures = [pool.submit(double, n) for n in range(10)]
        for future in futures:
            with pytest.raises(concurrent.futures.BrokenExecutor, match="exit status 1"):
                future.result(LIMIT_S)
        with pytest.raises(WorkerDied):
            pool.submit(double, 1)
    assert "RuntimeError: no licence" in capfd.readouterr().err
    assert len(host.jobs(all=True)) <= 2


def test_workers_are_replaced_after_so_many_calls(host: holdfast.Host) -> None:
    with host.executor(1, max_tasks_per_child=3) as pool:
        pids = list(pool.map(own_pid, range(9), timeout=LIMIT_S))
    assert len(set(pids)) == 3
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]


def test_threads_share_one_process_and_wait_together(host: holdfast.Host) -> None:
    with host.executor(8, kind="threads") as pool:
        pool.submit(double, 1).result(LIMIT_S)
        begun = time.monotonic()
        names = list(pool.map(thread_name, range(8), timeout=LIMIT_S))
        assert len(set(names)) > 1
        assert len(set(pool.map(own_pid, range(20), timeout=LIMIT_S))) == 1
        assert time.monotonic() - begun < 20


def test_coroutines_wait_together_by_the_hundred(host: holdfast.Host) -> None:
    with host.executor(kind="coroutines") as pool:
        pool.submit(nap, 0.0).result(LIMIT_S)
        begun = time.monotonic()
        assert list(pool.map(nap, [0.5] * 200, timeout=LIMIT_S)) == ["rested"] * 200
        assert time.monotonic() - begun < 50, "200 naps of half a second, one after the other"


def test_progress_is_heard(host: holdfast.Host) -> None:
    told: list[tuple[float, float, str]] = []
    with host.executor(1) as pool:
        options = pool.options(on_progress=lambda progress: told.append((progress.done, progress.total, progress.text)))
        future = options.submit(tell_progress, 50)
        assert future.result(LIMIT_S) == "done"
    assert future.progress is not None
    assert (future.progress.done, future.progress.text) == (50, "step 50")
    assert told[-1] == (50, 50, "step 50")
    assert told == sorted(told)


def test_what_a_pool_of_plain_results_cannot_bring_back_is_named(host: holdfast.Host) -> None:
    with host.executor(1, results="plain") as pool:
        with pytest.raises(RemoteError) as caught:
            pool.submit(divmod, 1, 0).result(LIMIT_S)
        assert isinstance(caught.value, ZeroDivisionError)
        with pytest.raises(CallRefused, match="the result is a"):
            pool.submit(threading.Event).result(LIMIT_S)
        assert pool.submit(double, 2).result(LIMIT_S) == 4


def test_calls_may_be_awaited(agent: AgentUnderTest) -> None:
    async def whole() -> None:
        async with aio.connect(state_dir=agent.state_dir, timeout=20.0) as host:
            async with host.executor(2) as pool:
                assert await pool.run(double, 3) == 6
                assert [n async for n in pool.map(double, range(1000))] == [2 * n for n in range(1000)]
                with pytest.raises(ZeroDivisionError):
                    await pool.run(divmod, 1, 0)
                with pytest.raises(WorkerDied):
                    await pool.run(kill_myself)
                running = pool.submit(sleep_and_pid, 60)
                while not running.running():
                    await asyncio.sleep(0.01)
                assert running.cancel(force=True)
                assert await pool.run(double, 4) == 8

    asyncio.run(asyncio.wait_for(whole(), LIMIT_S))


# --- what it survives ------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_fails_its_own_call_alone(host: holdfast.Host, tmp_path: Path) -> None:
    path = tmp_path / "noted"
    with host.executor(2) as pool:
        futures = [pool.submit(note, str(path), n, 0.001) for n in range(100)]
        died = pool.submit(kill_myself, str(tmp_path / "died"))
        futures += [pool.submit(note, str(path), n, 0.001) for n in range(100, 200)]
        error = died.exception(LIMIT_S)
        assert isinstance(error, WorkerDied)
        assert error.ran == "unknown"
        assert [future.result(LIMIT_S) for future in futures] == list(range(200))
    assert (tmp_path / "died").exists()
    assert sorted(noted(path)) == list(range(200)), "each was begun once"


def test_a_worker_that_is_killed_from_outside_is_replaced(host: holdfast.Host) -> None:
    with host.executor(1) as pool:
        pid = pool.submit(own_pid).result(LIMIT_S)
        running = pool.submit(sleep_and_pid, 100)
        waiting = pool.submit(own_pid)
        wait_for(running.running)
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="may have run"):
            running.result(LIMIT_S)
        assert waiting.result(LIMIT_S) != pid


def test_a_running_call_can_be_stopped_for_real(host: holdfast.Host, tmp_path: Path) -> None:
    path = tmp_path / "noted"
    with host.executor(1) as pool:
        running = pool.submit(note, str(path), 1, 1000.0)
        waiting = pool.submit(double, 2)
        wait_for(lambda: noted(path))
        assert not running.cancel()
        (job,) = pool.jobs
        assert running.cancel(force=True)
        assert running.cancelled()
        assert waiting.result(LIMIT_S) == 4
        wait_for(lambda: host.job(job).receipt is not None)
        with pytest.raises(concurrent.futures.CancelledError):
            running.result()


def test_a_running_thread_or_coroutine_is_called_off_and_the_others_go_on(host: holdfast.Host) -> None:
    with host.executor(2, kind="coroutines") as pool:
        running, other = pool.submit(nap, 1000.0), pool.submit(nap, 0.5)
        wait_for(running.running)
        assert running.cancel(force=True)
        assert other.result(LIMIT_S) == "rested"
        assert len(pool.jobs) == 1


def test_a_call_is_ended_at_its_limit_and_the_pool_goes_on(host: holdfast.Host) -> None:
    for kind in ("processes", "threads"):
        with host.executor(1, kind=kind) as pool:
            assert pool.submit(double, 1).result(LIMIT_S) == 2
            begun = time.monotonic()
            future = pool.options(timeout=0.3).submit(time.sleep, 20)
            behind = pool.submit(double, 4)
            with pytest.raises(CallTimeout) as caught:
                future.result(LIMIT_S)
            assert isinstance(caught.value, TimeoutError)
            assert time.monotonic() - begun < 15
            assert behind.result(LIMIT_S) == 8


def test_a_stopped_worker_leaves_none_of_its_tree(host: holdfast.Host, tmp_path: Path) -> None:
    path = tmp_path / "child"
    with host.executor(1) as pool:
        child = pool.submit(leave_a_child, str(path)).result(LIMIT_S)
        running = pool.submit(time.sleep, 1000)
        wait_for(running.running)
        (job,) = pool.jobs
        running.cancel(force=True)
        wait_for(lambda: host.job(job).receipt is not None)
        assert host.job(job).receipt.tree == "gone"  # type: ignore[union-attr]
    assert not Path(f"/proc/{child}").exists()


def test_calls_of_slow_and_fast_functions_share_the_workers(host: holdfast.Host) -> None:
    """Fast ones that were sent ahead to a worker that is held up go to another one."""
    with host.executor(2) as pool:
        list(pool.map(double, range(2000), timeout=LIMIT_S))
        slow = pool.submit(time.sleep, 3.0)
        fast = [pool.submit(double, n) for n in range(500)]
        assert [future.result(2.5) for future in fast] == [2 * n for n in range(500)]
        assert not slow.done()


def test_an_agent_that_is_killed_over_and_over_loses_no_call_and_repeats_none(
    agent: AgentUnderTest, tmp_path: Path
) -> None:
    path = tmp_path / "noted"
    host = agent.connect()
    with host.executor(2) as pool:
        futures = [pool.submit(note, str(path), n, 0.002) for n in range(1000)]
        for kill in range(3):
            wait_for(lambda kill=kill: len(noted(path)) > 200 * (kill + 1))  # type: ignore[misc]
            os.kill(int(host.status().agent["pid"]), signal.SIGKILL)
        assert [future.result(LIMIT_S) for future in futures] == list(range(1000))
    assert sorted(noted(path)) == list(range(1000))


def test_a_cut_in_a_large_map_changes_nothing(agent: AgentUnderTest) -> None:
    changes: list[holdfast.LinkChange] = []
    host = agent.connect(changes.append)
    with host.executor(2) as pool:
        results = pool.map(double, range(30_000), timeout=LIMIT_S)
        found = [next(results) for _ in range(10)]
        for _ in range(3):
            wait_for(lambda: host._connection._sock is not None)  # it may not be back from the cut before
            sock = host._connection._sock
            assert sock is not None
            with contextlib.suppress(OSError):  # or it is being left just now
                sock.shutdown(2)
            found += [next(results) for _ in range(5000)]
        assert found + list(results) == [2 * n for n in range(30_000)]
    wait_for(lambda: any(change.kind == "resumed" for change in changes))


def test_workers_of_a_killed_program_do_not_stay(agent: AgentUnderTest, tmp_path: Path) -> None:
    """Their lease ends them; here it is watched that they have one."""
    host = agent.connect()
    with host.executor(1) as pool:
        pool.submit(double, 1).result(LIMIT_S)
        (job,) = pool.jobs
        info = host.job(job).info
        assert info is not None
        assert info.on_disconnect == 60.0


# --- programs that end -----------------------------------------------------------------------------------------------


def run_program(tmp_path: Path, state_dir: str, body: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "program.py"
    script.write_text(f"import holdfast, sys, time\nhost = holdfast.connect(state_dir={state_dir!r})\n{body}")
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT_S)


def test_a_program_that_ends_waits_for_its_calls(agent: AgentUnderTest, tmp_path: Path) -> None:
    done = run_program(
        tmp_path,
        agent.state_dir,
        "def late(text):\n    time.sleep(0.5)\n    print(text)\n"
        "pool = host.executor(2)\n"
        "pool.submit(late, 'apple')\n"
        "pool.submit(late, 'pear')\n"
        "pool.shutdown(wait=False)\n",
    )
    assert (sorted(done.stdout.split()), done.stderr) == (["apple", "pear"], "")


def test_nothing_is_taken_while_the_interpreter_ends(agent: AgentUnderTest, tmp_path: Path) -> None:
    done = run_program(
        tmp_path,
        agent.state_dir,
        "import atexit\n"
        "@atexit.register\n"
        "def last():\n"
        "    try:\n        pool.submit(id, None)\n"
        "    except RuntimeError as error:\n        print(error)\n"
        "pool = host.executor(1)\n"
        "pool.submit(id, 42).result()\n",
    )
    assert (done.stdout, done.stderr) == ("cannot schedule new futures after interpreter shutdown\n", "")


def test_a_pool_is_no_reason_to_load_pickle_in_programs_without_one() -> None:
    code = (
        "import sys, holdfast, holdfast.client.sync, holdfast.cli.run\n"
        "print([name for name in ('pickle', 'cloudpickle', 'concurrent.futures') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.stdout == "[]\n", done.stderr
