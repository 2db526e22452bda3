"""Why a call or a pool has come to nothing, as exceptions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.client.results import no_status_error
from holdfast.errors import Conflict, HoldfastError, NotFound, OutcomeUnknown, RemoteProtocolError
from holdfast.functions.errors import CallRefused, CallTimeout, WorkerDied

if TYPE_CHECKING:
    from holdfast.client.functions.tasks import Task
    from holdfast.client.functions.worker import PoolWorker
    from holdfast.errors import Ran
    from holdfast.types import Receipt

TIMEOUT: Final = "timeout"
UNRECORDED: Final = "unrecorded"
"""What ``DialAnswer.why`` may say."""


def concerns_one(error: HoldfastError) -> bool:
    """Whether an error of the way to a worker leaves the way to others open."""
    return isinstance(error, (NotFound, Conflict, OutcomeUnknown, RemoteProtocolError))


def death(worker: PoolWorker, ran: Ran, task: Task) -> HoldfastError:
    """What a call is told whose worker has gone."""
    if worker.answer is not None and worker.answer.why == TIMEOUT and task.limit_s:
        late = CallTimeout(f"the call took longer than {task.limit_s:g} s: it was ended on its worker")
        if worker.answer.where:
            late.add_note(f"Where it was then:\n{worker.answer.where}")
        return late
    who = f"the worker (job {worker.job})" + _cause(worker)
    if ran == "yes":
        return WorkerDied(f"{who} after this call had run, and took its result along", ran="yes")
    error = WorkerDied(f"{who} during this call: it may have run", ran="unknown")
    error.__cause__ = worker.lost
    return error


def no_start(worker: PoolWorker) -> HoldfastError:
    """Why a worker did not come to take calls."""
    if (error := worker.feed.error or worker.lost) is not None:
        return error
    receipt = worker.feed.receipt
    if receipt is None:
        return HoldfastError("it ended before it took a call", ran="no")
    if (error := no_status_error(receipt)) is not None:
        return error
    return HoldfastError(
        f"it (job {receipt.job}) ended before it took a call, with {_status(receipt)}: its standard error tells why",
        ran="no",
    )


def broken(error: HoldfastError) -> WorkerDied:
    """What all calls of a pool are told that cannot go on."""
    told = WorkerDied(f"the pool is broken: {error}", ran=error.ran)
    told.__cause__ = error
    return told


def missing(module: str) -> CallRefused:
    """A module that is neither there nor here."""
    return CallRefused(f"the worker has no module {module!r}, and neither has this program")


def _cause(worker: PoolWorker) -> str:
    receipt = worker.feed.receipt
    return " ended" if receipt is None or receipt.exit is None else f" ended with {_status(receipt)}"


def _status(receipt: Receipt) -> str:
    status = receipt.exit
    if status is None:
        return "an unknown status"
    return f"signal {status.signal}" if status.signal is not None else f"exit status {status.code}"
