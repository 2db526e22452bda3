"""Blocks as lines of text, for a terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from holdfast.lab import blocks as b
from holdfast.lab.text import Language

_TIMELINE_COLUMNS: Final = 60
_MOST_LANES: Final = 24
_MOST_LINES: Final = 24
_SIGNS: Final = {"work": "█", "wait": "·", "hold": "▓", "dead": "x"}
_LEGEND: Final = {
    "work": ("works", "运行"),
    "wait": ("waits", "等待"),
    "hold": ("holds or is inside", "持有或在内"),
    "dead": ("dead or stuck", "已死或卡住"),
}
_BAR_COLUMNS: Final = 30


def lines_of(block: b.Block, language: Language) -> list[str]:
    """One block, without an empty line around it."""
    match block:
        case b.Table():
            return _table(block, language)
        case b.Timeline():
            return _timeline(block, language)
        case b.Sequence():
            return _sequence(block, language)
        case b.Plot():
            return _plot(block, language)
        case b.Listing():
            return _listing(block, language)
        case b.Remark():
            return [block.text.of(language)]


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}" if size >= 0.0001 else f"{value:.1e}"


def width(text: str) -> int:
    """Columns of a terminal that it takes; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """Rows of equal length with their columns under each other."""
    columns = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (" " * gap)
        .join(
            cell + " " * (size - width(cell)) if not cell[:1].isdigit() else " " * (size - width(cell)) + cell
            for cell, size in zip(row, columns, strict=True)
        )
        .rstrip()
        for row in rows
    ]


def _table(block: b.Table, language: Language) -> list[str]:
    rows = [[heading.of(language) for heading in block.headings]]
    rows += [[cell.of(language) for cell in row] for row in block.rows]
    return [block.title.of(language), *("  " + line for line in aligned(rows))]


def _timeline(block: b.Timeline, language: Language) -> list[str]:
    lanes = block.lanes[:_MOST_LANES]
    ends = [span.end_s for lane in block.lanes for span in lane.spans] + [
        m.at_s for lane in block.lanes for m in lane.marks
    ]
    whole = max(ends, default=0.0) or 1.0
    names = max((width(lane.name) for lane in lanes), default=0)
    out = [block.title.of(language)]
    for lane in lanes:
        signs = [" "] * (_TIMELINE_COLUMNS + 1)
        for span in lane.spans:
            first, last = _column(span.start_s, whole), _column(span.end_s, whole)
            for column in range(first, max(first + 1, last)):
                signs[column] = _SIGNS[span.kind]
        for mark in lane.marks:
            signs[_column(mark.at_s, whole)] = "|"
        said = "  ".join(f"{number(mark.at_s)} s {mark.label}" for mark in lane.marks)
        out.append(f"  {lane.name}{' ' * (names - width(lane.name))} {''.join(signs)} {said}".rstrip())
    if len(block.lanes) > len(lanes):
        out.append(f"  … {len(block.lanes) - len(lanes)}")
    out.append(f"  {' ' * names} 0 s{' ' * (_TIMELINE_COLUMNS - 10)}{number(whole):>6} s")
    kinds = dict.fromkeys(span.kind for lane in block.lanes for span in lane.spans)
    if kinds:
        which = 0 if language == "en" else 1
        out.append("  " + "   ".join(f"{_SIGNS[kind]} {_LEGEND[kind][which]}" for kind in kinds))
    return out


def _column(at_s: float, whole: float) -> int:
    return min(_TIMELINE_COLUMNS, max(0, round(at_s / whole * _TIMELINE_COLUMNS)))


def _sequence(block: b.Sequence, language: Language) -> list[str]:
    middle = max([30, *(width(message.label) + 6 for message in block.messages)])
    left = max([width(block.left), *(width(message.left_state) for message in block.messages)])
    out = [block.title.of(language), f"  {'':>9}  {_padded(block.left, left)}  {'':{middle}}  {block.right}"]
    for message in block.messages:
        dashes = middle - width(message.label) - 3
        arrow = (
            f"─ {message.label} {'─' * (dashes - 1)}>"
            if message.to_right
            else f"<{'─' * (dashes - 1)} {message.label} ─"
        )
        at = f"{message.at_s * 1e3:.3f} ms"
        out.append(f"  {at:>11} {_padded(message.left_state, left)}  {arrow}  {message.right_state}".rstrip())
    return out


def _padded(text: str, columns: int) -> str:
    return " " * (columns - width(text)) + text


def _plot(block: b.Plot, language: Language) -> list[str]:
    out = [f"{block.title.of(language)}  ({block.x_axis.of(language)} → {block.y_axis.of(language)})"]
    if block.kind == "bars":
        most = max((y for series in block.series for y in series.y), default=0.0) or 1.0
        rows = [
            [name, series.name if len(block.series) > 1 else "", number(series.y[place]),
             "█" * max(1, round(series.y[place] / most * _BAR_COLUMNS))]
            for place, name in enumerate(block.categories)
            for series in block.series
            if place < len(series.y)
        ]  # fmt: skip
        return out + ["  " + line for line in (aligned(rows) if rows else [])]
    xs = sorted({x for series in block.series for x in series.x})
    if len(xs) > _MOST_LINES:
        step = len(xs) / _MOST_LINES
        xs = [xs[int(place * step)] for place in range(_MOST_LINES)]
    heads = [block.x_axis.of(language), *(series.name for series in block.series)]
    rows = [heads, *([number(x), *(_at(series, x) for series in block.series)] for x in xs)]
    return out + ["  " + line for line in aligned(rows)]


def _at(series: b.Series, x: float) -> str:
    return next((number(y) for at, y in zip(series.x, series.y, strict=True) if at == x), "-")


def _listing(block: b.Listing, language: Language) -> list[str]:
    return [block.title.of(language), *("  │ " + line for line in _cut(block.lines))]


def _cut(lines: Sequence[str]) -> Iterable[str]:
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"… {len(lines) - _MOST_LINES}"
