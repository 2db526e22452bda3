"""``holdfast completion``: scripts for bash, zsh and fish, and the answers they ask for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli import exit_codes
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE: Final = "_HOLDFAST_COMPLETE"
"""Set by the scripts; names the shell that asks and what for."""
CONNECT_S: Final = 0.15
"""A key press does not wait longer for an agent."""
MOST_IDS: Final = 50


@click.command(name="completion", short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a completion script.

    \b
      bash:  holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast
      zsh:   holdfast completion zsh > ~/.zfunc/_holdfast        (with ~/.zfunc in fpath)
      fish:  holdfast completion fish > ~/.config/fish/completions/holdfast.fish
    """
    click.echo(script(shell))
    return exit_codes.OK


def script(shell: str) -> str:
    """The script for a shell."""
    from click.shell_completion import ShellComplete, get_completion_class

    from holdfast.cli.app import cli

    kind = get_completion_class(shell)
    assert kind is not None
    # past the subclass: for bash it would start a bash to ask for its version
    return ShellComplete.source(kind(cli, {}, "holdfast", VARIABLE))


def answer(cli: click.Command) -> int:
    """Print what fits the words on the shell's command line; they are in the environment."""
    from click.shell_completion import shell_complete

    try:
        return shell_complete(cli, {}, "holdfast", VARIABLE, os.environ[VARIABLE])
    except Exception:  # a traceback in the middle of somebody's command line helps nobody
        return exit_codes.HOLDFAST


def job_ids(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Jobs whose id begins like this, newest first, with state and command; none where no agent answers at once."""
    from click.shell_completion import CompletionItem

    import holdfast
    from holdfast.cli.ps import command_text, state_text
    from holdfast.cli.session import LOCAL
    from holdfast.config import load

    try:
        settings = load(overrides={"host": ctx.params.get("host"), "state_dir": ctx.params.get("state_dir")})
        state_dir = settings.state_dir if settings.host == LOCAL else None
        with holdfast.connect(settings.host, timeout=CONNECT_S, state_dir=state_dir, start=False) as host:
            jobs = host.jobs(all=True, limit=MOST_IDS, prefix=incomplete or None)
    except HoldfastError:
        return []
    return [CompletionItem(info.job, help=f"{state_text(info)}  {command_text(info)[:40]}") for info in jobs]


def plan_ids(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Plans whose id begins like this, with state and command; none where no agent answers at once."""
    from click.shell_completion import CompletionItem

    import holdfast
    from holdfast.cli.planning import command_text
    from holdfast.cli.session import LOCAL
    from holdfast.client.plans import HostPlans
    from holdfast.config import load

    try:
        settings = load(overrides={"host": ctx.params.get("host"), "state_dir": ctx.params.get("state_dir")})
        state_dir = settings.state_dir if settings.host == LOCAL else None
        with holdfast.connect(settings.host, timeout=CONNECT_S, state_dir=state_dir, start=False) as host:
            found = [info for info in HostPlans(host).all(over=True) if info.id.startswith(incomplete)][:MOST_IDS]
    except HoldfastError:
        return []
    return [CompletionItem(info.id, help=f"{info.state}  {command_text(info)[:40]}") for info in found]


def host_names(incomplete: str, *, with_local: bool = True) -> list[CompletionItem]:
    """``local`` and the names of hosts.toml that begin like this, with what each stands for; nobody is asked."""
    from click.shell_completion import CompletionItem

    from holdfast.cli.session import LOCAL
    from holdfast.client.hosts import Hosts
    from holdfast.config import load

    try:
        known = {entry.name: entry.address for entry in Hosts.load(load().config_dir)}
    except HoldfastError:
        known = {}
    places = ({LOCAL: "this machine"} if with_local else {}) | dict(sorted(known.items()))
    return [CompletionItem(name, help=place) for name, place in places.items() if name.startswith(incomplete)]
