"""A timeline as a drawing: a lane for each, and in it who works, waits and holds what, when. Pure.

Kinds differ in form as well as in colour: who works has a bar, who waits a thin line, who holds something a high bar, and
who is dead or stuck an empty frame of dashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from holdfast.lab.blocks import Lane, Mark, Span, Timeline
from holdfast.lab.report import svg
from holdfast.lab.report.markup import Markup, element
from holdfast.lab.report.words import KINDS, colon, word
from holdfast.lab.text import Language

MOST_LANES: Final = 40
_BAR: Final = 20.0
_ROW: Final = 14.0
_GAP: Final = 7.0
_ABOVE: Final = 15.0
"""What a name takes that stands above its lane."""
_HEIGHTS: Final = {"work": 12.0, "wait": 4.0, "hold": 20.0, "dead": 14.0}
_SMALL: Final = 11
_MOST_ROWS: Final = 4
_HAIR: Final = 0.5
"""Bars narrower than that, and as close, are drawn as one."""


class _Field(NamedTuple):
    """Where times are drawn."""

    left: float
    right: float
    end: float
    """Where drawing ends; labels may go to there."""
    low_s: float
    high_s: float
    unit: svg.Unit

    def x(self, at_s: float) -> float:
        return self.left + (at_s - self.low_s) / (self.high_s - self.low_s) * (self.right - self.left)


class _Placed(NamedTuple):
    """A label of a mark: its row (0 is within the lane), where its text begins, and whether it is drawn at all."""

    mark: Mark
    row: int
    x: float
    words: str


def draw(block: Timeline, language: Language, key: str, *, width: int = svg.WIDE) -> Markup:
    """The drawing.

    Args:
        block: What is to be drawn.
        language: Of its words.
        key: Unlike that of any other drawing of the page.
        width: ``svg.WIDE`` or ``svg.NARROW``.
    """
    lanes = block.lanes[:MOST_LANES]
    field, above = _field(lanes, width)
    parts, y = _legend(lanes, language, width)
    top = y
    bodies: list[Markup] = []
    for lane in lanes:
        body, height = _lane(lane, field, y, language, above=above)
        bodies.append(body)
        y += height
    if len(block.lanes) > len(lanes):
        y += _ROW
        bodies.append(
            svg.text(4, y, word("more-lanes", language).format(count=len(block.lanes) - len(lanes)), class_="soft")
        )
        y += 6
    parts += [*_axis(field, top, y), *bodies]
    return svg.frame(
        parts,
        width=width,
        height=y + 24,
        title=f"{word('timeline', language)}{colon(language)}{block.title.of(language)}",
        says=_says(lanes, field, language),
        key=key,
    )


def rows(block: Timeline, language: Language) -> list[tuple[str, str, str, str]]:
    """Lane, what, from and to, of everything that is drawn."""
    lanes = block.lanes[:MOST_LANES]
    low, high = _range(lanes)
    unit = svg.unit_of(high - low)
    out = []
    for lane in lanes:
        pieces = [(s.start_s, _named(s, language), svg.said(s.end_s, unit)) for s in lane.spans]
        pieces += [(mark.at_s, mark.label, "") for mark in lane.marks]
        out += [(lane.name, what, svg.said(at, unit), to) for at, what, to in sorted(pieces, key=lambda p: p[0])]
    return out


def _named(span: Span, language: Language) -> str:
    kind = KINDS[span.kind].of(language)
    return f"{kind}{colon(language)}{span.label}" if span.label else kind


def _range(lanes: Sequence[Lane]) -> tuple[float, float]:
    times = [time for lane in lanes for span in lane.spans for time in (span.start_s, span.end_s)]
    times += [mark.at_s for lane in lanes for mark in lane.marks]
    low, high = min([0.0, *times]), max([0.0, *times])
    return low, high if high > low else low + 1.0


def _field(lanes: Sequence[Lane], width: int) -> tuple[_Field, bool]:
    """Where times are drawn, and whether names stand above their lanes."""
    low, high = _range(lanes)
    names = max((svg.width_of(lane.name) for lane in lanes), default=0.0)
    above = names > width * 0.26
    left = 8.0 if above else names + 14
    last = [
        mark
        for lane in lanes
        for mark in lane.marks
        if (mark.at_s - low) / (high - low) > 0.75 and _is_last(mark, lane)
    ]
    labels = max((svg.width_of(mark.label, _SMALL) for mark in last), default=0.0)
    end = width - 8.0
    right = end - (labels + 9 if labels + 9 <= width * 0.25 else 14)
    return _Field(left, right, end, low, high, svg.unit_of(high - low)), above


def _is_last(mark: Mark, lane: Lane) -> bool:
    return all(other.at_s <= mark.at_s for other in lane.marks) and all(s.end_s <= mark.at_s for s in lane.spans)


def _legend(lanes: Sequence[Lane], language: Language, width: int) -> tuple[list[Markup], float]:
    """The kinds that occur, and where the lanes begin."""
    kinds = [kind for kind in KINDS if any(span.kind == kind for lane in lanes for span in lane.spans)]
    entries = [(kind, KINDS[kind].of(language)) for kind in kinds]
    if any(lane.marks for lane in lanes):
        entries.append(("mark", word("event", language)))
    parts, x, y = [], 8.0, 14.0
    for kind, words in entries:
        room = 28 + svg.width_of(words, _SMALL) + 16
        if x > 8 and x + room > width:
            x, y = 8.0, y + 20
        sign = _diamond(x + 10, y - 4) if kind == "mark" else _bar(kind, x, x + 22, y - 4)
        parts += [sign, svg.text(x + 28, y, words, class_="soft")]
        x += room
    return parts, y + 14 if entries else 8.0


def _axis(field: _Field, top: float, bottom: float) -> Iterator[Markup]:
    unit = field.unit
    most = max(3, int((field.right - field.left) / 70))
    for tick in svg.ticks(field.low_s * unit.per_second, field.high_s * unit.per_second, most):
        x = field.x(tick / unit.per_second)
        yield svg.line(x, top, x, bottom, "grid")
        words = f"{tick:g} {unit.name}"
        half = svg.width_of(words, _SMALL) / 2
        x = min(max(x, half + 2), field.end + 8 - half)
        yield svg.text(x, bottom + 16, words, anchor="middle", class_="soft")


def _lane(lane: Lane, field: _Field, y: float, language: Language, *, above: bool) -> tuple[Markup, float]:
    parts, first = [], y
    if above:
        parts.append(svg.text(field.left, y + 11, svg.cut(lane.name, field.end - field.left)))
        y += _ABOVE
    middle = y + _BAR / 2
    if not above:
        parts.append(svg.text(field.left - 8, middle + 4, lane.name, anchor="end"))
    parts += [_span(span, field, middle, lane.name, language) for span in _merged(lane.spans, field)]
    placed, used = _place(lane, field)
    parts += [_lead(each, field, middle, y) for each in placed if each.row > 0 and each.words]
    for each in placed:
        at = f"{lane.name}{colon(language)}{each.mark.label} ({svg.said(each.mark.at_s, field.unit)})"
        parts.append(element("g", element("title", at), _diamond(field.x(each.mark.at_s), middle)))
        if each.words:
            base = middle + 4 if each.row == 0 else y + _BAR + each.row * _ROW - 3
            parts.append(svg.text(each.x, base, each.words, class_="soft"))
    return element("g", *parts), y + _BAR + used * _ROW + _GAP - first


def _lead(placed: _Placed, field: _Field, middle: float, y: float) -> Markup:
    x = field.x(placed.mark.at_s)
    return svg.line(x, middle, x, y + _BAR + placed.row * _ROW - 5, "lead")


def _merged(spans: Sequence[Span], field: _Field) -> list[Span]:
    """Spans, those that are too short to be seen put together with what they touch."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start_s):
        if out and out[-1].kind == span.kind and not (out[-1].label or span.label):
            before = out[-1]
            narrow = min(field.x(s.end_s) - field.x(s.start_s) for s in (before, span)) < _HAIR
            if narrow and field.x(span.start_s) - field.x(before.end_s) < _HAIR:
                out[-1] = Span(before.start_s, max(before.end_s, span.end_s), kind=span.kind)
                continue
        out.append(span)
    return out


