"""Blocks, figures and programs as pieces of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from holdfast.lab.blocks import Block, Listing, Plot, Remark, Spread, Table, Timeline
from holdfast.lab.blocks import Sequence as Talk
from holdfast.lab.case import PROGRAM_KINDS, Case, Program
from holdfast.lab.report import drawing, plots, sequences, timelines
from holdfast.lab.report.markup import Markup, element, join, prose
from holdfast.lab.report.terminal import number
from holdfast.lab.report.words import colon, word
from holdfast.lab.text import Language

_MOST_ROWS: Final = 200
"""Of the table below a drawing."""


def block_piece(block: Block, language: Language, key: str) -> Markup:
    """One block; ``key`` is unlike that of any other."""
    match block:
        case Remark():
            return element("p", prose(block.text.of(language)))
        case Table():
            heads = [heading.of(language) for heading in block.headings]
            cells = [[cell.of(language) for cell in row] for row in block.rows]
            return _figure(block.title.of(language), table(heads, cells))
        case Listing():
            return _figure(block.title.of(language), element("pre", "\n".join(block.lines), tabindex=0))
        case _:
            return _drawing(block, language, key)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table that scrolls within its own box; what begins with a digit is set to the right."""
    cells = [list(row) for row in rows]
    right = [
        bool(cells) and all(row[column][:1].isdigit() or row[column] in ("", "-", "–") for row in cells)
        for column in range(len(heads))
    ]

    def row(name: str, words: Sequence[str], scope: str | None) -> Markup:
        return element(
            "tr",
            *(
                element(name, prose(said), class_="n" if number_like else None, scope=scope)
                for said, number_like in zip(words, right, strict=True)
            ),
        )

    head = element("thead", row("th", heads, "col"))
    return scroll(element("table", head, element("tbody", *(row("td", words, None) for words in cells))))


def scroll(inner: Markup) -> Markup:
    """A box that scrolls sideways when what is in it is too wide; with the keyboard as well."""
    return element("div", inner, class_="scroll", tabindex=0)


def figures_piece(figures: Mapping[str, Spread], language: Language) -> Markup:
    """Figures with their spreads."""
    heads = [word(key, language) for key in ("figure", "median", "range", "rounds")]
    return table(heads, [figure_row(name, figure) for name, figure in figures.items()])


def figure_row(name: str, figure: Spread) -> tuple[str, str, str, str]:
    """Name, median, range and number of rounds."""
    reach = f"{number(figure.low)} – {number(figure.high)} {figure.unit}".rstrip() if figure.rounds > 1 else ""
    return name, f"{number(figure.median)} {figure.unit}".rstrip(), reach, str(figure.rounds)


def program_pieces(case: Case, language: Language) -> Markup:
    """The programs, each in its forms, folded."""
    folded = []
    for program in case.programs:
        for kind in PROGRAM_KINDS:
            path = case.program(program.stem, kind)
            if path.exists():
                said = program_title(program, kind, language)
                code = element("pre", path.read_text(encoding="utf-8").rstrip("\n"), tabindex=0)
                folded.append(element("details", element("summary", prose(said)), code))
    return join(*folded)


def program_title(program: Program, kind: str, language: Language) -> str:
    """Which program it is and in which form; of a repaired one also what was mended."""
    numbers = ", ".join(map(str, program.numbers))
    name = word("number", language).format(numbers=numbers) if numbers else word("own", language)
    what = program.what.of(language)
    if kind == "repaired" and program.fault is not None:
        what = program.fault.of(language)
    form = word(kind, language)
    return f"{name}, {form}: {what}" if language == "en" else f"{name}（{form}）：{what}"


def values(block: Plot | Timeline | Talk, language: Language) -> tuple[list[str], list[Sequence[str]]]:
    """What a drawing shows as headings and rows, for those who do not see it or want to know exactly."""
    match block:
        case Plot():
            heads, rows = plots.rows(block, language)
            return list(heads), list(rows)
        case Timeline():
            return [word(key, language) for key in ("who", "does", "from", "to")], list(timelines.rows(block, language))
        case Talk():
            return [word(key, language) for key in ("time", "from", "to", "event")], list(sequences.rows(block))


def _drawing(block: Plot | Timeline | Talk, language: Language, key: str) -> Markup:
    wide = element("div", drawing.draw(block, language, f"{key}-w"), class_="wide")
    narrow = element("div", drawing.draw(block, language, f"{key}-n", width=drawing.NARROW), class_="narrow")
    heads, rows = values(block, language)
    if len(rows) > _MOST_ROWS:
        more = word("more-lanes", language).format(count=len(rows) - _MOST_ROWS)
        rows = [*rows[:_MOST_ROWS], [more, *("" for _ in heads[1:])]]
    summary = word("values" if isinstance(block, Plot) else "in-words", language)
    folded = element("details", element("summary", summary), table(heads, rows))
    return _figure(block.title.of(language), join(wide, narrow, folded))


def _figure(title: str, inner: Markup) -> Markup:
    return element("figure", element("figcaption", prose(title)), inner)


def named(name: str, said: str, language: Language) -> Markup:
    """``name: what is said of it``."""
    return join(element("strong", name), colon(language), prose(said))
