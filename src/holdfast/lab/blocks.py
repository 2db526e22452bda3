"""What a case shows: pieces of a page, without a word about how they are drawn. Pure.

Terminal, Markdown and HTML each draw all of them (``report/``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.lab.text import Text


class Spread(msgspec.Struct, frozen=True):
    """A figure with its spread over the rounds of one run."""

    median: float
    low: float
    high: float
    unit: str
    """As printed behind the number: "s", "ms", "µs", "req/s", "MiB", "%", "" for a count."""
    rounds: int = 1


def spread(values: list[float] | tuple[float, ...], unit: str) -> Spread:
    """The median, the lowest and the highest of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(median, ordered[0], ordered[-1], unit, len(ordered))


def once(value: float, unit: str) -> Spread:
    """What was measured one time."""
    return Spread(value, value, value, unit)


class Table(msgspec.Struct, frozen=True, tag=True):
    """Rows under headings. Cells that start with a digit are set to the right."""

    title: Text
    headings: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]


class Span(msgspec.Struct, frozen=True):
    """Something that lasted, in seconds from the start of the timeline."""

    start_s: float
    end_s: float
    label: str = ""
    kind: Literal["work", "wait", "hold", "dead"] = "work"
    """Computing or in progress; waiting; holding a lock or a place; over and not taken away (a zombie), or stuck."""


class Mark(msgspec.Struct, frozen=True):
    """Something that happened at one moment."""

    at_s: float
    label: str


class Lane(msgspec.Struct, frozen=True):
    """One thread, process, connection or side."""

    name: str
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()


class Timeline(msgspec.Struct, frozen=True, tag=True):
    """Who did, waited for or held what, when."""

    title: Text
    lanes: tuple[Lane, ...]


class Message(msgspec.Struct, frozen=True):
    """One arrow of a sequence: from ``left`` to ``right`` or back."""

    at_s: float
    to_right: bool
    label: str
    left_state: str = ""
    """State of the left side from now on; "" as before."""
    right_state: str = ""


class Sequence(msgspec.Struct, frozen=True, tag=True):
    """Messages between two sides, downwards in time: a handshake, a conversation."""

    title: Text
    left: str
    right: str
    messages: tuple[Message, ...]


class Series(msgspec.Struct, frozen=True):
    """Points of one name; for bars, x counts from 0 along ``Plot.categories``."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Plot(msgspec.Struct, frozen=True, tag=True):
    """Curves or bars."""

    title: Text
    x_axis: Text
    y_axis: Text
    series: tuple[Series, ...]
    kind: Literal["lines", "bars", "steps"] = "lines"
    log_x: bool = False
    log_y: bool = False
    categories: tuple[str, ...] = ()


class Listing(msgspec.Struct, frozen=True, tag=True):
    """Lines as they came: what a program printed, a table of the kernel, bytes in hexadecimal."""

    title: Text
    lines: tuple[str, ...]


class Remark(msgspec.Struct, frozen=True, tag=True):
    """A paragraph between the others."""

    text: Text


Block = Table | Timeline | Sequence | Plot | Listing | Remark
