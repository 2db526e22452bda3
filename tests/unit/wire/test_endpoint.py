"""The small server around a handler: bytes in, bytes out."""

from __future__ import annotations

import pytest

from holdfast.errors import NotFound
from holdfast.wire.endpoint import Endpoint, Reply
from holdfast.wire.link import Answered, DataReceived, EndReceived, EventReceived, Failed, Link, LinkClosed, Welcomed
from holdfast.wire.messages import AnyRequest, DoneAnswer, Failure, Get, Read, Run, Status, Wait
from holdfast.wire.phases import Role
from tests.unit.wire.pair import ACCEPTED, HELLO, RESULT, drain

OUTPUT = bytes(range(256)) * 1000


def handler(request: AnyRequest, body: bytes) -> Reply | Failure:
    if isinstance(request, Run):
        return Reply(RESULT, events=(ACCEPTED,), output={1: OUTPUT, 2: body})
    if isinstance(request, Read):
        return Reply(DoneAnswer(), output={1: OUTPUT})
    if isinstance(request, Get):
        raise NotFound("no such job", code=302)
    if isinstance(request, Wait):
        return Failure(500, "not today", ran="unknown")
    return Reply(DoneAnswer(text="ok"), body=body)


class Talk:
    """A client's link in front of an endpoint."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(handler, 0.0)
        self.client = Link(Role.CLIENT, now=0.0, hello=HELLO)
        assert self.endpoint.start() == b""
        self.go()
        assert isinstance(drain(self.client)[0], Welcomed)

    def go(self) -> None:
        while up := self.client.data_to_send():
            down = self.endpoint.feed(up, 0.0)
            if down:
                self.client.receive_data(down, now=0.0)


def test_a_plain_request_is_answered() -> None:
    talk = Talk()
    talk.client.request(Status(), b"body")
    talk.go()
    (answer,) = drain(talk.client)
    assert isinstance(answer, Answered)
    assert (answer.header, answer.body) == (b'{"text":"ok"}', b"body")


def test_failures_returned_and_raised_are_told() -> None:
    talk = Talk()
    talk.client.request(Get("j"))
    talk.client.request(Wait("j"))
    talk.go()
    assert drain(talk.client) == [
        Failed(1, Failure(302, "no such job", ran="no")),
        Failed(3, Failure(500, "not today", ran="unknown")),
    ]


def test_output_is_sent_within_credit_and_before_the_answer() -> None:
    talk = Talk()
    credit = 10_000
    stream = talk.client.request(Run(key="k", argc=1, credit=credit), b"err", reads={1: (0, credit), 2: (0, credit)})
    got, ended, answered = {1: b"", 2: b""}, set(), False
    for _ in range(100):
        talk.go()
        for event in drain(talk.client):
            assert not answered
            if isinstance(event, DataReceived):
                got[event.channel] += event.data
                talk.client.grant(stream, event.channel, len(got[event.channel]) + credit)
            elif isinstance(event, EndReceived):
                ended.add(event.channel)
            else:
                assert isinstance(event, EventReceived | Answered), event
                answered = isinstance(event, Answered)
    assert got == {1: OUTPUT, 2: b"err"}
    assert ended == {1, 2}
    assert answered


def test_reading_goes_on_from_an_offset_and_not_from_beyond_the_end() -> None:
    talk = Talk()
    at = len(OUTPUT) - 10
    talk.client.request(Read("j", {"1": at}), reads={1: (at, at + (1 << 18))})
    talk.client.request(Read("j", {"1": at + 100}), reads={1: (at + 100, at + (1 << 18))})
    talk.go()
    found = drain(talk.client)
    assert [e.data for e in found if isinstance(e, DataReceived)] == [OUTPUT[at:]]
    assert [e.failure.code for e in found if isinstance(e, Failed)] == [308]


def test_a_cancelled_request_is_forgotten() -> None:
    talk = Talk()
    stream = talk.client.request(Run(key="k", argc=1, credit=5000), b"", reads={1: (0, 5000), 2: (0, 5000)})
    talk.go()
    talk.client.cancel(stream)
    talk.go()
    assert not talk.endpoint._replies
    assert not talk.endpoint._unended
    assert not talk.endpoint.closed


def test_time_is_served_by_tick() -> None:
    talk = Talk()
    assert talk.endpoint.deadline == 10.0
    assert talk.endpoint.tick(9.0) == b""
    ping = talk.endpoint.tick(10.0)
    talk.client.receive_data(ping, now=10.0)
    assert not talk.client.closed
    assert talk.endpoint.deadline == 20.0
    assert talk.endpoint.tick(25.0) == b""
    assert talk.endpoint.closed
    assert talk.endpoint.deadline is None


def test_either_side_closes() -> None:
    talk = Talk()
    talk.client.receive_data(talk.endpoint.close(), now=0.0)
    assert isinstance(drain(talk.client)[-1], LinkClosed)
    other = Talk()
    assert other.endpoint.feed(b"", 0.0) == b""
    assert other.endpoint.closed


@pytest.mark.parametrize("wrong", [b"\xff" * 50, b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"])
def test_what_is_wrong_in_the_same_bytes_ends_the_connection_and_not_the_server(wrong: bytes) -> None:
    greeting = Link(Role.CLIENT, now=0.0, hello=HELLO).data_to_send()
    for first in (True, False):
        endpoint = Endpoint(handler, 0.0)
        client = Link(Role.CLIENT, now=0.0, hello=HELLO)
        if first:
            out = endpoint.feed(greeting + wrong, 0.0)
        else:
            client.receive_data(endpoint.feed(client.data_to_send(), 0.0), now=0.0)
            client.request(Run(key="k", argc=1, credit=100), b"", reads={1: (0, 100), 2: (0, 100)})
            out = endpoint.feed(client.data_to_send() + wrong, 0.0)
        assert endpoint.closed
        assert out
        assert endpoint.feed(b"", 0.0) == b""
