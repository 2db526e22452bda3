"""From a receipt or an error to an exit code and, where the code is ours and not the command's, one line that says so.

Pure. The codes follow ssh, docker, timeout(1) and the shells: 0 and 1 to 123 are the command's own, 124 the time
limit, 125 Holdfast itself, 126 and 127 a command that cannot be run or found, 128+N signal N, 255 the way to the job.
A command may return any of them itself; then there is no line.
"""

from __future__ import annotations

import errno as _errno
import os
from typing import Final

import msgspec

from holdfast import errors
from holdfast.types import Cause, ExitStatus, Receipt
from holdfast.units import format_duration

OK: Final = 0
NO_SUCH_JOB: Final = 1
MISMATCH: Final = 1
CHECK_FAILED: Final = 1
BUSY: Final = 1
USAGE: Final = 2
NO_AGENT: Final = 3
TIME_LIMIT: Final = 124
HOLDFAST: Final = 125
CANNOT_RUN: Final = 126
NOT_FOUND: Final = 127
SIGNAL_BASE: Final = 128
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TRANSPORT: Final = 255

_UNAUTHENTICATED: Final = 200
_REVOKED: Final = 202

_STAGES: Final = {
    "directory": "the working directory cannot be used",
    "user": "the user or its groups cannot be taken on",
    "limits": "the resource limits cannot be set",
    "stdin": "its standard input cannot be set up",
    "spawn": "no process could be made for it",
}
_ENDINGS: Final = {
    Cause.STOPPED: "stopped by {by}",
    Cause.CLIENT_LOST: "ended because its client was lost",
    Cause.OUTPUT_LIMIT: "ended because it reached its output limit",
}


class Ending(msgspec.Struct, frozen=True):
    """How this process is to end: the exit code, and what to say (None: the code is the command's own)."""

    code: int
    line: str | None = None


def of_receipt(receipt: Receipt, *, command: str = "", transport_exit: int = TRANSPORT) -> Ending:
    """The exit code a verified receipt stands for.

    Args:
        receipt: The agent's final record of the job.
        command: Name of the program, for the words only.
        transport_exit: What to return instead of 255 where the status is unknown.
    """
    match receipt.cause:
        case Cause.EXITED if receipt.exit is not None and receipt.exit.code is not None:
            code = receipt.exit.code
            if receipt.output_is_whole:
                return Ending(code)
            line = f"job {receipt.job} exited with {code}, but shim and keeper were killed: its output may lack the end"
            return Ending(code or transport_exit, line)
        case Cause.TIMEOUT:
            limit = "" if receipt.timeout_s is None else f" of {format_duration(receipt.timeout_s)}"
            return Ending(TIME_LIMIT, f"the time limit{limit} was reached{_how(receipt.exit)}")
        case Cause.START_FAILED:
            return of_start_failure(receipt.stage, receipt.errno, receipt.reason, command=command)
        case Cause.CANCELLED:
            return Ending(
                HOLDFAST, f"job {receipt.job} was cancelled by {_who(receipt)} before it started; it did not run"
            )
        case Cause.EXPIRED:
            return Ending(HOLDFAST, f"job {receipt.job} was not started in time; it did not run")
        case Cause.LOST | Cause.DAMAGED:
            return Ending(transport_exit, _lost(receipt))
    if receipt.exit is None:
        return Ending(transport_exit, f"job {receipt.job} ended ({receipt.cause}) without a known exit status")
    if receipt.cause in _ENDINGS:
        line = _ENDINGS[receipt.cause].format(by=_who(receipt)) + _how(receipt.exit)
        return Ending(_of_status(receipt.exit), f"job {receipt.job} was {line}")
    by = "" if receipt.ended_by == "itself" else f", sent by {_who(receipt)}"
    return Ending(_of_status(receipt.exit), f"job {receipt.job} was ended by {_signal(receipt.exit)}{by}")


