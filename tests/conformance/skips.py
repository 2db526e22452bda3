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
PRIVATE: Final = "private attributes (_threads, _processes, _max_workers, _call_queue and the like)"
MEMORY: Final = "threads of a pool share memory with each other, not with the caller: a list that both append to"
INSIDE: Final = "replaces a part of `concurrent.futures` itself, which has no part in this"
WHOLE_POOL: Final = "private attributes; and one dead worker fails its own call alone: the pool goes on"
CONTEXTS: Final = "private attributes; and the start methods of `multiprocessing`: workers are always started afresh"


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
    Skip("ThreadPoolExecutorTest.test_default_workers", PRIVATE),
    Skip("ThreadPoolExecutorTest.test_executor_map_current_future_cancel", MEMORY),
    Skip("ThreadPoolExecutorTest.test_idle_thread_reuse", PRIVATE),
    Skip("ThreadPoolExecutorTest.test_map_submits_without_iteration", MEMORY),
    Skip("ThreadPoolExecutorTest.test_saturation", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_context_manager_shutdown", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_del_shutdown", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_shutdown_no_wait", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_thread_names_assigned", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_thread_names_default", PRIVATE),
    Skip("ThreadPoolShutdownTest.test_threads_terminate", PRIVATE),
    Skip("ProcessPoolExecutorTest.test_idle_process_reuse_multiple", PRIVATE),
    Skip("ProcessPoolExecutorTest.test_idle_process_reuse_one", PRIVATE),
    Skip("ProcessPoolExecutorTest.test_killed_child", WHOLE_POOL),
    Skip("ProcessPoolExecutorTest.test_max_tasks_per_child", PRIVATE),
    Skip("ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context", CONTEXTS),
    Skip("ProcessPoolExecutorTest.test_python_finalization_error", INSIDE, (3, 13)),
    Skip("ProcessPoolExecutorTest.test_saturation", PRIVATE),
    Skip("ProcessPoolShutdownTest.test_context_manager_shutdown", PRIVATE),
    Skip("ProcessPoolShutdownTest.test_del_shutdown", PRIVATE),
    Skip("ProcessPoolShutdownTest.test_processes_terminate", PRIVATE),
    Skip("ProcessPoolShutdownTest.test_shutdown_no_wait", PRIVATE),
    Skip("ProcessPoolDeadlockTest.test_gh105829_should_not_deadlock_if_wakeup_pipe_full", INSIDE, (3, 13)),
    Skip("ProcessPoolDeadlockTest.test_shutdown_deadlock_pickle", PRIVATE),
)

NOT_TAKEN: Final = {
    "FailingInitializerResourcesTest": "the resource tracker of `multiprocessing`, which has no part in it",
}
"""Whole classes."""

_MANY: Final = ("test_shutdown_all_methods_in_many_threads", "test_shutdown_immediate_all_methods_in_many_threads")

LONG: Final[dict[str, Version]] = {
    **{f"{kind}QueueTest.{test}": (3, 13) for kind in ("", "Lifo", "Priority") for test in _MANY},
    **{
        f"{kind}Pool{test}": (3, 11)
        for kind in ("Thread", "Process")
        for test in (
            "AsCompletedTests.test_duplicate_futures",
            "ExecutorTest.test_map_timeout",
            "WaitTests.test_first_exception",
            "WaitTests.test_first_exception_one_already_failed",
            "WaitTests.test_timeout",
        )
    },
    "SimpleQueueTest.test_many_threads": (3, 11),
    "SimpleQueueTest.test_many_threads_nonblock": (3, 11),
    "ThreadPoolExecutorTest.test_hang_global_shutdown_lock": (3, 11),
}
"""Tests that take two seconds and more somewhere, with the first version of Python whose suite has them."""


def reason(test: str) -> str:
    """Why a test is left out; "": it is not."""
    return next((skip.reason for skip in SKIPS if skip.test == test), "")
