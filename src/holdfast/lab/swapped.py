"""The notes' programs on Holdfast: the same text with another import, ``holdfast.local`` for ``multiprocessing``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.lab.workbench import PROGRAM_LIMIT_S

if TYPE_CHECKING:
    from holdfast.lab.seen import Ran
    from holdfast.lab.workbench import Lab

_IMPORT: Final = re.compile(r"^from multiprocessing import ", re.MULTILINE)


def on_holdfast(
    lab: Lab, stem: str, kind: str = "as-in-the-notes", *arguments: str, limit_s: float = PROGRAM_LIMIT_S
) -> Ran:
    """Run a copy of a program that takes its processes and locks from Holdfast; while ``lab.agent()`` runs."""
    text, changed = _IMPORT.subn("from holdfast.local import ", lab.case.program(stem, kind).read_text())
    if not changed:
        raise ValueError(f"{stem} imports nothing from multiprocessing")
    copy = lab.folder / f"{stem}_on_holdfast.py"
    copy.write_text(text)
    return lab.script(copy, *arguments, limit_s=limit_s)
