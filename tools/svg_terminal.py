"""Terminal output as an SVG picture: lines appear at the times at which they were written, and stay. Pure.

Understood of a terminal's language is what our own programs use: text, line ends, and SGR colours (ECMA-48, 8.3.117).
Where a viewer does not animate, or its user wants less motion, all lines are simply there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

CHARACTER_PX: Final = 8.2
LINE_PX: Final = 19
MARGIN_PX: Final = 18
BAR_PX: Final = 34
LONGEST_PAUSE_S: Final = 0.7
"""Pauses of the real run are shortened to this in the picture."""

_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_CLASSES: Final = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "34": "u", "36": "c"}
_STYLE: Final = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d5dae3}
.b{font-weight:bold;fill:#fff}.d{fill:#8b94a5}.r{fill:#ff7b72}.g{fill:#6fd08c}.y{fill:#e3c267}.u{fill:#7fb4ff}.c{fill:#76d7d7}
.t{animation:show .01s both}
@keyframes show{from{opacity:0}to{opacity:1}}
@media (prefers-reduced-motion:reduce){.t{animation:none}}"""


class Line(NamedTuple):
    """One line of the screen: when its first byte came, in seconds, and its text with colours."""

    at_s: float
    text: str


def screen_lines(chunks: Sequence[tuple[float, bytes]]) -> list[Line]:
    """Whole lines of what was written, each with the time at which it began.

    Args:
        chunks: Pieces of output with the time of each, in seconds, in order.
    """
    lines: list[Line] = []
    begun_s, rest = 0.0, b""
    for at_s, data in chunks:
        begun_s = begun_s if rest else at_s
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.append(Line(begun_s, line.decode("utf-8", "replace").rstrip("\r")))
            begun_s = at_s
    return [*lines, Line(begun_s, rest.decode("utf-8", "replace"))] if rest else lines


def render(lines: Sequence[Line], *, columns: int, title: str) -> str:
    """The picture.

    Args:
        lines: What is shown; times rise.
        columns: Width in characters; longer lines are cut.
        title: Words in the bar above, and the picture's name for those who cannot see it.
    """
    width = round(2 * MARGIN_PX + columns * CHARACTER_PX)
    height = BAR_PX + 2 * MARGIN_PX + len(lines) * LINE_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img"',
        ' xml:space="preserve">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="9" fill="#171b22"/>',
        f'<rect width="{width}" height="{BAR_PX}" rx="9" fill="#252b35"/>',
        f'<text class="d" x="{width // 2}" y="22" text-anchor="middle">{escape(title)}</text>',
    ]
    shown_s, before_s = 0.0, lines[0].at_s if lines else 0.0
    for number, line in enumerate(lines):
        shown_s += min(line.at_s - before_s, LONGEST_PAUSE_S)
        before_s = line.at_s
        y = BAR_PX + MARGIN_PX + round((number + 0.75) * LINE_PX)
        spans = "".join(_spans(line.text, columns))
        if spans:
            parts.append(
                f'<text class="t" style="animation-delay:{shown_s:.2f}s" x="{MARGIN_PX}" y="{y}">{spans}</text>'
            )
    return "\n".join([*parts, "</svg>\n"])


def _spans(text: str, columns: int) -> Iterator[str]:
    """The coloured pieces of a line, at most ``columns`` characters together."""
    classes: list[str] = []
    left = columns
    pieces = _SGR.split(text)
    for index, piece in enumerate(pieces):
        if index % 2:
            codes = [code for code in piece.split(";") if code] or ["0"]
            classes = [] if "0" in codes else classes
            classes += [_CLASSES[code] for code in codes if code in _CLASSES]
        elif piece and left > 0:
            shown = escape(piece[:left])
            left -= len(piece)
            yield f'<tspan class="{" ".join(classes)}">{shown}</tspan>' if classes else shown