def _span(span: Span, field: _Field, middle: float, name: str, language: Language) -> Markup:
    x, to = field.x(span.start_s), field.x(span.end_s)
    when = f"{svg.said(span.start_s, field.unit)} – {svg.said(span.end_s, field.unit)}"
    parts = [
        element("title", f"{name}{colon(language)}{_named(span, language)} ({when})"),
        _bar(span.kind, x, to, middle),
    ]
    if span.label and span.kind != "wait" and (words := svg.cut(span.label, to - x - 8, _SMALL)) not in ("", "…"):
        class_ = "soft" if span.kind == "dead" else "within"
        parts.append(svg.text((x + to) / 2, middle + 4, words, anchor="middle", class_=class_))
    return element("g", *parts)


def _bar(kind: str, x: float, to: float, middle: float) -> Markup:
    height = _HEIGHTS[kind]
    return element(
        "rect",
        x=svg.number(x),
        y=svg.number(middle - height / 2),
        width=svg.number(max(to - x, 1.0)),
        height=svg.number(height),
        rx=2 if to - x > 4 else None,
        class_=kind,
    )


def _diamond(x: float, y: float) -> Markup:
    points = ((x, y - 5), (x + 4, y), (x, y + 5), (x - 4, y))
    return element("polygon", points=" ".join(f"{svg.number(a)},{svg.number(b)}" for a, b in points), class_="mark")


def _place(lane: Lane, field: _Field) -> tuple[list[_Placed], int]:
    """Where the labels of the marks go so that none covers another; what finds no room is only in the tables."""
    marks = sorted(lane.marks, key=lambda mark: mark.at_s)
    bars = [(field.x(span.start_s), field.x(span.end_s)) for span in lane.spans]
    taken: list[list[tuple[float, float]]] = [
        [*bars, *((field.x(m.at_s) - 5, field.x(m.at_s) + 5) for m in marks)],
        *([] for _ in range(_MOST_ROWS)),
    ]
    placed = []
    for mark in marks:
        at = field.x(mark.at_s)
        words = svg.cut(mark.label, field.end - 8, _SMALL)
        long = svg.width_of(words, _SMALL)
        start = at + 4 if at + 4 + long <= field.end else max(8.0, at - 4 - long)
        for row, others in enumerate(taken):
            x = at + 7 if row == 0 else start
            fits = x + long <= field.end + 1 and all(x + long < low or x > high for low, high in others)
            if fits and words:
                others.append((x, x + long + 6))
                placed.append(_Placed(mark, row, x, words))
                break
        else:
            placed.append(_Placed(mark, 0, at, ""))
    return placed, max((each.row for each in placed if each.words), default=0)


def _says(lanes: Sequence[Lane], field: _Field, language: Language) -> str:
    whole = word("lanes", language).format(count=len(lanes), time=svg.said(field.high_s - field.low_s, field.unit))
    first = [
        f"{lane.name}{colon(language)}{', '.join(dict.fromkeys(_named(s, language) for s in lane.spans))}"
        for lane in lanes[:8]
    ]
    return "; ".join([whole, *first])
