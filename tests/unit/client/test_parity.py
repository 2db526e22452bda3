"""The two faces have the same names, signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType

import pytest

import holdfast
from holdfast.client import aio, sync


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def words(text: str | None) -> str:
    """A docstring without what must differ."""
    return re.sub(r"\(Ctrl-C\)|\(cancellation\)", "()", inspect.cleandoc(text or ""))


@pytest.mark.parametrize("name", ["Host", "Job", "Stdin"])
def test_classes_are_twins(name: str) -> None:
    blocking, awaited = getattr(sync, name), getattr(aio, name)
    assert words(blocking.__doc__) == words(awaited.__doc__)
    left, right = public(blocking), public(awaited)
    assert left.keys() == right.keys()
    for member, value in left.items():
        other = right[member]
        assert words(getattr(value, "__doc__", None)) == words(getattr(other, "__doc__", None)), member
        if isinstance(value, FunctionType) and isinstance(other, FunctionType):
            assert parameters(value) == parameters(other), member
            assert value.__doc__, member


def parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def test_connect_is_the_same_on_both() -> None:
    assert parameters(sync.connect) == parameters(aio.connect)
    assert inspect.cleandoc(sync.connect.__doc__ or "").replace(
        "in the connection's own thread", ""
    ) == inspect.cleandoc(aio.connect.__doc__ or "").replace("in the connection's own thread", "")


def test_every_public_name_can_be_had() -> None:
    for name in holdfast.__all__:
        assert getattr(holdfast, name) is not None
    assert set(holdfast.__all__) <= set(dir(holdfast))
    with pytest.raises(AttributeError):
        _ = holdfast.nothing
