"""The load generator writes frames that the protocol core takes, and sees through a server that does not."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from holdfast.lab import measure
from holdfast.lab.load import Client, Load, Order, Outcome, Template, percentile
from holdfast.wire.endpoint import Endpoint
from holdfast.wire.frames import FrameType, encode_frame

PAYLOAD = "sticks and stones"


@contextmanager
def one_connection(payload: str = PAYLOAD) -> Iterator[tuple[Load, Client, socket.socket]]:
    """A load of one active connection, that connection, and the server's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        load = Load(Order(port=listener.getsockname()[1], connections=1, active=1, seconds=0.0, payload=payload))
        client = Client(listener.getsockname()[1])
        there, _ = listener.accept()
        with there, client.socket:
            client.socket.setblocking(True)
            load._clients[client.socket.fileno()] = client
            load._active = {client.socket.fileno()}
            yield load, client, there
        load._poll.close()


def answers(template: Template, streams: list[int]) -> list[bytes]:
    """What a server says to requests on these streams, one after the other."""
    endpoint = Endpoint(measure.echo_upper, now=0.0)
    endpoint.feed(template.hello, 0.0)
    return [endpoint.feed(template.ask(stream), 0.0) for stream in streams]


def test_the_core_takes_what_is_written_from_templates() -> None:
    template = Template(PAYLOAD.encode())
    told = answers(template, [1, 3, 5, 2001])
    assert [each[12:16] for each in told] == [number.to_bytes(4, "big") for number in (1, 3, 5, 2001)]
    assert all(each[1] == FrameType.RES and each.endswith(PAYLOAD.upper().encode()) for each in told)
    assert {len(each) for each in told} == {template.answer_bytes}


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_frames_are_found_wherever_the_stream_is_cut(piece: int) -> None:
    stream = b"".join(answers(Template(PAYLOAD.encode()), [1, 3]))
    with one_connection() as (_, client, there):
        found = []
        for start in range(0, len(stream), piece):
            there.sendall(stream[start : start + piece])
            found += list(client.frames())
    assert [kind for kind, _ in found] == [FrameType.RES] * 2
    assert b"".join(frame for _, frame in found) == stream


def test_a_right_answer_is_counted_and_asked_for_again() -> None:
    with one_connection() as (load, client, there):
        load._ask(client.socket.fileno())
        for stream in (1, 3):
            asked = there.recv(measure.READ_BYTES)
            there.sendall(answers(load._template, [int.from_bytes(asked[12:16], "big")])[0])
            load._take(client.socket.fileno())
            assert client.stream == stream + 2
        assert (len(load._latencies), load._wrong) == (2, 0)


def test_wrong_words_and_a_wrong_stream_are_told() -> None:
    with one_connection() as (load, client, there):
        fd = client.socket.fileno()
        load._ask(fd)
        there.sendall(answers(load._template, [3])[0])  # nobody has asked there
        load._take(fd)
        there.sendall(answers(Template(PAYLOAD[::-1].encode()), [client.stream])[0])  # as long, and not what was asked
        load._take(fd)
        there.sendall(answers(load._template, [client.stream])[0])
        load._take(fd)
        assert (len(load._latencies), load._wrong) == (3, 2)


def test_a_heartbeat_is_answered_and_no_answer() -> None:
    ping = encode_frame(FrameType.PING, position=7)
    with one_connection() as (load, client, there):
        there.sendall(ping)
        load._take(client.socket.fileno())
        assert there.recv(100) == encode_frame(FrameType.PONG, position=7)
        assert load._latencies == []


def test_the_end_of_a_connection_is_an_error() -> None:
    with one_connection() as (_, client, there):
        there.close()
        with pytest.raises(ConnectionError):
            list(client.frames())


def test_a_load_on_nobody_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    load = Load(Order(port=port, connections=3, active=3, seconds=0.1, connect_s=5.0))
    began = time.monotonic()
    ready, outcome = load.connect(), load.run()
    load._poll.close()
    assert (ready.connected, ready.served) == (0, 0)
    assert (outcome.answers, outcome.per_s) == (0, 0.0)
    assert time.monotonic() - began < 4


def test_percentiles() -> None:
    values = [float(number) for number in range(1000)]
    assert [percentile(values, share) for share in (0.0, 50.0, 99.9, 100.0)] == [0.0, 500.0, 999.0, 999.0]
    assert percentile([], 50.0) == 0.0
    assert percentile([4.0], 99.9) == 4.0


def test_nothing_a_second_when_there_was_no_time() -> None:
    nothing = Outcome(0.0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert nothing.per_s == 0.0


def test_who_is_answered_late_counts_among_the_slow_and_not_in_the_rate() -> None:
    with one_connection() as (load, client, there):
        client.greeted = True
        load._poll.register(client.socket, select.EPOLLIN)
        answer = threading.Timer(0.05, there.sendall, answers(load._template, [1]))
        answer.start()
        outcome = load.run()
        answer.join()
    assert (outcome.in_time, outcome.answers, outcome.unanswered, outcome.per_s) == (0, 1, 0, 0.0)
    assert outcome.p50_ms == outcome.slowest_ms > 10


def test_who_is_never_answered_has_waited_all_the_time() -> None:
    with one_connection() as (load, client, _):
        client.greeted = True
        load._order = replace(load._order, drain_s=0.02)
        load._poll.register(client.socket, select.EPOLLIN)
        outcome = load.run()
    assert (outcome.answers, outcome.unanswered) == (0, 1)
    assert outcome.p50_ms >= 20