def of_start_failure(stage: str, errno: int | None, reason: str = "", *, command: str = "") -> Ending:
    """The exit code of a command that was never executed: 127 missing, 126 not runnable, 125 anything else."""
    why = reason or (os.strerror(errno) if errno else "unknown reason")
    name = command or "the command"
    if stage == "executable":
        if errno == _errno.ENOENT:
            return Ending(NOT_FOUND, f"{name}: command not found ({why}); it did not run")
        if errno == _errno.E2BIG:
            return Ending(HOLDFAST, f"{name}: the argument list is too long ({why}); it did not run")
        return Ending(CANNOT_RUN, f"{name} cannot be run: {why}; it did not run")
    what = _STAGES.get(stage, f"the start failed at {stage}" if stage else "the start failed")
    return Ending(HOLDFAST, f"{what}: {why}; {name} did not run")


def of_error(error: BaseException, *, command: str = "", transport_exit: int = TRANSPORT) -> Ending:
    """The exit code and the line of an expected error; every line says whether the command ran."""
    text = str(error) or type(error).__name__
    match error:
        case errors.SpawnFailed():
            receipt = error.receipt
            if isinstance(receipt, Receipt):
                return of_receipt(receipt, command=command, transport_exit=transport_exit)
            return of_start_failure(error.stage, error.errno, text, command=command)
        case errors.JobLost():
            return Ending(transport_exit, text)
        case errors.OutputMismatch():
            return Ending(
                transport_exit, f"{text}; the output shown is not all of it or not true, see `holdfast verify`"
            )
        case errors.NotFound():
            return Ending(NO_SUCH_JOB, text)
        case errors.VersionMismatch() | errors.ProtocolError() | errors.KeyChanged():
            return Ending(transport_exit, _with_ran(text, error.ran))
        case errors.Unauthorized(code=code) if code in (_UNAUTHENTICATED, _REVOKED):
            return Ending(transport_exit, _with_ran(text, error.ran))
        case errors.Refused():
            return Ending(HOLDFAST, _with_retry(_with_ran(text, error.ran), error.retry_after_s))
        case errors.OutcomeUnknown():
            again = f"; ask again with --once {error.key}" if error.key else ""
            return Ending(transport_exit, _with_ran(text, error.ran) + again)
        case errors.ConnectFailed() | errors.LinkLost() | errors.DeadlineExceeded():
            return Ending(transport_exit, _with_ran(text, error.ran))
        case errors.StorageError() | errors.SettingsError():
            return Ending(HOLDFAST, _with_ran(text, error.ran))
        case errors.HoldfastError():
            return Ending(HOLDFAST, _with_ran(text, error.ran))
        case _:
            return Ending(HOLDFAST, text)


def largest(codes: list[int]) -> int:
    """The code of several jobs together: 0 only if all are 0, else the largest."""
    return max(codes, default=OK)


def _of_status(status: ExitStatus) -> int:
    return SIGNAL_BASE + status.signal if status.signal is not None else (status.code or 0)


def _signal(status: ExitStatus) -> str:
    core = ", core dumped" if status.core else ""
    return f"signal {status.signal} ({status.signal_name}{core})"


def _how(status: ExitStatus | None) -> str:
    if status is None:
        return ""
    return f"; {_signal(status)}" if status.signal is not None else f"; it returned {status.code}"


def _who(receipt: Receipt) -> str:
    return receipt.ended_by.removeprefix("person:") or "somebody"


def _lost(receipt: Receipt) -> str:
    ran = {True: "it had started", False: "it did not run", None: "whether it ran is unknown"}[receipt.started]
    reason = f" ({receipt.reason})" if receipt.reason else ""
    return f"job {receipt.job} is {receipt.cause}{reason}: {ran} and its exit status cannot be known"


def _with_ran(text: str, ran: str) -> str:
    said = {"no": "nothing was run", "yes": "the command ran", "unknown": "whether the command ran is unknown"}[ran]
    return f"{text}; {said}"


def _with_retry(text: str, retry_after_s: float | None) -> str:
    return text if retry_after_s is None else f"{text}; try again in {format_duration(retry_after_s)}"
