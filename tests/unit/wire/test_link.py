"""One connection: greeting, exchanges, flow control, draining, closing, and what is refused on which side."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.errors import LocalProtocolError
from holdfast.types import JobState
from holdfast.wire import limits
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.link import (
    END_OF_STREAM,
    AckReceived,
    Answered,
    Cancelled,
    CreditReceived,
    DataReceived,
    EndReceived,
    EventReceived,
    Failed,
    GapReceived,
    GoAwayReceived,
    HelloReceived,
    Link,
    LinkClosed,
    RequestReceived,
    Welcomed,
)
from holdfast.wire.messages import (
    Accepted,
    Close,
    DoneAnswer,
    End,
    Failure,
    Get,
    Hello,
    ResultAnswer,
    Run,
    Welcome,
    decode,
    encode,
)
from holdfast.wire.phases import Phase, Role
from tests.unit.wire.pair import (
    ACCEPTED,
    HELLO,
    RESULT,
    RUN,
    RUN_BODY,
    WELCOME,
    Pair,
    drain,
    frames_of,
    last,
    link_in,
    sample,
)

# --- greeting --------------------------------------------------------------------------------------------------------


def test_connected_means_welcomed() -> None:
    pair = Pair(opened=False)
    pair.pump()
    assert last(pair.at_agent, HelloReceived).hello == HELLO
    assert {pair.client.phase, pair.agent.phase} == {Phase.PRE}
    pair.agent.welcome(WELCOME)
    pair.pump()
    assert last(pair.at_client, Welcomed).welcome == WELCOME
    assert pair.client.welcomed == WELCOME
    assert pair.client.phase is pair.agent.phase is Phase.OPEN


def test_only_a_client_greets() -> None:
    with pytest.raises(LocalProtocolError, match="a client greets"):
        Link(Role.AGENT, now=0.0, hello=HELLO)
    with pytest.raises(LocalProtocolError, match="a client greets"):
        Link(Role.CLIENT, now=0.0)


def test_a_greeting_too_large_for_any_agent_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="limit 4096"):
        Link(Role.CLIENT, now=0.0, hello=Hello(1, 1, "i" * 32, features=("f" * 60,) * 100))


def test_welcome_answers_one_hello() -> None:
    agent = Link(Role.AGENT, now=0.0)
    with pytest.raises(LocalProtocolError, match="one HELLO"):
        agent.welcome(WELCOME)
    pair = Pair()
    with pytest.raises(LocalProtocolError, match="one HELLO"):
        pair.agent.welcome(WELCOME)
    with pytest.raises(LocalProtocolError, match="one HELLO"):
        pair.client.welcome(WELCOME)


def test_a_second_hello_is_refused() -> None:
    agent = Link(Role.AGENT, now=0.0)
    agent.receive_data(sample(FrameType.HELLO, Role.AGENT) * 2, now=0.0)
    assert last(drain(agent), LinkClosed).text == "a second HELLO"


def test_a_request_must_wait_for_welcome() -> None:
    with pytest.raises(LocalProtocolError, match="phase pre"):
        Link(Role.CLIENT, now=0.0, hello=HELLO).request(RUN, RUN_BODY)
    agent = Link(Role.AGENT, now=0.0)
    agent.receive_data(sample(FrameType.HELLO, Role.AGENT) + sample(FrameType.REQ, Role.AGENT), now=0.0)
    found = drain(agent)
    assert [type(event) for event in found] == [HelloReceived, LinkClosed]


@pytest.mark.parametrize(("lowest", "highest"), [(2, 9), (0, 0), (-5, 0), (5, 0)])
def test_no_common_version_names_both_sides(lowest: int, highest: int) -> None:
    pair = Pair(opened=False)
    pair.client = Link(Role.CLIENT, now=0.0, hello=Hello(lowest, highest, "i" * 32, software="old/0.1"))
    pair.pump()
    closed = last(pair.at_client, LinkClosed)
    assert closed.code == 102
    assert f"{lowest} to {highest}" in closed.text
    assert "old/0.1" in closed.text
    assert not any(isinstance(event, HelloReceived) for event in pair.at_agent)


@pytest.mark.parametrize(("lowest", "highest"), [(1, 1), (0, 9)])
def test_a_common_version_is_enough(lowest: int, highest: int) -> None:
    agent = Link(Role.AGENT, now=0.0)
    agent.receive_data(encode_frame(FrameType.HELLO, header=encode(Hello(lowest, highest, "i" * 32))), now=0.0)
    assert isinstance(drain(agent)[0], HelloReceived)


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_client_takes_no_protocol_it_did_not_offer(protocol: int) -> None:
    client = link_in(Role.CLIENT, Phase.PRE)
    welcome = Welcome(protocol, "a", "i", "b", "p")
    client.receive_data(encode_frame(FrameType.WELCOME, header=encode(welcome)), now=0.0)
    assert last(drain(client), LinkClosed).code == 102
    assert client.welcomed is None


def test_a_client_that_is_not_welcomed_leaves_without_a_frame_the_agent_would_refuse() -> None:
    client = link_in(Role.CLIENT, Phase.PRE)
    client.close(0, "never mind")
    assert client.data_to_send() == b""
    assert last(drain(client), LinkClosed).code == 0


# --- exchanges -------------------------------------------------------------------------------------------------------


def test_a_run_from_request_to_receipt() -> None:
    pair = Pair()
    stream = pair.client.request(RUN, RUN_BODY, reads={1: (0, 100_000), 2: (0, 100_000)})
    pair.pump()
    asked = last(pair.at_agent, RequestReceived)
    assert (asked.stream, asked.request, asked.body) == (stream, RUN, RUN_BODY)
    agent = pair.agent
    agent.open_out(stream, 1, offset=0, limit=100_000)
    agent.event(stream, 1, ACCEPTED)
    agent.offer(stream, 1, 5)
    turn = agent.next_turn()
    assert turn is not None
    assert (turn.stream, turn.channel, turn.offset, turn.size) == (stream, 1, 0, 5)
    agent.send_data(stream, 1, b"hello")
    agent.send_end(stream, 1, 5, End(xxh3="0" * 32))
    agent.send_end(stream, 2, 0)
    agent.respond(stream, RESULT, b"more")
    pair.pump()
    assert pair.at_client[:4] == [
        EventReceived(stream, 1, ACCEPTED),
        DataReceived(stream, 1, 0, b"hello"),
        EndReceived(stream, 1, 5, End(xxh3="0" * 32)),
        EndReceived(stream, 2, 0, End()),
    ]
    answer = last(pair.at_client, Answered)
    assert decode(answer.header, ResultAnswer) == RESULT
    assert answer.body == b"more"
    assert pair.client.open_streams == agent.open_streams == 0


def test_stdin_goes_up_within_credit_and_is_acknowledged() -> None:
    pair = Pair()
    stream = pair.run(stdin=True, credit=10_000)
    assert last(pair.at_client, CreditReceived).limit == 10_000
    pair.client.send_data(stream, 0, b"in")
    pair.client.send_end(stream, 0, 2)
    pair.pump()
    assert pair.at_agent == [DataReceived(stream, 0, 0, b"in"), EndReceived(stream, 0, 2, End())]
    pair.agent.ack(stream, 0, 2)
    pair.pump()
    assert last(pair.at_client, AckReceived).offset == 2


def test_an_acknowledgement_of_bytes_never_sent_is_refused() -> None:
    pair = Pair()
    stream = pair.run(stdin=True)
    pair.client.send_data(stream, 0, b"in")
    pair.agent.ack(stream, 0, 3)
    pair.pump()
    assert last(pair.at_client, LinkClosed).code == 100


def test_a_gap_is_told_and_sending_goes_on_behind_it() -> None:
    pair = Pair()
    stream = pair.run(credit=1000)
    pair.agent.send_gap(stream, 1, 5000)
    pair.pump()
    assert last(pair.at_client, GapReceived).offset == 5000
    assert pair.agent.out_offset(stream, 1) == 5000
    pair.client.grant(stream, 1, 10_000)
    pair.pump()
    pair.agent.send_data(stream, 1, b"tail")
    pair.pump()
    assert last(pair.at_client, DataReceived).offset == 5000


def test_a_failure_ends_its_stream_only() -> None:
    pair = Pair()
    first, second = pair.client.request(Get("a")), pair.client.request(Get("b"))
    pair.pump()
    pair.agent.fail(first, Failure(302, "no such job"))
    pair.agent.respond(second, DoneAnswer(state=JobState.DONE))
    pair.pump()
    assert pair.at_client[-2] == Failed(first, Failure(302, "no such job"))
    assert last(pair.at_client, Answered).stream == second


def test_an_unreadable_request_costs_its_stream_only() -> None:
    agent = link_in(Role.AGENT, Phase.OPEN)
    for number, (header, code) in enumerate([(b"{", 300), (b'{"op":"run","key":"k","argc":1,"x":1}', 301)]):
        agent.receive_data(encode_frame(FrameType.REQ, stream=3 + 2 * number, header=header), now=0.0)
        (frame,) = frames_of(agent.data_to_send())
        assert (frame.type, frame.stream) == (FrameType.ERR, 3 + 2 * number)
        failure = decode(frame.header, Failure)
        assert (failure.code, failure.ran) == (code, "no")
    assert not agent.closed
    assert agent.open_streams == 1
    assert drain(agent) == []


@pytest.mark.parametrize("type_", [FrameType.EVT, FrameType.ERR, FrameType.END])
def test_an_unreadable_header_of_the_agent_ends_the_connection(type_: FrameType) -> None:
    client = link_in(Role.CLIENT, Phase.OPEN)
    channel = 1 if type_ is FrameType.END else 0
    client.receive_data(encode_frame(type_, stream=1, channel=channel, header=b"{"), now=0.0)
    assert last(drain(client), LinkClosed).code == 100


def test_cancel_drops_the_stream_on_both_sides_and_late_frames_are_ignored() -> None:
    pair = Pair()
    stream = pair.run()
    pair.client.cancel(stream)
    pair.agent.send_data(stream, 1, b"late")
    pair.agent.event(stream, 1, ACCEPTED)
    pair.agent.respond(stream, RESULT)
    pair.pump()
    assert pair.at_client == []
    assert pair.at_agent == []  # the answer was out before the CANCEL came in
    assert pair.client.open_streams == pair.agent.open_streams == 0
    assert not pair.client.closed
    assert not pair.agent.closed


def test_a_cancelled_request_is_told_and_its_answer_dropped() -> None:
    pair = Pair()
    stream = pair.run()
    pair.client.cancel(stream)
    pair.pump()
    assert pair.at_agent == [Cancelled(stream)]
    pair.agent.event(stream, 2, ACCEPTED)
    pair.agent.ack(stream, 0, 1)
    pair.agent.offer(stream, 1, 10)
    pair.agent.open_out(stream, 1, offset=0, limit=10)
    pair.agent.expect(stream, 0, offset=0, limit=10)
    pair.agent.send_gap(stream, 1, 5)
    pair.agent.send_end(stream, 1, 5)
    pair.agent.grant(stream, 0, 1 << 20)
    pair.agent.respond(stream, RESULT)
    pair.agent.fail(stream, Failure(300, "x"))
    assert pair.agent.data_to_send() == b""
    pair.client.cancel(stream)
    assert pair.client.data_to_send() == b""


@pytest.mark.parametrize("type_", [FrameType.DATA, FrameType.CREDIT, FrameType.END, FrameType.CANCEL])
def test_frames_that_crossed_the_answer_are_dropped(type_: FrameType) -> None:
    pair = Pair()
    stream = pair.run(stdin=True)
    pair.agent.respond(stream, RESULT)
    pair.agent.receive_data(sample(type_, Role.AGENT), now=0.0)
    assert not pair.agent.closed
    assert drain(pair.agent) == []


@pytest.mark.parametrize(
    "type_", [t for t in FrameType if t >= FrameType.RES and t not in (FrameType.CANCEL, FrameType.REQ)]
)
@pytest.mark.parametrize("stream", [0, 2, 3])
def test_a_stream_that_was_never_opened_is_an_error(type_: FrameType, stream: int) -> None:
    client = link_in(Role.CLIENT, Phase.OPEN)
    frame = sample(type_, Role.CLIENT)
    client.receive_data(frame[:12] + stream.to_bytes(4, "big") + frame[16:], now=0.0)
    assert last(drain(client), LinkClosed).code == 100


@pytest.mark.parametrize("type_", [t for t in FrameType if t < FrameType.REQ and t.name not in ("HELLO", "ENROL")])
def test_connection_frames_belong_to_stream_0(type_: FrameType) -> None:
    client = link_in(Role.CLIENT, Phase.PRE if type_ is FrameType.WELCOME else Phase.OPEN)
    frame = sample(type_, Role.CLIENT)
    client.receive_data(frame[:12] + b"\0\0\0\1" + frame[16:], now=0.0)
    assert "belongs to stream 0" in last(drain(client), LinkClosed).text


# --- flow control ----------------------------------------------------------------------------------------------------


def test_not_a_byte_beyond_the_credit_leaves() -> None:
    pair = Pair()
    stream = pair.run(credit=5000)
    with pytest.raises(LocalProtocolError, match="no credit"):
        pair.agent.send_data(stream, 1, bytes(5001))
    pair.agent.send_data(stream, 1, bytes(5000))
    with pytest.raises(LocalProtocolError, match="no credit"):
        pair.agent.send_data(stream, 1, b"x")
    pair.client.grant(stream, 1, 10_000)
    pair.pump()
    pair.agent.send_data(stream, 1, bytes(5000))
    pair.pump()
    assert not pair.client.closed


def test_a_byte_beyond_the_credit_ends_the_connection() -> None:
    pair = Pair()
    stream = pair.run(credit=5000)
    frame = encode_frame(FrameType.DATA, channel=1, stream=stream, position=0, body_bytes=5001)
    pair.client.receive_data(frame + bytes(5001), now=0.0)
    assert last(drain(pair.client), LinkClosed).code == 104


@pytest.mark.parametrize("limit", [5000, 4999, 5000 + limits.CREDIT_STEP_BYTES - 1, 0])
def test_a_repeated_lower_or_tiny_credit_ends_the_connection(limit: int) -> None:
    pair = Pair()
    stream = pair.run(credit=5000)
    pair.agent.receive_data(encode_frame(FrameType.CREDIT, channel=1, stream=stream, position=limit), now=0.0)
    assert last(drain(pair.agent), LinkClosed).code == 104


def test_a_tiny_grant_is_never_sent() -> None:
    pair = Pair()
    stream = pair.run(credit=5000)
    pair.client.grant(stream, 1, 5000 + limits.CREDIT_STEP_BYTES - 1)
    pair.client.grant(stream, 9, 1 << 20)
    assert pair.client.data_to_send() == b""


def test_credit_that_crossed_the_end_is_ignored() -> None:
    pair = Pair()
    stream = pair.run(credit=5000)
    pair.client.grant(stream, 1, 1 << 20)
    pair.agent.send_end(stream, 1, 0)
    pair.pump()
    assert pair.at_agent == []
    assert not pair.agent.closed
    pair.client.grant(stream, 1, 1 << 21)
    assert pair.client.data_to_send() == b""


def test_no_chunk_is_larger_than_a_frame() -> None:
    pair = Pair()
    stream = pair.run(credit=1 << 30)
    with pytest.raises(LocalProtocolError):
        pair.agent.send_data(stream, 1, bytes(limits.CHUNK_BYTES + 1))
    with pytest.raises(LocalProtocolError):
        pair.agent.send_data(stream, 1, b"")
    pair.agent.send_data(stream, 1, bytes(limits.CHUNK_BYTES))
    pair.pump()
    assert len(last(pair.at_client, DataReceived).data) == limits.CHUNK_BYTES


@pytest.mark.parametrize(
    "act",
    [
        lambda link, stream: link.send_end(stream, 1, 1),
        lambda link, stream: link.send_gap(stream, 1, 0),
        lambda link, stream: link.send_gap(stream, 9, 100),
        lambda link, stream: link.open_out(stream, 1, offset=0, limit=1),
        lambda link, stream: link.open_out(stream + 2, 1, offset=0, limit=1),
        lambda link, stream: link.send_end(stream + 2, 1, 0),
        lambda link, stream: link.expect(stream + 2, 0, offset=0, limit=1),
        lambda link, stream: link.send_data(stream, 2**7, b"x"),
    ],
)
def test_what_the_peer_would_refuse_is_refused_here(act: Callable[[Link, int], None]) -> None:
    pair = Pair()
    stream = pair.run()
    with pytest.raises(LocalProtocolError):
        act(pair.agent, stream)
    assert pair.agent.data_to_send() == b""


def test_pieces_hold_the_same_bytes_as_one_piece() -> None:
    one, two = Pair(), Pair()
    for pair in (one, two):
        stream = pair.run(credit=1 << 20)
        pair.agent.send_data(stream, 1, b"a" * 10)
        pair.agent.send_data(stream, 1, b"b" * 100_000)
    assert b"".join(one.agent.pieces_to_send()) == two.agent.data_to_send()
    assert one.agent.pieces_to_send() == []


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_request_that_is_too_large_is_not_sent() -> None:
    client = link_in(Role.CLIENT, Phase.OPEN)
    with pytest.raises(LocalProtocolError, match="limit 1048576"):
        client.request(RUN, bytes(limits.REQUEST_BODY_BYTES + 1))
    with pytest.raises(LocalProtocolError, match="limit 1048576"):
        client.request(Run(key="k", argc=1, hints={"x": "y" * limits.CONTROL_BYTES}))
    assert client.data_to_send() == b""
    assert client.request(RUN, bytes(limits.REQUEST_BODY_BYTES)) == 3


@pytest.mark.parametrize("part", ["header", "body"])
def test_an_answer_that_is_too_large_costs_its_stream_only(part: str) -> None:
    pair = Pair()
    stream = pair.run()
    large = bytes(limits.CONTROL_BYTES + 1)
    pair.agent.respond_encoded(stream, *((large, b"") if part == "header" else (b"{}", large)))
    pair.pump()
    failed = last(pair.at_client, Failed)
    assert (failed.failure.code, failed.failure.ran) == (101, "unknown")
    assert not pair.client.closed


def test_a_long_failure_text_costs_its_stream_only() -> None:
    pair = Pair()
    stream = pair.run()
    pair.agent.fail(stream, Failure(300, "x" * limits.CONTROL_BYTES, retry_after_s=2.0))
    pair.pump()
    failure = last(pair.at_client, Failed).failure
    assert (len(failure.text), failure.retry_after_s) == (limits.TEXT_BYTES, 2.0)


def test_an_event_that_is_too_large_is_refused_here() -> None:
    pair = Pair()
    stream = pair.run()
    with pytest.raises(LocalProtocolError, match="limit 1048576"):
        pair.agent.event(stream, 1, Accepted("j" * limits.CONTROL_BYTES, JobState.QUEUED, "b", "i"))


def test_a_client_that_has_used_up_its_numbers_drains() -> None:
    client = link_in(Role.CLIENT, Phase.OPEN)
    client._streams.newest = limits.STREAM_HIGHEST - 2
    assert client.request(Get("j")) == limits.STREAM_HIGHEST
    assert client.phase is Phase.DRAIN
    assert last(drain(client), GoAwayReceived).goaway.last_stream == limits.STREAM_HIGHEST
    with pytest.raises(LocalProtocolError, match="phase drain"):
        client.request(Get("j"))


# --- draining and closing --------------------------------------------------------------------------------------------


def test_after_goaway_open_streams_go_on_and_new_ones_are_refused_with_a_time() -> None:
    pair = Pair()
    stream = pair.run()
    pair.agent.goaway(108, "restarting", retry_after_s=0.5)
    crossing = pair.client.request(Get("j"))
    pair.pump()
    goaway = next(event for event in pair.at_client if isinstance(event, GoAwayReceived)).goaway
    assert (goaway.code, goaway.last_stream, goaway.retry_after_s) == (108, stream, 0.5)
    failed = last(pair.at_client, Failed)
    assert (failed.stream, failed.failure.code, failed.failure.ran) == (crossing, 108, "no")
    assert failed.failure.retry_after_s is not None
    with pytest.raises(LocalProtocolError, match="phase drain"):
        pair.client.request(Get("j"))
    pair.agent.send_data(stream, 1, b"still here")
    pair.agent.respond(stream, RESULT)
    pair.pump()
    assert last(pair.at_client, Answered).stream == stream
    pair.agent.goaway(108)
    assert pair.agent.data_to_send() == b""


def test_close_is_told_to_the_peer() -> None:
    pair = Pair()
    pair.run()
    pair.client.close(0, "done")
    pair.pump()
    assert last(pair.at_agent, LinkClosed) == LinkClosed(0, "done", None)
    assert last(pair.at_client, LinkClosed) == LinkClosed(0, "done", None)
    assert pair.agent.open_streams == 0
    assert pair.agent.next_deadline() is None


def test_nothing_happens_on_a_closed_link() -> None:
    link = link_in(Role.AGENT, Phase.CLOSED)
    link.receive_data(sample(FrameType.REQ, Role.AGENT), now=0.0)
    link.receive_data(b"", now=0.0)
    link.close()
    link.goaway(108)
    link.handle_timeout(now=1e9)
    link.respond(1, RESULT)
    assert link.data_to_send() == b""
    assert drain(link) == []
    with pytest.raises(LocalProtocolError):
        link.send_data(1, 1, b"x")
    with pytest.raises(LocalProtocolError):
        link_in(Role.CLIENT, Phase.CLOSED).request(Get("j"))


def test_a_bare_end_of_stream_is_told_apart_from_a_close() -> None:
    pair = Pair()
    pair.client.receive_data(b"", now=0.0)
    assert last(drain(pair.client), LinkClosed).code == END_OF_STREAM
    assert pair.client.data_to_send() == b""


def test_frames_behind_an_error_are_not_looked_at() -> None:
    pair = Pair()
    stream = pair.run()
    bad = encode_frame(FrameType.DATA, channel=1, stream=stream, position=7, body_bytes=1) + b"x"
    good = encode_frame(FrameType.DATA, channel=1, stream=stream, position=0, body_bytes=1) + b"x"
    pair.client.receive_data(good + bad + good, now=0.0)
    found = drain(pair.client)
    assert [type(event) for event in found] == [DataReceived, LinkClosed]
    (frame,) = frames_of(pair.client.data_to_send())
    assert decode(frame.header, Close).code == 100


@pytest.mark.parametrize("text", ["\U0001f980" * 128, "\x00" * 5000, '"' * 5000])
def test_any_text_fits_the_close_that_tells_it(text: str) -> None:
    agent = Link(Role.AGENT, now=0.0)
    if len(text) <= 128:
        hello = Hello(7, 9, "i" * 32, software=text)
        agent.receive_data(encode_frame(FrameType.HELLO, header=encode(hello)), now=0.0)
    else:
        agent.close(102, text)
    client = link_in(Role.CLIENT, Phase.PRE)
    client.receive_data(agent.data_to_send(), now=0.0)
    closed = last(drain(client), LinkClosed)
    assert (closed.code, closed.error) == (102, None)
