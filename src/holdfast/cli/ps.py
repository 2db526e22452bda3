"""``holdfast ps`` (also ``status``): list jobs."""

from __future__ import annotations

import shlex
import time
from typing import Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.arguments import parse_filter
from holdfast.cli.documents import job_document, policy_text
from holdfast.cli.options import AgentVerb, Parsed, output_option
from holdfast.cli.render import Table, print_listing
from holdfast.cli.session import Session
from holdfast.types import Cause, JobInfo, JobState
from holdfast.units import format_duration, format_size

FILTERS: Final = ("id", "state", "label", "user", "cause")
FILTER: Final = Parsed("filter", lambda text: parse_filter(text, FILTERS))

HEADINGS: Final = ("JOB", "STATE", "AGE", "TIME", "LABEL", "COMMAND")
WIDE_HEADINGS: Final = (
    "JOB", "STATE", "AGE", "TIME", "PID", "TRY", "USER", "ON-DISCONNECT", "CLIENTS", "STDOUT", "STDERR",
    "LABEL", "DIR", "COMMAND",
)  # fmt: skip


@click.command(cls=AgentVerb, name="ps", short_help="List jobs.")
@click.option("-a", "--all", "all_jobs", is_flag=True, help="Finished jobs, too.")
@click.option("--filter", "filters", type=FILTER, multiple=True, metavar="K=V",
              help=f"Only jobs with this {', '.join(FILTERS)} (an id may be cut short); all must hold.")  # fmt: skip
@click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="The newest N alone.")
@output_option
@click.option("-q", "--quiet", "ids", is_flag=True, help="Print ids alone; the same as `-o name`.")
def command(
    session: Session,
    all_jobs: bool,
    filters: tuple[tuple[str, str], ...],
    limit: int | None,
    output: str | None,
    ids: bool,
) -> int:
    """List jobs, newest first: those that wait or run, or with -a all that the host still knows."""
    wanted = dict(filters)
    finished_wanted = all_jobs or wanted.get("state") == JobState.DONE or "cause" in wanted
    with session.connect() as host:
        found = host.jobs(
            all=finished_wanted,
            limit=None if set(wanted) - {"label", "id"} else limit,
            label=wanted.get("label"),
            prefix=wanted.get("id"),
        )
    jobs = [info for info in found if matches(info, wanted)][:limit]
    print_listing(
        "name" if ids else session.output_format(output),
        job_table(jobs, now=time.time(), wide=session.output_format(output) == "wide"),
        [job_document(info) for info in jobs],
        [info.job for info in jobs],
        session.settings.color,
    )
    return exit_codes.OK


def matches(info: JobInfo, wanted: dict[str, str]) -> bool:
    """Whether a job passes all filters. Pure."""
    facts = {
        "state": info.state.value,
        "label": info.label,
        "user": info.principal,
        "cause": "" if info.receipt is None else info.receipt.cause.value,
    }
    return all(info.job.startswith(value) if key == "id" else facts[key] == value for key, value in wanted.items())


def job_table(jobs: list[JobInfo], *, now: float, wide: bool) -> Table:
    """Jobs for people. Pure.

    Args:
        jobs: In the order to show.
        now: Unix seconds, for ages and running times.
        wide: All columns.
    """
    rows: list[tuple[str, ...]] = []
    for info in jobs:
        age = format_duration(max(0.0, now - info.accepted_unix_s))
        begun, ended = info.started_unix_s, info.ended_unix_s
        took = "-" if begun is None else format_duration(max(0.0, (now if ended is None else ended) - begun))
        start = (info.job, state_text(info), age, took)
        text = command_text(info)
        if not wide:
            rows.append((*start, info.label or "-", text))
            continue
        rows.append(
            (
                *start,
                "-" if info.pid is None else str(info.pid),
                str(info.attempt),
                info.principal or "-",
                _policy(info),
                str(info.clients),
                format_size(info.stdout_bytes),
                format_size(info.stderr_bytes),
                info.label or "-",
                info.cwd or "-",
                text,
            )
        )
    return Table(WIDE_HEADINGS if wide else HEADINGS, tuple(rows), state_column=1)


def state_text(info: JobInfo) -> str:
    """State of a job in a word or two: ``running``, ``ok``, ``failed 3``, ``timeout``, ``lost``."""
    receipt = info.receipt
    if info.state is not JobState.DONE or receipt is None:
        return info.state.value
    if receipt.cause is Cause.EXITED:
        return "ok" if receipt.returncode == 0 else f"failed {receipt.returncode}"
    if receipt.cause is Cause.SIGNALED and receipt.exit is not None:
        return f"failed {receipt.exit.signal_name}"
    return receipt.cause.value.replace("_", "-")


def command_text(info: JobInfo) -> str:
    """The command as one would type it."""
    if info.shell and info.argv:
        return info.argv[-1].replace("\n", "; ")
    return shlex.join(info.argv)


def _policy(info: JobInfo) -> str:
    text = policy_text(info.on_disconnect)
    return text if info.lease_left_s is None else f"{text} ({format_duration(info.lease_left_s)} left)"
