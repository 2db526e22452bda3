"""What is said of a job, whatever starts it: flags, and what becomes of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from holdfast.cli.arguments import parse_env, parse_env_file
from holdfast.cli.options import DURATION, RETENTION, RLIMIT, UMASK, AgentVerb, CommandAfterDashes, CommandArguments
from holdfast.cli.session import LOCAL, Session
from holdfast.errors import HoldfastError

F = TypeVar("F", bound=Callable[..., Any])

_FLAGS: Final = (
    click.option("--sh", "script", metavar="TEXT", help="Run TEXT with /bin/sh -c instead of a command."),
    click.option(
        "-e", "--env", "env_items", multiple=True, metavar="K[=V]", help="A variable; without =V it is taken from ours."
    ),
    click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables, one K=V a line."),
    click.option(
        "-w", "--workdir", metavar="DIR", help="Working directory (default: ours for local, else the home directory)."
    ),
    click.option("-u", "--user", metavar="USER", help="Run as another user; the agent must be root's."),
    click.option("--umask", type=UMASK, metavar="MODE", help="File mode mask, octal (default: 022)."),
    click.option(
        "--rlimit",
        "rlimits",
        type=RLIMIT,
        multiple=True,
        metavar="NAME=SOFT[:HARD]",
        help="A resource limit, as nofile=1024.",
    ),
    click.option(
        "--timeout", type=DURATION, metavar="D", help="End it after D; exit code 124. The host itself counts."
    ),
    click.option("--grace", type=DURATION, metavar="D", help="From TERM to KILL when it is ended (default: 10s)."),
    click.option("--leave", is_flag=True, help="Let background processes live on when the command has ended."),
    click.option(
        "--retain",
        type=RETENTION,
        metavar="block|keep-tail=N|kill=N",
        help="All output is kept (block), its last N bytes, or more than N ends the job.",
    ),
    click.option("-l", "--label", default="", metavar="TEXT", help="Free text, for `ps --filter label=TEXT`."),
)


def job_flags(function: F) -> F:
    """The flags that every verb has which starts a command; ``job_options`` takes them."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


class _ShellText:
    """``--sh TEXT`` stands in the place of a command."""

    def may_lack_command(self, own: list[str]) -> bool:
        return any(arg == "--sh" or arg.startswith("--sh=") for arg in own)


class JobCommand(_ShellText, CommandAfterDashes):
    """A verb that takes a host and a command."""


class NamedJobCommand(_ShellText, CommandArguments, AgentVerb):
    """A verb that takes something else and a command; it is told its host by ``-H``."""


def what_to_run(argv: list[str] | None, script: str | None) -> list[str] | str:
    """The command, or the text for a shell.

    Raises:
        UsageError: there is neither, or both.
    """
    what = script if argv is None else argv
    if what is None or (argv is not None and script is not None):
        raise click.UsageError("give either a command after `--` or a text with --sh, not both")
    return what


def job_options(session: Session, flags: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``Host.start`` for ``job_flags``."""
    settings = session.settings
    return {
        "env": _environment(flags["env_files"], flags["env_items"]),
        "cwd": _directory(settings.host, flags["workdir"]),
        "user": flags["user"],
        "umask": flags["umask"],
        "rlimits": dict(flags["rlimits"]) or None,
        "timeout": flags["timeout"],
        "grace": settings.grace_s if flags["grace"] is None else flags["grace"],
        "leave": flags["leave"],
        "retention": flags["retain"],
        "label": flags["label"],
    }


def _directory(host: str, given: str | None) -> str | None:
    """The directory to ask for: a relative one starts at ours where the host is this machine."""
    try:
        if host == LOCAL:
            return os.path.join(os.getcwd(), given) if given else os.getcwd()
    except FileNotFoundError as exc:
        if given is None or not os.path.isabs(given):
            raise HoldfastError("the current directory is gone; name one with -w", ran="no") from exc
    return given


def _environment(files: tuple[str, ...], items: tuple[str, ...]) -> dict[str, str]:
    """Variables of files and flags, later ones winning."""
    env: dict[str, str] = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                env.update(parse_env_file(file.read(), os.environ))
        except OSError as exc:
            raise click.UsageError(f"--env-file {path}: {exc.strerror}") from exc
        except ValueError as exc:
            raise click.UsageError(f"--env-file {path}: {exc}") from exc
    try:
        env.update(parse_env(items, os.environ))
    except ValueError as exc:
        raise click.UsageError(f"-e: {exc}") from exc
    return env
