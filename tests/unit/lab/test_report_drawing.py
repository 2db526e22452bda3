"""Drawings: well-formed, the same each time, in the language asked for, with colours of both themes."""

from __future__ import annotations

import re
import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest

from holdfast.lab.blocks import Lane, Mark, Message, Plot, Sequence, Series, Span, Timeline
from holdfast.lab.report import drawing, plots, svg, timelines
from holdfast.lab.text import same
from tests.unit.lab.report_specimens import BARS, LINES, SEQUENCE, STEPS, TIMELINE, both, open_fonts

SVG = "{http://www.w3.org/2000/svg}"
EVERY = (TIMELINE, SEQUENCE, LINES, BARS, STEPS)
EMPTY = (
    Timeline(both("Nobody"), ()),
    Timeline(both("Nothing"), (Lane("idle"),)),
    Sequence(both("Silence"), "left", "right", ()),
    Plot(both("No points"), both("x"), both("y"), (Series("none", (), ()),)),
    Plot(both("No bars"), both("x"), both("y"), (), kind="bars"),
)
WIDTHS = (drawing.WIDE, drawing.NARROW)


@pytest.fixture(scope="module", autouse=True)
def fonts() -> None:
    open_fonts()


def needs_matplotlib(block: object) -> None:
    if isinstance(block, Plot):
        pytest.importorskip("matplotlib", reason="plots need the extra holdfast[lab]")


