"""Messages between two sides as a drawing: two lines downwards, an arrow for each message, states beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from holdfast.lab.blocks import Message, Sequence
from holdfast.lab.report import svg
from holdfast.lab.report.markup import Markup, element
from holdfast.lab.report.words import colon, word
from holdfast.lab.text import Language

MOST_MESSAGES: Final = 60
_SMALL: Final = 11
_LINE: Final = 15.0
_SLANT: Final = 8.0
"""How much lower an arrow ends than it begins: messages take their time."""
_TOP: Final = 30.0


class _Lines(NamedTuple):
    """Where the two sides are, and how much room is beside them."""

    left: float
    right: float
    beside: float
    times: float
    """Room for a column of times; 0: they stand with the labels."""


def draw(block: Sequence, language: Language, key: str, *, width: int = svg.WIDE) -> Markup:
    """The drawing; arguments as of a timeline."""
    messages = block.messages[:MOST_MESSAGES]
    unit = svg.unit_of(max((message.at_s for message in messages), default=0.0))
    lines = _lines(block, width)
    parts: list[Markup] = []
    y = _TOP
    for message in _changes(messages):
        drawn, height = _message(message, lines, y, unit)
        parts += drawn
        y += height
    if len(block.messages) > len(messages):
        more = word("more-lanes", language).format(count=len(block.messages) - len(messages))
        parts.append(svg.text((lines.left + lines.right) / 2, y + 10, more, anchor="middle", class_="soft"))
        y += _LINE
    y += 8
    sides = [
        svg.line(x, _TOP - 8, x, y, "life") for x in (lines.left, lines.right)
    ] + [
        svg.text(x, 16, svg.cut(name, (lines.right - lines.left) * 0.8), anchor="middle", class_="strong")
        for x, name in ((lines.left, block.left), (lines.right, block.right))
    ]  # fmt: skip
    return svg.frame(
        [*sides, *parts],
        width=width,
        height=y + 4,
        title=f"{word('sequence', language)}{colon(language)}{block.title.of(language)}",
        says=_says(block, unit, language),
        key=key,
    )


def rows(block: Sequence) -> list[tuple[str, str, str, str]]:
    """Time, from, to and label of all messages, with the states that they bring."""
    unit = svg.unit_of(max((message.at_s for message in block.messages), default=0.0))
    out = []
    for message in _changes(block.messages):
        pair = (block.left, block.right) if message.to_right else (block.right, block.left)
        states = ((block.left, message.left_state), (block.right, message.right_state))
        brought = "; ".join(f"{side} {state}" for side, state in states if state)
        out.append((svg.said(message.at_s, unit), *pair, f"{message.label} [{brought}]" if brought else message.label))
    return out


def _changes(messages: Iterable[Message]) -> Iterator[Message]:
    """The messages with such states only as are not those of before."""
    left = right = ""
    for message in messages:
        yield Message(
            message.at_s,
            message.to_right,
            message.label,
            "" if message.left_state == left else message.left_state,
            "" if message.right_state == right else message.right_state,
        )
        left, right = message.left_state or left, message.right_state or right


def _lines(block: Sequence, width: int) -> _Lines:
    states = [state for message in block.messages for state in (message.left_state, message.right_state) if state]
    wide = width > svg.NARROW
    times = 62.0 if wide else 0.0
    least = max(svg.width_of(name) / 2 for name in (block.left, block.right)) + 4
    wanted = max((svg.width_of(state, _SMALL) + 18 for state in states), default=0.0)
    beside = max(min(max(wanted, least), width * (0.24 if wide else 0.29)), 16)
    return _Lines(times + beside, width - beside, beside, times)


def _message(message: Message, lines: _Lines, y: float, unit: svg.Unit) -> tuple[list[Markup], float]:
    at = svg.said(message.at_s, unit)
    label = message.label if lines.times else f"{message.label} ({at})"
    words = svg.wrapped(label, lines.right - lines.left - 28)
    parts = [
        svg.text((lines.left + lines.right) / 2, y + 12 + _LINE * place, piece, anchor="middle")
        for place, piece in enumerate(words)
    ]
    arrow = y + 12 + _LINE * (len(words) - 1) + 8
    x1, x2 = (lines.left + 3, lines.right - 3) if message.to_right else (lines.right - 3, lines.left + 3)
    parts.append(svg.line(x1, arrow, x2 + (-6 if message.to_right else 6), arrow + _SLANT, "arrow"))
    parts.append(_head(x2, arrow + _SLANT, to_right=message.to_right))
    if lines.times:
        parts.append(svg.text(4, arrow + 4, at, class_="soft"))
    height = arrow + _SLANT - y
    for state, x, side in ((message.left_state, lines.left, -1), (message.right_state, lines.right, 1)):
        if state:
            sent = (side < 0) == message.to_right
            drawn, tall = _state(state, x, side, arrow + (0 if sent else _SLANT), lines.beside)
            parts += drawn
            height = max(height, arrow - y + tall)
    return parts, height + 8


def _head(x: float, y: float, *, to_right: bool) -> Markup:
    back = -9 if to_right else 9
    points = ((x, y), (x + back, y - 5), (x + back, y + 5))
    return element("polygon", points=" ".join(f"{svg.number(a)},{svg.number(b)}" for a, b in points), class_="head")


def _state(state: str, x: float, side: int, y: float, room: float) -> tuple[list[Markup], float]:
    """A frame with a state beside its line, at ``y``, and how far it reaches below."""
    lines = svg.wrapped(state, room - 18, _SMALL)
    wide = max(svg.width_of(line, _SMALL) for line in lines) + 10
    tall = 14.0 * len(lines) + 5
    near = x + side * 6
    left = near if side > 0 else near - wide
    frame = element(
        "rect",
        x=svg.number(left),
        y=svg.number(y - 9),
        width=svg.number(wide),
        height=svg.number(tall),
        rx=4,
        class_="state",
    )
    words = [
        svg.text(left + wide / 2, y + 3.5 + 14 * place, line, anchor="middle", class_="soft")
        for place, line in enumerate(lines)
    ]
    return [frame, *words], tall - 9 + 4


def _says(block: Sequence, unit: svg.Unit, language: Language) -> str:
    whole = word("messages", language).format(count=len(block.messages), left=block.left, right=block.right)
    return "; ".join(
        [whole, *(f"{svg.said(m.at_s, unit)} {'→' if m.to_right else '←'} {m.label}" for m in block.messages[:12])]
    )
