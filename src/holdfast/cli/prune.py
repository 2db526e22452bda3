"""``holdfast prune``: forget all jobs that ended long ago."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_json
from holdfast.cli.options import DURATION, AgentVerb, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.units import format_size


@click.command(cls=AgentVerb, name="prune", short_help="Forget all jobs that ended long ago.")
@click.option(
    "--older-than", type=DURATION, metavar="D", help="Ended longer ago than D (default: the agent's own retention)."
)
@json_flag
def command(session: Session, older_than: float | None, as_json: bool) -> int:
    """Forget all finished jobs that ended long ago, and drop their output. Start keys stay known."""
    with session.connect() as host:
        answer = host.prune(older_than)
    if as_json:
        write_all(1, to_json({"schema": SCHEMA, "jobs": answer.jobs, "freed_bytes": answer.freed_bytes}))
    else:
        click.echo(f"{answer.jobs} jobs forgotten, {format_size(answer.freed_bytes)} freed")
    return exit_codes.OK
