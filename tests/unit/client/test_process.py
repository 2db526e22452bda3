"""``Process`` over a socket: the surface of ``multiprocessing.Process``, and what is asked of the host for it."""

from __future__ import annotations

import asyncio
import multiprocessing.connection
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.client import aio, sync
from holdfast.client.functions.process import DAEMON_LEASE_S
from holdfast.errors import ClosedError, NotFound
from holdfast.functions import current
from holdfast.functions.errors import CallRefused
from tests.memory_agent import Hold, MemoryAgent
from tests.socket_agent import SocketAgent

LIMIT_S = 20.0


def hello(name: str, *, sign: str = "!") -> bytes:
    return f"hello {name}{sign}\n".encode()


def fail() -> None:
    raise ValueError("it went wrong")


def go_on() -> None:
    raise Hold


@pytest.fixture
def host(served: SocketAgent) -> Iterator[sync.Host]:
    with sync.connect(served.address) as host:
        yield host


def test_a_function_runs_and_its_prints_come_here(host: sync.Host, capfd: pytest.CaptureFixture[str]) -> None:
    process = host.Process(target=hello, args=("you",), kwargs={"sign": "?"})
    assert (process.pid, process.exitcode, process.is_alive()) == (None, None, False)
    process.start()
    assert process.pid == process.ident == 4242
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert not process.is_alive()
    assert capfd.readouterr().out == "hello you?\n"


def test_a_failing_function_has_exit_code_1_and_says_why(host: sync.Host, capfd: pytest.CaptureFixture[str]) -> None:
    process = host.Process(target=fail)
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 1
    assert "it went wrong" in capfd.readouterr().err


def test_a_subclass_says_by_run_what_it_does(host: sync.Host, capfd: pytest.CaptureFixture[str]) -> None:
    class Greeter(host.Process):  # type: ignore[name-defined, misc]
        def __init__(self, whom: str) -> None:
            super().__init__(name="greeter")
            self.whom = whom

        def run(self) -> bytes:
            return f"{self.name} greets {self.whom}\n".encode()

    process = Greeter("me")
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert capfd.readouterr().out == "greeter greets me\n"


def test_in_the_worker_a_class_of_processes_belongs_to_no_host(host: sync.Host) -> None:
    from holdfast.functions import pickles

    class Mine(host.Process):  # type: ignore[name-defined, misc]
        pass

    there = pickles.loads(pickles.dumps(Mine(name="x")))
    assert there.name == "x"
    code = "import pickle, sys; p = pickle.load(sys.stdin.buffer); print(p.name, p.run())\ntype(p)().start()"
    done = subprocess.run([sys.executable, "-c", code], input=pickles.dumps(Mine(name="x")), capture_output=True)
    assert done.stdout == b"x None\n", done.stderr
    assert b"belongs to no host" in done.stderr


def test_without_a_target_nothing_is_done(host: sync.Host) -> None:
    process = host.Process()
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0


def test_names_are_as_multiprocessing_gives_them(host: sync.Host) -> None:
    class Mine(host.Process):  # type: ignore[name-defined, misc]
        pass

    assert host.Process().name.startswith("Process-")
    assert Mine().name.startswith("Mine-")
    process = host.Process(name="first")
    process.name = "second"
    assert process.name == "second"
    assert repr(process) == "<Process name='second' initial>"
    with pytest.raises(AssertionError):
        process.name = 3  # type: ignore[assignment]


def test_it_starts_once_and_is_joined_after_that(host: sync.Host) -> None:
    process = host.Process(target=hello, args=("x",))
    with pytest.raises(AssertionError, match="can only join a started process"):
        process.join()
    with pytest.raises(ValueError, match="not started"):
        _ = process.sentinel
    process.start()
    with pytest.raises(AssertionError, match="twice"):
        process.start()
    with pytest.raises(AssertionError, match="already started"):
        process.daemon = True
    process.join(LIMIT_S)
    with pytest.raises(AssertionError, match="group"):
        host.Process(1)  # type: ignore[arg-type]


def test_signals_end_it_and_are_its_exit_code(host: sync.Host) -> None:
    for end, code in (("terminate", -15), ("kill", -15)):  # the memory agent stops with SIGTERM
        process = host.Process(target=go_on)
        process.start()
        assert process.is_alive()
        process.join(0.01)
        assert process.exitcode is None
        with pytest.raises(ValueError, match="still running"):
            process.close()
        getattr(process, end)()
        process.join(LIMIT_S)
        assert process.exitcode == code
        getattr(process, end)()


