"""A pickle of a function is kept only while nothing that it holds can have changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.client.functions.code import Coder
from holdfast.client.functions.stable import NAMES_MOST, watch
from holdfast.functions import calls

FACTOR: Any = 3
SHARED: list[int] = []


def leaf(x: int) -> int:
    return x + 1


def with_scalar(x: int) -> Any:
    return x * FACTOR


def with_module(x: float) -> float:
    return math.floor(x) + len(str(x))


def with_function(x: int) -> Any:
    return with_scalar(leaf(x))


def endless(x: int) -> int:
    return 0 if x == 0 else endless(x - 1)


def with_list() -> list[int]:
    return SHARED


def with_class() -> Any:
    return Coder


def inner(x: int) -> Any:
    return [y * FACTOR for y in range(x)]


def with_default(x: int, y: int = 2) -> int:
    return x + y


def with_list_by_default(x: int, y: list[int] = []) -> int:  # noqa: B006
    return x + len(y)


def not_there() -> Any:
    return absent()  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "function", [leaf, with_scalar, with_module, with_function, endless, inner, with_default, not_there, lambda: 3]
)
def test_functions_that_hold_nothing_that_changes_are_watched(function: Any) -> None:
    watched = watch(function)
    assert watched is not None
    assert watched.holds()


def closure() -> Any:
    held = [1]
    return lambda: held


@pytest.mark.parametrize(
    "function", [with_list, with_class, with_list_by_default, closure(), str.upper, Coder, print, [].append, 3]
)
def test_others_are_pickled_anew_each_time(function: Any) -> None:
    assert watch(function) is None


def test_a_function_of_too_many_names_is_not_worth_it() -> None:
    body = "\n".join(f"    name_{n}" for n in range(NAMES_MOST + 1))
    place: dict[str, Any] = {}
    exec(f"def long():\n{body}\n", place)
    assert watch(place["long"]) is None


def test_what_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[tuple[Any, Callable[[], None]]] = [
        (inner, lambda: monkeypatch.setitem(globals(), "FACTOR", 4)),
        (with_function, lambda: monkeypatch.setitem(globals(), "leaf", with_default)),
        (not_there, lambda: monkeypatch.setitem(globals(), "absent", leaf)),
        (with_default, lambda: monkeypatch.setattr(with_default, "__defaults__", (5,))),
        (endless, lambda: monkeypatch.setattr(endless, "__code__", leaf.__code__)),
    ]
    for function, change in changes:
        watched = watch(function)
        assert watched is not None
        change()
        assert not watched.holds(), function
        monkeypatch.undo()


def test_calls_see_the_values_of_their_time() -> None:
    place: dict[str, Any] = {"__name__": "__main__", "factor": 2}
    exec("def times(x):\n    return x * factor\n", place)
    coder = Coder("", "here")
    first = coder.function(place["times"])
    assert coder.function(place["times"]) is first, "nothing has changed, so it is not pickled again"
    place["factor"] = 5
    assert calls.load_function(coder.function(place["times"]))(10) == 50
    assert calls.load_function(first)(10) == 20


def test_a_function_that_goes_by_name_is_looked_up_once() -> None:
    coder = Coder("", "here")
    assert coder.function(leaf) is coder.function(leaf)
    assert not calls.needs_pickle(coder.function(leaf))
    coder.lacks(leaf.__module__)
    assert calls.needs_pickle(coder.function(leaf))
