"""``holdfast logs``: the stored output of a job."""

from __future__ import annotations

from typing import Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.follow import tell_gaps
from holdfast.cli.many import find
from holdfast.cli.options import AgentVerb, job_argument
from holdfast.cli.session import Session
from holdfast.cli.sinks import EscapedSink, RawSink, Sink
from holdfast.cli.voice import is_terminal
from holdfast.types import Channel

CHANNELS: Final[dict[str, tuple[Channel, ...]]] = {"out": (1,), "err": (2,), "both": (1, 2)}


@click.command(cls=AgentVerb, name="logs", short_help="Print the stored output of a job.")
@job_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is still written, to the job's end.")
@click.option("-n", "--tail", "lines", type=click.IntRange(0, 1_000_000), metavar="N",
              help="Begin with the last N lines of each channel.")  # fmt: skip
@click.option("--channel", type=click.Choice(tuple(CHANNELS)), default="both", help="Which channel (default: both).")
@click.option("--raw", is_flag=True, help="Print control characters as they are, also on a terminal.")
def command(session: Session, job: str, follow: bool, lines: int | None, channel: str, raw: bool) -> int:
    """Print what a job has written: its standard output to ours, its standard error to ours.

    On a terminal control characters are made visible, unless --raw is given. Reading does not count as a client of the
    job, and its exit code is not ours: `holdfast wait` and `holdfast attach` return it.
    """
    sink: Sink = EscapedSink() if not raw and (is_terminal(1) or is_terminal(2)) else RawSink()
    with session.connect() as host:
        found = find(host, job)
        output = found.output(channels=CHANNELS[channel], follow=follow, lease=False, tail_lines=lines)
        for number, data in tell_gaps(found, output, session.voice, from_tail=lines is not None):
            sink.write(number, data)
    sink.end(None, exit_codes.OK, None)
    return exit_codes.OK
