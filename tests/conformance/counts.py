"""What came of CPython's tests, at the end of a test run: passed, skipped by name, left to ``make soak``."""

from __future__ import annotations

from typing import Final

import pytest

PROPERTY: Final = "cpython suite"
"""A report's property: (name of the suite, how many of its tests are left to ``make soak``, why it is missing)."""
FILE: Final = "test_cpython_"

_OUTCOMES: Final = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each file with tests of CPython, one for each test that was skipped, one for a missing suite."""
    found = [(outcome, report) for outcome in _OUTCOMES for report in terminalreporter.getreports(outcome)]
    notes = [value for _, report in found for key, value in getattr(report, "user_properties", ()) if key == PROPERTY]
    theirs = [(outcome, *report.nodeid.split("::", 1), report) for outcome, report in found if FILE in report.nodeid]
    files = sorted({file for _, file, name, _ in theirs if "::" in name})
    if not files and not notes:
        return
    terminalreporter.section("CPython's own tests")
    for file in files:
        outcomes = [outcome for outcome, of, *_ in theirs if of == file]
        told = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in _OUTCOMES if outcome in outcomes)
        terminalreporter.write_line(f"{file}: {told}")
        for outcome, of, name, report in theirs:
            if of == file and outcome == "skipped":
                terminalreporter.write_line(f"  {name}: {_reason(report)}")
    for name, long, missing in notes:
        if missing:
            terminalreporter.write_line(f"{name}: not run: {missing}")
        elif long:
            terminalreporter.write_line(f"{name}: {long} tests are left to make soak")


def _reason(report: pytest.TestReport) -> str:
    longrepr = report.longrepr
    return longrepr[2].removeprefix("Skipped: ") if isinstance(longrepr, tuple) else str(longrepr)
