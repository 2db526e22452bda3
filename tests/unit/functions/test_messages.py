"""Messages as bytes: the layout as the module's table has it, and a parser that takes bytes in any pieces."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.functions import messages as m
from holdfast.functions.messages import ConversationError, MessageParser

MESSAGES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.binary(max_size=40)), max_size=20)


def test_the_layout_is_the_documented_one() -> None:
    assert m.encode(m.RESULT, 7, b"abc") == b"\0\0\0\x03" + bytes([17]) + b"\0\0\0\0\0\0\0\x07" + b"abc"
    call = m.encode_call(3, 5, m.PICKLED, 1.5, b"args")
    assert call == struct.pack("!IBQ", 17, 3, 3) + struct.pack("!IBd", 5, 1, 1.5) + b"args"
    (message,) = MessageParser().feed(call)
    assert message[:2] == (m.CALL, 3)
    assert m.open_call(message[2]) == (5, 1, 1.5, b"args")


@settings(max_examples=200, deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 1200), max_size=30))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(m.encode(*message) for message in messages)
    parser, found, at = MessageParser(), [], 0
    for cut in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        found += parser.feed(data[at:cut])
        at = cut
    assert found == messages


def test_a_long_message_in_many_pieces_is_copied_once() -> None:
    """A body of 64 MiB in pieces of 64 KiB: were it joined with each piece, this would copy 32 GiB."""
    piece = bytes(64 * 1024)
    parser = MessageParser()
    assert parser.feed(struct.pack("!IBQ", 1024 * len(piece), m.RESULT, 1)) == []
    for _ in range(1023):
        assert parser.feed(piece) == []
        assert parser._chunks[-1] is piece
    ((kind, number, body),) = parser.feed(piece)
    assert (kind, number, len(body)) == (m.RESULT, 1, 64 * 1024 * 1024)


@pytest.mark.parametrize(("most", "length"), [(m.MESSAGE_BYTES, m.MESSAGE_BYTES + 1), (10, 11)])
def test_a_body_that_is_too_long_is_refused_before_it_comes(most: int, length: int) -> None:
    with pytest.raises(ConversationError, match=f"limit is {most}"):
        MessageParser(most).feed(struct.pack("!IBQ", length, m.RESULT, 1))
    assert MessageParser(most).feed(struct.pack("!IBQ", most, m.RESULT, 1)) == []


@pytest.mark.parametrize("size", range(13))
def test_a_call_that_is_too_short(size: int) -> None:
    with pytest.raises(ConversationError):
        m.open_call(bytes(size))


def test_progress_is_cut_and_may_hold_any_text() -> None:
    told = m.open_progress(m.encode_progress(m.Progress(1, 2, "\udc80" + "x" * 5000)))
    assert (told.done, told.total, len(told.text)) == (1.0, 2.0, m.PROGRESS_CHARS)


@pytest.mark.parametrize("body", [b"", b"\x93\x01\x02", b"\x91\xa1x", msgspec.msgpack.encode([1, 2, "x" * 1001])])
def test_a_progress_that_is_none(body: bytes) -> None:
    with pytest.raises(ConversationError):
        m.open_progress(body)


def test_a_ready_may_grow_and_an_unreadable_one_is_refused() -> None:
    assert m.open_ready(m.encode_ready(m.Ready(5, "3.11.7", 2))) == m.Ready(5, "3.11.7", 2)
    assert m.open_ready(msgspec.msgpack.encode([5, "3.11.7", 2, "more"])).pid == 5
    with pytest.raises(ConversationError):
        m.open_ready(b"x")


def test_the_specification_has_every_kind_of_message() -> None:
    text = (Path(__file__).parents[3] / "docs" / "spec" / "workers.md").read_text()
    documented = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| ([A-Z]+) \|", text, re.MULTILINE)}
    names = (
        "ATTACH",
        "DEFINE",
        "CALL",
        "CANCEL",
        "ACK",
        "END",
        "READY",
        "RESULT",
        "ERROR",
        "RETURNED",
        "PROGRESS",
        "PACE",
    )
    assert documented == {name: getattr(m, name) for name in names}