def texts(drawn: str) -> list[tuple[float, str, str]]:
    """Where the words of a drawing begin, where they are anchored, and the words."""
    root = ElementTree.fromstring(drawn)
    return [
        (float(each.get("x", "0")), each.get("text-anchor", "start"), each.text or "")
        for each in root.iter(f"{SVG}text")
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("block", [*EVERY, *EMPTY], ids=lambda block: block.title.en)
def test_is_well_formed_and_always_the_same(block: Timeline | Sequence | Plot, width: int) -> None:
    needs_matplotlib(block)
    drawn = drawing.draw(block, "en", "a-1", width=width)
    assert drawn == drawing.draw(block, "en", "a-1", width=width)
    root = ElementTree.fromstring(drawn)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert block.title.en in (title.text or "")


@pytest.mark.parametrize("block", EVERY, ids=lambda block: block.title.en)
def test_names_of_two_drawings_of_a_page_differ(block: Timeline | Sequence | Plot) -> None:
    needs_matplotlib(block)
    found = [re.findall(r'\bid="([^"]*)"', drawing.draw(block, "en", key)) for key in ("a-1", "a-2")]
    assert found[0]
    assert not set(found[0]) & set(found[1])
    for key in ("a-1", "a-2"):
        drawn = drawing.draw(block, "en", key)
        used = re.findall(r'(?:href="#|url\(#)([^")]*)', drawn)
        assert set(used) <= set(re.findall(r'\bid="([^"]*)"', drawn))


@pytest.mark.parametrize("block", EVERY, ids=lambda block: block.title.en)
def test_colours_are_variables_of_both_themes(block: Timeline | Sequence | Plot) -> None:
    needs_matplotlib(block)
    alone = drawing.standalone(drawing.draw(block, "en", "a-1"))
    body = alone[alone.index("</style>") :]
    assert not re.search(r"#[0-9a-f]{6}\b", body)
    assert set(re.findall(r"var\(--([\w-]+)\)", alone)) <= set(svg.COLORS)
    assert "prefers-color-scheme: dark" in alone
    ElementTree.fromstring(alone)


def test_the_language_is_the_one_asked_for() -> None:
    english, chinese = (drawing.draw(TIMELINE, language, "a-1") for language in ("en", "zh"))
    assert "waits" in english
    assert "等待" in chinese
    assert "waits" not in chinese


def test_marks_show_what_they_say_and_do_not_cover_each_other() -> None:
    lane = Lane("one", (Span(0, 1),), tuple(Mark(at / 10, f"step {at}") for at in range(10)))
    drawn = drawing.draw(Timeline(same("steps"), (lane,)), "en", "a-1")
    root = ElementTree.fromstring(drawn)
    placed = [
        (float(each.get("x", "0")), float(each.get("y", "0")), each.text or "")
        for each in root.iter(f"{SVG}text")
        if (each.text or "").startswith("step")
    ]
    assert sorted(words for _, _, words in placed) == [f"step {at}" for at in range(10)]
    for (x1, y1, words1), (x2, y2, words2) in combinations(sorted(placed), 2):
        assert y1 != y2 or x1 + svg.width_of(words1, 11) <= x2, (words1, words2)


def test_a_span_of_no_width_is_still_seen_and_thousands_are_drawn_as_few() -> None:
    lane = Lane("busy", tuple(Span(at / 1e5, at / 1e5 + 5e-6) for at in range(10_000)))
    drawn = drawing.draw(Timeline(same("busy"), (lane, Lane("short", (Span(0, 0),)))), "en", "a-1")
    assert 2 < drawn.count("<rect") < 1500
    assert not re.search(r'width="0"', drawn)


def test_lanes_beyond_the_bound_are_counted() -> None:
    lanes = tuple(Lane(f"lane{number}", (Span(0, 1),)) for number in range(timelines.MOST_LANES + 7))
    drawn = drawing.draw(Timeline(same("many"), lanes), "en", "a-1")
    assert "and 7 more" in drawn
    assert f"lane{timelines.MOST_LANES}" not in drawn


@pytest.mark.parametrize(("whole", "unit"), [(2.0, "s"), (0.2, "ms"), (0.0002, "µs")])
def test_the_axis_has_a_unit_that_fits(whole: float, unit: str) -> None:
    drawn = drawing.draw(Timeline(same("t"), (Lane("a", (Span(0, whole),)),)), "en", "a-1")
    axis = [words for _, _, words in texts(drawn) if re.fullmatch(r"[\d.]+ (s|ms|µs)", words)]
    assert len(axis) >= 3
    assert all(words.endswith(f" {unit}") for words in axis)


@pytest.mark.parametrize("width", WIDTHS)
def test_arrows_go_where_the_message_goes(width: int) -> None:
    block = Sequence(same("s"), "a", "b", (Message(0, True, "there", "OPEN"), Message(1, False, "back", "", "SHUT")))
    root = ElementTree.fromstring(drawing.draw(block, "en", "a-1", width=width))
    arrows = [line for line in root.iter(f"{SVG}line") if line.get("class") == "arrow"]
    directions = [float(line.get("x2", "0")) > float(line.get("x1", "0")) for line in arrows]
    assert directions == [True, False]
    left, right = sorted(float(line.get("x1", "0")) for line in root.iter(f"{SVG}line") if line.get("class") == "life")
    where = {words: x for x, _, words in texts(ElementTree.tostring(root, encoding="unicode"))}
    assert where["OPEN"] < left
    assert where["SHUT"] > right


def test_lines_break_where_they_may() -> None:
    assert svg.wrapped("one two three", svg.width_of("one two ")) == ["one two", "three"]
    assert svg.wrapped("信号量放行几个", svg.width_of("信号量")) == ["信号量", "放行几", "个"]
    assert "".join(svg.wrapped("x" * 50, 60)) == "x" * 50
    assert svg.wrapped("", 60) == [""]


def test_ticks_are_round_and_within() -> None:
    assert svg.ticks(0, 1, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert svg.ticks(0, 47, 5) == pytest.approx([0, 10, 20, 30, 40])


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(plots.NoMatplotlib, match=re.escape("pip install 'holdfast[lab]'")):
        drawing.draw(LINES, "en", "a-1")
    drawing.draw(TIMELINE, "en", "a-1")


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, WCAG 2.2."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_enough(theme: int) -> None:
    colors = {name: pair[theme] for name, pair in svg.COLORS.items()}
    for name in ("ink", "soft"):
        assert contrast(colors[name], colors["paper"]) >= 4.5, name
    for name in ("work", "hold"):
        assert contrast(colors[name], colors["on-bar"]) >= 4.5, name
    for name in ("work", "wait", "hold", "dead", *(f"s{place}" for place in range(svg.SERIES))):
        assert contrast(colors[name], colors["paper"]) >= 3, name
