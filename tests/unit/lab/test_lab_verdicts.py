"""Every claim of the notes has its case, and every judge has been fed with data that bring different verdicts."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module

import msgspec
import pytest

from holdfast.lab import cases
from holdfast.lab.case import Case
from holdfast.lab.results import rulings
from holdfast.lab.sections import CLAIMS, PROGRAMS, SECTIONS, claim_id
from holdfast.lab.text import Text
from tests.unit.lab.outcomes.table import Outcomes

EVERY = cases.every()
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def outcomes(case: Case) -> Outcomes:
    found: Outcomes = import_module(f"tests.unit.lab.outcomes.{case.name.replace('-', '_')}").OUTCOMES
    return found


def test_each_claim_has_one_case() -> None:
    ids = Counter(claim for case in EVERY for claim in case.claims)
    assert ids == Counter(claim_id(number) for number in range(1, CLAIMS + 1))


def test_each_program_of_the_notes_has_one_case() -> None:
    numbers = Counter(number for case in EVERY for program in case.programs for number in program.numbers)
    assert numbers == Counter(range(1, PROGRAMS + 1))


def test_the_sections_follow_each_other_without_a_gap() -> None:
    assert [claim for section in SECTIONS for claim in section.claims] == [claim_id(n) for n in range(1, CLAIMS + 1)]


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_every_judge_can_say_one_thing_and_another(case: Case) -> None:
    table = outcomes(case)
    assert set(table) == set(case.claims) == set(case.judges)
    for claim, fed in table.items():
        given = [str(case.judges[claim](data).verdict) for data, _ in fed]
        assert given == [wanted for _, wanted in fed], claim
        assert len(set(given)) > 1 or set(given) == {"definition"}, f"{claim} was fed with one outcome only"


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_every_text_is_there_in_both_languages(case: Case) -> None:
    specimens = {id(data): data for fed in outcomes(case).values() for data, _ in fed}
    texts = [case.title, case.question, *(claim.says for claim in case.claims.values())]
    texts += [reading.what for reading in case.reading] + [program.what for program in case.programs]
    texts += [program.fault for program in case.programs if program.fault]
    for data in specimens.values():
        texts += [case.answer(data), *(ruling.evidence for ruling in rulings(case, data).values())]
        texts += [block.title for block in case.blocks(data) if hasattr(block, "title")]
    for text in texts:
        assert isinstance(text, Text)
        assert text.en, text
        assert CHINESE.search(text.zh), text


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_the_data_can_be_stored(case: Case) -> None:
    for fed in outcomes(case).values():
        for data, _ in fed:
            assert type(data) is case.data
            assert msgspec.json.decode(msgspec.json.encode(data), type=case.data) == data


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_the_programs_and_the_files_to_read_are_there(case: Case) -> None:
    for program in case.programs:
        assert case.program(program.stem, "as-in-the-notes").exists()
        assert case.program(program.stem, "repaired").exists() == (program.fault is not None)
    root = case.folder.parents[4]
    for reading in case.reading:
        assert (root / reading.path).exists(), reading.path


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_a_case_is_found_by_its_words(case: Case) -> None:
    assert cases.search(case.name) == (case,)
    for word in case.words:
        assert word == word.lower()
        assert case in cases.search(word)
    for claim in case.claims:
        assert cases.search(claim) == (case,)
