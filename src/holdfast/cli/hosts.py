"""``holdfast hosts``: the hosts that have a name here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA
from holdfast.cli.options import output_option
from holdfast.cli.render import Table, print_listing
from holdfast.config import load

if TYPE_CHECKING:
    from holdfast.client.hosts import HostEntry


@click.command(name="hosts", short_help="List the hosts that have a name here.")
@output_option
def command(output: str | None) -> int:
    """List the hosts that have a name here, from `hosts.toml`. None of them is asked anything."""
    from holdfast.client.hosts import Hosts

    settings = load()
    entries = sorted(Hosts.load(settings.config_dir), key=lambda entry: entry.name)
    print_listing(
        output or settings.output,
        host_table(entries),
        [host_document(entry) for entry in entries],
        [entry.name for entry in entries],
        settings.color,
    )
    return exit_codes.OK


def host_table(entries: list[HostEntry]) -> Table:
    """Hosts for people. Pure."""
    return Table(("NAME", "ADDRESS", "KEY"), tuple((entry.name, entry.address, entry.key or "-") for entry in entries))


def host_document(entry: HostEntry) -> dict[str, Any]:
    """A host as JSON; what it does not have is null."""
    return {
        "schema": SCHEMA,
        "name": entry.name,
        "address": entry.address,
        "key": entry.key or None,
        "remote": entry.remote or None,
    }
