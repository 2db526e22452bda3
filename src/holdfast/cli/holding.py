"""What ``lock`` and ``sem`` share: waiting for something, and a job that holds it."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from holdfast.cli import exit_codes
from holdfast.cli.attached import run_attached
from holdfast.cli.exit_codes import Ending
from holdfast.cli.job_flags import job_options, what_to_run
from holdfast.cli.options import DURATION, Parsed
from holdfast.cli.session import Session
from holdfast.errors import HoldfastError
from holdfast.units import format_duration
from holdfast.wire import limits
from holdfast.wire.messages import ObjectAsked

if TYPE_CHECKING:
    from holdfast import Host, Job
    from holdfast.client.holding import Holding

F = TypeVar("F", bound=Callable[..., Any])

PATIENCE_S: Final = 1.0
"""Who waits longer is told for whom."""
TOLD: Final = 3
"""So many holders are named."""


def parse_name(text: str) -> str:
    """A name of a shared object.

    Raises:
        ValueError: empty, too long, or with control characters.
    """
    if not 1 <= len(text) <= limits.OBJECT_NAME_CHARS or not text.isprintable():
        raise ValueError(f"{text!r} is not a name of 1 to {limits.OBJECT_NAME_CHARS} printable characters")
    return text


def parse_name_and_units(text: str) -> tuple[str, int]:
    """Name and number of ``deploy=3``.

    Raises:
        ValueError: no number from 1 on, or no name.
    """
    name, _, number = text.rpartition("=")
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= limits.UNITS):
        raise ValueError(f"{text!r} is not NAME=N with an N from 1 to {limits.UNITS}, as in deploy=3")
    return parse_name(name), int(number)


NAME: Parsed[str] = Parsed("name", parse_name)
NAME_AND_UNITS: Parsed[tuple[str, int]] = Parsed("semaphore", parse_name_and_units)

_FLAGS: Final = (
    click.option("-n", "--no-wait", is_flag=True, help="Do not wait: exit code 1 if it is not to be had now."),
    click.option("--wait", type=DURATION, metavar="D", help="Wait for D at most (default: as long as it takes)."),
    click.option(
        "-E",
        "--busy-exit",
        type=click.IntRange(0, 255),
        default=exit_codes.BUSY,
        metavar="N",
        help="Exit code instead of 1 where it was not to be had.",
    ),
)


def holding_flags(function: F) -> F:
    """The flags about waiting; ``run_holding`` takes them."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


class _Ended(BaseException):
    """SIGTERM or SIGHUP while we wait. Not an ``Exception``: nothing on the way may swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def run_holding(
    session: Session,
    argv: list[str] | None,
    script: str | None,
    name: str,
    *,
    units: int | None,
    flags: dict[str, Any],
) -> int:
    """Take a lock, or a unit of a semaphore of ``units``; run the command with it; tell how to end ourselves."""
    what = what_to_run(argv, script)
    if flags["no_wait"] and flags["wait"] is not None:
        raise click.UsageError("give either --no-wait or --wait, not both")
    options = job_options(session, flags)
    policy = flags["on_disconnect"]
    options["on_disconnect"] = session.settings.on_disconnect if policy is None else policy
    asked = ObjectAsked("lock") if units is None else ObjectAsked("semaphore", units=units)
    called = f"lock {name!r}" if units is None else f"semaphore {name!r} of {units}"

    def start(host: Host) -> Job | Ending:
        from holdfast.client.holding import Holding

        holding = Holding(host, name, asked)
        taken = _take(session, holding, called, _label(what), flags)
        if isinstance(taken, Ending):
            return taken
        try:
            job = holding.start(what, stdin=flags["with_stdin"], shell=isinstance(what, str), **options)
        except (ValueError, TypeError) as exc:  # something of the request is beyond its limit; nothing was sent
            raise HoldfastError(str(exc), ran="no") from exc
        session.voice.detail(f"job {job.id} holds {called}")
        return job

    return run_attached(session, what, flags, start)


def _take(session: Session, holding: Holding, called: str, label: str, flags: dict[str, Any]) -> Ending | None:
    """None once it is ours, or how we end without it."""
    limit = flags["wait"]
    teller = threading.Timer(PATIENCE_S, _tell_holders, (session, holding, called))
    teller.daemon = True
    try:
        with _leaving_on_signals():
            teller.start()
            taken = holding.take(wait=not flags["no_wait"], timeout=limit, label=label)
    except KeyboardInterrupt:
        return Ending(exit_codes.INTERRUPTED, f"interrupted while waiting for {called}; nothing was run")
    except _Ended as exc:
        ended = signal.Signals(exc.signum).name
        line = f"ended by {ended} while waiting for {called}; nothing was run"
        return Ending(exit_codes.SIGNAL_BASE + exc.signum, line)
    finally:
        teller.cancel()
    if taken:
        return None
    when = "is held" if limit is None else f"was not to be had within {format_duration(limit)}"
    by = _holders(holding)
    return Ending(flags["busy_exit"], f"{called} {when}{f' by {by}' if limit is None and by else ''}; nothing was run")


@contextlib.contextmanager
def _leaving_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the wait, so that the line is left in order; ignored ones stay ignored."""

    def leave(signum: int, _frame: FrameType | None) -> None:
        raise _Ended(signum)

    before = {}
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            before[signum] = signal.signal(signum, leave)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _tell_holders(session: Session, holding: Holding, called: str) -> None:
    by = _holders(holding)
    session.voice.say(f"waiting for {called}{f', held by {by}' if by else ''}")


def _holders(holding: Holding) -> str:
    """Who holds it, in words; empty where nobody may be told, or nobody can be asked."""
    try:
        names = [info.owner for info in holding.others() if not info.waiting]
    except HoldfastError:
        return ""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def _label(what: list[str] | str) -> str:
    """Who waits, for people."""
    text = what if isinstance(what, str) else shlex.join(what)
    return "".join(letter if letter.isprintable() else " " for letter in text)[: limits.NAME_CHARS]
