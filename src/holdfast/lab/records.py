"""Where the last run of each case is kept, so that a report can be drawn without running anything again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from holdfast.lab import cases
from holdfast.lab.case import Case
from holdfast.lab.results import Result, data_of


def save(folder: Path, result: Result) -> None:
    """Keep a run, in place of the last one of its case; ``folder`` lies directly in the state directory.

    Raises:
        OSError: it could not be written.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the state directory: an agent refuses an open one
    folder.mkdir(mode=0o700, exist_ok=True)
    part = folder / f".{result.case}.part"
    part.write_bytes(msgspec.json.encode(result))
    part.replace(folder / f"{result.case}.json")


def last(folder: Path, case: Case) -> Result | None:
    """The last run of a case; None: there is none, or it was kept by another version of the case.

    Raises:
        OSError: it could not be read.
    """
    try:
        written = (folder / f"{case.name}.json").read_bytes()
    except FileNotFoundError:
        return None
    try:
        result = msgspec.json.decode(written, type=Result)
        if result.failed is None:
            data_of(case, result)
    except msgspec.ValidationError:
        return None
    return result


def every_last(folder: Path) -> tuple[list[tuple[Case, Result]], list[Case]]:
    """The last runs in the order of the report, and the cases without one."""
    found: list[tuple[Case, Result]] = []
    missing: list[Case] = []
    for case in cases.every():
        result = last(folder, case)
        if result is None:
            missing.append(case)
        else:
            found.append((case, result))
    return found, missing
