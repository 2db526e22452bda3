"""Flags that verbs share, and the click types of values; ``arguments`` and ``units`` decide what a value means."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import click

from holdfast.cli.arguments import parse_retention, parse_rlimit, parse_signal, parse_umask, split_command
from holdfast.cli.session import Session
from holdfast.cli.voice import Voice, is_terminal, wants_color
from holdfast.config import COLORS, OUTPUTS, load, parse_on_disconnect
from holdfast.types import OnDisconnect, Retention
from holdfast.units import parse_duration

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Parsed(click.ParamType, Generic[T]):  # type: ignore[type-arg]  # generic only in later clicks
    """A click type around a parser that raises ``ValueError`` with a good message."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _moment(text: str) -> float:
    import time

    from holdfast.cli.moments import parse_moment

    return parse_moment(text, time.time())


DURATION: Parsed[float] = Parsed("duration", parse_duration)
SIGNAL: Parsed[int] = Parsed("signal", parse_signal)
POLICY: Parsed[OnDisconnect] = Parsed("policy", parse_on_disconnect)
RETENTION: Parsed[Retention] = Parsed("rule", parse_retention)
RLIMIT: Parsed[tuple[str, tuple[int, int]]] = Parsed("limit", parse_rlimit)
MOMENT: Parsed[float] = Parsed("moment", _moment)
UMASK: Parsed[int] = Parsed("mask", parse_umask)


class AgentVerb(click.Command):
    """A verb that talks to an agent: it has the shared flags, and its callback gets them as one ``session``.

    A verb that gives ``-q`` a meaning of its own goes without the shared one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = {name for param in self.params for name in param.opts}
        self.params += self.host_options()
        self.params += [option for option in _session_options() if taken.isdisjoint(option.opts)]

    def host_options(self) -> list[click.Parameter]:
        """How this verb is told its host."""
        text = "The host to ask (HOLDFAST_HOST; default: local)."
        return [click.Option(["-H", "--host"], metavar="HOST", help=text, shell_complete=complete_hosts)]

    def invoke(self, ctx: click.Context) -> Any:
        ctx.params["session"] = _take_session(ctx.params)
        return super().invoke(ctx)


class HostVerb(AgentVerb):
    """A verb that is told its host by an argument; the setting ``host`` where there is none."""

    def host_options(self) -> list[click.Parameter]:
        return [click.Argument(["hosts"], nargs=-1, metavar="[HOST]", shell_complete=complete_hosts)]

    def invoke(self, ctx: click.Context) -> Any:
        hosts = ctx.params.pop("hosts")
        if len(hosts) > 1:
            raise click.UsageError(f"one host at a time, and {len(hosts)} were named: {' '.join(hosts)}", ctx=ctx)
        ctx.params["host"] = hosts[0] if hosts else None
        return super().invoke(ctx)


class CommandArguments(click.Command):
    """A verb that takes a command after ``--``, which is split off before any option is read.

    The command comes to the callback as ``argv``; None without ``--``.
    """

    example = "holdfast run -- ls -l"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, command = split_command(args)
        if not ctx.resilient_parsing and not any(arg in ctx.help_option_names for arg in own):
            if command is None and not self.may_lack_command(own):
                raise click.UsageError(f"the command comes after `--`, as in: {self.example}", ctx=ctx)
            if command == []:
                raise click.UsageError(f"there is no command after `--`; write for example: {self.example}", ctx=ctx)
        rest = super().parse_args(ctx, own)
        ctx.params["argv"] = command
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG]..."]

    def may_lack_command(self, own: list[str]) -> bool:
        """Whether these flags make sense without a command."""
        return False


class CommandAfterDashes(CommandArguments, HostVerb):
    """A verb that takes a host, and a command after ``--``."""


def complete_jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Any:
    """Ids that begin like this, for completion."""
    from holdfast.cli.completion import job_ids

    return job_ids(ctx, incomplete)


def complete_plans(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Any:
    """Ids of plans that begin like this, for completion."""
    from holdfast.cli.completion import plan_ids

    return plan_ids(ctx, incomplete)


def complete_hosts(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Any:
    """Names of hosts that begin like this, for completion."""
    from holdfast.cli.completion import host_names

    return host_names(incomplete)


def complete_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Any:
    """Names of hosts.toml that begin like this, for completion."""
    from holdfast.cli.completion import host_names

    return host_names(incomplete, with_local=False)


def job_argument(function: F) -> F:
    """The one job of a verb; comes to the callback as ``job``."""
    return click.argument("job", metavar="JOB", shell_complete=complete_jobs)(function)


def jobs_argument(function: F) -> F:
    """The jobs of a verb, at least one; come to the callback as ``jobs``."""
    return click.argument("jobs", nargs=-1, required=True, metavar="JOB...", shell_complete=complete_jobs)(function)


def output_option(function: F) -> F:
    """``-o/--output`` and its short form ``--json``; comes to the callback as ``output`` (None: as set)."""

    def choose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.params["output"] = "json"

    function = click.option(
        "--json", is_flag=True, expose_value=False, callback=choose, help="The same as `--output json`."
    )(function)
    return click.option(
        "-o",
        "--output",
        type=click.Choice(OUTPUTS),
        is_eager=True,
        help="How to print (HOLDFAST_OUTPUT; default: table).",
    )(function)


def json_flag(function: F) -> F:
    """``--json`` for verbs that print one document."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def _session_options() -> list[click.Parameter]:
    return [
        click.Option(["--state-dir"], metavar="DIR", help="The local agent's state directory (HOLDFAST_STATE_DIR)."),
        click.Option(
            ["--connect-timeout"], type=DURATION, metavar="D", help="Longest wait for a connection (default: 10s)."
        ),
        click.Option(["--color"], type=click.Choice(COLORS), help="Colour our own words and tables (default: auto)."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing on standard error but errors."),
        click.Option(["-v", "--verbose"], count=True, help="Say more on standard error."),
    ]


def _take_session(params: dict[str, Any]) -> Session:
    settings = load(
        overrides={
            "host": params.pop("host"),
            "state_dir": params.pop("state_dir"),
            "connect_timeout_s": params.pop("connect_timeout"),
            "color": params.pop("color"),
        }
    )
    terminal = is_terminal(2)
    color = wants_color(settings.color, os.environ, terminal=terminal)
    voice = Voice(quiet=params.pop("quiet", False), verbose=params.pop("verbose"), color=color, terminal=terminal)
    return Session(settings, voice)
