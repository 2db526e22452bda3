"""``holdfast retry``: run a finished job again."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.follow import finish, follow
from holdfast.cli.interrupts import Interrupts
from holdfast.cli.many import find, program
from holdfast.cli.options import AgentVerb, job_argument
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.cli.sinks import RawSink


@click.command(cls=AgentVerb, name="retry", short_help="Run a finished job again, as a new job.")
@job_argument
@click.option("--once", "key", metavar="KEY", help="Start key of the new job; by default it gets a fresh one.")
@click.option("-a", "--attach", is_flag=True, help="Follow the new job to its end instead of printing its id.")
def command(session: Session, job: str, key: str | None, attach: bool) -> int:
    """Run a finished job again: the same command, directory, variables and limits, as a new job with its own id.

    Prints the new job's id.
    """
    with session.connect() as host, Interrupts() as interrupts:
        fresh = find(host, job).retry(key=key)
        if not attach:
            write_all(1, f"{fresh.id}\n".encode())
            return exit_codes.OK
        session.voice.note(f"job {fresh.id}")
        policy = fresh.refresh().on_disconnect
        command_name = program(fresh)
        output = fresh.output(lease=True)
        sink = RawSink()
        ending, receipt = follow(fresh, output, sink, session.voice, interrupts, policy=policy, command=command_name)
        return finish(sink, session.voice, ending, receipt)
