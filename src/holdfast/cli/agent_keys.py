"""``holdfast agent invite``, ``principals`` and ``revoke``: who may talk to an agent over the network."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, rfc3339, to_pretty_json
from holdfast.cli.options import DURATION, AgentVerb, json_flag, output_option
from holdfast.cli.out import write_all
from holdfast.cli.render import Table, print_listing
from holdfast.cli.session import Session
from holdfast.units import format_duration
from holdfast.wire.limits import INVITATION_S
from holdfast.wire.messages import PrincipalInfo, RoleName

ROLES: Final = ("viewer", "runner", "operator", "admin")
TTL_S: Final = 600.0


@click.command(cls=AgentVerb, name="invite")
@click.option("--role", type=click.Choice(ROLES), default="operator", help="What its user may do (default: operator).")
@click.option("--ttl", type=DURATION, default=TTL_S, metavar="D", help="How long it can be used (default: 10m).")
@click.option(
    "--address", default="", metavar="ADDR", help="Where the agent is reached, if it listens elsewhere (NAT, a proxy)."
)
def invite(session: Session, role: RoleName, ttl: float, address: str) -> int:
    """Print an invitation: one string for one `holdfast host add NAME` on another machine.

    It is a secret: whoever uses it first is enrolled. It stands alone on the last line of standard output.
    """
    if not 1 <= ttl <= INVITATION_S:
        raise click.UsageError(f"--ttl: from 1s to {format_duration(INVITATION_S)}")
    if address:
        _check_address(address)
    with session.connect() as host:
        answer = host.invite(role=role, ttl=ttl, address=address)
    until = format_duration(max(0.0, round(answer.expires_unix_s - time.time())))
    session.voice.note(
        f"good for one key of role {answer.role}, for {until}; on the other machine: holdfast host add NAME"
    )
    write_all(1, f"{answer.invitation}\n".encode())
    return exit_codes.OK


@click.command(cls=AgentVerb, name="principals")
@output_option
def principals(session: Session, output: str | None) -> int:
    """List everybody who is or was enrolled at the agent."""
    with session.connect() as host:
        found = host.principals()
    print_listing(
        session.output_format(output),
        principal_table(found, now=time.time()),
        [principal_document(info) for info in found],
        [info.name for info in found],
        session.settings.color,
    )
    return exit_codes.OK


@click.command(cls=AgentVerb, name="revoke")
@click.argument("name", metavar="NAME")
@click.option("--jobs", is_flag=True, help="Also stop its running jobs; those that wait never start.")
@json_flag
def revoke(session: Session, name: str, jobs: bool, as_json: bool) -> int:
    """Withdraw a principal's key, at once and for good; its connections are closed.

    The name stays taken: no other key ever gets it, and with it the jobs of this one.
    """
    with session.connect() as host:
        answer = host.revoke(name, jobs=jobs)
    if as_json:
        document = {
            "schema": SCHEMA,
            "principal": answer.principal,
            "connections_closed": answer.connections,
            "jobs_cancelled": answer.jobs_cancelled,
            "jobs_stopped": answer.jobs_stopped,
        }
        write_all(1, to_pretty_json(document))
    else:
        click.echo(
            f"{answer.principal}: revoked; {answer.connections} connections closed, "
            f"{answer.jobs_cancelled} waiting jobs cancelled, {answer.jobs_stopped} running jobs stopped"
        )
    return exit_codes.OK


def principal_table(principals: tuple[PrincipalInfo, ...], *, now: float) -> Table:
    """Principals for people. Pure; ``now`` in Unix seconds."""

    def ago(unix_s: float | None) -> str:
        return "never" if not unix_s else f"{format_duration(max(0.0, now - unix_s))} ago"

    rows = tuple(
        (
            info.name,
            info.role,
            info.state,
            str(info.connections),
            ago(info.enrolled_unix_s),
            ago(info.seen_unix_s),
            info.fingerprint,
        )
        for info in principals
    )
    return Table(("NAME", "ROLE", "STATE", "CONNECTIONS", "ENROLLED", "SEEN", "KEY"), rows, state_column=2)


def principal_document(info: PrincipalInfo) -> dict[str, Any]:
    """A principal as JSON; what is not known is null."""
    return {
        "schema": SCHEMA,
        "name": info.name,
        "role": info.role,
        "state": info.state,
        "key": info.fingerprint,
        "connections": info.connections,
        "enrolled": rfc3339(info.enrolled_unix_s or None),
        "seen": rfc3339(info.seen_unix_s),
        "revoked": rfc3339(info.revoked_unix_s),
    }


def _check_address(address: str) -> None:
    from holdfast.errors import ConnectFailed
    from holdfast.transport.address import parse

    try:
        if parse(address).kind == "tls":
            return
    except ConnectFailed as exc:
        raise click.UsageError(f"--address: {exc}") from exc
    raise click.UsageError(f"--address: {address!r} is not tls://HOST:PORT, which an invitation is for")
