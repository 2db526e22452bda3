"""``holdfast lab list|show|run|report``: the experiments from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import exit_codes
from holdfast.cli.documents import SCHEMA, to_json
from holdfast.cli.out import write_all
from holdfast.cli.render import Table, print_table
from holdfast.cli.voice import Voice
from holdfast.config import load

if TYPE_CHECKING:
    from holdfast.lab.case import Case
    from holdfast.lab.results import Result
    from holdfast.lab.text import Language

ALL: Final = "all"
PAGE: Final = "holdfast-lab.html"

_lang = click.option("--lang", type=click.Choice(("en", "zh")), default="en", help="Language of the texts.")


@click.command(name="list", short_help="List the cases.")
@click.argument("word", required=False)
@click.option("--notes", is_flag=True, help="In the order of the study notes, with their own headings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a case.")
@_lang
def list_cases(word: str | None, notes: bool, as_json: bool, lang: Language) -> int:
    """List the cases; with WORD those that it may mean, in English or Chinese (mutex, epoll, 粘包, n024).

    \b
      holdfast lab list
      holdfast lab list 粘包
      holdfast lab list --notes
    """
    from holdfast.lab import cases

    found = _search(word) if word else cases.every()
    if as_json:
        for case in found:
            write_all(1, to_json(_entry(case, lang)))
    elif notes:
        print_table(Table(("SECTION", "NOTES", "CLAIMS", "CASES"), tuple(_by_section(found, lang))))
    else:
        rows = tuple((c.name, c.chapter.value, str(len(c.claims)), c.title.of(lang)) for c in found)
        print_table(Table(("CASE", "CHAPTER", "CLAIMS", "TITLE"), rows))
    return exit_codes.OK


@click.command(name="show", short_help="Show a case: question, claims, programs.")
@click.argument("name", metavar="CASE")
@click.option("--program", type=click.Choice(("as-in-the-notes", "repaired")), help="Print its programs instead.")
@_lang
def show(name: str, program: str | None, lang: Language) -> int:
    """Show what a case asks, what the notes say of it, and the last run, if there was one.

    \b
      holdfast lab show deadlock
      holdfast lab show deadlock --program as-in-the-notes
    """
    from holdfast.lab.records import last
    from holdfast.lab.report.story import plan, story

    case = _one(name)
    if program is not None:
        return _print_programs(case, program, lang)
    result = last(_folder(), case)
    lines = plan(case, lang) if result is None else story(case, result, lang)
    if result is None:
        lines += ["", f"holdfast lab run {case.name}"]
    _write_lines(lines)
    return exit_codes.OK


@click.command(name="run", short_help="Run cases and judge the claims by what came out.")
@click.argument("names", metavar="CASE...", nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="Fewer rounds and shorter sleeps.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Repeat the run of this seed (default: a new one).")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a case on standard output.")
@_lang
def run(names: tuple[str, ...], quick: bool, seed: int | None, as_json: bool, lang: Language) -> int:
    """Run cases one after the other, print what came out, and keep it for the report. ``all`` means every case.

    Exit code 1 if a case failed or left a process behind.

    \b
      holdfast lab run semaphore deadlock --seed 7
      holdfast lab run all --quick
    """
    from holdfast.lab import cases
    from holdfast.lab.records import save
    from holdfast.lab.report.story import story, verdict_rows
    from holdfast.lab.results import document
    from holdfast.lab.stage import perform

    _check_platform()
    chosen = cases.every() if ALL in names else tuple({case.name: case for case in map(_one, names)}.values())
    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    voice, folder = Voice(), _folder()
    done: list[tuple[Case, Result]] = []
    for place, case in enumerate(chosen, 1):
        voice.say(f"{case.name} ({place} of {len(chosen)}), --seed {seed}")
        result = perform(case, seed=seed, quick=quick)
        save(folder, result)
        done.append((case, result))
        if as_json:
            write_all(1, to_json({"schema": SCHEMA, **document(case, result, lang)}))
        else:
            _write_lines([*story(case, result, lang), ""])
    if not as_json and len(done) > 1:
        print_table(Table(("CASE", "CLAIM", "VERDICT", "THE NOTES SAY"), tuple(verdict_rows(done, lang))))
    return _told_faults(voice, done)


@click.command(name="report", short_help="Write the last runs as a page.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=PAGE, show_default=True,
              help="Where the page goes.")  # fmt: skip
@click.option("--markdown", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Write Markdown with its pictures into FOLDER instead.")  # fmt: skip
@_lang
def report(open_it: bool, output: Path, markdown: Path | None, lang: Language) -> int:
    """Write the last run of each case as one page of HTML that needs nothing else, or as Markdown."""
    from holdfast.lab.records import every_last

    found, missing = every_last(_folder())
    voice = Voice()
    if not found:
        voice.error("no case has been run yet, so there is nothing to report; begin with: holdfast lab run all --quick")
        return exit_codes.USAGE
    if missing:
        voice.say(f"not in the report, since they have not been run: {', '.join(case.name for case in missing)}")
    if markdown is not None:
        from holdfast.lab.report.markdown import write

        write(found, lang, markdown)
        place = markdown / "README.md"
    else:
        from holdfast.lab.report.html import page

        output.write_text(page(found, lang), encoding="utf-8")
        place = output
    write_all(1, f"{place}\n".encode())
    if open_it and click.launch(str(place)) != 0:
        voice.say("no browser could be started; open the page by hand")
    return exit_codes.OK


def _folder() -> Path:
    """Where the last runs are kept."""
    return Path(load().state_dir) / "lab"


def _check_platform() -> None:
    if not sys.platform.startswith("linux"):
        raise click.UsageError("the experiments look into Linux (/proc, epoll, namespaces); nothing was run")


def _search(word: str) -> tuple[Case, ...]:
    from holdfast.lab import cases

    try:
        return cases.search(word)
    except cases.NoSuchCase:
        raise click.UsageError(f"no case has to do with {word!r}; all of them: holdfast lab list") from None


def _one(word: str) -> Case:
    """The one case that a word means."""
    found = _search(word)
    if len(found) > 1:
        raise click.UsageError(f"{word!r} may mean {', '.join(case.name for case in found)}: name one")
    return found[0]


def _entry(case: Case, language: Language) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "case": case.name,
        "chapter": case.chapter.value,
        "title": case.title.of(language),
        "question": case.question.of(language),
        "claims": list(case.claims),
        "programs": [number for program in case.programs for number in program.numbers],
    }


def _by_section(found: Sequence[Case], language: Language) -> list[tuple[str, ...]]:
    """A line a section: heading in the notes' own words, what it means, its claims, their cases."""
    from holdfast.lab.sections import SECTIONS

    rows: list[tuple[str, ...]] = []
    for section in SECTIONS:
        names = dict.fromkeys(case.name for case in found for claim in section.claims if claim in case.claims)
        if names:
            claims = section.claims[0] if len(section.claims) == 1 else f"{section.claims[0]}-{section.claims[-1]}"
            rows.append((section.heading.of("en"), section.heading.of("zh"), claims, " ".join(names)))
    return rows


