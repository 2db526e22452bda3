"""The long runs: the worlds of the end-to-end tests, and one table of figures at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness.fixtures import seed, time_limit, world

__all__ = ["seed", "time_limit", "world"]

ROWS = pytest.StashKey[list[tuple[str, ...]]]()
HEAD = ("id", "wanted", "reached", "seed", "seconds")

Figures = Callable[[str, object, object], None]


@pytest.fixture
def figures(request: pytest.FixtureRequest, seed: int) -> Iterator[Figures]:
    """Takes what is measured: id, what is wanted, what was reached. A test that fails is a row as well."""
    rows = request.config.stash.setdefault(ROWS, [])
    begin = time.monotonic()
    taken = 0

    def take(name: str, wanted: object, reached: object) -> None:
        nonlocal taken
        taken += 1
        rows.append((name, str(wanted), str(reached), str(seed), f"{time.monotonic() - begin:.1f}"))

    yield take
    if not taken:
        rows.append((request.node.name, "-", "not reached", str(seed), f"{time.monotonic() - begin:.1f}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One table of all that was measured."""
    rows = terminalreporter.config.stash.get(ROWS, [])
    if not rows:
        return
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    terminalreporter.section("figures")
    for row in [HEAD, *rows]:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
