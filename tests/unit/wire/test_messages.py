"""Typed headers: what is refused, what may grow, and what never travels."""

from __future__ import annotations

import json

import msgspec
import pytest

from holdfast.types import Retention
from holdfast.wire import limits, messages
from holdfast.wire.messages import (
    Accepted,
    Close,
    End,
    Failure,
    GoAway,
    Hello,
    ResultAnswer,
    Run,
    UnreadableHeader,
    Welcome,
    clip,
    decode,
    decode_event,
    decode_request,
    encode,
)
from tests.unit.wire.pair import ACCEPTED, HELLO, OPENED, RESULT, RUN, STARTED, WELCOME

ANSWERS = [HELLO, WELCOME, RESULT, GoAway(108), Close(), End(), Failure(302, "no")]


@pytest.mark.parametrize("message", ANSWERS, ids=lambda m: type(m).__name__)
def test_a_message_survives_the_wire(message: msgspec.Struct) -> None:
    assert decode(encode(message), type(message)) == message


@pytest.mark.parametrize("event", [ACCEPTED, STARTED, OPENED])
def test_an_event_survives_the_wire(event: messages.AnyEvent) -> None:
    assert decode_event(encode(event)) == event


@pytest.mark.parametrize("message", ANSWERS, ids=lambda m: type(m).__name__)
def test_answers_may_grow_fields(message: msgspec.Struct) -> None:
    grown = json.loads(encode(message)) | {"from_the_future": {"a": [1, None]}}
    assert decode(json.dumps(grown).encode(), type(message)) == message


def test_events_may_grow_fields() -> None:
    grown = json.loads(encode(ACCEPTED)) | {"from_the_future": 1}
    assert decode_event(json.dumps(grown).encode()) == ACCEPTED


@pytest.mark.parametrize(
    "header",
    [
        b'{"op":"run","key":"k","argc":1,"run_as":"root"}',
        b'{"op":"run","key":"k","argc":1,"retention":{"rule":"block","shred":true}}',
        b'{"op":"get","job":"x","deep":[[[[]]]]}',
        b'{"op":"teleport"}',
    ],
)
def test_requests_are_must_understand(header: bytes) -> None:
    with pytest.raises(UnreadableHeader) as caught:
        decode_request(header)
    assert caught.value.code == 301


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"op":"run"}',
        b'{"op":"run","key":"","argc":1}',
        b'{"op":"run","key":"k","argc":0}',
        b'{"op":"run","key":"k","argc":131073}',
        b'{"op":"run","key":"k","argc":1,"envc":16385}',
        b'{"op":"run","key":"k","argc":1,"umask":512}',
        b'{"op":"run","key":"k","argc":1,"timeout_s":-1}',
        b'{"op":"run","key":"k","argc":1,"timeout_s":1e400}',
        b'{"op":"run","key":"k","argc":1,"durability":"hope"}',
        b'{"op":"run","key":"k","argc":true}',
        b'{"op":"run","key":"\\ud800","argc":1}',
        b'{"op":"read","job":"j","offsets":{"0":0}}',
        b'{"op":"read","job":"j","offsets":{"1":-1}}',
        b'{"op":"signal","job":"j","signum":65}',
        b'{"op":"signal","job":"j","signum":0}',
        b'{"op":"status"}{"op":"status"}',
        b'{"op":"get","job":"' + b"x" * 65 + b'"}',
    ],
)
def test_requests_outside_their_bounds_are_invalid(header: bytes) -> None:
    with pytest.raises(UnreadableHeader) as caught:
        decode_request(header)
    assert caught.value.code == 300


@pytest.mark.parametrize(("key", "legal"), [("é" * 127, True), ("é" * 128, False), ("k" * 255, True)])
def test_keys_and_labels_are_counted_in_bytes(key: str, legal: bool) -> None:
    for header in (
        encode(Run(key=key, argc=1)),
        encode(messages.Retry(job="j", key=key)),
        encode(Run(key="k", argc=1, label=key)),
    ):
        if legal:
            decode_request(header)
            continue
        with pytest.raises(UnreadableHeader, match="256 bytes"):
            decode_request(header)