def _print_programs(case: Case, kind: str, language: Language) -> int:
    """The programs of a case, each under a line with its name."""
    lines: list[str] = []
    for program in case.programs:
        path = case.program(program.stem, kind)
        lines.append(f"# --- {path.name}: {program.what.of(language)}")
        if path.exists():
            if kind == "repaired" and program.fault is not None:
                lines.append(f"# --- {program.fault.of(language)}")
            lines += path.read_text(encoding="utf-8").splitlines()
        else:
            lines.append("# --- " + ("nothing to repair" if language == "en" else "无须修改"))
        lines.append("")
    if not lines:
        raise click.UsageError(f"{case.name} has no program of the notes")
    _write_lines(lines[:-1])
    return exit_codes.OK


def _told_faults(voice: Voice, done: Sequence[tuple[Case, Result]]) -> int:
    """Say which cases failed or left something; the exit code of it."""
    code = exit_codes.OK
    for case, result in done:
        if result.failed is not None:
            voice.error(f"{case.name} failed: {result.failed.splitlines()[-1]}; run it again with --seed {result.seed}")
            code = exit_codes.CHECK_FAILED
        for left in result.leftovers:
            voice.error(f"{case.name} left process {left.pid} behind ({left.command}); it was ended")
            code = exit_codes.CHECK_FAILED
    return code


def _write_lines(lines: Sequence[str]) -> None:
    write_all(1, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
