"""The command ``holdfast``: finds the verb, imports its module and nothing else, and turns every end into an exit code.

Rules of this room:

* One file per verb; it is imported when its verb is called. What all of them share is imported by all of them, so the
  road of ``run`` stays free of asyncio, ssl, sqlite3, rich, logging and the like (tests/unit/cli/test_imports.py).
* Verbs return their exit code or raise; only ``main`` prints errors, so each is one line and none is a traceback.
* Our words go to standard error through ``Voice``; the command's bytes go through ``out.write_all``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.failures import report_crash
from holdfast.cli.out import CannotWrite, ReaderGone, open_missing_fds
from holdfast.cli.voice import Voice, is_terminal, wants_color
from holdfast.errors import HoldfastError

VERBS: Final = {
    "run": "Run a command and return its exit code.",
    "shell": "Type commands, one a line, run on a host.",
    "ps": "List jobs.",
    "logs": "Print the stored output of a job.",
    "attach": "Follow a job live, to its end.",
    "wait": "Wait until jobs have ended.",
    "stop": "End jobs: TERM, a grace period, KILL.",
    "kill": "Send a signal to jobs.",
    "retry": "Run a finished job again, as a new job.",
    "rm": "Forget finished jobs and their output.",
    "prune": "Forget all jobs that ended long ago.",
    "queue": "Keep commands that wait for their turn or their time.",
    "lock": "Run a command that holds a lock.",
    "sem": "Run a command that holds a unit of a semaphore.",
    "leases": "List who holds locks and the like, and who waits.",
    "verify": "Compare a job's stored output with its receipt.",
    "leftovers": "List (and end) processes that outlived their job.",
    "hosts": "List the hosts that have a name here.",
    "host": "Name a host, enrol with it, reach it, forget it.",
    "agent": "Run, start, stop and ask the agent.",
    "lab": "Try the claims about networks and concurrency, and break things on purpose.",
    "tap": "Show an exchange with the agent frame by frame.",
    "doctor": "Check that everything works, and say what to do if not.",
    "config": "Show settings and where they come from.",
    "completion": "Print a completion script for a shell.",
    "version": "Print the versions of client, agent and protocol.",
}
"""Verb -> one line of help. Module and command have the verb's name; aliases are in ``ALIASES``."""
HIDDEN: Final = ("stdio",)
"""Verbs for programs: not listed and not suggested."""
ALIASES: Final = {"status": "ps"}

EXAMPLES: Final = """\
Examples:
  holdfast run -- make -j8              run it, see it live, get its exit code
  holdfast run -d --once nightly -- ./backup   start it once, come back later
  holdfast logs -f JOB                  see what it writes"""


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in VERBS and name not in HIDDEN:
            return None
        module = importlib.import_module(f"holdfast.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            if name.startswith("-"):
                raise click.NoSuchOption(name, ctx=ctx)
            raise click.UsageError(f"there is no verb {name!r}{_did_you_mean(name)}", ctx=ctx)
        return ALIASES.get(name, name), command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):  # from the table above: help must not import nineteen modules
            formatter.write_dl(list(VERBS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\n{EXAMPLES}\n\n`holdfast VERB --help` explains a verb.\n")


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from holdfast.cli.version import client_version

        click.echo(f"holdfast {client_version()}")
        ctx.exit()


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run commands and do not let go of them.

    Output arrives live and byte-exact, a command is started once, its exit status is true, and nothing is left behind:
    through cut connections, crashed clients and restarted agents.
    """
    if ctx.invoked_subcommand is None:
        click.echo(short_help())


def short_help() -> str:
    """What ``holdfast`` alone prints."""
    return (
        "Holdfast runs commands and does not let go of them.\n\n"
        "Usage: holdfast VERB [FLAGS] ...\n\n"
        f"Verbs: {' '.join(VERBS)}\n\n{EXAMPLES}\n\n"
        "`holdfast --help` lists the verbs with a line each; `holdfast VERB --help` explains one."
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; never raises for anything a user can cause.

    Args:
        args: Arguments without the program's name; None for this process's own.
    """
    open_missing_fds()
    if "_HOLDFAST_COMPLETE" in os.environ:
        from holdfast.cli.completion import answer

        return answer(cli)
    voice = Voice(color=wants_color("auto", os.environ, terminal=is_terminal(2)))
    try:
        code = _invoke(list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
    except click.UsageError as exc:
        voice.error(_usage_line(exc))
        return exit_codes.USAGE
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exit_codes.INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        _forget_stdout()
        return exit_codes.BROKEN_PIPE
    except CannotWrite as exc:
        voice.error(f"cannot write the output: {exc}")
        return exit_codes.HOLDFAST
    except HoldfastError as exc:
        ending = exit_codes.of_error(exc)
        voice.error(ending.line or str(exc))
        return ending.code
    except Exception as exc:
        voice.error(report_crash(exc))
        return exit_codes.HOLDFAST
    return code


def _invoke(args: list[str]) -> int:
    result: Any = cli.main(args=args, prog_name="holdfast", standalone_mode=False)
    return result if isinstance(result, int) else exit_codes.OK


def _usage_line(exc: click.UsageError) -> str:
    where = exc.ctx.command_path if exc.ctx is not None else "holdfast"
    text = exc.format_message().rstrip(".").replace("\n", " ")
    if exc.ctx is not None and type(exc).__name__ == "NoArgsIsHelpError":  # its text is the whole help
        command = exc.ctx.command
        names = ", ".join(command.list_commands(exc.ctx)) if isinstance(command, click.Group) else "arguments"
        text = f"what is to be done? {names}"
    return f"{text[:1].lower()}{text[1:]}; nothing was run, see `{where} --help`"


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), [*VERBS, *ALIASES], n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _forget_stdout() -> None:
    """Let nothing of Python's own buffers hit the closed pipe again at exit (docs.python.org, "Note on SIGPIPE")."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
