"""``holdfast host``: give a host a name, enrol with its agent, look at it, reach it, forget it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes, host_ping
from holdfast.cli.documents import to_pretty_json
from holdfast.cli.hosts import host_document
from holdfast.cli.invitations import read_invitation
from holdfast.cli.options import DURATION, complete_names, json_flag
from holdfast.cli.out import write_all
from holdfast.cli.voice import Voice, is_terminal, wants_color
from holdfast.config import Settings, load
from holdfast.errors import HoldfastError, SettingsError

if TYPE_CHECKING:
    from holdfast.client.hosts import HostEntry

ENROLLED: Final = "tls"
"""The kind of address that takes an invitation; with the others the system says who we are."""


@click.group(name="host", short_help="Name a host, enrol with it, reach it, forget it.")
def command() -> None:
    """Hosts have names in `hosts.toml`. Those reached over TLS are enrolled: each side keeps the other's key."""


command.add_command(host_ping.command)


@command.command(name="add")
@click.argument("name", metavar="NAME")
@click.argument("invitation", metavar="[INVITATION|-]", required=False)
@click.option("--address", metavar="ADDR", help="Where it is reached from here; ssh:// and unix:// take no invitation.")
@click.option("--as", "as_name", metavar="USER@MACHINE", help="What to be called there (default: user@machine, ours).")
@click.option("--connect-timeout", type=DURATION, metavar="D", help="Longest wait for the agent (default: 10s).")
@json_flag
def add(
    name: str,
    invitation: str | None,
    address: str | None,
    as_name: str | None,
    connect_timeout: float | None,
    as_json: bool,
) -> int:
    """Give a host a name, and enrol with its agent.

    \b
      holdfast host add web1                    asks for the invitation and does not show it
      holdfast host add web1 - < invitation
      holdfast host add db --address ssh://anna@db.example.org

    `holdfast agent invite` on the host prints the invitation. The agent's key is compared with the one in the
    invitation before anything is sent.
    """
    settings = load(overrides={"connect_timeout_s": connect_timeout})
    _check_free(settings, name)
    if address is not None and _kind(address) != ENROLLED:
        if invitation is not None or as_name is not None:
            raise click.UsageError(f"{address} takes no invitation: who you are there is not a key of Holdfast")
        _say_added(_add_without_key(settings, name, address), "", as_json=as_json)
        return exit_codes.OK
    text = read_invitation(invitation)
    from holdfast.client.enrol import enrol

    try:
        result, entry = enrol(
            name,
            text,
            address=address,
            config_dir=settings.config_dir,
            as_name=as_name,
            timeout_s=settings.connect_timeout_s,
        )
    except HoldfastError as exc:  # no command is at stake here, so nothing is said of whether one ran
        color = wants_color(settings.color, os.environ, terminal=is_terminal(2))
        Voice(color=color).error(f"{name}: {exc}")
        return exit_codes.of_error(exc).code
    _say_added(entry, f"enrolled as {result.principal}, role {result.role}", as_json=as_json)
    return exit_codes.OK


@command.command(name="show")
@click.argument("name", metavar="NAME", shell_complete=complete_names)
@json_flag
def show(name: str, as_json: bool) -> int:
    """Show what is known of a host here: its address, and its agent's key. It is asked nothing."""
    entry = _find(load(), name)
    if as_json:
        write_all(1, to_pretty_json(host_document(entry)))
        return exit_codes.OK
    facts = {"name": entry.name, "address": entry.address, "key": entry.key, "remote": entry.remote}
    for fact, text in facts.items():
        if text:
            click.echo(f"{fact:9} {text}")
    return exit_codes.OK


@command.command(name="rm")
@click.argument("name", metavar="NAME", shell_complete=complete_names)
def rm(name: str) -> int:
    """Forget a host: its name, its address, and the key of its agent.

    The agent still knows our key; `holdfast agent revoke` there ends that.
    """
    from holdfast.client.hosts import Hosts

    gone = Hosts.load(load().config_dir).remove(name)
    click.echo(f"{gone.name}: forgotten ({gone.address})")
    return exit_codes.OK


def _find(settings: Settings, name: str) -> HostEntry:
    from holdfast.client.hosts import Hosts

    return Hosts.load(settings.config_dir).find(name)


def _check_free(settings: Settings, name: str) -> None:
    """Refuse a name that cannot be one, or is one already, before anybody is asked for a secret."""
    from holdfast.client.hosts import Hosts, check_name

    try:
        check_name(name)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    known = Hosts.load(settings.config_dir).get(name)
    if known is not None:
        raise SettingsError(
            f"{name} is known already ({known.address}): `holdfast host rm {name}` first, or another name"
        )


def _add_without_key(settings: Settings, name: str, address: str) -> HostEntry:
    from holdfast.client.hosts import HostEntry, Hosts

    entry = HostEntry(name, address)
    Hosts.load(settings.config_dir).add(entry)
    return entry


def _kind(address: str) -> str:
    """What kind of address this is, if it is one that a name may stand for."""
    from holdfast.errors import ConnectFailed
    from holdfast.transport.address import parse

    try:
        kind = parse(address).kind
    except ConnectFailed as exc:
        raise click.UsageError(f"--address: {exc}") from exc
    if kind == "name":
        raise click.UsageError(f"--address: {address!r} has no scheme: write tls://{address} or ssh://{address}")
    return kind


def _say_added(entry: HostEntry, what: str, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = host_document(entry)
        write_all(1, to_pretty_json(document))
    else:
        click.echo(f"{entry.name}: {what or f'stands for {entry.address}'}")
