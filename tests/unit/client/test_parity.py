"""The two faces have the same names, signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType, ModuleType

import pytest

import holdfast
from holdfast.client import aio, sync
from holdfast.client.coordination import awaiting, blocking, queues, queues_async

SHARED = {
    (blocking, awaiting): [
        "Lock",
        "RLock",
        "Semaphore",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "Barrier",
        "Together",
    ],
    (queues, queues_async): ["Queue", "Item"],
}


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def words(text: str | None) -> str:
    """A docstring without what must differ."""
    return re.sub(r"\(Ctrl-C\)|\(cancellation\)", "()", inspect.cleandoc(text or ""))


@pytest.mark.parametrize("name", ["Host", "Job", "Stdin"])
def test_classes_are_twins(name: str) -> None:
    twins(getattr(sync, name), getattr(aio, name))


@pytest.mark.parametrize(("faces", "name"), [(faces, name) for faces, names in SHARED.items() for name in names])
def test_shared_objects_are_twins(faces: tuple[ModuleType, ModuleType], name: str) -> None:
    twins(getattr(faces[0], name), getattr(faces[1], name))


def twins(blocking: type, awaited: type) -> None:
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
