"""Plain values: what comes back is what went in, and everything else is refused with its place; in both writings."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.functions import codec, text
from holdfast.functions.errors import CallRefused

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.text(st.characters(codec=None))
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=5)
        | st.sets(HASHABLE, max_size=5)
    ),
    max_leaves=20,
)
BINARY = (codec.encode, codec.decode)
TEXT = (text.encode, text.decode)


def same(left: Any, right: Any) -> bool:
    """Equal in type as well, at any depth; NaN equals itself, and -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (
            math.isnan(right)
            if math.isnan(left)
            else (left, math.copysign(1, left)) == (right, math.copysign(1, right))
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set):
        return sorted(map(repr, left)) == sorted(map(repr, right))
    if isinstance(left, dict):
        return same(list(left.keys()), list(right.keys())) and same(list(left.values()), list(right.values()))
    return bool(left == right)


@pytest.mark.parametrize("way", [BINARY, TEXT], ids=["binary", "text"])
@settings(max_examples=400, deadline=None)
@given(value=VALUES)
def test_a_plain_value_comes_back_as_it_was(way: tuple[Callable[..., bytes], Callable[..., Any]], value: Any) -> None:
    encode, decode = way
    found = decode(encode(value))
    assert same(found, value)


@pytest.mark.parametrize("way", [BINARY, TEXT], ids=["binary", "text"])
@pytest.mark.parametrize(
    "value",
    [2**64, -(2**63) - 1, 10**5000, "\udc80", {"\udc80": 2**65}, {(): {(): ()}}, {"$tuple": [1]}, {1: 1, "1": 2}, -0.0],
    ids=["2^64", "-2^63-1", "10^5000", "surrogate", "both", "tuples-as-keys", "a-tag", "mixed-keys", "minus-zero"],
)
def test_what_the_format_below_does_not_know(way: tuple[Callable[..., bytes], Callable[..., Any]], value: Any) -> None:
    encode, decode = way
    assert same(decode(encode(value)), value)


class Number(IntEnum):
    ONE = 1


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("encode", [codec.encode, text.encode], ids=["binary", "text"])
@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ([{"x": datetime.min}], "args[0][0]['x'] is a datetime.datetime"),
        ({frozenset()}, "an element of args[0] is a frozenset"),
        ({frozenset(): 1}, "a key of args[0] is a frozenset"),
        ({(1, Number.ONE): 1}, f"a key of args[0][1] is a {__name__}.Number"),
        (Pair(1, 2), f"args[0] is a {__name__}.Pair"),
        (OrderedDict(), "args[0] is a collections.OrderedDict"),
        (bytearray(b"x"), "args[0] is a bytearray"),
        (int, "args[0] is a type"),
        ({"k" * 200: object()}, "args[0]['" + "k" * 79 + "] is an object"),
    ],
    ids=["deep", "element", "key", "in-a-key", "named-tuple", "ordered-dict", "bytearray", "type", "long-key"],
)
def test_everything_else_is_refused_with_its_place(encode: Callable[..., bytes], value: Any, refusal: str) -> None:
    with pytest.raises(CallRefused) as caught:
        encode(value, "args[0]")
    assert str(caught.value) == refusal
    assert caught.value.ran == "no"
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("encode", [codec.encode, text.encode], ids=["binary", "text"])
def test_what_contains_itself_is_refused(encode: Callable[..., bytes]) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(CallRefused, match="nested too deeply, or contains itself"):
        encode(value)
    assert codec.encode_if_plain(value) is None


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_plain_value_or_a_value_error(data: bytes) -> None:
    for decode in (codec.decode, text.decode):
        try:
            value = decode(data)
        except ValueError:
            continue
        assert codec.encode_if_plain(value) is not None


@pytest.mark.parametrize(
    "data",
    [
        msgspec.msgpack.encode(msgspec.msgpack.Ext(9, b"x")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(1, b"\x01")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(2, msgspec.msgpack.encode([[1]]))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(3, msgspec.msgpack.encode([1]))),
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["unknown-type", "no-array", "unhashable", "odd-pairs", "announced-too-much"],
)
def test_extensions_that_hold_something_else(data: bytes) -> None:
    with pytest.raises(ValueError, match="unreadable value"):
        codec.decode(data)


@pytest.mark.parametrize(
    "data",
    [b'{"$tuple": 1}', b'{"$other": []}', b'{"$set": [[]]}', b'{"$bytes": "?"}', b"[", b'{"$tuple": [], "a": 1}'],
)
def test_tags_that_hold_something_else(data: bytes) -> None:
    with pytest.raises(ValueError):
        text.decode(data)


def test_text_is_one_line_that_people_can_read() -> None:
    assert text.encode({"a": [1, "x\n"], "b": (None, 1.5)}) == b'{"a":[1,"x\\n"],"b":{"$tuple":[null,1.5]}}'
