"""Where an invitation comes from: an argument, standard input, or a prompt that does not show it.

It is a secret, so the last two are the better ways: an argument is seen in the list of processes and stays in the
shell's history.
"""

from __future__ import annotations

import os
from typing import Final

import click

from holdfast.cli.voice import is_terminal

STDIN_FD: Final = 0
MOST_BYTES: Final = 64 << 10
"""What is read of standard input: an invitation, and what `agent invite` may have said before it."""


def read_invitation(given: str | None) -> str:
    """The invitation: as given, or (None, ``-``) the last line of standard input, or what is typed at a prompt.

    Raises:
        click.UsageError: there is none.
        click.Abort: Ctrl-C or the end of input at the prompt.
    """
    if given is not None and given != "-":
        return given
    if given is None and is_terminal(STDIN_FD):
        return str(click.prompt("invitation", hide_input=True, err=True)).strip()
    lines = [line for line in _standard_input().decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        raise click.UsageError(
            "no invitation: `holdfast agent invite` on the other machine prints one, and its place is standard input"
        )
    return lines[-1].strip()


def _standard_input() -> bytes:
    found = bytearray()
    while len(found) <= MOST_BYTES:
        try:
            data = os.read(STDIN_FD, MOST_BYTES)
        except OSError as exc:
            raise click.UsageError(f"standard input cannot be read: {exc.strerror}") from exc
        if not data:
            return bytes(found)
        found += data
    raise click.UsageError(f"standard input holds more than {MOST_BYTES} bytes; an invitation is one line")
