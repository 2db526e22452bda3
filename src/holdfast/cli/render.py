"""Tables and lists: aligned text; on a terminal with colours, and cut to its width.

Drawn by hand: importing a library for it would double the time of ``holdfast ps``.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from holdfast.cli.documents import to_json, to_pretty_json
from holdfast.cli.out import write_all
from holdfast.cli.voice import is_terminal, visible, wants_color

STDOUT_FD: Final = 1
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_GREEN, _YELLOW, _RED, _MAGENTA = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[35m"
_STATE_COLORS: Final = {
    "queued": _YELLOW,
    "starting": _YELLOW,
    "running": _GREEN,
    "ending": _MAGENTA,
    "ok": _GREEN,
    "failed": _RED,
    "timeout": _RED,
    "lost": _RED,
    "damaged": _RED,
}
_GAP: Final = 2
_LAST_COLUMN: Final = 20
"""The last column is cut to the terminal's width, but never below this: then lines wrap."""


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
    """A table on standard output."""
    terminal = is_terminal(STDOUT_FD)
    text = text_table(
        table,
        width=terminal_width(os.environ) if terminal else None,
        color=wants_color(color, os.environ, terminal=terminal),
    )
    write_all(STDOUT_FD, text.encode("utf-8", "backslashreplace"))


def text_table(table: Table, *, width: int | None = None, color: bool = False) -> str:
    """Columns padded with spaces, two apart; control characters are made visible. Pure.

    Args:
        table: What to show.
        width: Columns of the terminal, to which the last column is cut; None: nothing is cut.
        color: Bold headings and coloured states.
    """
    rows = [table.headings, *table.rows]
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(text_width, column)) for column in zip(*cells, strict=True)]
    room = None if width is None else max(_LAST_COLUMN, width - sum(widths[:-1]) - _GAP * (len(widths) - 1))
    lines = []
    for number, row in enumerate(cells):
        if room is not None:
            row[-1] = cut(row[-1], room)
        styles = [_BOLD if color and number == 0 else ""] * len(row)
        if color and number and table.state_column >= 0:
            styles[table.state_column] = _STATE_COLORS.get(row[table.state_column].partition(" ")[0], "")
        padded = [_styled(cell, style, size) for cell, style, size in zip(row, styles, [*widths[:-1], 0], strict=True)]
        lines.append((" " * _GAP).join(padded).rstrip(" "))
    return "".join(f"{line}\n" for line in lines)


def text_width(text: str) -> int:
    """Terminal columns of a text: wide East Asian characters count two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits into ``width`` columns with an ellipsis at its end."""
    if text_width(text) <= width:
        return text
    used, kept = 1, 0  # one column for the ellipsis
    for char in text:
        used += _char_width(char)
        if used > width:
            break
        kept += 1
    return f"{text[:kept]}\N{HORIZONTAL ELLIPSIS}"


def terminal_width(env: Mapping[str, str]) -> int:
    """Columns of the terminal on standard output: COLUMNS where it is set and sensible, else what the terminal says."""
    columns = env.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(STDOUT_FD).columns or 80
    except OSError:
        return 80


def _char_width(char: str) -> int:
    return 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _styled(text: str, style: str, width: int) -> str:
    blanks = " " * (width - text_width(text))
    return f"{style}{text}{_PLAIN}{blanks}" if style else f"{text}{blanks}"
