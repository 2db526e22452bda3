"""A plot as a drawing, by matplotlib, which is imported here when one is drawn and nowhere else.

It draws with colours that stand for the variables of ``svg.py`` and are put in their place afterwards. Text stays text.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from holdfast.errors import HoldfastError, Ran
from holdfast.lab.blocks import Plot, Series
from holdfast.lab.report import svg
from holdfast.lab.report.markup import Markup, escape, join
from holdfast.lab.report.terminal import number
from holdfast.lab.report.words import colon, word
from holdfast.lab.text import Language

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STANDS_FOR: Final = {name: f"#0101{place:02x}" for place, name in enumerate(("ink", "soft", "line", "paper"), 1)} | {
    f"s{place}": f"#0102{place:02x}" for place in range(svg.SERIES)
}
_MARKERS: Final = "osD^vPX*"
_STYLES: Final = ("-", "--", "-.", ":")
_INCHES: Final = {svg.WIDE: (7.2, 3.5), svg.NARROW: (3.5, 3.1)}
_FONT: Final = re.compile(r"font: (?:[a-z]+ |\d{3} )*([\d.]+)px [^;\"]*")
_ID: Final = re.compile(r"(\bid=\"|href=\"#|url\(#)")
_ROOT: Final = re.compile(r"<svg (?:.|\n)*?viewBox=\"([^\"]*)\"(?:.|\n)*?>")
_SILENT: Final = re.compile(r"<metadata>(?:.|\n)*?</metadata>|<!--(?:.|\n)*?-->|(?<=>)\s+(?=<)")


class NoMatplotlib(HoldfastError):
    """A plot was to be drawn, and what draws it is not installed."""

    ran: Ran = "no"


def draw(block: Plot, language: Language, key: str, *, width: int = svg.WIDE) -> Markup:
    """The drawing; arguments as of a timeline.

    Raises:
        NoMatplotlib: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib import rcsetup
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise NoMatplotlib("plots are drawn by matplotlib: pip install 'holdfast[lab]'") from exc

    across, down = _INCHES[width]
    if block.kind == "bars":
        down = 1.0 + 0.26 * len(block.categories) * max(1, len(block.series)) ** 0.8 + 0.2 * _legend_rows(block, width)
    cycle = rcsetup.cycler(color=[_STANDS_FOR[f"s{place}"] for place in range(svg.SERIES)])
    with mpl.rc_context(_settings(key) | {"axes.prop_cycle": cycle}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts have them
        figure = Figure(figsize=(across, down), layout="constrained")
        axes = figure.subplots()
        if block.kind == "bars":
            _bars(axes, block, language)
        else:
            _curves(axes, block, language)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(block.series) > 1:
            figure.legend(loc="outside upper left", ncols=_columns(block, width), frameon=False, handlelength=2.4)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    title = f"{word('plot', language)}{colon(language)}{block.title.of(language)}"
    return _ours(out.getvalue(), title, _says(block, language), key, width)


def rows(block: Plot, language: Language) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and the values of all series beside each other."""
    if block.kind == "bars":
        heads = (block.x_axis.of(language), *(series.name for series in block.series))
        return heads, [
            (name, *(_value(series, place) for series in block.series)) for place, name in enumerate(block.categories)
        ]
    xs = sorted({x for series in block.series for x in series.x})
    heads = (block.x_axis.of(language), *(series.name for series in block.series))
    return heads, [
        (number(x), *(_value(series, series.x.index(x)) if x in series.x else "–" for series in block.series))
        for x in xs
    ]


def _value(series: Series, place: int) -> str:
    return number(series.y[place]) if place < len(series.y) else "–"


def _settings(key: str) -> Any:
    ink, soft, line = (_STANDS_FOR[name] for name in ("ink", "soft", "line"))
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": key,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8.5,
        "text.color": ink,
        "axes.labelcolor": soft,
        "axes.edgecolor": soft,
        "xtick.color": soft,
        "ytick.color": soft,
        "axes.grid": True,
        "grid.color": line,
        "axes.unicode_minus": False,
        "text.parse_math": False,
    }


def _columns(block: Plot, width: int) -> int:
    widest = max(svg.width_of(series.name, 12) for series in block.series) + 50
    return max(1, min(len(block.series), int(width // widest)))


def _legend_rows(block: Plot, width: int) -> int:
    return -(-len(block.series) // _columns(block, width)) if len(block.series) > 1 else 0


def _curves(axes: Axes, block: Plot, language: Language) -> None:
    for place, series in enumerate(block.series):
        color = _STANDS_FOR[f"s{place % svg.SERIES}"]
        width = 2.8 - 0.5 * place if 1 < len(block.series) <= 4 else 1.8  # so that one below another is seen
        axes.plot(
            series.x,
            series.y,
            label=series.name,
            color=color,
            linewidth=width,
            markersize=3 + width,
            linestyle=_STYLES[(place + place // len(_STYLES)) % len(_STYLES)],
            marker=_MARKERS[place % len(_MARKERS)] if len(series.x) <= 40 else None,
            drawstyle="steps-post" if block.kind == "steps" else "default",
        )
        if series.low and series.high:
            axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.18, linewidth=0)
    _scale(axes, "x", [x for series in block.series for x in series.x], log=block.log_x)
    _scale(axes, "y", [y for series in block.series for y in series.y], log=block.log_y)
    if not block.log_y and all(y >= 0 for series in block.series for y in series.y):
        axes.set_ylim(bottom=0)
    axes.set_xlabel(block.x_axis.of(language))
    axes.set_ylabel(block.y_axis.of(language))


def _bars(axes: Axes, block: Plot, language: Language) -> None:
    """Lying bars: their names can be read, on a phone as well."""
    thick = 0.8 / max(1, len(block.series))
    ends = [y for series in block.series for y in (*series.y, *series.high) if y > 0]
    for place, series in enumerate(block.series):
        color = _STANDS_FOR[f"s{place % svg.SERIES}"]
        ys = [at + (place - (len(block.series) - 1) / 2) * thick for at in series.x]
        spread = None
        if series.low and series.high:
            spread = (
                [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)],
                [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)],
            )
        axes.barh(ys, series.y, height=thick * 0.88, label=series.name, color=color, xerr=spread,
                  error_kw={"ecolor": _STANDS_FOR["ink"], "capsize": 3, "elinewidth": 1.2})  # fmt: skip
        tops = series.high or series.y
        for y, value, top in zip(ys, series.y, tops, strict=True):
            axes.annotate(number(value), (max(value, top), y), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(block.categories)), block.categories)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    _scale(axes, "x", ends, log=block.log_y)
    if block.log_y and ends:
        axes.set_xlim(min(ends) / 4, max(ends) * 4)
    elif ends:
        axes.set_xlim(0, max(ends) * 1.18)
    axes.set_xlabel(block.y_axis.of(language))


def _scale(axes: Axes, which: str, values: list[float], *, log: bool) -> None:
    """Plain numbers at round places; whole ones where there are no others."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    if log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(
            MaxNLocator(6, steps=[1, 2, 5, 10], integer=all(float(value).is_integer() for value in values))
        )
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", " ")))


def _ours(drawn: str, title: str, says: str, key: str, width: int) -> Markup:
    """matplotlib's document as one of our drawings."""
    root = _ROOT.search(drawn)
    assert root is not None
    _, _, across, down = (float(word) for word in root[1].split())
    body = _SILENT.sub("", drawn[root.end() : drawn.rindex("</svg>")])
    body = _FONT.sub(r"font-size: \1px", body)
    body = _ID.sub(rf"\g<1>{key}-", body)
    for name, color in _STANDS_FOR.items():
        body = body.replace(color, f"var(--{name})")
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="drawing" '
        f'viewBox="0 0 {across:g} {down:g}" width="{width}" height="{svg.number(width * down / across)}" role="img" '
        f'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(says)}</desc>'
    )
    return join(Markup(opening), Markup(body), Markup("</svg>"))


def _says(block: Plot, language: Language) -> str:
    axes = f"{block.x_axis.of(language)} → {block.y_axis.of(language)}"
    return "; ".join([axes, *(f"{s.name}: {number(min(s.y))} – {number(max(s.y))}" for s in block.series if s.y)])
