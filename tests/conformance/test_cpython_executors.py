"""CPython's ``test.test_concurrent_futures``, run against the thread and process pools of Holdfast.

What the tests bring with them from the standard library is replaced by its counterpart on the host: the semaphores and
events that callers share with workers, the context that makes such things for processes, and, in the small programs
that some of them start, the import line.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections.abc import Callable
from concurrent import futures
from functools import partial
from typing import Any

from tests.conformance.cpython import Suite, overlaid
from tests.conformance.subject import STDLIB, subject

PARTS = (
    *("util", "executor", "test_as_completed", "test_deadlock", "test_future", "test_init", "test_process_pool"),
    *("test_shutdown", "test_thread_pool", "test_wait"),
)
SUITE = Suite("test_concurrent_futures", __name__, PARTS)


class Manager:
    """In place of a ``multiprocessing.Manager``, which is a server: the agent is one already."""

    Event = staticmethod(subject.Event)

    def shutdown(self) -> None:
        """Nothing has to end."""

    def join(self) -> None:
        """Nothing is waited for."""


class Context:
    """In place of a context of ``multiprocessing``; the processes of a pool are begun anew, as in "spawn"."""

    Manager = Manager
    Queue = staticmethod(subject.Queue)
    Semaphore = staticmethod(subject.Semaphore)

    def get_start_method(self, allow_none: bool = True) -> str:
        """The standard library's name for how processes begin."""
        return "spawn"


class Threads:
    """What CPython's tests take for a pool of threads."""

    executor_type = subject.ThreadPoolExecutor


class Processes:
    """What CPython's tests take for a pool of processes."""

    executor_type = subject.ProcessPoolExecutor
    ctx = "spawn" if STDLIB else "holdfast"

    def get_context(self) -> Any:
        """For what the tests share with the workers."""
        return multiprocessing.get_context("spawn") if STDLIB else Context()


class ThreadsApart(Processes):
    """A pool of threads, for tests that ask whether the workers are in another process: they are."""

    executor_type = staticmethod(lambda mp_context, **arguments: subject.ThreadPoolExecutor(**arguments))


class OursForProcesses(subject.ProcessPoolExecutor):  # type: ignore[misc]
    """In place of CPython's own, by which its tests decide to skip what hangs there. Ours is not that one."""


class Unhandled:
    """Errors that no handler takes go to stderr, as these tests expect; pytest's handlers are put away meanwhile."""

    def setUp(self) -> None:
        root = logging.getLogger()
        handlers, root.handlers = root.handlers, []
        self.addCleanup(setattr, root, "handlers", handlers)  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]


def with_another_import(run: Callable[..., Any], *args: str, **variables: str) -> Any:
    """Run one of their small programs with only the import changed; the last argument is its text."""
    *options, program = args
    replaced = (
        ()
        if STDLIB
        else (
            ("from concurrent.futures import", "from holdfast.local import"),
            ("from multiprocessing import get_context", "get_context = lambda name: None"),
            ("if 'holdfast': multiprocessing.set_start_method('holdfast')", ""),
        )
    )
    for old, new in (*replaced, ("test.test_concurrent_futures", SUITE.package)):
        program = program.replace(old, new)
    found = f"import sys; sys.path.append({SUITE.folder!r})\n" if SUITE.folder else ""
    return run(*options, found + program, **variables)


if not SUITE.missing:
    if not STDLIB:
        pools = {"ThreadPoolExecutor": subject.ThreadPoolExecutor, "ProcessPoolExecutor": OursForProcesses}
        SUITE.replace("futures", overlaid(futures, pools))
        SUITE.replace("threading", overlaid(threading, {"Event": subject.Event, "Semaphore": subject.Semaphore}))
        SUITE.replace("BrokenProcessPool", futures.BrokenExecutor)

    SUITE.replace("assert_python_ok", partial(with_another_import, SUITE.get("assert_python_ok")))
    POOL = (SUITE.get("ExecutorMixin"), SUITE.get("BaseTestCase"))

    ThreadPoolExecutorTest = SUITE.adapt("ThreadPoolExecutorTest", Threads, SUITE.get("ThreadPoolExecutorTest"))
    ThreadPoolShutdownTest = SUITE.adapt("ThreadPoolShutdownTest", Threads, SUITE.get("ThreadPoolShutdownTest"))
    ThreadPoolWaitTests = SUITE.adapt("ThreadPoolWaitTests", Threads, SUITE.get("ThreadPoolWaitTests"))
    ThreadPoolAsCompletedTests = SUITE.adapt(
        "ThreadPoolAsCompletedTests", Threads, SUITE.get("AsCompletedTests"), *POOL
    )
    ThreadPoolInitializer = SUITE.adapt("ThreadPoolInitializer", Threads, SUITE.get("InitializerMixin"), *POOL)
    ThreadPoolFailingInitializer = SUITE.adapt(
        "ThreadPoolFailingInitializer",
        Threads if STDLIB else ThreadsApart,
        SUITE.get("FailingInitializerMixin"),
        *POOL,
    )

    ProcessPoolExecutorTest = SUITE.adapt(
        "ProcessPoolExecutorTest", Processes, SUITE.get("ProcessPoolExecutorTest"), *POOL
    )
    ProcessPoolShutdownTest = SUITE.adapt(
        "ProcessPoolShutdownTest", Processes, SUITE.get("ProcessPoolShutdownTest"), *POOL
    )
    ProcessPoolWaitTests = SUITE.adapt("ProcessPoolWaitTests", Processes, SUITE.get("WaitTests"), *POOL)
    ProcessPoolAsCompletedTests = SUITE.adapt(
        "ProcessPoolAsCompletedTests", Processes, SUITE.get("AsCompletedTests"), *POOL
    )
    ProcessPoolInitializer = SUITE.adapt("ProcessPoolInitializer", Processes, SUITE.get("InitializerMixin"), *POOL)
    ProcessPoolFailingInitializer = SUITE.adapt(
        "ProcessPoolFailingInitializer", Processes, SUITE.get("FailingInitializerMixin"), *POOL
    )
    ProcessPoolDeadlockTest = SUITE.adapt(
        "ProcessPoolDeadlockTest", Processes, SUITE.get("ExecutorDeadlockTest"), *POOL
    )

    FutureTests = SUITE.adapt("FutureTests", Unhandled, SUITE.get("FutureTests"))
