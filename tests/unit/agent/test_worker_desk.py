"""Clients and workers, joined by the agent: who may, what passes, what is held, what each hears of the other's end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from holdfast.agent import kernel, plan
from holdfast.agent.access import Role
from holdfast.agent.lines import HELD_BYTES, PROGRESS_PER_S, UNSENT_BYTES
from holdfast.agent.worker_desk import WINDOW_BYTES
from holdfast.functions import messages as calls
from holdfast.functions.record import Record, path_of
from holdfast.functions.setup import CALL, POOL
from holdfast.transport import unix
from holdfast.wire import messages as m
from holdfast.wire.events import CreditReceived, DataReceived
from holdfast.wire.messages import ErrorCode
from tests.unit.agent.conftest import MakeWorld
from tests.unit.agent.fake_shims import FakeShim
from tests.unit.agent.world import CREDIT, Client, World

FIRST_STREAM = 1


@pytest.fixture
def world(make_world: MakeWorld) -> Iterator[World]:
    """An agent that listens to workers. Its jobs have this process for their main one."""
    made = make_world()
    made.service.workers.listen()
    yield made
    made.service.workers.close()
    made.settle()


class Worker:
    """The worker's end of a connection."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sock = unix.connect(world.board.worker_socket)
        self.sock.setblocking(False)
        world.settle()

    def say(self, data: bytes) -> int:
        """Send what the agent takes now; how much that was."""
        sent = 0
        try:
            while sent < len(data):
                sent += self.sock.send(data[sent : sent + 65536])
        except BlockingIOError:
            pass
        self._world.settle()
        return sent

    def hear(self, most: int = 1 << 24) -> bytes:
        """What has come."""
        self._world.settle()
        heard = b""
        try:
            while len(heard) < most and (data := self.sock.recv(most - len(heard))):
                heard += data
                self._world.settle()
        except (BlockingIOError, ConnectionResetError):
            pass
        self._world.settle()
        return heard

    @property
    def hung_up(self) -> bool:
        """The agent has closed it."""
        self._world.settle()
        try:
            return self.sock.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.sock.close()
        self._world.settle()


@pytest.fixture
def workers(world: World) -> Iterator[list[Worker]]:
    """Connections that are closed at the end."""
    made: list[Worker] = []
    yield made
    for worker in made:
        worker.close()


def pool_job(world: World, client: Client, last: str = POOL, pid: int | None = None) -> tuple[str, FakeShim]:
    """A worker's job that runs."""
    stream = client.run(*plan.WORKER, last)
    job = client.accepted(stream).job
    shim = world.shim_of(job)
    shim.start(pid=os.getpid() if pid is None else pid)
    world.settle()
    return job, shim


def connect(world: World, workers: list[Worker]) -> Worker:
    workers.append(Worker(world))
    return workers[-1]


def dial(client: Client, job: str, credit: int = CREDIT) -> int:
    return client.ask(m.Dial(job, credit), reads={1: (0, credit)}, feeds=0)


def opened(client: Client, stream: int) -> bool:
    return any(isinstance(event, m.Opened) for event in client.told(stream))


def send(world: World, client: Client, stream: int, data: bytes) -> int:
    """Send as much as there is credit for."""
    limit = max((e.limit for e in client.events if isinstance(e, CreditReceived) and e.stream == stream), default=0)
    offset = client.link.out_offset(stream, 0) or 0
    data = data[: limit - offset]
    client.link.offer(stream, 0, offset + len(data))
    sent = 0
    while (turn := client.link.next_turn()) is not None:
        client.link.send_data(stream, 0, data[sent : sent + turn.size])
        sent += turn.size
    world.settle()
    return sent


def answer(client: Client, stream: int) -> m.DialAnswer:
    return client.answer(stream, m.DialAnswer)


def test_what_a_worker_is(world: World, client: Client) -> None:
    assert client.link.welcomed is not None
    assert client.link.welcomed.worker == plan.WORKER
    assert client.link.welcomed.python.count(".") == 2


