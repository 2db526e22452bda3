"""The figures as bars: one panel a figure, limits, neighbours and Holdfast below each other, the target as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.figures import Figure
from bench.report import number, target

ORANGE, GREEN, SKY, PURPLE, BLUE = "#E69F00", "#009E73", "#56B4E9", "#CC79A7", "#0072B2"
"""Told apart with every kind of colour vision (Okabe and Ito, https://jfly.uni-koeln.de/color/); names stand beside."""
COLORS: Final = {
    "AsyncSSH": ORANGE, "OpenSSH": GREEN,
    "execnet": ORANGE, "Mitogen": GREEN, "Ray": SKY, "Dask": PURPLE,
    "Manager": ORANGE, "Redis": GREEN,
    "Holdfast": BLUE,
}  # fmt: skip
LIMIT_COLOR: Final = "#999999"
TARGET_COLOR: Final = "#D55E00"
COLUMNS: Final = 2
PANEL_INCHES: Final = (5.2, 2.1)
CUT: Final = 5
"""A bar that is so many times longer than Holdfast's and the target is cut."""


def draw(figures: Sequence[Figure], path: str, *, caption: str) -> None:
    """Write an SVG of every figure that has something to compare: a limit, a neighbour or a target.

    Args:
        figures: In the order of their panels.
        path: Where the SVG goes.
        caption: Below the title: machine and date.
    """
    shown = [figure for figure in figures if figure.holdfast and (figure.limits or figure.neighbours or figure.aim)]
    rows = max(1, math.ceil(len(shown) / COLUMNS))
    width, height = PANEL_INCHES
    with mpl.rc_context({"svg.hashsalt": "holdfast", "svg.fonttype": "none", "font.family": "sans-serif"}):
        canvas = Canvas(figsize=(width * COLUMNS, height * rows + 0.9), layout="constrained")
        canvas.suptitle(f"Holdfast, measured\n{caption}", fontsize=11)
        panels = canvas.subplots(rows, COLUMNS, squeeze=False).flatten()
        for axes, figure in zip(panels, shown, strict=False):
            _panel(axes, figure)
        for axes in panels[len(shown) :]:
            axes.set_axis_off()
        canvas.savefig(path, format="svg", metadata={"Date": None})


def _right_end(figure: Figure) -> float:
    """Where the axis ends: past every bar, except those that would leave the others no room; they are cut (▸)."""
    ours = [figure.holdfast.high] if figure.holdfast is not None else []
    ours += [figure.aim] if figure.aim else []
    others = [reading.high for reading in (*figure.limits.values(), *figure.neighbours.values())]
    return max(*ours, *(min(high, CUT * max(ours)) for high in others), 0.0)


def _panel(axes: Axes, figure: Figure) -> None:
    bars = [*figure.limits.items(), *figure.neighbours.items()]
    if figure.holdfast is not None:
        bars.append(("Holdfast", figure.holdfast))
    names = [name for name, _ in bars]
    medians = [value.median for _, value in bars]
    spread = [[v.median - v.low for _, v in bars], [v.high - v.median for _, v in bars]]
    axes.barh(
        names, medians, xerr=spread, color=[COLORS.get(name, LIMIT_COLOR) for name in names], height=0.62, capsize=2
    )
    right = _right_end(figure)
    for place, (_, value) in enumerate(bars):
        beyond = value.high > right
        words = f"{number(value.median)} ▸" if beyond else number(value.median)
        axes.text(min(value.high, right) + right * 0.015, place, words, va="center", fontsize=8)
    if figure.aim is not None:
        axes.axvline(figure.aim, color=TARGET_COLOR, linestyle="--", linewidth=1.2)
        axes.text(
            figure.aim, -0.68, f"target {target(figure)}", color=TARGET_COLOR, fontsize=7,
            ha="center", va="bottom",
        )  # fmt: skip
    axes.set_xlim(0, right * 1.18)
    axes.set_ylim(len(bars) - 0.4, -0.65)
    axes.set_title(
        f"{figure.what.replace('`', '')}\n[{figure.unit}; {figure.better} is better]", fontsize=7, loc="left", pad=13
    )
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
