"""The load generator as a process, against every server of the lab and against some that only pretend."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from holdfast.lab import measure, serving
from holdfast.lab.load import LoadProcess, Order
from holdfast.lab.ready import Peer
from holdfast.wire.endpoint import Endpoint

ONE_AT_A_TIME = ("blocking",)


@contextmanager
def pretending(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server in a thread: its port."""
    listener = measure.listener()

    def run() -> None:
        try:
            while True:
                serve(listener.accept()[0])
        except OSError:  # the test is over
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("model", serving.MODELS)
def test_every_server_answers_all_and_rightly(model: str) -> None:
    if (why := serving.available(model)) is not None:
        pytest.skip(why)
    connections = 1 if model in ONE_AT_A_TIME else 20
    with serving.started(model) as server:
        order = Order(server.port, connections, active=max(1, connections // 2), seconds=0.2)
        with LoadProcess(order) as load:
            ready = load.ready()
            outcome = load.run()
    assert (ready.connected, ready.served) == (connections, connections)
    assert outcome.answers > 0
    assert (outcome.wrong, outcome.lost) == (0, 0)
    assert 0 < outcome.p50_ms <= outcome.p99_ms <= outcome.p99_9_ms <= outcome.slowest_ms


def test_who_waits_behind_another_is_connected_and_not_served() -> None:
    with serving.started("blocking") as server:
        with LoadProcess(Order(server.port, connections=5, active=5, seconds=0.2, connect_s=0.5)) as load:
            ready, outcome = load.ready(), load.run()
    assert (ready.connected, ready.served) == (5, 1)
    assert outcome.answers > 0


def test_the_kernel_alone_serves_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        order = Order(listener.getsockname()[1], connections=5, active=5, seconds=0.2, connect_s=0.3)
        with LoadProcess(order) as load:
            ready, outcome = load.ready(), load.run()
    assert (ready.connected, ready.served) == (5, 0)
    assert outcome.answers == 0


def test_a_server_that_hangs_up_loses_connections() -> None:
    def greet_and_go(conn: socket.socket) -> None:
        with conn:
            endpoint = Endpoint(measure.echo_upper, now=0.0)
            conn.sendall(endpoint.feed(conn.recv(measure.READ_BYTES), 0.0))
            conn.recv(measure.READ_BYTES)  # the first question

    with pretending(greet_and_go) as port, LoadProcess(Order(port, connections=1, active=1, seconds=1.0)) as load:
        ready, outcome = load.ready(), load.run()
    assert ready.served == 1
    assert (outcome.answers, outcome.lost) == (0, 1)


def test_a_server_that_answers_something_else_is_wrong() -> None:
    def answer(conn: socket.socket) -> None:
        peer = Peer(conn, lambda request, body: measure.echo_upper(request, body[::-1]))
        conn.setblocking(True)
        with conn:
            while not peer.over:
                peer.read()

    with pretending(answer) as port, LoadProcess(Order(port, connections=1, active=1, seconds=0.2)) as load:
        load.ready()
        outcome = load.run()
    assert outcome.wrong > 0
    assert outcome.answers == 0


def test_it_is_gone_afterwards() -> None:
    with serving.started("epoll") as server:
        with LoadProcess(Order(server.port, connections=10, active=1, seconds=0.1)) as load:
            load.ready()
            pid = load._process.pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_generator_that_fails_is_told() -> None:
    with LoadProcess(Order(port=-1, connections=1, active=1, seconds=0.1)) as load, pytest.raises(RuntimeError):
        load.ready()
