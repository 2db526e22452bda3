"""``holdfast lab``: experiments on networking and concurrency, and the bad network of this project's own tests."""

from __future__ import annotations

import click

from holdfast.cli import lab_cases
from holdfast.cli.lab_chaos import chaos


@click.group(name="lab", short_help="Try the claims about networks and concurrency, and break things on purpose.")
def command() -> None:
    """Try what study notes claim of networks and concurrency, on this machine; or break connections on purpose.

    \b
      holdfast lab list                     what there is
      holdfast lab run deadlock             try it and see what comes out
      holdfast lab run all --quick          everything, in under five minutes
      holdfast lab report --open            the last runs as a page in the browser
    """


for _verb in (lab_cases.list_cases, lab_cases.show, lab_cases.run, lab_cases.report, chaos):
    command.add_command(_verb)
