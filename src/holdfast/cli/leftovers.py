"""``holdfast leftovers``: processes that outlived their job."""

from __future__ import annotations

import shlex
import time

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import leftover_document
from holdfast.cli.options import AgentVerb, output_option
from holdfast.cli.render import Table, print_listing
from holdfast.cli.session import Session
from holdfast.units import format_duration, format_size
from holdfast.wire.messages import Leftover


@click.command(cls=AgentVerb, name="leftovers", short_help="List (and end) processes that outlived their job.")
@click.option("--end", is_flag=True, help="End them, with KILL.")
@output_option
def command(session: Session, end: bool, output: str | None) -> int:
    """List live processes that came from finished or forgotten jobs, and with --end end them.

    A process that a job left behind on purpose (`run --leave`) is listed, too. Processes are held by pidfd, so that a
    pid that is used again is never hit.
    """
    with session.connect() as host:
        processes = host.leftovers(end=end)
    print_listing(
        session.output_format(output),
        leftover_table(processes, now=time.time()),
        [leftover_document(process) for process in processes],
        [str(process.pid) for process in processes],
        session.settings.color,
    )
    survivors = [process for process in processes if end and not process.ended]
    if survivors:
        pids = " ".join(str(process.pid) for process in survivors)
        session.voice.error(f"still there: {pids}; processes in uninterruptible sleep end when their call returns")
        return exit_codes.NO_SUCH_JOB
    return exit_codes.OK


def leftover_table(processes: tuple[Leftover, ...], *, now: float) -> Table:
    """Leftovers for people. Pure; ``now`` in Unix seconds."""
    return Table(
        ("PID", "JOB", "AGE", "CPU", "MEMORY", "OWNER", "STATE", "COMMAND"),
        tuple(
            (
                str(process.pid),
                process.job or "-",
                format_duration(max(0.0, now - process.started_unix_s)),
                format_duration(process.user_s),
                format_size(process.rss_bytes),
                process.owner or "-",
                "ended" if process.ended else "running",
                shlex.join(process.command) or process.name,
            )
            for process in processes
        ),
        state_column=6,
    )
