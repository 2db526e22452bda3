"""``holdfast verify``: compare a job's stored output with its receipt."""

from __future__ import annotations

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, receipt_document, to_json
from holdfast.cli.many import find
from holdfast.cli.options import AgentVerb, job_argument, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.types import ChannelRecord


@click.command(cls=AgentVerb, name="verify", short_help="Compare a job's stored output with its receipt.")
@job_argument
@json_flag
def command(session: Session, job: str, as_json: bool) -> int:
    """Let the host read a finished job's output again and compare it with the receipt.

    Prints lengths and SHA-256 digests, which `sha256sum` confirms. Exit code 1 if anything differs.
    """
    with session.connect() as host:
        answer = find(host, job).verify()
    receipt, mismatches = answer.receipt, answer.mismatches
    if as_json:
        document = {
            "schema": SCHEMA,
            "ok": not mismatches,
            "mismatches": list(mismatches),
            "receipt": receipt_document(receipt),
        }
        write_all(1, to_json(document))
    else:
        click.echo(f"job {receipt.job}: {'ok' if not mismatches else 'MISMATCH'}")
        click.echo(channel_line("stdout", receipt.stdout))
        click.echo(channel_line("stderr", receipt.stderr))
    for mismatch in mismatches:
        session.voice.error(mismatch)
    return exit_codes.MISMATCH if mismatches else exit_codes.OK


def channel_line(name: str, record: ChannelRecord) -> str:
    """One channel in a line: length, digest, and what is no longer kept."""
    gone = f", from byte {record.first} on" if record.first else ""
    return f"{name} {record.bytes} bytes{gone}, sha256 {record.sha256 or 'not known'}"
