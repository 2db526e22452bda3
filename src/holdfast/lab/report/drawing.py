"""Blocks that are drawn, as SVG: plots by matplotlib, timelines and sequences by ourselves."""

from __future__ import annotations

from holdfast.lab.blocks import Plot, Sequence, Timeline
from holdfast.lab.report import plots, sequences, timelines
from holdfast.lab.report.markup import Markup
from holdfast.lab.report.svg import NARROW, WIDE, standalone
from holdfast.lab.text import Language

__all__ = ("NARROW", "WIDE", "draw", "standalone")


def draw(block: Plot | Timeline | Sequence, language: Language, key: str, *, width: int = WIDE) -> Markup:
    """One drawing, for use in a page that has ``svg.RULES`` and the colours; ``standalone`` makes a file of it.

    Args:
        block: What is to be drawn.
        language: Of its words.
        key: Unlike that of any other drawing of the page.
        width: ``WIDE``, or ``NARROW`` for a phone.

    Raises:
        NoMatplotlib: it is a plot, and matplotlib is not installed.
    """
    match block:
        case Plot():
            return plots.draw(block, language, key, width=width)
        case Timeline():
            return timelines.draw(block, language, key, width=width)
        case Sequence():
            return sequences.draw(block, language, key, width=width)
