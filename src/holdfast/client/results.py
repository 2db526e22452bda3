"""What a finished job means to a Python caller: ``Completed``, or the exception that its receipt calls for. Pure."""

from __future__ import annotations

import subprocess
from typing import Any

import msgspec

from holdfast.errors import (
    CommandFailed,
    HoldfastError,
    JobError,
    JobLost,
    OutputMismatch,
    SpawnFailed,
    TimeoutExpired,
)
from holdfast.types import Cause, Receipt

NEVER_STARTED = (Cause.START_FAILED, Cause.CANCELLED, Cause.EXPIRED)


class Completed(subprocess.CompletedProcess[Any]):
    """A finished run: ``args``, ``returncode``, ``stdout``, ``stderr`` as in ``subprocess``, and ``receipt``.

    ``returncode`` is minus the signal where one ended the command. ``check_returncode`` raises ``CommandFailed``.
    """

    def __init__(self, args: Any, returncode: int, stdout: Any, stderr: Any, *, receipt: Receipt) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.receipt = receipt

    @property
    def job_id(self) -> str:
        """The job's id on its host."""
        return self.receipt.job

    def check_returncode(self) -> None:
        """Raise ``CommandFailed`` (a ``CalledProcessError``) unless the code is 0."""
        if self.returncode:
            raise CommandFailed(self.returncode, self.args, self.stdout, self.stderr, receipt=self.receipt)


class TextMode(msgspec.Struct, frozen=True):
    """How bytes become text: encoding and error handler; universal newlines, as ``subprocess`` has them."""

    encoding: str
    errors: str

    @classmethod
    def wanted(cls, text: bool | None, encoding: str | None, errors: str | None) -> TextMode | None:
        """The mode meant by the three arguments of ``run``, None for bytes. UTF-8 where no encoding is named."""
        if not (text or encoding or errors):
            return None
        return cls(encoding or "utf-8", errors or "strict")

    def decode(self, data: bytes) -> str:
        """Text of output, with every line end as a newline."""
        return data.decode(self.encoding, self.errors).replace("\r\n", "\n").replace("\r", "\n")

    def encode(self, text: str) -> bytes:
        """Bytes of input."""
        return text.encode(self.encoding, self.errors)


def input_bytes(data: bytes | bytearray | memoryview | str | None, mode: TextMode | None) -> bytes | None:
    """``input=`` as the bytes to be sent.

    Raises:
        TypeError: text where bytes are wanted, or the reverse.
    """
    if data is None:
        return None
    if isinstance(data, str):
        if mode is None:
            raise TypeError("input is text: give bytes, or text=True")
        return mode.encode(data)
    if mode is not None:
        raise TypeError("input is bytes: give text, or leave text, encoding and errors out")
    return data if isinstance(data, bytes) else bytes(data)


def completed(
    args: Any,
    receipt: Receipt,
    stdout: bytes | None,
    stderr: bytes | None,
    *,
    mode: TextMode | None,
    timeout: float | None,
    check: bool,
) -> Completed:
    """The result of ``run``.

    Raises:
        TimeoutExpired: the job's own limit ended it; with what it had written.
        SpawnFailed: it was never executed.
        JobLost: its exit status cannot be known.
        OutputMismatch: its status is known, but not whether its output is whole.
        CommandFailed: ``check``, and the code is not 0.
    """
    out: Any = stdout if mode is None or stdout is None else mode.decode(stdout)
    err: Any = stderr if mode is None or stderr is None else mode.decode(stderr)
    if receipt.cause is Cause.TIMEOUT:
        limit = timeout if timeout is not None else receipt.timeout_s or 0.0
        raise TimeoutExpired(args, limit, out, err, receipt=receipt)
    if (error := no_status_error(receipt)) is not None:
        raise error
    if not receipt.output_is_whole:
        raise OutputMismatch(f"job {receipt.job}: shim and keeper were killed under it: its output may lack the end",
                             receipt=receipt)  # fmt: skip
    result = Completed(args, receipt.returncode or 0, out, err, receipt=receipt)
    if check:
        result.check_returncode()
    return result


def no_status_error(receipt: Receipt) -> HoldfastError | None:
    """Why a receipt holds no exit status, as an exception; None if it holds one."""
    if receipt.exit is not None:
        return None
    reason = receipt.reason or receipt.cause.value.replace("_", " ")
    if receipt.cause is Cause.START_FAILED:
        return SpawnFailed(reason, errno=receipt.errno, stage=receipt.stage or "spawn", receipt=receipt)
    if receipt.cause in NEVER_STARTED:
        return JobError(f"job {receipt.job} was never started: {reason}", ran="no")
    ran = {True: "yes", False: "no", None: "unknown"}[receipt.started]
    error = JobLost(f"the exit status of job {receipt.job} cannot be known: {reason}", receipt=receipt)
    error.ran = ran  # type: ignore[assignment]
    return error
