"""A case's run as a story in blocks: question, what the notes say, what happened, verdicts, where to read on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.lab.blocks import Spread
from holdfast.lab.case import Case
from holdfast.lab.report.terminal import aligned, lines_of, number
from holdfast.lab.report.words import VERDICTS, colon, word
from holdfast.lab.results import Result, data_of, rulings
from holdfast.lab.text import Language


def plan(case: Case, language: Language) -> list[str]:
    """A case before it was run: question, claims, where to read on."""
    return [*_opening(case, language), "", word("reading", language), *_indented(_reading(case, language))]


def story(case: Case, result: Result, language: Language) -> list[str]:
    """The whole of a case for a terminal."""

    pace = word("pace-is", language).format(pace=number(result.pace))
    form = word("quick" if result.quick else "full", language)
    out = _opening(case, language)
    out += ["", f"{word('seed', language)}{colon(language)}{result.seed}; {form}; {pace}"]
    if result.failed is not None:
        return [*out, "", *result.failed.splitlines()]
    data = data_of(case, result)
    out += ["", f"{word('happened', language)}{colon(language)}{case.answer(data).of(language)}"]
    out += [f"{word('lesser', language)}{colon(language)}{text.of(language)}" for text in result.lesser]
    for block in case.blocks(data):
        out += ["", *lines_of(block, language)]
    if figures := case.figures(data):
        out += ["", word("figures", language), *_indented(aligned([_figure(*item) for item in figures.items()]))]
    out += ["", word("verdict", language)]
    for identity, ruling in rulings(case, data).items():
        out.append(
            f"  {identity}  {VERDICTS[ruling.verdict].of(language)}{colon(language)}{ruling.evidence.of(language)}"
        )
        if ruling.depends_on:
            out.append(f"        ({word('depends', language)}{colon(language)}{ruling.depends_on.of(language)})")
    out += ["", word("reading", language), *_indented(_reading(case, language))]
    return out


def verdict_rows(done: Sequence[tuple[Case, Result]], language: Language) -> list[tuple[str, str, str, str]]:
    """Case, claim, verdict and what the notes say, of all runs that did not fail."""
    return [
        (case.name, identity, VERDICTS[ruling.verdict].of(language), case.claims[identity].says.of(language))
        for case, result in done
        if result.failed is None
        for identity, ruling in rulings(case, data_of(case, result)).items()
    ]


def _opening(case: Case, language: Language) -> list[str]:
    out = [f"=== {case.name}: {case.title.of(language)}", ""]
    out += [f"{word('question', language)}{colon(language)}{case.question.of(language)}", "", word("notes", language)]
    for identity, claim in case.claims.items():
        term = f"  [{claim.term}]" if claim.term else ""
        out.append(f"  {identity}  {claim.says.of(language)}{term}")
    return out


def _indented(lines: Sequence[str]) -> list[str]:
    return ["  " + line for line in lines]


def _figure(name: str, figure: Spread) -> list[str]:
    return [
        name,
        f"{number(figure.median)} {figure.unit}".rstrip(),
        f"({number(figure.low)} – {number(figure.high)}, {figure.rounds})" if figure.rounds > 1 else "",
    ]


def _reading(case: Case, language: Language) -> list[str]:
    folder = "src/" + case.package.replace(".", "/")
    lines = [f"{folder}/: observe.py, judge.py"]
    for program in case.programs:
        kinds = word("program", language)
        if program.fault is not None:
            kinds += f", {word('repaired', language)}{colon(language)}{program.fault.of(language)}"
        lines.append(f"{folder}/programs/{program.stem}_*.py{colon(language)}{program.what.of(language)} ({kinds})")
    return lines + [f"{reading.path}{colon(language)}{reading.what.of(language)}" for reading in case.reading]