def test_its_sentinel_is_readable_when_it_has_ended(host: sync.Host) -> None:
    process = host.Process(target=go_on)
    process.start()
    sentinel = process.sentinel
    assert sentinel == process.sentinel
    assert not select.select([sentinel], [], [], 0)[0]
    process.terminate()
    assert multiprocessing.connection.wait([sentinel], LIMIT_S) == [sentinel]
    process.join(LIMIT_S)
    process.close()
    with pytest.raises(OSError):
        os.fstat(sentinel)
    for ask in ("pid", "exitcode", "sentinel"):
        with pytest.raises(ValueError, match="closed"):
            getattr(process, ask)
    assert "closed" in repr(process)


def test_the_sentinel_of_one_that_has_ended_is_readable_at_once(host: sync.Host) -> None:
    process = host.Process(target=hello, args=("x",))
    process.start()
    process.join(LIMIT_S)
    assert select.select([process.sentinel], [], [], 0)[0]
    process.close()


def test_daemons_die_with_their_starter_and_others_run_on(host: sync.Host, served: SocketAgent) -> None:
    for daemon in (False, True):
        process = host.Process(target=hello, args=("x",), daemon=daemon)
        assert process.daemon is daemon
        process.start()
        process.join(LIMIT_S)
    asked = [job.run.on_disconnect for job in served.agent.jobs.values()]
    assert asked == ["keep", DAEMON_LEASE_S]
    assert host.Process().daemon is False


def test_it_is_a_job(host: sync.Host, served: SocketAgent) -> None:
    process = host.Process(target=hello, args=("x",), name="it")
    assert process.job is None
    process.start()
    process.join(LIMIT_S)
    (job,) = served.agent.jobs.values()
    assert process.job == job.id
    assert job.run.label == "process it"


def test_a_cut_is_not_noticed(host: sync.Host, served: SocketAgent) -> None:
    process = host.Process(target=go_on)
    process.start()
    served.cut()
    process.terminate()
    process.join(LIMIT_S)
    assert process.exitcode == -15


def test_what_cannot_be_sent_is_told_at_start(host: sync.Host) -> None:
    with pytest.raises(CallRefused, match=r"args\[0\]"):
        host.Process(target=hello, args=((n for n in range(3)),)).start()  # a generator


def test_a_host_that_refuses_it_says_so_at_start(host: sync.Host, served: SocketAgent) -> None:
    from holdfast.wire import messages as m

    served.agent.refuse_runs = m.Failure(m.ErrorCode.NOT_FOUND, "no such profile")
    process = host.Process(target=hello, args=("x",))
    with pytest.raises(NotFound):
        process.start()
    assert not process.is_alive()


def test_after_the_host_is_closed_nobody_hangs(served: SocketAgent) -> None:
    with sync.connect(served.address) as host:
        process = host.Process(target=go_on)
        process.start()
    with pytest.raises(ClosedError):
        process.join()
    assert process.exitcode is None


def test_what_the_interpreter_waits_for_at_its_end(tmp_path: Any) -> None:
    """Daemons are terminated, others are joined; a pool does what it was given."""
    script = tmp_path / "program.py"
    script.write_text(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from holdfast.client import sync\n"
        "from tests.unit.client.test_process import go_on, hello\n"
        "host = sync.connect(sys.argv[2])\n"
        "daemon = host.Process(target=go_on, daemon=True)\n"
        "daemon.start()\n"
        "host.Process(target=hello, args=('end',)).start()\n"
        "host.executor(1).submit(print, 1)\n"
        "sys.stdout.write('main is over\\n')  # in one piece: print writes the end of its line apart\n"
    )
    from tests.socket_agent import serving

    agent = MemoryAgent({})
    with serving(tmp_path / "agent.sock", agent) as served:
        done = subprocess.run(
            [sys.executable, str(script), os.getcwd(), served.address],
            capture_output=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.stderr == b""
    assert sorted(done.stdout.splitlines()) == [b"hello end!", b"main is over"]
    assert [job.receipt.returncode if job.receipt else None for job in agent.jobs.values()] == [-15, 0, 0]


def test_current_process_is_the_one_of_multiprocessing_outside_of_workers() -> None:
    assert current.current_process() is multiprocessing.current_process()
    this = current.ThisProcess("worker-1", daemon=True)
    assert (this.name, this.pid, this.daemon, this.exitcode) == ("worker-1", os.getpid(), True, None)
    assert "worker-1" in repr(this)


def test_processes_can_be_awaited(served: SocketAgent, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with aio.connect(served.address) as host:
            process = host.Process(target=hello, args=("async",))
            await process.start()
            await process.join(LIMIT_S)
            assert process.exitcode == 0
            other = host.Process(target=go_on)
            await other.start()
            await other.join(0.01)
            assert other.is_alive()
            await other.terminate()
            await other.join()
            assert other.exitcode == -15
            await other.kill()

    asyncio.run(scenario())
    assert capfd.readouterr().out == "hello async!\n"


def test_a_process_object_can_be_pickled(host: sync.Host) -> None:
    from holdfast.client.functions.sync_process import Process

    process = Process(name="plain")
    assert pickle.loads(pickle.dumps(process)).name == "plain"
