"""Elements of HTML and SVG as text. The one place that escapes. Pure."""

from __future__ import annotations

import html
import re
from typing import Final

_VOID: Final = frozenset(("br", "col", "hr", "img", "input", "link", "meta"))
_CODE: Final = re.compile(r"`([^`]+)`")
_SIGNS: Final = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "\u2421"}
"""Control characters, which no document may hold, as the pictures that Unicode has for them."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """``text`` so that it is shown as it is, in HTML and SVG, between tags and in attributes."""
    if isinstance(text, Markup):
        return text
    known = text.translate(_SIGNS).encode("utf-8", "replace").decode()
    return Markup(html.escape(known, quote=True))


def join(*parts: str, between: str = "") -> Markup:
    """Parts one after the other."""
    return Markup(between.join(escape(part) for part in parts))


def element(name: str, /, *parts: str, **attributes: object) -> Markup:
    """One element.

    Args:
        name: As ``p``.
        parts: What is in it: markup as it is, other text escaped.
        attributes: ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``; None and False leave one out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{"" if value is True else escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{join(*parts)}</{name}>")


def prose(text: str) -> Markup:
    """A sentence; what stands in backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", escape(text)))
