"""Holdfast runs commands on other machines and does not let go.

``holdfast.connect()`` gives a host, a host runs jobs; ``holdfast.aio`` has the same names with ``await``. Names are
loaded at their first use: importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast import aio
    from holdfast.client.coordination.blocking import (
        Barrier,
        BoundedSemaphore,
        Condition,
        Event,
        Lock,
        RLock,
        Semaphore,
    )
    from holdfast.client.coordination.queues import Item, Queue
    from holdfast.client.functions.executor import CallOptions, Executor
    from holdfast.client.functions.futures import Future
    from holdfast.client.functions.sync_process import Process
    from holdfast.client.functions.sync_timer import Timer
    from holdfast.client.results import Completed
    from holdfast.client.session import LinkChange
    from holdfast.client.sync import Host, Job, Stdin, connect
    from holdfast.errors import (
        BrokenBarrier,
        ClosedError,
        CommandFailed,
        Conflict,
        ConnectFailed,
        CoordinationError,
        DeadlineExceeded,
        DeadlockError,
        HoldfastError,
        IdentityError,
        JobError,
        JobLost,
        KeyChanged,
        LeaseLost,
        LimitExceeded,
        LinkLost,
        NotFound,
        NotHeld,
        OffsetGone,
        OutcomeUnknown,
        OutputMismatch,
        OutputTooLarge,
        QueueEmpty,
        QueueFull,
        QueueShutDown,
        Refused,
        RemoteProtocolError,
        SettingsError,
        SpawnFailed,
        TimeoutExpired,
        Unauthorized,
        VersionMismatch,
    )
    from holdfast.functions.errors import (
        CallRefused,
        CallTimeout,
        CallTooLarge,
        CallUnreadable,
        FunctionError,
        RemoteError,
        ResultUnreadable,
        WorkerDied,
    )
    from holdfast.functions.messages import Progress
    from holdfast.functions.progress import progress
    from holdfast.types import Cause, ExitStatus, JobInfo, JobState, Receipt, Retention

__version__ = "0.1.0"

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrier",
    "CallOptions",
    "CallRefused",
    "CallTimeout",
    "CallTooLarge",
    "CallUnreadable",
    "Cause",
    "ClosedError",
    "CommandFailed",
    "Completed",
    "Condition",
    "Conflict",
    "ConnectFailed",
    "CoordinationError",
    "DeadlineExceeded",
    "DeadlockError",
    "Event",
    "Executor",
    "ExitStatus",
    "FunctionError",
    "Future",
    "HoldfastError",
    "Host",
    "IdentityError",
    "Item",
    "Job",
    "JobError",
    "JobInfo",
    "JobLost",
    "JobState",
    "KeyChanged",
    "LeaseLost",
    "LimitExceeded",
    "LinkChange",
    "LinkLost",
    "Lock",
    "NotFound",
    "NotHeld",
    "OffsetGone",
    "OutcomeUnknown",
    "OutputMismatch",
    "OutputTooLarge",
    "Process",
    "Progress",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueShutDown",
    "RLock",
    "Receipt",
    "Refused",
    "RemoteError",
    "RemoteProtocolError",
    "ResultUnreadable",
    "Retention",
    "Semaphore",
    "SettingsError",
    "SpawnFailed",
    "Stdin",
    "TimeoutExpired",
    "Timer",
    "Unauthorized",
    "VersionMismatch",
    "WorkerDied",
    "aio",
    "connect",
    "progress",
]

_ELSEWHERE = {
    "Completed": "holdfast.client.results",
    "LinkChange": "holdfast.client.session",
    "progress": "holdfast.functions.progress",
    "Progress": "holdfast.functions.messages",
    "Future": "holdfast.client.functions.futures",
    "Process": "holdfast.client.functions.sync_process",
    "Timer": "holdfast.client.functions.sync_timer",
    **dict.fromkeys(("CallOptions", "Executor"), "holdfast.client.functions.executor"),
    **dict.fromkeys(
        (
            "CallRefused",
            "CallTimeout",
            "CallTooLarge",
            "CallUnreadable",
            "FunctionError",
            "RemoteError",
            "ResultUnreadable",
            "WorkerDied",
        ),
        "holdfast.functions.errors",
    ),
    **dict.fromkeys(
        ("Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"),
        "holdfast.client.coordination.blocking",
    ),
    **dict.fromkeys(("Item", "Queue"), "holdfast.client.coordination.queues"),
    **dict.fromkeys(("Host", "Job", "Stdin", "connect"), "holdfast.client.sync"),
    **dict.fromkeys(("Cause", "ExitStatus", "JobInfo", "JobState", "Receipt", "Retention"), "holdfast.types"),
}
"""Where the names live that are not errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "aio":
        return import_module("holdfast.aio")
    value: object = getattr(import_module(_ELSEWHERE.get(name, "holdfast.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
