"""``holdfast lock``: run a command that holds a lock."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli.attached import attached_flags
from holdfast.cli.holding import NAME, holding_flags, run_holding
from holdfast.cli.job_flags import NamedJobCommand, job_flags
from holdfast.cli.session import Session


class LockCommand(NamedJobCommand):
    """With an example of its own."""

    example = "holdfast lock db -- ./migrate"


@click.command(cls=LockCommand, name="lock", short_help="Run a command that holds a lock.")
@click.argument("name", metavar="NAME", type=NAME)
@holding_flags
@job_flags
@attached_flags
def command(session: Session, argv: list[str] | None, script: str | None, name: str, **flags: Any) -> int:
    """Run a command that holds a lock of the host, and return its exit code. One holds it at a time.

    \b
      holdfast lock db -- ./migrate
      holdfast lock --no-wait nightly -- ./backup || echo "one runs already"
      holdfast lock -H web1 --wait 5m deploy --sh 'git pull && make install'

    Who waits gets it in the order of arrival. The job holds it until its last process has ended, whatever becomes of
    this client. Its HOLDFAST_FENCE is a number that is greater than that of everybody who held it before: whoever is
    given it can refuse those that come late.
    """
    return run_holding(session, argv, script, name, units=None, flags=flags)
