"""A case of the lab: a question, what the notes say, how it is tried, how the outcome is judged and shown.

A case is a folder in ``cases/``:

* ``__init__.py``: ``CASE``, a ``Case``: names and texts.
* ``data.py``: ``Data``, a frozen struct: what one run has observed, and nothing that was concluded.
* ``observe.py``: ``observe(lab) -> Data`` does it. The only file of a case that touches the world.
* ``judge.py``: ``JUDGES``, one pure function ``Data -> Ruling`` for each claim.
* ``show.py``: ``answer(data)``, ``figures(data)``, ``blocks(data)``: pure.
* ``programs/``: the programs of the notes, rebuilt, and repaired ones beside them.

So a verdict can be computed again from stored data, and each judge can be fed with data that never were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from holdfast.lab.blocks import Block, Spread
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim, Ruling

PROGRAM_KINDS: Final = ("as-in-the-notes", "repaired")


class Chapter(StrEnum):
    """The parts of the report, in order."""

    NETWORK = "network"
    CONCURRENCY = "concurrency"
    IO_MODELS = "io-models"
    PROCESSES = "processes"
    THREADS = "threads"


class Program(msgspec.Struct, frozen=True):
    """A program of the notes: ``programs/<stem>_as_in_the_notes.py``, and ``<stem>_repaired.py`` if there is one."""

    numbers: tuple[int, ...]
    """Which of the 39 of the notes it stands for; () for one that stands for none."""
    stem: str
    what: Text
    fault: Text | None = None
    """What the repaired one mends; None: there is nothing to mend, and no repaired one."""


class Reading(msgspec.Struct, frozen=True):
    """Where to read on: a file of this project (from its root), and what is to be seen there."""

    path: str
    what: Text


class Case(msgspec.Struct, frozen=True):
    """The fixed part of a case."""

    name: str
    """As typed: ``sticky-packets``."""
    chapter: Chapter
    title: Text
    question: Text
    claims: Mapping[str, Claim]
    words: tuple[str, ...]
    """What a reader may type to find it, lower case, in both languages."""
    programs: tuple[Program, ...] = ()
    reading: tuple[Reading, ...] = ()

    @property
    def package(self) -> str:
        """Its package."""
        return f"holdfast.lab.cases.{self.name.replace('-', '_')}"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return Path(cast(str, import_module(self.package).__file__)).parent

    @property
    def data(self) -> type[msgspec.Struct]:
        """What it observes."""
        return cast("type[msgspec.Struct]", self._part("data").Data)

    @property
    def observe(self) -> Callable[[Any], msgspec.Struct]:
        """Does it: ``observe(lab)``."""
        return cast("Callable[[Any], msgspec.Struct]", self._part("observe").observe)

    @property
    def judges(self) -> Mapping[str, Callable[[Any], Ruling]]:
        """One for each claim."""
        return cast("Mapping[str, Callable[[Any], Ruling]]", self._part("judge").JUDGES)

    def answer(self, data: msgspec.Struct) -> Text:
        """The answer to the question: a few sentences, with figures."""
        return cast(Text, self._part("show").answer(data))

    def figures(self, data: msgspec.Struct) -> Mapping[str, Spread]:
        """Its figures by name."""
        return cast("Mapping[str, Spread]", self._part("show").figures(data))

    def blocks(self, data: msgspec.Struct) -> tuple[Block, ...]:
        """What is to be seen, in order."""
        return tuple(self._part("show").blocks(data))

    def program(self, stem: str, kind: str) -> Path:
        """The file of a program; ``kind`` is one of ``PROGRAM_KINDS``."""
        return self.folder / "programs" / f"{stem}_{kind.replace('-', '_')}.py"

    def _part(self, name: str) -> Any:
        return import_module(f"{self.package}.{name}")
