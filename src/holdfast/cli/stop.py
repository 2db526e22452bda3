"""``holdfast stop``: TERM to every process of a job, a grace period, KILL."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.many import find, for_each
from holdfast.cli.options import DURATION, AgentVerb, jobs_argument
from holdfast.cli.session import Session
from holdfast.types import Receipt


@click.command(cls=AgentVerb, name="stop", short_help="End jobs: TERM, a grace period, KILL.")
@jobs_argument
@click.option("--grace", type=DURATION, metavar="D", help="From TERM to KILL (default: as the job was started).")
@click.option("--no-wait", is_flag=True, help="Return at once; `holdfast wait` tells the end.")
def command(session: Session, jobs: tuple[str, ...], grace: float | None, no_wait: bool) -> int:
    """End jobs with their whole process trees: TERM, a grace period, KILL.

    Returns when nothing of them is left. A job that has ended is left as it is.
    """
    with session.connect() as host:
        asked = []

        def ask(name: str) -> int:
            job = find(host, name)
            job.stop(grace)
            asked.append(job)
            return exit_codes.OK

        code = for_each(session, jobs, ask)
        if not no_wait:
            for job in asked:
                tell_end(session, job.wait_receipt())
    return code


def tell_end(session: Session, receipt: Receipt) -> None:
    """How a stopped job ended; what is still there is always told."""
    session.voice.note(exit_codes.of_receipt(receipt).line or f"job {receipt.job} ended with {receipt.returncode}")
    if receipt.tree == "stuck":
        pids = " ".join(map(str, receipt.left))
        session.voice.error(f"processes of job {receipt.job} are still there: {pids}")
