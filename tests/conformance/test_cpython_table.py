"""The tables of what is not run of CPython's tests are true, and what is run is counted."""

from __future__ import annotations

import pytest

from tests.conformance import counts, skips, test_cpython_executors, test_cpython_locks, test_cpython_queues
from tests.conformance.cpython import Suite, cases_of

SUITES = (test_cpython_locks.SUITE, test_cpython_queues.SUITE, test_cpython_executors.SUITE)
CLASSES = {name: suite for suite in SUITES for name in suite.classes}

by_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


def suite_of(test: str) -> Suite | None:
    """The suite that has a class of this name here; None: it is missing."""
    return CLASSES.get(test.split(".")[0])


def expected(tests: dict[str, tuple[int, int]]) -> set[str]:
    """Those of these tests that must be there, as old as the suites are that are here."""
    return {test for test, since in tests.items() if (suite := suite_of(test)) and suite.version >= since}


THERE = {f"{name}.{test}" for suite in SUITES for name, case in suite.classes.items() for test in cases_of(case)}


def test_each_skip_names_a_test_that_is_there() -> None:
    known = {skip.test: skip.since for skip in skips.SKIPS}
    assert len(known) == len(skips.SKIPS), "one of them stands there twice"
    assert expected(known) <= THERE
    assert not set(known) & set(skips.LONG)


def test_each_long_one_is_there() -> None:
    assert expected(skips.LONG) <= THERE


@by_suite
def test_nothing_is_left_out_without_a_name(suite: Suite) -> None:
    assert [name for name in suite.left_out() if name.split(".")[0] not in skips.NOT_TAKEN] == []


@by_suite
def test_what_is_run_is_counted(suite: Suite, request: pytest.FixtureRequest) -> None:
    """It is said at the end of the run (``counts.py``), also that a suite is not to be had."""
    long = sum(suite_of(test) is suite for test in expected(skips.LONG))
    request.node.user_properties.append((counts.PROPERTY, (suite.name, long, suite.missing)))
    if suite.missing:
        pytest.skip(suite.missing)
    assert suite.classes
