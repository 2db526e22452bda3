"""Edges of the blocking driver: closes, forks, other threading, and what importing it costs."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import holdfast
from holdfast.client.calls import status
from holdfast.client.exchange import CallExchange
from holdfast.errors import ClosedError
from tests.conftest import AgentUnderTest
from tests.memory_agent import MemoryAgent
from tests.socket_agent import SocketAgent, serving
from tests.unit.client.conftest import BIG

ROOT = Path(__file__).parents[3]


def test_64_threads_share_one_connection(served: SocketAgent) -> None:
    with holdfast.connect(served.address) as host, ThreadPoolExecutor(64) as pool:
        done = list(pool.map(lambda _: host.run(["noisy"]), range(256)))
    assert len({each.receipt.job for each in done}) == 256
    assert {(each.stdout, each.returncode) for each in done} == {(b"out\r\n", 3)}


def test_two_readers_and_a_cut(served: SocketAgent) -> None:
    with holdfast.connect(served.address) as host, ThreadPoolExecutor(4) as pool:
        jobs = [host.start(["big"]) for _ in range(4)]
        started = threading.Barrier(5, timeout=10)

        def read(job: holdfast.Job) -> bytes:
            output = job.output()
            got = [next(output)[1]]
            started.wait()
            return b"".join(got + [chunk for _, chunk in output])

        reading = [pool.submit(read, job) for job in jobs]
        started.wait()
        served.cut()
        assert [each.result(20) for each in reading] == [BIG] * 4


def test_many_threads_close_at_once_and_nobody_hangs(served: SocketAgent) -> None:
    host = holdfast.connect(served.address)
    served.mute = True
    with ThreadPoolExecutor(12) as pool:
        call = pool.submit(host.status)
        assert served.swallowed.wait(10)
        for closing in [pool.submit(host.close) for _ in range(8)]:
            closing.result(10)
        with pytest.raises(holdfast.ClosedError):
            call.result(10)


def test_close_from_the_hook_does_not_wait_for_itself(served: SocketAgent) -> None:
    closed = threading.Event()

    def on_change(_: holdfast.LinkChange) -> None:
        host.close()
        closed.set()

    host = holdfast.connect(served.address, on_link_event=on_change)
    job = host.start(["sleep"])
    served.cut()
    assert closed.wait(10)
    with pytest.raises(holdfast.ClosedError):
        job.wait()
    host.close()


def test_a_wait_that_has_run_out_leaves_the_connection_usable(served: SocketAgent) -> None:
    with holdfast.connect(served.address) as host:
        job = host.start(["sleep"])
        for _ in range(3):
            with pytest.raises(TimeoutError):
                job.wait(timeout=0.001)
        assert host.run(["ok"]).stdout == b"fine"


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    for address in (f"unix://{tmp_path}/none.sock", "web9", "tls://", "ftp://x", "unix://relative"):
        with pytest.raises(holdfast.ConnectFailed) as caught:
            holdfast.connect(address)
        assert caught.value.ran == "no"
    with pytest.raises(holdfast.ConnectFailed, match="no agent runs"):
        holdfast.connect(state_dir=str(tmp_path / "state"), start=False)
    assert not (tmp_path / "state").exists()


def test_an_agent_that_does_not_greet_is_given_up(tmp_path: Path) -> None:
    with serving(tmp_path / "mute.sock", MemoryAgent({})) as mute:
        mute.mute = True
        before = time.monotonic()
        with pytest.raises(holdfast.ConnectFailed, match="does not answer"):
            holdfast.connect(mute.address, timeout=0.05)
        assert time.monotonic() - before < 3


def test_a_call_that_was_never_sent_fails_when_the_agent_stays_away(tmp_path: Path) -> None:
    with serving(tmp_path / "a.sock", MemoryAgent({})) as served:
        host = holdfast.connect(served.address, timeout=0.05)
    with host:
        with pytest.raises((holdfast.ConnectFailed, holdfast.LinkLost)):
            host.status()  # the loss may be noticed before or after it is sent
        with pytest.raises(holdfast.ConnectFailed) as caught:
            host.run(["ok"])
    assert caught.value.ran == "no"


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")  # what is tested is just that
def test_a_forked_child_has_no_handles(served: SocketAgent) -> None:
    with holdfast.connect(served.address) as host:
        job = host.start(["sleep"])
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                words = []
                for call in (host.status, job.wait, job.kill, lambda: next(job.output())):
                    try:
                        call()
                    except holdfast.ClosedError as error:
                        words.append(str(error).split(";")[0])
                host.close()
                with holdfast.connect(served.address) as own:
                    words.append(own.run(["ok"]).stdout.decode())
                os.write(write, "\n".join(words).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as said:
            belongs = "this connection belongs to the process before the fork"
            assert said.read().split("\n") == [belongs] * 4 + ["fine"]
        assert host.run(["ok"]).stdout == b"fine"


def test_a_settled_exchange_is_not_asked_again(served: SocketAgent) -> None:
    with holdfast.connect(served.address) as host:
        exchange = CallExchange(status())
        host._connection.submit(exchange)
        host._connection.wait(exchange, exchange.poll)
        host._connection.submit(exchange)
        served.cut()
        host.status()
        assert len(served.agent.requests) == 2


GEVENT = """
from gevent import monkey; monkey.patch_all()
import sys, gevent, holdfast
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)
ticking = gevent.spawn(tick)
with holdfast.connect(sys.argv[1]) as host:
    waiter = gevent.spawn(host.start(["sleep"]).wait, 0.1)
    runs = [gevent.spawn(host.run, ["noisy"]) for _ in range(32)]
    gevent.joinall(runs)
    print(len({run.value.receipt.job for run in runs}))
    job = host.start(["big"])
    print(sum(len(chunk) for _, chunk in job.output()))
    waiter.join()
    print(type(waiter.exception).__name__)
print(len(ticks) > 20)
"""


def test_other_greenlets_go_on_under_gevent(served: SocketAgent) -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GEVENT, served.address], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:4] == ["32", str(len(BIG)), "DeadlineExceeded", "True"], done.stderr


def test_the_blocking_path_imports_nothing_heavy(served: SocketAgent) -> None:
    program = (
        "import sys, holdfast\n"
        f"host = holdfast.connect({served.address!r})\n"
        "host.run(['ok']); host.close()\n"
        "heavy = 'asyncio ssl cryptography sqlite3 platformdirs tomllib logging dataclasses uvloop click'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_importing_the_package_alone_loads_none_of_it() -> None:
    program = "import sys, holdfast; print([name for name in sys.modules if name.startswith('holdfast.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_mistake_in_the_reading_thread_ends_every_wait(
    agent: AgentUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*_: object, **__: object) -> None:
        raise AttributeError("planted")

    host = agent.connect()
    host.run(["true"])
    told: queue.SimpleQueue[threading.ExceptHookArgs] = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", told.put)
    monkeypatch.setattr("holdfast.client.session.Session.receive_data", stumbles)
    with pytest.raises(ClosedError, match="a mistake of this client: AttributeError: planted"):
        host.run(["true"])
    assert str(told.get(timeout=10).exc_value) == "planted"  # told too, after the waits have ended
    monkeypatch.undo()
    with pytest.raises(ClosedError):
        host.run(["true"])
