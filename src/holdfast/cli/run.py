"""``holdfast run``: start a command, show what it writes, end with its exit code; or keep it for later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes, stdin
from holdfast.cli.attached import attached_flags, run_attached, start_job
from holdfast.cli.exit_codes import Ending
from holdfast.cli.job_flags import JobCommand, job_flags, job_options, what_to_run
from holdfast.cli.options import DURATION, MOMENT
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.cli.sinks import JsonSink

if TYPE_CHECKING:
    from holdfast import Host, Job

NOT_LATER: Final = {
    "with_stdin": "-i", "status_fd": "--status-fd", "not_after": "--not-after", "on_disconnect": "--on-disconnect",
}  # fmt: skip
"""What makes no sense for a command that starts when nobody may be here."""


@click.command(cls=JobCommand, name="run", short_help="Run a command and return its exit code.")
@click.option("-d", "--detach", is_flag=True, help="Print the job's id and return; the job goes on without us.")
@click.option("--once", "key", metavar="KEY", help="Start key: at most one job is ever started under it.")
@click.option("--not-after", type=DURATION, metavar="D", help="Do not start it if it still waits for a slot after D.")
@click.option("--at", type=MOMENT, metavar="TIME",
              help="Start it then: 2027-01-31T03:00, with or without an offset, 03:00 or now+5m.")  # fmt: skip
@click.option("--delay", type=DURATION, metavar="D", help="Start it after D.")
@click.option("--every", type=DURATION, metavar="D", help="Start it again and again, D apart; from now on, or --at.")
@click.option("--skip-missed", is_flag=True, help="Leave out what could not start within a minute of its time.")
@job_flags
@attached_flags
def command(session: Session, argv: list[str] | None, script: str | None, **flags: Any) -> int:
    """Run a command and return its exit code.

    \b
      holdfast run -- make -j8
      holdfast run --timeout 5m -e CI=1 -w /srv/app -- ./test
      holdfast run --sh 'make && make install'
      holdfast run -d --once nightly-2026-01-31 -- ./backup
      holdfast run --at 03:00 -- ./backup
      holdfast run --every 1h --once beat -- ./beat

    Everything after `--` is the command and reaches it exactly as written; no shell reads it. What it writes to
    standard output and standard error comes out here, byte for byte. The first Ctrl-C goes to the command, a second
    one within two seconds leaves it running.

    With --at, --delay or --every a plan is made, whose id is printed: `holdfast queue ls` shows it.
    """
    what = what_to_run(argv, script)
    if flags["at"] is not None or flags["delay"] is not None or flags["every"] is not None:
        return _later(session, what, flags)
    if flags["skip_missed"]:
        raise click.UsageError("--skip-missed is about --at, --delay and --every")
    options = _job_options(session, flags)

    def start(host: Host) -> Job | Ending:
        job = start_job(host, what, flags, options, detach=flags["detach"])
        if job.deduplicated:
            session.voice.note(f"job {job.id} was started before under this key; nothing new is started")
        else:
            session.voice.detail(f"job {job.id}")
        return _leave(session, job, flags) if flags["detach"] else job

    return run_attached(session, what, flags, start)


def _leave(session: Session, job: Job, flags: dict[str, Any]) -> Ending:
    """A detached job: its id, alone, on standard output; with --json the accepted event."""
    if flags["with_stdin"]:
        stdin.pass_on(job, session.voice)
    if flags["as_json"]:
        JsonSink(job)
    else:
        write_all(1, f"{job.id}\n".encode())
    return Ending(exit_codes.OK)


def _later(session: Session, what: list[str] | str, flags: dict[str, Any]) -> int:
    from holdfast.cli.planning import make_plan

    for name, flag in NOT_LATER.items():
        if flags[name] not in (None, False):
            raise click.UsageError(f"{flag} makes no sense for a command that starts later")
    return make_plan(
        session,
        what,
        job_options(session, flags),
        id=flags["key"],
        as_json=flags["as_json"],
        at=flags["at"],
        delay=flags["delay"],
        every=flags["every"],
        skip_missed=flags["skip_missed"],
    )


def _job_options(session: Session, flags: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``Host.start`` for these flags."""
    policy = flags["on_disconnect"]
    if policy is None and not flags["detach"]:
        policy = session.settings.on_disconnect
    not_after = flags["not_after"]
    return {
        **job_options(session, flags),
        "on_disconnect": policy,
        "key": flags["key"],
        "not_after": None if not_after is None else time.time() + not_after,
    }
