"""``holdfast queue``: commands that wait for their turn, for a time, for each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import to_json
from holdfast.cli.job_flags import NamedJobCommand, job_flags, job_options, what_to_run
from holdfast.cli.options import DURATION, MOMENT, AgentVerb, complete_plans, json_flag, output_option
from holdfast.cli.out import write_all
from holdfast.cli.planning import group_document, group_table, make_plan, plan_document, plan_table
from holdfast.cli.render import print_listing
from holdfast.cli.session import Session
from holdfast.client.plans import HostPlans
from holdfast.errors import NotFound, Refused
from holdfast.wire.plans import GroupInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GROUP: Final = "default"
LOOK_LEAST_S: Final = 0.1
LOOK_MOST_S: Final = 2.0
"""How often ``drain`` looks whether a group is empty: more and more seldom."""

group_argument = click.argument("group", metavar="[GROUP]", default=GROUP)


@click.group(name="queue", short_help="Keep commands that wait for their turn or their time.")
def command() -> None:
    """Commands in a line: by default one runs at a time, in the order of their arrival.

    \b
      holdfast queue add -- make all           prints the id of a plan
      holdfast queue add --after PLAN -- make check
      holdfast queue ls                        what waits, what runs, and as which job
      holdfast queue parallel 4

    A plan starts a job: `holdfast logs JOB` and `holdfast wait JOB` take the job's id, which `ls` shows. Plans are on
    the host's disk; they outlive this client, the agent and the host.
    """


@command.command(cls=NamedJobCommand, name="add", short_help="Add a command to a line, and print its id.")
@click.option("--group", metavar="GROUP", default=GROUP, help=f"In which line (default: {GROUP}).")
@click.option("--priority", type=float, default=0.0, metavar="N", help="Lower ones come first (default: 0).")
@click.option(
    "--after",
    multiple=True,
    metavar="ID",
    shell_complete=complete_plans,
    help="Not before this plan or job has ended well.",
)
@click.option("--at", type=MOMENT, metavar="TIME", help="Not before: 2027-01-31T03:00, 03:00 or now+5m.")
@click.option("--delay", type=DURATION, metavar="D", help="Not before D has passed.")
@click.option("--every", type=DURATION, metavar="D", help="Again and again, D apart.")
@click.option("--skip-missed", is_flag=True, help="Leave out what could not start within a minute of its time.")
@click.option("--name", "name", metavar="ID", help="An id of your own; adding it again adds nothing.")
@job_flags
@json_flag
def add(session: Session, argv: list[str] | None, script: str | None, **flags: Any) -> int:
    """Add a command to a line, and print the id of its plan.

    \b
      holdfast queue add -- make all
      holdfast queue add --group gpu --priority -1 -- ./train
      holdfast queue add --after plan-7f3k9x2m --sh 'make check && make dist'

    If something that it comes after fails, it fails, too.
    """
    what = what_to_run(argv, script)
    asked = {name: flags[name] for name in ("group", "priority", "after", "at", "delay", "every", "skip_missed")}
    return make_plan(session, what, job_options(session, flags), as_json=flags["as_json"], id=flags["name"], **asked)


@command.command(cls=AgentVerb, name="ls", short_help="List plans.")
@click.option("-a", "--all", "over", is_flag=True, help="Also those that are over.")
@click.option("--group", metavar="GROUP", help="Of this group alone.")
@output_option
@click.option("-q", "--quiet", "ids", is_flag=True, help="Print ids alone; the same as `-o name`.")
def ls(session: Session, over: bool, group: str | None, output: str | None, ids: bool) -> int:
    """List plans in the order in which they would start: those of `queue add`, and of `run --at`, `--delay`, `--every`.

    Those that have failed are shown with -a; `holdfast queue retry` starts them again.
    """
    with session.connect() as host:
        plans = list(HostPlans(host).all(group=group, over=over))
    output = session.output_format(output)
    print_listing(
        "name" if ids else output,
        plan_table(plans, now=time.time(), wide=output == "wide"),
        [plan_document(info) for info in plans],
        [info.id for info in plans],
        session.settings.color,
    )
    return exit_codes.OK


@command.command(cls=AgentVerb, name="groups", short_help="List groups.")
@output_option
def groups(session: Session, output: str | None) -> int:
    """List groups that have plans, or settings of their own."""
    with session.connect() as host:
        found = list(HostPlans(host).groups())
    names = [info.name for info in found]
    documents = [group_document(info) for info in found]
    print_listing(session.output_format(output), group_table(found), documents, names, session.settings.color)
    return exit_codes.OK


@command.command(cls=AgentVerb, name="pause", short_help="Start nothing more of a group.")
@group_argument
def pause(session: Session, group: str) -> int:
    """Start nothing more of a group; what runs goes on."""
    return _change(session, group, paused=True)


@command.command(cls=AgentVerb, name="resume", short_help="Go on with a group that was paused or drained.")
@group_argument
def resume(session: Session, group: str) -> int:
    """Go on with a group that was paused or drained."""
    return _change(session, group, paused=False, drain=False)


@command.command(cls=AgentVerb, name="parallel", short_help="How many of a group run at a time.")
@click.argument("number", type=click.IntRange(1, 2**31 - 1), metavar="N")
@group_argument
def parallel(session: Session, number: int, group: str) -> int:
    """Let so many commands of a group run at a time; what runs is not touched."""
    return _change(session, group, parallel=number)


@command.command(cls=AgentVerb, name="drain", short_help="Take no more plans, and wait until the group is empty.")
@group_argument
@click.option("--no-wait", is_flag=True, help="Return at once.")
@click.option("--timeout", type=DURATION, metavar="D", help="Stop waiting after D, with exit code 124.")
def drain(session: Session, group: str, no_wait: bool, timeout: float | None) -> int:
    """Take no more plans into a group, and wait until it is empty. `holdfast queue resume` opens it again.

    Plans that repeat stay, and do not start before that. Those that have failed do not count.
    """
    opens = f"`holdfast queue resume {group}` opens it again"
    with session.connect() as host:
        plans = HostPlans(host)
        info = plans.change_group(group, drain=True)
        if no_wait:
            return exit_codes.OK
        if info.paused and not _empty(info):
            session.voice.say(f"group {group} is paused, so it does not empty before it is resumed")
        try:
            info = _until_empty(plans, info, timeout)
        except KeyboardInterrupt:
            session.voice.error(f"group {group} takes no more plans, and was not waited for; {opens}")
            return exit_codes.INTERRUPTED
    if not _empty(info):
        session.voice.error(f"group {group} is not empty yet: {_left(info)}; it takes no more plans, and {opens}")
        return exit_codes.TIME_LIMIT
    session.voice.note(f"group {group} is empty; {opens}")
    return exit_codes.OK


def _until_empty(plans: HostPlans, info: GroupInfo, timeout: float | None) -> GroupInfo:
    """The group as it is when it is empty, or when the time is over."""
    until = None if timeout is None else time.monotonic() + timeout
    wait_s = LOOK_LEAST_S
    while not _empty(info) and (until is None or time.monotonic() < until):
        time.sleep(wait_s if until is None else min(wait_s, max(0.0, until - time.monotonic())))
        wait_s = min(LOOK_MOST_S, wait_s * 1.5)
        info = next((each for each in plans.groups() if each.name == info.name), GroupInfo(info.name))
    return info


@command.command(cls=AgentVerb, name="retry", short_help="Start failed plans again.")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_plans)
@click.option("--group", metavar="GROUP", help="All failed ones of this group.")
@json_flag
def retry(session: Session, ids: tuple[str, ...], group: str | None, as_json: bool) -> int:
    """Start failed plans again, each as a new job at the end of its line; one that repeats goes on at its next time.

    Without an id, all failed ones of the group `default`, or of --group.
    """
    if ids and group is not None:
        raise click.UsageError("give either ids or --group, not both")
    with session.connect() as host:
        plans = HostPlans(host)
        if not ids:
            group = GROUP if group is None else group
            started = plans.retry(group=group)
            if not started:
                session.voice.note(f"nothing of group {group} has failed")
            if as_json:
                write_all(1, b"".join(to_json(plan_document(info)) for info in started))
            return exit_codes.OK

        def one(id_: str) -> None:
            (info,) = plans.retry(id=id_)
            if as_json:
                write_all(1, to_json(plan_document(info)))

        return _each(session, ids, one)


@command.command(cls=AgentVerb, name="cancel", short_help="Do not start plans (again).")
@click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_plans)
def cancel(session: Session, ids: tuple[str, ...]) -> int:
    """Do not start these plans (again). A job that runs already goes on: `holdfast stop JOB` ends it."""
    with session.connect() as host:
        plans = HostPlans(host)

        def one(id_: str) -> None:
            info = plans.cancel(id_)
            if info.state == "running" and info.job is not None:
                session.voice.say(f"job {info.job} of plan {id_} runs on; `holdfast stop {info.job}` ends it")

        return _each(session, ids, one)


command.add_command(cancel, "rm")


def _change(session: Session, group: str, **changes: Any) -> int:
    with session.connect() as host:
        HostPlans(host).change_group(group, **changes)
    return exit_codes.OK


def _each(session: Session, ids: Iterable[str], act: Callable[[str], None]) -> int:
    """Each is tried, what is refused is told, the largest code is ours."""
    codes = [exit_codes.OK]
    for id_ in ids:
        try:
            act(id_)
        except Refused as exc:
            line = f"{exc}; `holdfast queue ls -a` lists them" if isinstance(exc, NotFound) else str(exc)
            session.voice.error(line)
            codes.append(exit_codes.of_error(exc).code)
    return exit_codes.largest(codes)


def _empty(info: GroupInfo) -> bool:
    return info.running == 0 and info.waiting == info.repeating


def _left(info: GroupInfo) -> str:
    return f"{info.waiting - info.repeating} wait and {info.running} run"
