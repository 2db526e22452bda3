"""``holdfast agent audit``: the record of who did what at this machine's agent, and whether it is whole.

It is read from the agent's state directory: whoever can do that needs no agent, and a stopped one has a record, too.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, rfc3339, to_pretty_json
from holdfast.cli.options import Parsed, json_flag, output_option
from holdfast.cli.out import write_all
from holdfast.cli.render import Table, print_listing
from holdfast.cli.voice import visible
from holdfast.config import load

if TYPE_CHECKING:
    from holdfast.store.audit import Record, Report

DIRECTORY: Final = "audit"
NEWEST: Final = 20


def _parse_head(text: str) -> Any:
    from holdfast.store.audit import Head

    return Head.parse(text)


HEAD: Final = Parsed("head", _parse_head)


@click.group(name="audit", invoke_without_command=True)
@click.option("-n", "--limit", type=click.IntRange(1), default=NEWEST, metavar="N",
              help=f"The newest N records (default: {NEWEST}).")  # fmt: skip
@click.option("--refused", is_flag=True, help="Refusals alone.")
@click.option("--state-dir", metavar="DIR", help="The local agent's state directory (HOLDFAST_STATE_DIR).")
@output_option
@click.pass_context
def command(ctx: click.Context, limit: int, refused: bool, state_dir: str | None, output: str | None) -> int:
    """Print the newest records of who did what here, the oldest of them first. The agent is not asked."""
    if ctx.invoked_subcommand is not None:
        return exit_codes.OK
    from holdfast.store.audit import read

    settings = load(overrides={"state_dir": state_dir})
    wanted = (pair for pair in read(_directory(settings.state_dir)) if not refused or pair[0].decision == "deny")
    records = deque(wanted, maxlen=limit)
    print_listing(
        output or settings.output,
        audit_table([record for record, _ in records]),
        [audit_document(record, digest) for record, digest in records],
        [str(record.seq) for record, _ in records],
        settings.color,
    )
    return exit_codes.OK


@command.command(name="verify")
@click.option("--head", type=HEAD, metavar="SEQ:HASH", help="A head that was printed before: it must still be there.")
@click.option("--state-dir", metavar="DIR", help="The local agent's state directory (HOLDFAST_STATE_DIR).")
@json_flag
def verify(head: Any, state_dir: str | None, as_json: bool) -> int:
    """Say whether the record is whole: nothing changed, removed, moved or cut off. Exit code 1 if it is not.

    Keep the head that is printed on another machine: given with --head later, it shows that nothing before it was
    written anew.
    """
    from holdfast.store.audit import verify as check

    report = check(_directory(load(overrides={"state_dir": state_dir}).state_dir), head)
    if as_json:
        write_all(1, to_pretty_json(report_document(report)))
    else:
        click.echo("\n".join(visible(line) for line in report_lines(report)))
    return exit_codes.MISMATCH if report.problem else exit_codes.OK


def audit_table(records: list[Record]) -> Table:
    """Records for people. Pure."""
    rows = tuple(
        (
            str(record.seq),
            (rfc3339(record.unix_s) or "")[:19] + "Z",
            record.decision,
            record.action,
            record.principal or "-",
            record.source or "-",
            record.resource or "-",
            _why(record),
        )
        for record in records
    )
    return Table(("SEQ", "TIME", "DECISION", "ACTION", "PRINCIPAL", "SOURCE", "RESOURCE", "WHY"), rows, state_column=2)


def audit_document(record: Record, digest: str) -> dict[str, Any]:
    """A record as JSON; ``hash`` is the chain's at this record. Pure."""
    return {
        "schema": SCHEMA,
        "seq": record.seq,
        "time": rfc3339(record.unix_s),
        "decision": record.decision,
        "action": record.action,
        "principal": record.principal or None,
        "key": record.key or None,
        "source": record.source or None,
        "resource": record.resource or None,
        "rule": record.rule or None,
        "policy": record.policy or None,
        "detail": record.detail,
        "hash": digest,
    }


def report_lines(report: Report) -> list[str]:
    """What was found, for people; the head is on the last line but for a problem. Pure."""
    lines = [f"records  {report.records}" + (f", from number {report.first} on" if report.first > 1 else "")]
    lines += [f"note     {note}" for note in report.notes]
    lines.append(f"head     {report.head}")
    lines.append(f"BROKEN   {report.problem}" if report.problem else "whole    nothing was changed, removed or cut off")
    return lines


def report_document(report: Report) -> dict[str, Any]:
    """What was found, as JSON. Pure."""
    return {
        "schema": SCHEMA,
        "ok": not report.problem,
        "problem": report.problem or None,
        "records": report.records,
        "first": report.first,
        "head": str(report.head),
        "notes": list(report.notes),
    }


def _why(record: Record) -> str:
    detail = " ".join(f"{name}={value}" for name, value in record.detail.items())
    return " ".join(text for text in (record.rule, detail) if text) or "-"


def _directory(state_dir: str) -> str:
    return os.path.join(state_dir, DIRECTORY)
