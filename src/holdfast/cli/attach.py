"""``holdfast attach``: follow a job live, to its end."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.follow import finish, follow
from holdfast.cli.interrupts import Interrupts
from holdfast.cli.many import find, program
from holdfast.cli.options import AgentVerb, job_argument
from holdfast.cli.session import Session
from holdfast.cli.sinks import RawSink


@click.command(cls=AgentVerb, name="attach", short_help="Follow a job live, to its end.")
@job_argument
@click.option("--from-start", is_flag=True, help="Show all of its output, not the end of it alone.")
@click.option("-n", "--tail", "lines", type=click.IntRange(0, 1_000_000), default=10, metavar="N",
              help="Begin with the last N lines of each channel (default: 10).")  # fmt: skip
@click.option("--transport-exit", type=click.IntRange(0, 255), default=exit_codes.TRANSPORT, metavar="N",
              help="Exit code instead of 255 when the way to the job fails.")  # fmt: skip
def command(session: Session, job: str, from_start: bool, lines: int, transport_exit: int) -> int:
    """Follow a job live to its end and return its exit code.

    We are a client of the job again: its policy for lost clients counts us, the first Ctrl-C goes to the command, and a
    second one within two seconds leaves it running.
    """
    with Interrupts() as interrupts, session.connect() as host:
        found = find(host, job)
        policy = "keep" if found.info is None else found.info.on_disconnect
        output = found.output(lease=True, tail_lines=None if from_start else lines)
        sink = RawSink()
        ending, receipt = follow(
            found,
            output,
            sink,
            session.voice,
            interrupts,
            policy=policy,
            command=program(found),
            from_tail=not from_start,
            transport_exit=transport_exit,
        )
        return finish(sink, session.voice, ending, receipt)
