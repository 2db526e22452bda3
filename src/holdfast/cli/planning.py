"""Plans on the command line: made by ``run`` and ``queue add``, shown as a table or as JSON."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, rfc3339, to_json
from holdfast.cli.out import write_all
from holdfast.cli.render import Table
from holdfast.cli.session import Session
from holdfast.client.plans import HostPlans
from holdfast.coordination.timers import LEAST_EVERY_S
from holdfast.errors import HoldfastError
from holdfast.units import format_duration

if TYPE_CHECKING:
    from holdfast.wire.plans import GroupInfo, PlanInfo

HEADINGS: Final = ("PLAN", "STATE", "GROUP", "PRIO", "WHEN", "JOB", "COMMAND")
WIDE_HEADINGS: Final = (
    "PLAN", "STATE", "GROUP", "PRIO", "WHEN", "EVERY", "AFTER", "FIRED", "MISSED", "USER", "JOB", "COMMAND",
)  # fmt: skip
GROUP_HEADINGS: Final = ("GROUP", "STATE", "PARALLEL", "WAITING", "RUNNING", "FAILED")


def make_plan(session: Session, what: list[str] | str, options: dict[str, Any], *, as_json: bool, **asked: Any) -> int:
    """Make a plan and print its id, alone, on standard output; with ``as_json`` all of it.

    Args:
        session: Settings and voice.
        what: The command, or a text for a shell.
        options: The keyword arguments of ``Host.start``.
        as_json: Print a document.
        **asked: See ``HostPlans.make``.
    """
    if asked.get("every") is not None and asked["every"] < LEAST_EVERY_S:
        raise click.UsageError(f"--every {asked['every']:g}s is too often; {LEAST_EVERY_S:g}s is the least")
    with session.connect() as host:
        try:
            info = HostPlans(host).make(what, shell=isinstance(what, str), **asked, **options)
        except (ValueError, TypeError) as exc:
            raise HoldfastError(str(exc), ran="no") from exc
    if info.state == "failed":
        session.voice.say(f"plan {info.id} has failed: {info.why}")
    elif asked.get("id") is not None and _was_there(info, asked.get("at")):
        session.voice.say(f"plan {info.id} was made before; it is {info.state} and stays as it is")
    write_all(1, to_json(plan_document(info)) if as_json else f"{info.id}\n".encode())
    return exit_codes.OK


def plan_document(info: PlanInfo) -> dict[str, Any]:
    """A plan with every field present; what is not known is null. Pure."""
    return {
        "schema": SCHEMA,
        "plan": info.id,
        "state": info.state,
        "argv": list(info.argv),
        "shell": info.shell,
        "user": info.principal,
        "group": info.group,
        "priority": info.priority,
        "due": rfc3339(info.due_unix_s),
        "every_s": info.every_s,
        "after": list(info.after),
        "fired": info.fired,
        "missed": info.missed,
        "job": info.job,
        "why": info.why or None,
        "ended": rfc3339(info.ended_unix_s),
    }


def plan_table(plans: list[PlanInfo], *, now: float, wide: bool) -> Table:
    """Plans for people. Pure.

    Args:
        plans: In the order to show.
        now: Unix seconds.
        wide: All columns.
    """
    rows: list[tuple[str, ...]] = []
    for info in plans:
        row: list[str] = [info.id, info.state, info.group or "-", f"{info.priority:g}", _when(info, now)]
        if wide:
            every = "-" if info.every_s is None else format_duration(info.every_s)
            after = ",".join(info.after) or "-"
            row += [every, after, str(info.fired), str(info.missed), info.principal or "-"]
        rows.append((*row, info.job or "-", command_text(info)))
    return Table(WIDE_HEADINGS if wide else HEADINGS, tuple(rows), state_column=1)


def group_document(info: GroupInfo) -> dict[str, Any]:
    """A group with every field present. Pure."""
    return {
        "schema": SCHEMA,
        "group": info.name,
        "parallel": info.parallel,
        "paused": info.paused,
        "draining": info.draining,
        "waiting": info.waiting,
        "repeating": info.repeating,
        "running": info.running,
        "failed": info.failed,
    }


def group_table(groups: list[GroupInfo]) -> Table:
    """Groups for people. Pure."""
    rows = []
    for info in groups:
        state = ", ".join(word for word, is_so in (("paused", info.paused), ("draining", info.draining)) if is_so)
        numbers = (info.parallel, info.waiting, info.running, info.failed)
        rows.append((info.name, state or "open", *map(str, numbers)))
    return Table(GROUP_HEADINGS, tuple(rows))


def _was_there(info: PlanInfo, at: float | None) -> bool:
    """Whether a plan is not the one that was asked for just now."""
    if info.fired > 1 or info.ended_unix_s is not None:
        return True
    return at is not None and info.due_unix_s is not None and abs(info.due_unix_s - at) > 1.0


def _when(info: PlanInfo, now: float) -> str:
    """What a plan waits for, or why it does not any more."""
    if info.state == "waiting":
        if info.due_unix_s is not None:
            return f"in {format_duration(max(0.0, info.due_unix_s - now))}"
        return f"after {','.join(info.after)}" if info.after and not info.fired else "its turn"
    if info.ended_unix_s is not None:
        ago = f"{format_duration(max(0.0, now - info.ended_unix_s))} ago"
        return f"{ago}: {info.why}" if info.why else ago
    return "now"


def command_text(info: PlanInfo) -> str:
    """The command as one would type it. Pure."""
    return info.argv[-1].replace("\n", "; ") if info.shell and info.argv else shlex.join(info.argv)
