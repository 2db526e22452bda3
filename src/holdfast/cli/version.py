"""``holdfast version``: client, agent and protocol."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_pretty_json
from holdfast.cli.options import AgentVerb, output_option
from holdfast.cli.out import write_all
from holdfast.cli.session import Session
from holdfast.errors import ConnectFailed, VersionMismatch
from holdfast.wire.limits import PROTOCOL_HIGHEST, PROTOCOL_LOWEST


def client_version() -> str:
    """The version of this installation, as its package metadata has it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "unknown"


@click.command(cls=AgentVerb, name="version", short_help="Print the versions of client, agent and protocol.")
@output_option
def command(session: Session, output: str | None) -> int:
    """Print the versions of this client, of the agent if one runs (none is started), and of the protocol."""
    document = versions(session)
    if session.output_format(output) in ("json", "jsonl"):
        write_all(1, to_pretty_json(document))
        return exit_codes.OK
    agent, protocol = document["agent"], document["protocol"]
    click.echo(f"client    {document['client']}")
    click.echo(f"agent     {agent['software'] if agent else 'none runs'}")
    click.echo(f"protocol  holdfast/{protocol['highest']}")
    return exit_codes.OK


def versions(session: Session) -> dict[str, Any]:
    """What ``version -o json`` prints; ``agent`` is null where none runs."""
    agent: dict[str, Any] | None = None
    error: str | None = None
    try:
        with session.connect(start=False) as host:
            welcome = host.welcome
            agent = {"software": welcome.software, "protocol": welcome.protocol, "host": welcome.host}
    except VersionMismatch as exc:
        error = str(exc)
    except ConnectFailed:
        pass
    return {
        "schema": SCHEMA,
        "client": client_version(),
        "agent": agent,
        "error": error,
        "protocol": {"lowest": PROTOCOL_LOWEST, "highest": PROTOCOL_HIGHEST},
    }
