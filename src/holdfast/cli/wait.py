"""``holdfast wait``: block until jobs have ended."""

from __future__ import annotations

import time

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import receipt_document, to_json
from holdfast.cli.many import find, for_each, program
from holdfast.cli.options import DURATION, AgentVerb, jobs_argument, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.errors import DeadlineExceeded


@click.command(cls=AgentVerb, name="wait", short_help="Wait until jobs have ended.")
@jobs_argument
@click.option("--timeout", type=DURATION, metavar="D", help="Stop waiting after D, with exit code 124; the jobs go on.")
@json_flag
def command(session: Session, jobs: tuple[str, ...], timeout: float | None, as_json: bool) -> int:
    """Wait until all of these jobs have ended, and return the largest of their exit codes.

    The code of each is the one that `holdfast run` would have returned. With --json each receipt is printed, one a
    line.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with session.connect() as host:

        def wait(name: str) -> int:
            job = find(host, name)
            try:
                receipt = job.wait_receipt(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except DeadlineExceeded:
                session.voice.error(f"job {job.id} has not ended yet; it goes on")
                return exit_codes.TIME_LIMIT
            if as_json:
                write_all(1, to_json(receipt_document(receipt)))
            ending = exit_codes.of_receipt(receipt, command=program(job))
            if ending.line is not None:
                session.voice.say(ending.line)
            return ending.code

        return for_each(session, jobs, wait)
