"""Every end has the exit code that scripts expect, and a line whenever the code is ours."""

from __future__ import annotations

import errno

import pytest

from holdfast import errors
from holdfast.cli import exit_codes
from holdfast.cli.exit_codes import Ending, largest, of_error, of_receipt, of_start_failure
from holdfast.types import Cause, ExitStatus, Receipt


def receipt(cause: Cause, exit: ExitStatus | None = None, **fields: object) -> Receipt:
    return Receipt(job="j" * 12, cause=cause, exit=exit, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", range(256))
def test_the_commands_own_code_passes_without_a_word(code: int) -> None:
    assert of_receipt(receipt(Cause.EXITED, ExitStatus(code=code))) == Ending(code, None)


@pytest.mark.parametrize("signum", [1, 2, 6, 9, 11, 15, 34, 64])
def test_a_signal_is_128_plus_its_number_and_is_said(signum: int) -> None:
    ending = of_receipt(receipt(Cause.SIGNALED, ExitStatus(signal=signum)))
    assert ending.code == 128 + signum
    assert ending.line is not None
    assert f"signal {signum} (" in ending.line


def test_a_core_dump_and_the_sender_are_said() -> None:
    line = of_receipt(receipt(Cause.SIGNALED, ExitStatus(signal=6, core=True), ended_by="person:ann")).line
    assert line is not None
    assert "core dumped" in line
    assert line.endswith("sent by ann")


@pytest.mark.parametrize("status", [ExitStatus(signal=15), ExitStatus(signal=9), ExitStatus(code=0), None])
def test_a_time_limit_is_124_however_the_command_went(status: ExitStatus | None) -> None:
    ending = of_receipt(receipt(Cause.TIMEOUT, status, timeout_s=5.0))
    assert ending.code == 124
    assert ending.line is not None
    assert "5s" in ending.line


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (Cause.STOPPED, ExitStatus(signal=15), 143),
        (Cause.STOPPED, ExitStatus(code=0), 0),
        (Cause.CLIENT_LOST, ExitStatus(signal=9), 137),
        (Cause.OUTPUT_LIMIT, ExitStatus(signal=15), 143),
        (Cause.CANCELLED, None, 125),
        (Cause.EXPIRED, None, 125),
        (Cause.LOST, None, 255),
        (Cause.DAMAGED, None, 255),
        (Cause.STOPPED, None, 255),
        (Cause.EXITED, None, 255),
    ],
)
def test_who_ended_it_decides_and_is_said(cause: Cause, status: ExitStatus | None, code: int) -> None:
    ending = of_receipt(receipt(cause, status))
    assert ending.code == code
    assert ending.line


@pytest.mark.parametrize("cause", list(Cause))
def test_nothing_but_a_known_exit_code_0_is_0(cause: Cause) -> None:
    assert of_receipt(receipt(cause)).code != 0


def test_a_code_without_whole_output_is_told_and_never_0() -> None:
    for code, seen in ((0, 255), (7, 7)):
        ending = of_receipt(receipt(Cause.EXITED, exit=ExitStatus(code=code), supervisor="agent"))
        assert ending.code == seen
        assert ending.line is not None
        assert "may lack the end" in ending.line


def test_lost_says_whether_it_ran_and_the_code_can_be_moved() -> None:
    unknown = of_receipt(receipt(Cause.LOST, reason="host_restart"), transport_exit=99)
    assert unknown.code == 99
    assert unknown.line is not None
    assert "whether it ran is unknown" in unknown.line
    started = of_receipt(receipt(Cause.LOST, started_unix_s=1.0)).line
    assert started is not None
    assert "it had started" in started


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [
        ("executable", errno.ENOENT, 127),
        ("executable", errno.EACCES, 126),
        ("executable", errno.ENOEXEC, 126),
        ("executable", errno.ENOTDIR, 126),
        ("executable", errno.E2BIG, 125),
        ("directory", errno.ENOENT, 125),
        ("user", errno.EPERM, 125),
        ("limits", errno.EPERM, 125),
        ("spawn", errno.EAGAIN, 125),
        ("", None, 125),
    ],
)
def test_a_start_that_failed(stage: str, number: int | None, code: int) -> None:
    ending = of_start_failure(stage, number)
    assert ending.code == code
    assert ending.line is not None
    assert "did not run" in ending.line
    assert of_receipt(receipt(Cause.START_FAILED, stage=stage, errno=number)).code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConnectFailed("no"), 255),
        (errors.LinkLost("no"), 255),
        (errors.OutcomeUnknown("no", key="k1"), 255),
        (errors.DeadlineExceeded("no"), 255),
        (errors.RemoteProtocolError("no"), 255),
        (errors.VersionMismatch("no"), 255),
        (errors.Unauthorized("no", code=200), 255),
        (errors.Unauthorized("no", code=201), 125),
        (errors.Unauthorized("no", code=202), 255),
        (errors.KeyChanged("no"), 255),
        (errors.KeyChanged("no", code=201), 255),
        (errors.ConnectFailed("no", layer="name"), 255),
        (errors.InvitationError("no"), 125),
        (errors.IdentityError("no"), 125),
        (errors.Refused("no"), 125),
        (errors.Conflict("no"), 125),
        (errors.LimitExceeded("no", retry_after_s=5.0), 125),
        (errors.NotFound("no"), 1),
        (errors.StorageError("no", path="/x"), 125),
        (errors.JournalDamaged("no", path="/x"), 125),
        (errors.SettingsError("no"), 125),
        (errors.ClosedError("no"), 125),
        (errors.JobLost("no"), 255),
        (errors.OutputMismatch("no"), 255),
        (errors.SpawnFailed("no", errno=errno.ENOENT, stage="executable"), 127),
        (errors.HoldfastError("no"), 125),
        (RuntimeError("no"), 125),
    ],
)
def test_errors(error: Exception, code: int) -> None:
    ending = of_error(error)
    assert ending.code == code
    assert ending.line


def test_the_transport_code_can_be_moved_and_only_it() -> None:
    assert of_error(errors.ConnectFailed("no"), transport_exit=7).code == 7
    assert of_error(errors.Refused("no"), transport_exit=7).code == 125


def test_error_lines_say_whether_it_ran_and_what_to_do() -> None:
    assert "nothing was run" in (of_error(errors.ConnectFailed("x")).line or "")
    assert "--once k1" in (of_error(errors.OutcomeUnknown("x", key="k1")).line or "")
    assert "try again in 5s" in (of_error(errors.LimitExceeded("x", retry_after_s=5.0)).line or "")


def test_several_jobs_give_the_largest_code() -> None:
    assert largest([0, 3, 1]) == 3
    assert largest([]) == 0
    assert exit_codes.INTERRUPTED == 130
