"""What the report says of a run as a whole: verdicts counted, claims by section, machine, seed, date. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from holdfast.lab.case import Case, Chapter
from holdfast.lab.report.terminal import number
from holdfast.lab.report.words import word
from holdfast.lab.results import Result, data_of, rulings
from holdfast.lab.sections import CLAIMS, SECTIONS, Section
from holdfast.lab.seen import Machine
from holdfast.lab.text import Language
from holdfast.lab.verdicts import Claim, Ruling, Verdict

Done = Sequence[tuple[Case, Result]]


class Told(msgspec.Struct, frozen=True):
    """One case of the report with what was concluded from its run."""

    case: Case
    result: Result
    data: msgspec.Struct | None
    """None: it failed."""
    rulings: Mapping[str, Ruling]


class Standing(msgspec.Struct, frozen=True):
    """How one claim stands."""

    identity: str
    claim: Claim | None
    """None: the report has no case for it."""
    case: str
    ruling: Ruling | None
    """None: its case was not run, or failed."""
    failed: bool = False
    words: tuple[str, ...] = ()
    """By which it is found: those of its case."""


def told(done: Done) -> list[Told]:
    """All cases, judged."""
    out = []
    for case, result in done:
        data = None if result.failed is not None else data_of(case, result)
        out.append(Told(case, result, data, {} if data is None else rulings(case, data)))
    return out


def by_chapter(cases: Sequence[Told]) -> list[tuple[Chapter, list[Told]]]:
    """The chapters that have cases, in order."""
    chapters = [(chapter, [each for each in cases if each.case.chapter is chapter]) for chapter in Chapter]
    return [(chapter, found) for chapter, found in chapters if found]


def by_section(cases: Sequence[Told]) -> list[tuple[Section, list[Standing]]]:
    """Every claim of the notes in their order, whether it has been tried or not."""
    known = {identity: each for each in cases for identity in each.case.claims}

    def standing(identity: str) -> Standing:
        each = known.get(identity)
        if each is None:
            return Standing(identity, None, "", None)
        ruling = each.rulings.get(identity)
        return Standing(
            identity, each.case.claims[identity], each.case.name, ruling, each.data is None, each.case.words
        )

    return [(section, [standing(identity) for identity in section.claims]) for section in SECTIONS]


def counts(cases: Sequence[Told]) -> dict[Verdict, int]:
    """How many claims got which verdict, in the verdicts' order."""
    found = Counter(ruling.verdict for each in cases for ruling in each.rulings.values())
    return {verdict: found[verdict] for verdict in Verdict}


def without_verdict(cases: Sequence[Told]) -> tuple[int, int]:
    """How many claims have no verdict since their case failed, and how many since it was not run."""
    failed = sum(len(each.case.claims) for each in cases if each.data is None)
    return failed, CLAIMS - failed - sum(len(each.rulings) for each in cases)


def about_run(done: Done, language: Language) -> list[tuple[str, str]]:
    """Machine, date, seed, size and pace of the runs; more than one of each where cases were run apart."""
    results = [result for _, result in done]
    machines = list(dict.fromkeys(result.machine for result in results))
    seeds = dict.fromkeys(str(result.seed) for result in results)
    forms = dict.fromkeys("quick" if result.quick else "full" for result in results)
    paces = dict.fromkeys(number(result.pace) for result in results)
    began = min(result.began_unix_s for result in results)
    ended = max(result.began_unix_s + result.seconds for result in results)
    took = sum(result.seconds for result in results)
    says = word("pace-is", language)
    return [
        *((word("machine", language), machine_of(machine, language)) for machine in machines),
        (word("date", language), _dates(began, ended)),
        (word("seed", language), _short(list(seeds))),
        (word("form", language), ", ".join(word(form, language) for form in forms)),
        (word("pace", language), "; ".join(says.format(pace=pace) for pace in paces)),
        (word("took", language), f"{number(took)} s"),
    ]


def machine_of(machine: Machine, language: Language) -> str:
    """A machine in one line."""
    gil = word("with-gil" if machine.gil else "without-gil", language)
    facts = [
        f"{machine.cpu}, {machine.cpus} {word('processors', language)}",
        f"{number(machine.memory_bytes / 2**30)} GiB {word('memory', language)}",
        f"Linux {machine.kernel}",
        f"{machine.implementation} {machine.python}{f' ({gil})' if language == 'en' else f'（{gil}）'}",
        f"{machine.descriptors} {word('open-files', language)}",
        word("as-root" if machine.root else "as-user", language),
    ]
    return f"{machine.name}: {'; '.join(facts)}" if language == "en" else f"{machine.name}：{'；'.join(facts)}"


def _dates(began: float, ended: float) -> str:
    first, last = (datetime.fromtimestamp(at, UTC) for at in (began, ended))
    if first.date() == last.date():
        return f"{first:%Y-%m-%d %H:%M} – {last:%H:%M} UTC"
    return f"{first:%Y-%m-%d %H:%M} – {last:%Y-%m-%d %H:%M} UTC"


def _short(words: Sequence[str], most: int = 4) -> str:
    return ", ".join([*words[:most], "…"] if len(words) > most else words)
