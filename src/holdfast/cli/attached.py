"""From an accepted job to our exit code: the common part of the verbs that start a command and show it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from holdfast.cli import exit_codes, stdin
from holdfast.cli.documents import receipt_document, to_json
from holdfast.cli.exit_codes import Ending
from holdfast.cli.follow import finish, follow
from holdfast.cli.interrupts import Interrupts
from holdfast.cli.options import POLICY, json_flag
from holdfast.cli.out import CannotWrite, ReaderGone, write_all
from holdfast.cli.session import Session
from holdfast.cli.sinks import JsonSink, RawSink, Sink
from holdfast.errors import HoldfastError
from holdfast.types import OnDisconnect, Receipt

if TYPE_CHECKING:
    from holdfast import Host, Job

F = TypeVar("F", bound=Callable[..., Any])
Start = Callable[["Host"], "Job | Ending"]
"""Gives the accepted job, or how we are to end where there is none to follow."""

ATTACHED_POLICY: Final = 60.0

_BEFORE: Final = (
    click.option("-i", "--stdin", "with_stdin", is_flag=True, help="Pass our standard input on, to its end."),
    click.option(
        "--on-disconnect",
        type=POLICY,
        metavar="keep|kill|kill-after=D",
        help="What becomes of the job when no client is left (kill-after=60s; with -d: keep).",
    ),
)
_AFTER: Final = (
    click.option("--status-fd", type=click.IntRange(0), metavar="N", help="Write the receipt as JSON to descriptor N."),
    click.option(
        "--transport-exit",
        type=click.IntRange(0, 255),
        default=exit_codes.TRANSPORT,
        metavar="N",
        help="Exit code instead of 255 when the way to the job fails.",
    ),
    json_flag,
)


def attached_flags(function: F) -> F:
    """The flags of verbs that show the command they start; ``run_attached`` takes them."""
    for flag in reversed((*_BEFORE, *_AFTER)):
        function = flag(function)
    return function


def run_attached(session: Session, what: list[str] | str, flags: dict[str, Any], start: Start) -> int:
    """Start something, follow it to its end, and tell how to end ourselves.

    Args:
        session: Settings and voice.
        what: The command, or a text for a shell; for the words only.
        flags: Those of ``attached_flags``.
        start: Starts it.
    """
    status_fd, transport_exit = flags["status_fd"], flags["transport_exit"]
    _check_writable(status_fd)
    if not flags["with_stdin"] and stdin.ignored_input():
        session.voice.say("standard input is not passed on; -i does that")
    receipt: Receipt | None = None
    with Interrupts() as interrupts:
        try:
            ending, receipt = _show(session, interrupts, what, flags, start)
        except HoldfastError as exc:
            ending = exit_codes.of_error(exc, transport_exit=transport_exit)
            session.voice.error(ending.line or str(exc))
        except KeyboardInterrupt:
            ending = Ending(exit_codes.INTERRUPTED, "interrupted before the job was accepted")
            session.voice.error(f"{ending.line}; if it was, its policy for lost clients ends it")
    if status_fd is not None:
        _write_status(status_fd, ending, receipt)
    return ending.code


def start_job(
    host: Host, what: list[str] | str, flags: dict[str, Any], options: dict[str, Any], *, detach: bool = False
) -> Job:
    """An accepted job.

    Raises:
        HoldfastError: also for what is beyond a limit, of which nothing was sent.
    """
    try:
        shell = isinstance(what, str)
        return host.start(what, detach=detach, stdin=flags["with_stdin"], shell=shell, **options)
    except (ValueError, TypeError) as exc:
        raise HoldfastError(str(exc), ran="no") from exc


def _show(
    session: Session, interrupts: Interrupts, what: list[str] | str, flags: dict[str, Any], start: Start
) -> tuple[Ending, Receipt | None]:
    voice = session.voice
    with session.connect() as host:
        job = start(host)
        if isinstance(job, Ending):
            if job.line is not None:
                voice.error(job.line)
            return job, None
        if flags["with_stdin"]:
            stdin.pass_on(job, voice)
        sink: Sink = JsonSink(job) if flags["as_json"] else RawSink()
        given = session.settings.on_disconnect if flags["on_disconnect"] is None else flags["on_disconnect"]
        policy: OnDisconnect = ATTACHED_POLICY if given is None else given
        output = job.output()
        ending, receipt = follow(
            job,
            output,
            sink,
            voice,
            interrupts,
            policy=policy,
            command="" if isinstance(what, str) else what[0],
            transport_exit=flags["transport_exit"],
        )
        finish(sink, voice, ending, receipt)
        return ending, receipt


def _check_writable(fd: int | None) -> None:
    """Refuse a descriptor that is not open for writing, before anything is started."""
    import fcntl

    if fd is None:
        return
    try:
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        writable = False
    if not writable:
        raise click.UsageError(f"--status-fd {fd}: this descriptor is not open for writing")


def _write_status(fd: int, ending: Ending, receipt: Receipt | None) -> None:
    document = {
        "schema": 1,
        "holdfast_exit": ending.code,
        "error": ending.line,
        "receipt": None if receipt is None else receipt_document(receipt),
    }
    try:
        write_all(fd, to_json(document))
    except (ReaderGone, CannotWrite):
        pass  # who asked for it has gone; the exit code still tells the end
