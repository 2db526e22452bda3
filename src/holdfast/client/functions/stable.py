"""Whether the pickle of a function, once made, is still the right one. Pure.

A function that travels by value takes along what it refers to: cells of a closure, defaults, global names. Any of these
may change between two calls, and pickling it anew for each call costs more than most calls do. So for functions that
refer to nothing but modules, scalars and functions of the same sort, what they refer to is looked at instead; for all
others nothing is kept.
"""

from __future__ import annotations

from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Final

_SCALARS: Final = frozenset((type(None), bool, int, float, str, bytes))
_FIXED: Final = (ModuleType, BuiltinFunctionType)
NAMES_MOST: Final = 50
"""Looking at more names than this costs as much as pickling."""

_GONE: Final = object()


class Watch:
    """What a function refers to, as it was.

    Attributes:
        names: Global names with where and what they were.
        parts: Functions with their code and defaults.
    """

    __slots__ = ("names", "parts")

    def __init__(self) -> None:
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.parts: list[tuple[FunctionType, CodeType, Any]] = []

    def holds(self) -> bool:
        """Whether all of it is as it was."""
        for function, code, defaults in self.parts:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
        return all(names.get(name, _GONE) is value for names, name, value in self.names)


def watch(function: object) -> Watch | None:
    """What to look at before a pickle of this function is used again; None: it must be made anew each time."""
    watched = Watch()
    return watched if _add(watched, function) else None


def _add(watched: Watch, function: object) -> bool:
    if type(function) is not FunctionType:
        return False
    if any(function is known for known, _, _ in watched.parts):
        return True
    if function.__closure__ or function.__kwdefaults__ or function.__dict__:
        return False
    if not all(type(value) in _SCALARS for value in function.__defaults__ or ()):
        return False
    watched.parts.append((function, function.__code__, function.__defaults__))
    names = function.__globals__
    for name in sorted(_names(function.__code__)):
        value = names.get(name, _GONE)  # one that is not there may come to be, so its absence is watched, too
        watched.names.append((names, name, value))
        if len(watched.names) > NAMES_MOST:
            return False
        if value is _GONE or type(value) in _SCALARS or isinstance(value, _FIXED):
            continue
        if not _add(watched, value):
            return False
    return True


def _names(code: CodeType) -> set[str]:
    """Names in the code that may be global; names of attributes, which are among them, do no harm."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found
