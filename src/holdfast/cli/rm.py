"""``holdfast rm``: forget finished jobs."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.many import find, for_each
from holdfast.cli.options import AgentVerb, jobs_argument
from holdfast.cli.session import Session


@click.command(cls=AgentVerb, name="rm", short_help="Forget finished jobs and their output.")
@jobs_argument
@click.option("--forget-key", is_flag=True, help="Forget the start key, too: it may start a new job again.")
def command(session: Session, jobs: tuple[str, ...], forget_key: bool) -> int:
    """Forget finished jobs and drop their output.

    A key given with `run --once` stays known, so that it can never start anything twice, unless --forget-key is given.
    """
    with session.connect() as host:

        def forget(name: str) -> int:
            find(host, name).forget(forget_key=forget_key)
            return exit_codes.OK

        return for_each(session, jobs, forget)
