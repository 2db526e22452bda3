"""``holdfast config``: settings, and where each came from."""

from __future__ import annotations

import os

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, policy_text, to_pretty_json
from holdfast.cli.options import json_flag
from holdfast.cli.out import write_all
from holdfast.cli.render import Table, print_table
from holdfast.config import SYSTEM_FILE, Settings, load


@click.group(name="config", short_help="Show settings and where they come from.")
def command() -> None:
    """Show settings. In rising order: defaults, the system's file, the user's file, the environment, flags."""


@command.command(name="view")
@click.option("--origin", is_flag=True, help="Also say where each value came from.")
@json_flag
def view(origin: bool, as_json: bool) -> int:
    """Print the settings that hold here."""
    settings = load()
    values = {name: _text(settings, name) for name in Settings.__struct_fields__ if name != "origins"}
    if as_json:
        document = {
            "schema": SCHEMA,
            "settings": {name: getattr(settings, name) for name in values},
            "origins": dict(settings.origins),
        }
        write_all(1, to_pretty_json(document))
    elif origin:
        rows = tuple((name, value, settings.origins[name]) for name, value in values.items())
        print_table(Table(("SETTING", "VALUE", "ORIGIN"), rows))
    else:
        print_table(Table(("SETTING", "VALUE"), tuple(values.items())))
    return exit_codes.OK


@command.command(name="path")
def path() -> int:
    """Print the settings files that are read, in order; they need not exist."""
    click.echo(SYSTEM_FILE)
    click.echo(os.environ.get("HOLDFAST_CONFIG") or os.path.join(load().config_dir, "config.toml"))
    return exit_codes.OK


def _text(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "on_disconnect":
        return "by kind of job" if value is None else policy_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"
