"""``holdfast kill``: send a signal to a job."""

from __future__ import annotations

import signal
from typing import Literal

import click

from holdfast.cli import exit_codes
from holdfast.cli.many import find, for_each
from holdfast.cli.options import SIGNAL, AgentVerb, jobs_argument
from holdfast.cli.session import Session


@click.command(cls=AgentVerb, name="kill", short_help="Send a signal to jobs.")
@jobs_argument
@click.option(
    "-s",
    "--signal",
    "signum",
    type=SIGNAL,
    default="TERM",
    metavar="SIG",
    help="TERM, SIGTERM, 15, RTMIN+1 (default: TERM).",
)
@click.option("--group", "scope", flag_value="group", help="To the command's process group.")
@click.option("--tree", "scope", flag_value="tree", help="To every process of the job.")
def command(session: Session, jobs: tuple[str, ...], signum: int, scope: Literal["group", "tree"] | None) -> int:
    """Send a signal to the main process of each job, or with a flag to more of it.

    The job is not ended by us: what the signal does is up to the command. `holdfast stop` ends jobs for sure.
    """
    with session.connect() as host:

        def send(name: str) -> int:
            job = find(host, name)
            job.signal(signum, scope=scope or "main")
            session.voice.detail(f"sent signal {signum} ({_name(signum)}) to job {job.id}")
            return exit_codes.OK

        return for_each(session, jobs, send)


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"SIG{signum}"
