"""Priorities and ranks compare as Python compares the values that they were made of."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.client.coordination.values import order_of

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.booleans()
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0\1\2a"), max_size=4)
DATA = st.binary(max_size=4) | st.sampled_from([b"", b"\0", b"\0\0", b"\1", b"\1\0", b"\xff"])


def rows(parts: tuple[st.SearchStrategy[Any], ...]) -> st.SearchStrategy[list[Any]]:
    """A few values of the same kinds in the same places, so that Python compares them; some end earlier."""
    return st.lists(st.integers(1, len(parts)).flatmap(lambda size: st.tuples(*parts[:size])), min_size=2, max_size=6)


KINDS = (NUMBERS, TEXT, DATA, st.lists(NUMBERS, max_size=3), st.lists(TEXT, max_size=2).map(tuple))
ROWS = st.lists(st.sampled_from(KINDS), min_size=1, max_size=4).map(tuple).flatmap(rows)
VALUES = ROWS | st.lists(NUMBERS, min_size=2) | st.lists(TEXT, min_size=2) | st.lists(DATA, min_size=2)


@given(VALUES)
@example([(0.0, "a"), (-0.0, "b")])
@example(["a", "a\0", "a\1", "ab"])
@example([("a", "z"), ("a\0", "a"), ("a\1", "a"), ("\0", ""), ("\1\1", "")])
@example([(0, number) for number in (float("-inf"), -2, -1e-300, 0, 5e-324, 1, float("inf"))])
def test_the_order_is_that_of_the_values(values: list[Any]) -> None:
    for one, other in itertools.pairwise(values):
        assert (order_of(one, None) < order_of(other, None)) == (one < other)
        assert (order_of(one, None) == order_of(other, None)) == (one == other)


def test_what_cannot_be_compared_comes_in_the_order_of_arrival() -> None:
    assert order_of((1, {"a": 1}), None) == order_of((1, None, "x"), None) < order_of((2, {}), None)
    assert order_of("a" * 300 + "b", None) == order_of("a" * 300 + "c", None), "alike for as long as a rank is"
    assert order_of({}, 2.5) == (2.5, "")
    values: list[Any] = [{}, None, (None, 1), set()]
    for nothing in values:
        with pytest.raises(TypeError, match="has no place in a line"):
            order_of(nothing, None)
