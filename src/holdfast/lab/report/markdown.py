"""The report as Markdown: an index with all verdicts, a page a case, drawings as files of SVG in the light and in the dark."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from holdfast.lab.blocks import Block, Listing, Plot, Remark, Table, Timeline
from holdfast.lab.blocks import Sequence as Talk
from holdfast.lab.case import PROGRAM_KINDS, Case
from holdfast.lab.report import drawing, overview
from holdfast.lab.report.overview import Told
from holdfast.lab.report.pieces import figure_row, program_title
from holdfast.lab.report.words import CHAPTERS, SIGNS, colon, verdict_word, word
from holdfast.lab.results import Result
from holdfast.lab.text import Language
from holdfast.lab.verdicts import Ruling

IMAGES: Final = "images"
_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "|": "\\|", "*": "\\*", "_": "\\_"})


def write(results: Sequence[tuple[Case, Result]], language: Language, folder: Path) -> None:
    """Write ``README.md``, ``<case>.md`` and ``images/<case>-<n>.svg``, in place of older ones.

    Raises:
        NoMatplotlib: a case has plots, and matplotlib is not installed.
        OSError: something could not be written.
    """
    images = folder / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    cases = overview.told(results)
    root = _root(folder)
    for each in cases:
        text, drawings = _page(each, language, root)
        for old in images.glob(f"{each.case.name}-*.svg"):
            if old.stem.removeprefix(f"{each.case.name}-").isdigit():
                old.unlink()
        for name, drawn in drawings.items():
            (images / name).write_text(drawn, encoding="utf-8")
        (folder / f"{each.case.name}.md").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_index(results, cases, language), encoding="utf-8")


def _root(folder: Path) -> str | None:
    """The way from ``folder`` to the root of the project, if it lies within: then files of it can be linked."""
    for parent in folder.resolve().parents:
        if (parent / "src" / "holdfast" / "lab" / "cases").is_dir():
            return os.path.relpath(parent, folder.resolve())
    return None


# --- index ------------------------------------------------------------------------------------------------------------


def _index(results: Sequence[tuple[Case, Result]], cases: Sequence[Told], language: Language) -> str:
    counts = overview.counts(cases)
    out = [f"# {word('title', language)}", "", word("what", language), "", f"## {word('run', language)}", ""]
    out += [f"- {name}{colon(language)}{_plain(said)}" for name, said in overview.about_run(results, language)]
    out += ["", f"## {word('summary', language)}", ""]
    tally = [(f"{SIGNS[verdict]} {verdict_word(verdict, language)}", str(count)) for verdict, count in counts.items()]
    for count, key in zip(overview.without_verdict(cases), ("failed", "not-run"), strict=True):
        if count:
            tally.append((word(key, language), str(count)))
    out += _table([word("verdict-one", language), word("of-claims", language)], tally)
    out += ["", f"## {word('contents', language)}", ""]
    for chapter, found in overview.by_chapter(cases):
        out += [f"### {CHAPTERS[chapter].of(language)}", ""]
        out += [f"- [{_text(each.case.title.of(language))}]({each.case.name}.md)" for each in found]
        out.append("")
    out += [f"## {word('all-claims', language)}"]
    heads = [word(key, language) for key in ("claim", "says", "verdict-one", "case")]
    for section, standings in overview.by_section(cases):
        title = section.heading.zh if language == "zh" else f"{section.heading.zh} ({section.heading.en})"
        out += ["", f"### {title}", ""]
        rows = []
        for each in standings:
            says = _says(each.claim.says.of(language), each.claim.term, language) if each.claim else "–"
            link = f"[{each.case}]({each.case}.md)" if each.case else "–"
            rows.append((each.identity, says, _verdict(each.ruling, language, failed=each.failed), link))
        out += _table(heads, rows, escaped=True)
    return _document([*out, "", word("made", language)])


def _verdict(ruling: Ruling | None, language: Language, *, failed: bool) -> str:
    if ruling is None:
        return word("failed" if failed else "not-run", language)
    return f"{SIGNS[ruling.verdict]} {verdict_word(ruling.verdict, language)}"


def _says(says: str, term: str, language: Language) -> str:
    if not term:
        return _text(says)
    return f"{_text(says)} ({_text(term)})" if language == "en" else f"{_text(says)}（{_text(term)}）"


# --- a case -----------------------------------------------------------------------------------------------------------


def _page(each: Told, language: Language, root: str | None) -> tuple[str, dict[str, str]]:
    """The page of a case, and its drawings by file name."""
    case, result = each.case, each.result
    drawings: dict[str, str] = {}
    out = [f"# {_text(case.title.of(language))}", "", f"[{word('index', language)}](README.md) · `{case.name}`", ""]
    out += [f"**{word('question', language)}**{colon(language)}{_text(case.question.of(language))}", ""]
    out += [f"## {word('claims-of', language)}", ""]
    out += [f"- `{i}` {_says(claim.says.of(language), claim.term, language)}" for i, claim in case.claims.items()]
    if each.data is None:
        out += ["", f"## {word('failed', language)}", "", *_fenced((result.failed or "").splitlines())]
    else:
        out += ["", f"## {word('answer', language)}", "", _text(case.answer(each.data).of(language))]
        for text in result.lesser:
            out += ["", f"> **{word('lesser', language)}**{colon(language)}{_text(text.of(language))}"]
        out += ["", f"## {word('happened', language)}"]
        for place, block in enumerate(case.blocks(each.data), 1):
            out += ["", *_block(block, language, f"{case.name}-{place}", drawings)]
        if figures := case.figures(each.data):
            heads = [word(key, language) for key in ("figure", "median", "range", "rounds")]
            out += ["", f"## {word('figures', language)}", ""]
            out += _table(heads, [figure_row(name, figure) for name, figure in figures.items()])
        out += ["", f"## {word('evidence', language)}", ""]
        for identity, ruling in each.rulings.items():
            said = (
                f"- **{_verdict(ruling, language, failed=False)}** `{identity}` {_text(ruling.evidence.of(language))}"
            )
            if ruling.depends_on is not None:
                said += f" *{word('depends', language)}{colon(language)}{_text(ruling.depends_on.of(language))}*"
            out.append(said)
    out += ["", f"## {word('reading', language)}", "", *_reading(case, language, root)]
    quick = " --quick" if result.quick else ""
    out += ["", f"{word('again', language)}{colon(language)}`holdfast lab run {case.name} --seed {result.seed}{quick}`"]
    return _document(out), drawings


def _reading(case: Case, language: Language, root: str | None) -> Iterable[str]:
    folder = "src/" + case.package.replace(".", "/")
    files = [(f"{folder}/observe.py", word("observes", language)), (f"{folder}/judge.py", word("judges", language))]
    for program in case.programs:
        for kind in PROGRAM_KINDS:
            written = case.program(program.stem, kind)
            if written.exists():
                files.append((f"{folder}/programs/{written.name}", program_title(program, kind, language)))
    files += [(reading.path, reading.what.of(language)) for reading in case.reading]
    for path, what in files:
        yield f"- {f'[`{path}`]({root}/{path})' if root else f'`{path}`'}{colon(language)}{_text(what)}"


def _block(block: Block, language: Language, key: str, drawings: dict[str, str]) -> list[str]:
    match block:
        case Remark():
            return [_text(block.text.of(language))]
        case Table():
            heads = [heading.of(language) for heading in block.headings]
            rows = [[cell.of(language) for cell in row] for row in block.rows]
            return [f"**{_text(block.title.of(language))}**", "", *_table(heads, rows)]
        case Listing():
            return [f"**{_text(block.title.of(language))}**", "", *_fenced(block.lines)]
        case Plot() | Timeline() | Talk():
            name = f"{key}.svg"
            drawings[name] = drawing.standalone(drawing.draw(block, language, key))
            title = block.title.of(language)
            return [f"**{_text(title)}**", "", f"![{_plain(title)}]({IMAGES}/{name})"]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _document(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, escaped: bool = False) -> list[str]:
    cells = [list(row) if escaped else [_text(cell) for cell in row] for row in rows]
    rule = [
        "---:" if cells and all(row[column][:1].isdigit() for row in cells) else "---" for column in range(len(heads))
    ]
    return [_row([_text(head) for head in heads]), _row(rule), *(_row(row) for row in cells)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(lines: Sequence[str]) -> list[str]:
    longest = max((len(line) - len(line.lstrip("`")) for line in lines), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *(_printable(line) for line in lines), fence]


def _text(words: str) -> str:
    """Words that stay what they are; what stands in backticks is code already."""
    pieces = _printable(" ".join(words.splitlines())).split("`")
    if len(pieces) % 2 == 0:
        return "`".join(piece.translate(_HTML) for piece in pieces).replace("`", "\\`")
    return "`".join(
        piece.translate(_HTML) if place % 2 == 0 else piece.replace("|", "\\|") for place, piece in enumerate(pieces)
    )


def _plain(words: str) -> str:
    """Words where no markup may be: of a picture."""
    return _text(words.replace("`", "")).replace("[", "(").replace("]", ")")


def _printable(line: str) -> str:
    return "".join(chr(0x2400 + ord(sign)) if ord(sign) < 0x20 and sign != "\t" else sign for sign in line)
