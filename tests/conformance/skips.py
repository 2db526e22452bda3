"""Which of CPython's tests are not run against Holdfast's objects, and why; and which are left to ``make soak``.

Each entry is checked: one that names no test any more makes ``test_cpython_table.py`` fail.
"""

from __future__ import annotations

from typing import Final, NamedTuple

Version = tuple[int, int]

FORK: Final = "what a lock becomes in a forked child: a client is closed there and connects anew"
LOCAL_LOCK: Final = "a condition over a lock of `threading`: its lock has to be one of the same host"
HOOKS: Final = "hooks of subclasses of `queue.Queue` (_put, _get): the items are at the agent"
FINALIZER: Final = (
    "put() out of a finaliser that interrupts put(): of the queues of the standard library, SimpleQueue in C alone can"
)


class Skip(NamedTuple):
    """One test that is left out.

    Attributes:
        test: ``CLASS.test_name``.
        reason: In words, for the report.
        since: The first version of Python whose suite has it.
    """

    test: str
    reason: str
    since: Version = (3, 11)


SKIPS: Final = (
    Skip("LockTests.test_at_fork_reinit", FORK),
    Skip("EventTests.test_at_fork_reinit", FORK),
    Skip("ConditionTests.test_acquire", LOCAL_LOCK),
    Skip("ConditionAsRLockTests.test_recursion_count", "a condition has no such method in the standard library either"),
    Skip("FailingQueueTest.test_failing_queue", HOOKS),
    Skip("SimpleQueueTest.test_reentrancy", FINALIZER),
)

NOT_TAKEN: Final = {
    "FailingInitializerResourcesTest": "the resource tracker of `multiprocessing`, which has no part in it",
}
"""Whole classes."""

LONG: Final[dict[str, Version]] = {}
"""Tests that take long, with the first version of Python whose suite has them."""


def reason(test: str) -> str:
    """Why a test is left out; "": it is not."""
    return next((skip.reason for skip in SKIPS if skip.test == test), "")