def test_a_plain_retention_is_what_callers_give() -> None:
    kept = Retention(rule="keep-tail", limit_bytes=5)
    request = decode_request(encode(Run(key="k", argc=1, retention=kept)))
    assert isinstance(request, Run)
    assert (request.retention.rule, request.retention.limit_bytes) == ("keep-tail", 5)
    assert isinstance(request.retention, Retention)


def test_defaults_do_not_travel() -> None:
    assert encode(RUN) == b'{"op":"run","key":"k","argc":1}'
    assert encode(End()) == b"{}"


def test_every_request_has_a_name_of_its_own() -> None:
    assert len(set(messages.REQUEST_NAMES)) == len(messages.REQUEST_NAMES) == 42
    for name in messages.REQUEST_NAMES:
        with pytest.raises(UnreadableHeader) as caught:
            decode_request(json.dumps({"op": name, "nonsense": 1}).encode())
        assert caught.value.code == 301


@pytest.mark.parametrize("code", [-2, -1, 1000, 10**30])
def test_a_peer_cannot_claim_our_own_close_codes(code: int) -> None:
    with pytest.raises(UnreadableHeader):
        decode(json.dumps({"code": code}).encode(), Close)


@pytest.mark.parametrize("type_", [Hello, Welcome, Accepted, ResultAnswer, Failure])
@pytest.mark.parametrize("bomb", [b"[" * 200_000, b'{"a":' * 100_000, b'{"op":' * 100_000])
def test_nesting_bombs_are_refused(type_: type[msgspec.Struct], bomb: bytes) -> None:
    with pytest.raises(UnreadableHeader):
        decode(bomb, type_)
    with pytest.raises(UnreadableHeader):
        decode_request(bomb)
    with pytest.raises(UnreadableHeader):
        decode_event(bomb)


def test_a_nesting_bomb_in_a_free_form_answer_is_refused() -> None:
    bomb = b'{"agent":{"a":' + b"[" * 200_000
    with pytest.raises(UnreadableHeader):
        decode(bomb, messages.StatusAnswer)


def test_the_last_of_two_equal_fields_wins() -> None:
    assert decode(b'{"code":1,"code":2}', Close) == Close(2)


@pytest.mark.parametrize(
    ("text", "clipped"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb\x00c\nd", "a?[31mb?c\nd"),
        ("x" * 5000, "x" * 1024),
        ("é" * 5000, "é" * 512),
        ("€" * 5000, "€" * 341),
        ("\ud800", "?"),
        ("", ""),
    ],
)
def test_texts_are_clipped_to_what_every_peer_accepts(text: str, clipped: str) -> None:
    assert clip(text) == clipped


@pytest.mark.parametrize("character", ['"', "\\", "\n", "\x00", "é", "\U0001f980", "\ud800"])
def test_no_text_makes_a_close_too_large(character: str) -> None:
    header = encode(Close(100, clip(character * 5000)))
    assert len(header) <= limits.CONTROL_BYTES_BEFORE_WELCOME


def test_an_error_does_not_echo_a_long_field_name() -> None:
    with pytest.raises(UnreadableHeader) as caught:
        decode_request(b'{"op":"get","job":"x","' + b"y" * 500_000 + b'":1}')
    assert len(str(caught.value)) <= limits.TEXT_BYTES


def test_an_invitation_shows_in_no_representation_of_its_answer() -> None:
    answer = messages.InviteAnswer("hf1.secret", "0123456789abcdef", "viewer", 2e9)
    assert "hf1" not in repr(answer)
    assert "hf1" not in f"{answer}"
    assert decode(encode(answer), messages.InviteAnswer) == answer


@pytest.mark.parametrize(
    "header",
    [
        b'{"op":"invite","role":"root"}',
        b'{"op":"invite","ttl_s":0.5}',
        b'{"op":"invite","ttl_s":604801}',
        b'{"op":"invite","address":"' + b"x" * 301 + b'"}',
        b'{"op":"revoke"}',
        b'{"op":"revoke","principal":""}',
        b'{"op":"revoke","principal":"' + b"x" * 129 + b'"}',
    ],
)
def test_requests_about_keys_have_bounds(header: bytes) -> None:
    with pytest.raises(UnreadableHeader) as caught:
        decode_request(header)
    assert caught.value.code == 300
