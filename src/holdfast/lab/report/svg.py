"""What all drawings share: colours of both themes, sizes of text, ticks of time. Pure.

Colours are variables, so that a drawing within a page follows its theme; one that is a file of its own brings them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from holdfast.lab.report.markup import Markup, element

WIDE: Final = 720
NARROW: Final = 350
TEXT: Final = 12
"""Size of the text of drawings."""
SERIES: Final = 12
"""Colours of series; afterwards they begin again."""

_INK: Final = {"ink": ("#1c2128", "#e6e9ee"), "soft": ("#57606a", "#a3adb8"), "line": ("#d3d9e0", "#3a424d"),
               "paper": ("#ffffff", "#14181d"), "on-bar": ("#ffffff", "#0d1117")}  # fmt: skip
_BARS: Final = {"work": ("#1a7f4b", "#4cc38a"), "wait": ("#8c959f", "#848d97"), "hold": ("#0a5fc2", "#6cb0ff"),
                "dead": ("#c2272d", "#ff8b84")}  # fmt: skip
_SERIES: Final = (("#0068a8", "#5bb8f5"), ("#c24e00", "#ff9d5c"), ("#00795a", "#3ccfa3"), ("#a23b79", "#ec94c6"),
                  ("#7a6000", "#e5c445"), ("#5b4bc4", "#b3a7ff"), ("#5f6b76", "#b3bcc6"), ("#a8323e", "#ff9aa2"),
                  ("#0e7c86", "#58d3de"), ("#8c4b1f", "#d9a27c"), ("#43681a", "#a9d16a"), ("#86198f", "#e08bf0"))  # fmt: skip
COLORS: Final = {**_INK, **_BARS, **{f"s{place}": pair for place, pair in enumerate(_SERIES)}}
"""By name: in the light and in the dark."""

FONTS: Final = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", sans-serif'

RULES: Final = f"""
svg.drawing {{ font-family: {FONTS}; font-size: {TEXT}px; }}
svg.drawing text {{ fill: var(--ink); }}
svg.drawing .soft {{ fill: var(--soft); font-size: 11px; }}
svg.drawing .within {{ fill: var(--on-bar); font-size: 11px; }}
svg.drawing .strong {{ font-weight: 600; }}
svg.drawing .grid {{ stroke: var(--line); stroke-width: 1; }}
svg.drawing .life {{ stroke: var(--soft); stroke-width: 2; }}
svg.drawing .arrow {{ stroke: var(--hold); stroke-width: 2; fill: none; }}
svg.drawing .head {{ fill: var(--hold); }}
svg.drawing .state {{ fill: var(--paper); stroke: var(--work); stroke-width: 1.5; }}
svg.drawing .lead {{ stroke: var(--soft); stroke-width: 1; }}
svg.drawing .mark {{ fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }}
svg.drawing .work {{ fill: var(--work); }}
svg.drawing .wait {{ fill: var(--wait); }}
svg.drawing .hold {{ fill: var(--hold); }}
svg.drawing .dead {{ fill: none; stroke: var(--dead); stroke-width: 2; stroke-dasharray: 4 3; }}
"""

_OPENING: Final = re.compile(r"<svg[^>]*>")


def variables(theme: int) -> str:
    """The colours as CSS declarations; 0 is light, 1 is dark."""
    return " ".join(f"--{name}: {pair[theme]};" for name, pair in COLORS.items())


def standalone(drawing: str) -> str:
    """A drawing as a file of its own, in the light and in the dark."""
    style = (
        f"<style>svg.drawing {{ {variables(0)} }} "
        f"@media (prefers-color-scheme: dark) {{ svg.drawing {{ {variables(1)} }} }} {RULES}</style>"
    )
    opening = _OPENING.match(drawing)
    assert opening is not None
    return drawing[: opening.end()] + style + drawing[opening.end() :] + "\n"


def frame(parts: Sequence[Markup], *, width: float, height: float, title: str, says: str, key: str) -> Markup:
    """A whole drawing.

    Args:
        parts: What is in it.
        width: In its own units, which are pixels at its full size.
        height: As well.
        title: What it is.
        says: What is to be seen, for those who do not see it.
        key: Unlike that of any other drawing of the page.
    """
    return element(
        "svg",
        element("title", title, id=f"{key}-t"),
        element("desc", says, id=f"{key}-d"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_="drawing",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=number(width),
        height=number(height),
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )


def number(value: float) -> str:
    """A coordinate: tenths, no more digits than it needs."""
    return f"{round(value, 1):g}"


def text(x: float, y: float, words: str, *, anchor: str | None = None, class_: str | None = None) -> Markup:
    """Words with their base line at ``y``."""
    return element("text", words, x=number(x), y=number(y), text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=number(x1), y1=number(y1), x2=number(x2), y2=number(y2), class_=class_)


def width_of(words: str, size: float = TEXT) -> float:
    """About how wide words are; rather too wide than too narrow."""
    return sum(_width(sign) for sign in words) * size


def cut(words: str, room: float, size: float = TEXT) -> str:
    """As many of the words as there is room for, with an ellipsis if that is not all."""
    if width_of(words, size) <= room:
        return words
    while words and width_of(words + "…", size) > room:
        words = words[:-1]
    return words + "…"


def wrapped(words: str, room: float, size: float = TEXT) -> list[str]:
    """Lines that fit, broken at spaces or between Chinese signs, and anywhere where there is neither."""
    lines, current = [], ""
    for piece in re.findall(r"[\u2e80-\uffee]|[^\s\u2e80-\uffee]+\s*|\s+", words):
        if current and width_of((current + piece).rstrip(), size) > room:
            lines.append(current.rstrip())
            current = ""
        current += piece
        while width_of(current.rstrip(), size) > room and len(current) > 1:
            fits = next(n for n in range(len(current), 0, -1) if n == 1 or width_of(current[:n], size) <= room)
            lines.append(current[:fits])
            current = current[fits:]
    return [*lines, current.rstrip()] if current.strip() else lines or [""]


def _width(sign: str) -> float:
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    if sign in "iljtfrI.,:;'|!()[] ":
        return 0.36
    return 0.78 if sign in "mwMW%@—…→←" else 0.68 if sign.isupper() else 0.61


class Unit(NamedTuple):
    """In what times are said."""

    name: str
    per_second: float


def unit_of(whole_s: float) -> Unit:
    """The unit in which so long a time is said in few digits."""
    if whole_s >= 1:
        return Unit("s", 1)
    return Unit("ms", 1e3) if whole_s >= 1e-3 else Unit("µs", 1e6)


def said(seconds: float, unit: Unit) -> str:
    """A time in a unit, short."""
    value = seconds * unit.per_second
    digits = 0 if abs(value) >= 100 or value == 0 else 1 if abs(value) >= 10 else 2
    written = f"{value:.{digits}f}"
    return f"{written.rstrip('0').rstrip('.') if '.' in written else written} {unit.name}"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most ``most`` and one."""
    size = max(high - low, 1e-12) / most
    power = 10 ** math.floor(math.log10(size))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= size * 0.999)
    return [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
