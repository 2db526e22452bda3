"""The connection without a socket: order, cuts, ends."""

from __future__ import annotations

from holdfast.transport.memory import End, pair


def drain(end: End) -> bytes:
    got = b""
    while piece := end.read():
        got += piece
    return got


def test_bytes_pass_in_order_both_ways() -> None:
    client, agent = pair()
    client.write(b"ab")
    client.write(b"cd")
    agent.write(b"xy")
    assert (drain(agent), drain(client)) == (b"abcd", b"xy")
    assert client.read() is None


def test_a_cut_falls_after_the_given_byte() -> None:
    for cut in range(5):
        client, agent = pair(cut_after=cut)
        client.write(b"ab")
        client.write(b"cdef")
        assert drain(agent) == b"abcdef"[:cut]
        assert (agent.read(), client.read()) == (b"", b"")
        agent.write(b"late")
        assert client.read() == b""


def test_a_limit_that_is_just_reached_cuts_with_the_next_byte() -> None:
    client, agent = pair(answer_cut_after=2)
    agent.write(b"ab")
    assert drain(client) == b"ab"
    assert client.read() is None
    agent.write(b"c")
    assert client.read() == b""
