"""Tables and lists. Plain text is aligned by hand; rich is imported only for a table on a terminal."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
import msgspec

from holdfast.cli.documents import to_json, to_pretty_json
from holdfast.cli.out import write_all
from holdfast.cli.voice import is_terminal, visible, wants_color

STDOUT_FD: Final = 1
_STATE_COLORS: Final = {
    "queued": "yellow",
    "starting": "yellow",
    "running": "green",
    "ending": "magenta",
    "failed": "red",
    "lost": "red",
    "ok": "green",
    "fail": "red",
    "warn": "yellow",
}


class Table(msgspec.Struct, frozen=True):
    """Rows of text under headings. ``state_column`` is the one whose words have colours, -1 for none."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    state_column: int = -1


def print_listing(
    output: str, table: Table, documents: Sequence[dict[str, Any]], names: Iterable[str], color: str
) -> None:
    """Print a listing in one of the formats of ``-o``.

    Args:
        output: ``table``, ``wide``, ``json`` (one document), ``jsonl`` (one a line) or ``name`` (ids alone).
        table: What ``table`` and ``wide`` show.
        documents: What the JSON formats show.
        names: What ``name`` shows.
        color: The setting ``color``.
    """
    if output == "json":
        write_all(STDOUT_FD, to_pretty_json(documents))
    elif output == "jsonl":
        write_all(STDOUT_FD, b"".join(to_json(document) for document in documents))
    elif output == "name":
        write_all(STDOUT_FD, "".join(f"{name}\n" for name in names).encode())
    else:
        print_table(table, color=color)


def print_table(table: Table, *, color: str = "auto") -> None:
    """A table on standard output: for people on a terminal, aligned text otherwise."""
    if is_terminal(STDOUT_FD) and os.environ.get("TERM") != "dumb":
        _print_rich(table, color=wants_color(color, os.environ, terminal=True))
    else:
        write_all(STDOUT_FD, plain_table(table).encode("utf-8", "backslashreplace"))


def plain_table(table: Table) -> str:
    """Columns padded with spaces, two apart; the last one is never padded nor cut. Control characters are visible."""
    rows = [table.headings, *(tuple(visible(cell) for cell in row) for row in table.rows)]
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    widths[-1] = 0
    lines = ("  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def text_width(text: str) -> int:
    """Terminal columns of a text: wide East Asian characters count two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(text: str, width: int) -> str:
    return text + " " * (width - text_width(text))


def _print_rich(table: Table, *, color: bool) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(no_color=not color, highlight=False, emoji=False, markup=False, width=_columns())
    shown = RichTable(box=None, pad_edge=False, show_edge=False, header_style="bold" if color else "")
    last = len(table.headings) - 1
    for at, heading in enumerate(table.headings):
        shown.add_column(heading, no_wrap=True, overflow="ellipsis" if at == last else "fold", min_width=len(heading))
    for row in table.rows:
        cells = [Text(visible(cell)) for cell in row]
        if color and table.state_column >= 0:
            words = row[table.state_column].split()
            cells[table.state_column].stylize(_STATE_COLORS.get(words[0] if words else "", ""))
        shown.add_row(*cells)
    console.print(shown)


def _columns() -> int | None:
    """COLUMNS where it is set and sensible; None: rich asks the terminal."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else None


def echo(text: str) -> None:
    """One line of text on standard output."""
    click.echo(text)
