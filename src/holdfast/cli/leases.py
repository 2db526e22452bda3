"""``holdfast leases``: who holds what, and who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA
from holdfast.cli.options import AgentVerb, output_option
from holdfast.cli.render import Table, print_listing
from holdfast.cli.session import Session
from holdfast.units import format_duration

if TYPE_CHECKING:
    from holdfast.wire.messages import LeaseInfo

HEADINGS: Final = ("NAME", "KIND", "STATE", "UNITS", "FENCE", "LEASE", "USER", "OWNER")


@click.command(cls=AgentVerb, name="leases", short_help="List who holds locks and the like, and who waits.")
@click.argument("name", metavar="[NAME]", required=False)
@output_option
def command(session: Session, name: str | None, output: str | None) -> int:
    """List who holds a lock, units of a semaphore or the like on the host, and who waits for one.

    A lease is what is left to a client that is not heard of any more; a job has none, and holds until it has ended.
    """
    with session.connect() as host:
        found = list(host.leases(name))
    print_listing(
        session.output_format(output),
        lease_table(found),
        [lease_document(info) for info in found],
        dict.fromkeys(info.name for info in found),
        session.settings.color,
    )
    return exit_codes.OK


def lease_table(leases: list[LeaseInfo]) -> Table:
    """Leases for people. Pure."""
    rows = [
        (
            info.name,
            info.kind,
            "waits" if info.waiting else "holds",
            str(info.units),
            str(info.token) if info.token else "-",
            "-" if info.left_s is None else format_duration(info.left_s),
            info.principal or "-",
            info.owner or "-",
        )
        for info in leases
    ]
    return Table(HEADINGS, tuple(rows))


def lease_document(info: LeaseInfo) -> dict[str, Any]:
    """One owner of one object, with every field present. Pure."""
    return {
        "schema": SCHEMA,
        "name": info.name,
        "kind": info.kind,
        "state": "waits" if info.waiting else "holds",
        "units": info.units,
        "fence": info.token or None,
        "lease_left_s": info.left_s,
        "user": info.principal or None,
        "owner": info.owner or None,
    }
