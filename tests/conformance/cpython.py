"""CPython's own tests, found where they are installed and turned upon other objects. Nothing of them is kept here.

Where they come from, in this order: the running interpreter's ``test`` package; the folder in
``HOLDFAST_CPYTHON_TESTS``; Debian's ``libpython3.X-testsuite``. Debian and some builds of CPython 3.11 and 3.12 leave
parts of ``test`` out, so a suite may be found nowhere: ``Suite.missing`` then says so, and so does the test run.

A test of theirs is left out only by name, with a reason (``skips.py``); those that take long are left to ``make soak``.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.conformance import skips

VERSION: Final = sys.version_info[:2]
FOLDERS: Final = (
    os.environ.get("HOLDFAST_CPYTHON_TESTS", ""),
    "/usr/lib/python{}.{}/test".format(*VERSION),
    "/usr/lib/python3.11/test",
)


class Suite:
    """One suite of CPython, with the modules it consists of.

    Args:
        name: Of the module or package, as in ``test.NAME``.
        into: The ``__name__`` of the module that takes what is made of it.
        parts: Of a package: those modules in it that are needed. Older versions of the same suite are one module.

    Attributes:
        name: As given.
        missing: Why it cannot be run here; "": it can.
        package: What it is imported as; a worker in another process finds it under the same name.
        folder: Where it lies if it does not come with the interpreter; "": it does.
        version: The version of Python that it belongs to.
        classes: What was made of it with ``adapt``, by name.
    """

    def __init__(self, name: str, into: str, parts: Iterable[str] = ()) -> None:
        self.name = name
        self.package, self.folder, self.missing = _place(name)
        self.version = (3, 11) if self.folder else VERSION
        self.classes: dict[str, type[unittest.TestCase]] = {}
        self._into = into
        self._modules: list[ModuleType] = []
        if not self.missing:
            whole = importlib.import_module(self.package)
            inner = [f"{self.package}.{part}" for part in parts] if hasattr(whole, "__path__") else []
            self._modules = [whole, *map(importlib.import_module, inner)]

    def get(self, name: str) -> Any:
        """The class or function of this name."""
        return next(getattr(module, name) for module in self._modules if hasattr(module, name))

    def replace(self, name: str, value: object) -> None:
        """In each of its modules that uses this name, it means ``value`` from now on."""
        for module in self._modules:
            if hasattr(module, name):
                setattr(module, name, value)

    def adapt(self, name: str, *theirs: type, **attributes: object) -> type[unittest.TestCase]:
        """A test case of ours out of mixins and cases of theirs, with the tables of ``skips.py`` applied.

        Args:
            name: Of the new class; the tables name tests as ``NAME.test_x``.
            theirs: Its bases, in order; ``unittest.TestCase`` is added where none of them is one.
            attributes: What is overridden in it, such as the factory of the objects under test.
        """
        bases = theirs if any(issubclass(base, unittest.TestCase) for base in theirs) else (*theirs, unittest.TestCase)
        made: type[unittest.TestCase] = type(name, bases, {"__module__": self._into, **attributes})
        for test in cases_of(made):
            full = f"{name}.{test}"
            if reason := skips.reason(full):
                setattr(made, test, unittest.skip(reason)(_nothing))
            elif full in skips.LONG:
                setattr(made, test, pytest.mark.soak(_copy(getattr(made, test))))
        self.classes[name] = made
        return made

    def left_out(self) -> Iterator[str]:
        """Each of its tests that none of the adapted classes has, as ``CLASS.test_name``."""
        taken = {base for made in self.classes.values() for base in made.__mro__}
        for module in self._modules:
            for base in vars(module).values():
                if isinstance(base, type) and base.__module__ == module.__name__ and base not in taken:
                    yield from (f"{base.__name__}.{name}" for name in vars(base) if name.startswith("test"))


def cases_of(case: type[unittest.TestCase]) -> list[str]:
    """Names of the test methods of a class, its bases' included."""
    return list(unittest.TestLoader().getTestCaseNames(case))


def overlaid(module: ModuleType, names: Mapping[str, object]) -> ModuleType:
    """A module with some names of it replaced; the real one stays as it is."""
    made = ModuleType(module.__name__, module.__doc__)
    made.__dict__.update(vars(module))
    made.__dict__.update(names)
    return made


def _nothing(self: object) -> None:
    """Stands for a test that is skipped."""


def _copy(test: Callable[..., None]) -> Callable[..., None]:
    """The same test as a function of its own, so that a mark on it stays off theirs."""

    @functools.wraps(test)
    def copied(self: object) -> None:
        test(self)

    return copied


def _place(name: str) -> tuple[str, str, str]:
    """What a suite is imported as, the folder that it needs on the path, and why it cannot be had; "" where not.

    One that does not come with the interpreter is made importable by its bare name, through a folder that holds nothing
    else: the one that it lies in would give each process that has it on its path a lot of modules more.
    """
    if importlib.util.find_spec(f"test.{name}") is not None:
        return f"test.{name}", "", ""
    if (found := importlib.util.find_spec(name)) is not None and found.origin is not None:
        return name, str(Path(found.origin).parent), ""  # we are a worker of a process that has done what follows
    for place in _places(name):
        folder = tempfile.mkdtemp(prefix="cpython-tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (Path(folder) / place.name).symlink_to(place)
        sys.path.append(folder)
        return name, folder, ""
    looked = ", ".join(folder for folder in dict.fromkeys(FOLDERS) if folder)
    return "", "", f"Python {sys.version.split()[0]} comes without test.{name}, nor is it in {looked}"


def _places(name: str) -> Iterator[Path]:
    for folder in filter(None, FOLDERS):
        yield from (file for file in (Path(folder) / name, Path(folder) / f"{name}.py") if file.exists())
