"""``holdfast sem``: run a command that holds one of the units of a semaphore."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli.attached import attached_flags
from holdfast.cli.holding import NAME_AND_UNITS, holding_flags, run_holding
from holdfast.cli.job_flags import NamedJobCommand, job_flags
from holdfast.cli.session import Session


class SemCommand(NamedJobCommand):
    """With an example of its own."""

    example = "holdfast sem deploy=3 -- ./deploy"


@click.command(cls=SemCommand, name="sem", short_help="Run a command that holds a unit of a semaphore.")
@click.argument("semaphore", metavar="NAME=N", type=NAME_AND_UNITS)
@holding_flags
@job_flags
@attached_flags
def command(
    session: Session, argv: list[str] | None, script: str | None, semaphore: tuple[str, int], **flags: Any
) -> int:
    """Run a command that holds one of the N units of a semaphore of the host, and return its exit code.

    \b
      holdfast sem deploy=3 -- ./deploy web1

    At most N commands run at a time under this name, whoever starts them. All must name the same N.
    """
    name, units = semaphore
    return run_holding(session, argv, script, name, units=units, flags=flags)