def test_bytes_pass_both_ways(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    assert opened(client, stream)
    assert send(world, client, stream, b"question") == 8
    assert worker.hear() == b"question"
    worker.say(b"answer")
    assert client.data(stream) == b"answer"
    assert client.is_open(stream)


def test_a_client_waits_for_its_worker(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    stream = dial(client, job)
    assert not opened(client, stream)
    assert client.is_open(stream)
    connect(world, workers)
    assert opened(client, stream)


def test_nobody_else_is_let_in(world: World, client: Client, workers: list[Worker]) -> None:
    """This process is the main one of a job, which is no worker; and of a worker that does not run yet."""
    stream = client.run("cmd", plan.WORKER[-1], POOL)
    world.shim_of(client.accepted(stream).job).start(pid=os.getpid())
    world.settle()
    assert connect(world, workers).hung_up
    pool_job(world, client, pid=os.getppid())
    assert connect(world, workers).hung_up
    client.run(*plan.WORKER, POOL)
    assert connect(world, workers).hung_up
    job, shim = pool_job(world, client)
    assert not connect(world, workers).hung_up
    world.finish(shim)
    assert connect(world, workers).hung_up
    assert answer(client, dial(client, job)).gone


def test_the_socket_is_private(world: World) -> None:
    assert Path(world.board.worker_socket).stat().st_mode & 0o777 == 0o600


def test_a_worker_that_speaks_to_nobody_is_hung_up_on(world: World, client: Client, workers: list[Worker]) -> None:
    pool_job(world, client)
    worker = connect(world, workers)
    worker.say(b"hello?")
    assert worker.hung_up


def test_many_small_words_go_in_few_frames(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    client.peer.pause_writing()
    for number in range(1000):
        worker.say(b"%d," % number)
    client.peer.resume_writing()
    world.settle()
    assert client.data(stream) == b"".join(b"%d," % number for number in range(1000))
    frames = [event for event in client.events if isinstance(event, DataReceived) and event.stream == stream]
    assert len(frames) == 1


def test_a_worker_whose_client_does_not_keep_up_is_not_read(
    world: World, client: Client, workers: list[Worker]
) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job, credit=100_000)
    data = bytes(range(256)) * (16 * 1024 * 1024 // 256)
    sent = worker.say(data)
    assert len(client.data(stream)) == 100_000
    assert sent < HELD_BYTES + 4 * unix.BUFFER_BYTES
    got = 100_000
    while got < len(data):
        client.link.grant(stream, 1, got + 1_000_000)
        world.settle()
        sent += worker.say(data[sent:])
        now = len(client.data(stream))
        assert now > got
        got = now
    assert client.data(stream) == data


def test_a_client_whose_worker_does_not_keep_up_gets_no_credit(
    world: World, client: Client, workers: list[Worker]
) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    data = bytes(range(256)) * (16 * 1024 * 1024 // 256)
    sent = 0
    while (more := send(world, client, stream, data[sent:])) > 0:
        sent += more
    assert sent < UNSENT_BYTES + WINDOW_BYTES + 4 * unix.BUFFER_BYTES
    heard = b""
    while len(heard) < len(data):
        heard += worker.hear()
        sent += send(world, client, stream, data[sent:])
    assert heard == data


def test_a_worker_that_hangs_up_is_told_and_dialled_again(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    worker.say(b"last words")
    worker.close()
    assert client.data(stream) == b"last words"
    assert answer(client, stream) == m.DialAnswer(False)
    assert stream not in client.peer.readers
    again = dial(client, job)
    assert client.is_open(again)
    worker = connect(world, workers)
    send(world, client, again, b"anew")
    assert worker.hear() == b"anew"


def test_a_client_that_is_cut_costs_the_worker_its_connection(
    world: World, client: Client, workers: list[Worker]
) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    dial(client, job)
    client.cut()
    assert worker.hung_up
    worker = connect(world, workers)
    other = world.client()
    assert opened(other, dial(other, job))


def test_a_stream_that_is_given_up_costs_the_worker_its_connection(
    world: World, client: Client, workers: list[Worker]
) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    client.link.cancel(stream)
    world.settle()
    assert worker.hung_up
    assert stream not in client.peer.readers
    connect(world, workers)
    assert opened(client, dial(client, job))


def test_a_second_stream_of_the_same_principal_takes_over(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    first = dial(client, job)
    other = world.client("j" * 16)
    second = dial(other, job)
    assert answer(client, first) == m.DialAnswer(False)
    assert worker.hung_up
    assert not opened(other, second)
    worker = connect(world, workers)
    assert opened(other, second)
    send(world, other, second, b"mine")
    assert worker.hear() == b"mine"


def test_somebody_else_does_not_take_over(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    connect(world, workers)
    first = dial(client, job)
    admin = world.remote("root@desk", Role.ADMIN)
    assert admin.failure(dial(admin, job)).code == ErrorCode.STATE
    assert client.is_open(first)


def test_who_may_not_change_a_job_does_not_speak_with_it(world: World, workers: list[Worker]) -> None:
    anna = world.remote("anna@laptop")
    job, _ = pool_job(world, anna)
    connect(world, workers)
    bert = world.remote("bert@desk")
    assert bert.failure(dial(bert, job)).code == ErrorCode.NOT_FOUND
    world.policy_path.write_text('[principals."bert@desk"]\nsees = ["anna@laptop"]')
    world.policy_path.chmod(0o600)
    assert bert.failure(dial(bert, job)).code == ErrorCode.FORBIDDEN
    assert opened(anna, dial(anna, job))


def test_a_job_that_is_no_worker_of_a_pool_cannot_be_dialled(world: World, client: Client) -> None:
    stream, _ = world.start(client, "cmd")
    for job in (client.accepted(stream).job, pool_job(world, client, CALL)[0]):
        failure = client.failure(dial(client, job))
        assert failure.code == ErrorCode.STATE
        assert "no worker" in failure.text


def test_a_new_connection_of_a_worker_takes_the_place_of_the_old_one(
    world: World, client: Client, workers: list[Worker]
) -> None:
    job, _ = pool_job(world, client)
    first = connect(world, workers)
    stream = dial(client, job)
    second = connect(world, workers)
    assert first.hung_up
    assert answer(client, stream) == m.DialAnswer(False)
    again = dial(client, job)
    send(world, client, again, b"to the new one")
    assert second.hear() == b"to the new one"


# --- the end ---------------------------------------------------------------------------------------------------------


def note(world: World, job: str, started: int, finished: int, text: bytes = b"") -> None:
    """What the worker has noted."""
    record = Record(path_of(world.board.worker_socket, job), world.board.boot_id)
    record.begun(started)
    record.ended(finished)
    os.pwrite(record.fd, text, 64)
    record.close()


def test_a_worker_that_has_died_is_told_with_its_record(
    world: World, client: Client, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    note(world, job, 7, 5)
    monkeypatch.setattr(kernel, "has_ended", lambda pid: pid == os.getpid())
    worker.close()
    assert answer(client, stream) == m.DialAnswer(True, 7, 5)
    assert answer(client, dial(client, job)) == m.DialAnswer(True, 7, 5)


def test_the_end_of_the_job_is_told_to_both(world: World, client: Client, workers: list[Worker]) -> None:
    job, shim = pool_job(world, client)
    worker = connect(world, workers)
    stream = dial(client, job)
    note(world, job, 7, 7, b"Timeout (0:00:01)!\nThread 0x1:\n  File x")
    world.finish(shim, 1)
    assert worker.hung_up
    told = m.DialAnswer(True, 7, 7, "timeout", "Thread 0x1:\n  File x")
    assert answer(client, stream) == told
    assert answer(client, dial(client, job)) == told


def test_a_job_that_ends_before_its_worker_came_is_told(world: World, client: Client) -> None:
    job, shim = pool_job(world, client)
    stream = dial(client, job)
    world.finish(shim, 1)
    assert answer(client, stream) == m.DialAnswer(True, why="unrecorded")


def test_a_record_of_another_boot_or_of_something_else_counts_for_nothing(world: World, client: Client) -> None:
    job, shim = pool_job(world, client)
    path = Path(path_of(world.board.worker_socket, job))
    record = Record(str(path), "another boot")
    record.begun(3)
    record.close()
    world.finish(shim, 1)
    assert answer(client, dial(client, job)).why == "unrecorded"
    path.write_bytes(b"x" * 4096)
    assert answer(client, dial(client, job)).why == "unrecorded"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert answer(client, dial(client, job)).why == "unrecorded"
    path.unlink()
    os.mkfifo(path)
    assert answer(client, dial(client, job)).why == "unrecorded"


def test_the_record_goes_with_the_job(world: World, client: Client) -> None:
    job, shim = pool_job(world, client)
    note(world, job, 1, 1)
    world.finish(shim, 1)
    client.answer(client.ask(m.Forget(job)), m.DoneAnswer)
    assert not os.path.exists(path_of(world.board.worker_socket, job))


def test_workers_are_hung_up_on_when_the_agent_ends(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client)
    worker = connect(world, workers)
    dial(client, job)
    world.service.workers.close()
    assert worker.hung_up
    assert not os.path.exists(world.board.worker_socket)
    world.service.workers.listen()


# --- progress --------------------------------------------------------------------------------------------------------


def progress(done: float, total: float = 10.0, text: str = "") -> bytes:
    return calls.encode(calls.PROGRESS, 0, calls.encode_progress(calls.Progress(done, total, text)))


def heard(client: Client, stream: int) -> list[m.Progress]:
    return [event for event in client.told(stream) if isinstance(event, m.Progress)]


def test_who_follows_a_job_hears_how_far_it_is(world: World, client: Client, workers: list[Worker]) -> None:
    job, _ = pool_job(world, client, CALL)
    other, late = world.client("j" * 16), world.client("k" * 16)
    follows, looks = other.read(job), late.read(job, follow=False)
    worker = connect(world, workers)
    worker.say(progress(1) + progress(2, 0.0, "two\x1b[31m"))
    run = FIRST_STREAM
    told = [m.Progress(job, 1, 10), m.Progress(job, 2, 0, "two?[31m")]
    assert heard(client, run) == told
    assert heard(other, follows) == told
    assert heard(late, looks) == []


def test_a_job_is_not_heard_more_often_than_agreed(world: World, client: Client, workers: list[Worker]) -> None:
    pool_job(world, client, CALL)
    worker = connect(world, workers)
    for number in range(200):
        worker.say(progress(number))
    run = FIRST_STREAM
    assert len(heard(client, run)) == PROGRESS_PER_S
    world.advance(1.0)
    worker.say(progress(500))
    assert heard(client, run)[-1].done == 500


@pytest.mark.parametrize(
    "said",
    [
        calls.encode(calls.RESULT, 0, b""),
        calls.encode(calls.PROGRESS, 0, b"\xc1"),
        calls.encode(calls.PROGRESS, 0, msgspec.msgpack.encode([1, 2, "x" * 1001])),
        (9000).to_bytes(4, "big") + bytes(9),
    ],
    ids=["a-result", "garbage", "a-long-text", "a-long-message"],
)
def test_a_job_that_says_something_else_is_hung_up_on(
    world: World, client: Client, workers: list[Worker], said: bytes
) -> None:
    pool_job(world, client, CALL)
    worker = connect(world, workers)
    worker.say(said)
    assert worker.hung_up


def test_numbers_that_are_none_are_not_passed_on(world: World, client: Client, workers: list[Worker]) -> None:
    pool_job(world, client, CALL)
    worker = connect(world, workers)
    worker.say(progress(float("nan")) + progress(1, float("inf")) + progress(3))
    run = FIRST_STREAM
    assert [each.done for each in heard(client, run)] == [3]


def test_only_workers_are_told_where_the_agent_listens(world: World, client: Client) -> None:
    _, shim = world.start(client, "cmd")
    assert shim.run is not None
    assert not any(item.startswith(b"HOLDFAST_WORKER") for item in shim.run.env)
    _, shim = pool_job(world, client)
    assert shim.run is not None
    assert f"HOLDFAST_WORKER_SOCKET={world.board.worker_socket}".encode() in shim.run.env


def test_the_socket_s_backlog_is_served_in_turns(world: World, client: Client) -> None:
    """Strangers by the hundred: all are turned away, and the agent lives."""
    socks = []
    try:
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            socks.append(sock)
            sock.connect(world.board.worker_socket)
        world.settle()
        world.settle()
        assert all(sock.recv(1) == b"" for sock in socks)
    finally:
        for sock in socks:
            sock.close()
