"""The page: one document that needs nothing else, whole in both languages, and true to what it is given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from holdfast.lab import cases
from holdfast.lab.blocks import Lane, Span, Timeline
from holdfast.lab.report import html
from holdfast.lab.report.page_style import _THEMES
from holdfast.lab.report.svg import COLORS
from holdfast.lab.sections import CLAIMS, SECTIONS
from holdfast.lab.text import LANGUAGES, Language, same
from tests.unit.lab.report_specimens import HOSTILE, OTHERS, SEQUENCE, TIMELINE, run, specimen
from tests.unit.lab.test_report_drawing import contrast

VOID = frozenset(("meta", "input", "br", "hr", "img", "link"))
PLAIN = (TIMELINE, SEQUENCE, *OTHERS)
"""Blocks that need no matplotlib."""


class Outline(HTMLParser):
    """Reads a page: its elements with their attributes and text; complains where they do not close as they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.append((self.open[-1], data))

    def of(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for name, attributes in self.elements if name == tag)


def read(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert outline.open == []
    return outline


def page(language: Language = "en", *, failed: str | None = None) -> str:
    case = specimen(PLAIN)
    return html.page([(case, run(case, failed=failed))], language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_is_one_document_that_asks_for_nothing(language: Language) -> None:
    outline = read(page(language))
    assert [attributes["lang"] for attributes in outline.of("html")] == [{"en": "en", "zh": "zh-CN"}[language]]
    for tag, attributes in outline.elements:
        assert tag not in ("link", "img", "iframe", "object")
        assert "src" not in attributes
        assert attributes.get("href", attributes.get("xlink:href", "#")).startswith("#"), (tag, attributes)
    styles = "".join(data for tag, data in outline.text if tag == "style")
    assert not re.search(r"@import|url\((?!#)", styles)


@pytest.mark.parametrize("language", LANGUAGES)
def test_ids_are_unique_and_links_lead_somewhere(language: Language) -> None:
    outline = read(page(language))
    ids = Counter(attributes["id"] for _, attributes in outline.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    assert {attributes["href"][1:] for attributes in outline.of("a")} <= set(ids)


def test_headings_go_down_one_step_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in read(page()).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_words_stay_words() -> None:
    whole = page()
    assert HOSTILE not in whole
    outline = read(whole)
    assert len(list(outline.of("script"))) == 1
    assert len(list(outline.of("b"))) == 4 + 1  # the counts of the four verdicts, and of what was not run
    assert "\x1b" not in whole
    assert "\0" not in whole


def test_every_claim_of_the_notes_is_in_the_table_under_its_heading() -> None:
    whole = page()
    rows = re.findall(r'<tr data-verdicts="(\w+)"', whole)
    assert len(rows) == CLAIMS
    assert Counter(rows) == {"missing": CLAIMS - 4, "confirmed": 1, "refined": 1, "refuted": 1, "definition": 1}
    said = "".join(data for _, data in read(whole).text)
    assert all(section.heading.zh in said for section in SECTIONS)


def test_verdicts_are_told_in_words_with_their_evidence() -> None:
    said = " ".join(data for _, data in read(page()).text)
    for words in ("✓ confirmed", "9 of 9 did.", "depends on", "≈ refined", "4 of 9 did.", "✗ refuted", "≔ definition"):
        assert words in said


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("anvil", "quick", "with GIL", "2023-11-14 22:13")), ("zh", ("anvil", "快速", "带 GIL"))],
)
def test_machine_and_run_are_named(language: Language, words: tuple[str, ...]) -> None:
    said = " ".join(data for _, data in read(page(language)).text)
    assert all(word in said for word in words)


def test_the_terms_of_the_notes_stand_beside_the_english() -> None:
    assert re.search(r'in English <span class="term" lang="zh">半连接池</span>', page())


def test_a_chinese_page_has_no_english_sentence_of_ours() -> None:
    texts = " ".join(data for tag, data in read(page("zh")).text if tag not in ("style", "script", "code", "pre"))
    assert "in English" not in texts
    for word in ("Summary", "Machine", "Answer", "confirmed", "Verdict", "waits"):
        assert word not in texts


def test_a_case_that_failed_says_so_and_has_no_verdicts() -> None:
    whole = page(failed="Traceback: <it> broke")
    said = " ".join(data for _, data in read(whole).text)
    assert "Traceback: <it> broke" in said
    assert said.count("failed") >= 4
    assert "✓ confirmed" not in re.sub(r"<button.*?</button>|<li class=\"confirmed\">.*?</li>", "", whole)


def test_runs_of_several_seeds_and_machines_are_all_named() -> None:
    first, second = specimen(PLAIN, name="first"), specimen(PLAIN, name="second")
    whole = html.page([(first, run(first, seed=7)), (second, run(second, seed=8))], "en")
    assert "<dd>7, 8</dd>" in whole
    assert "--seed 8" in whole


@pytest.mark.parametrize("language", LANGUAGES)
def test_is_the_same_for_the_same_runs(language: Language) -> None:
    assert page(language) == page(language)


def test_programs_can_be_unfolded() -> None:
    case = cases.find("semaphore")
    whole = html.page([(case, run(case, failed="not run"))], "en")
    outline = read(whole)
    assert any(tag == "pre" and "Semaphore(5)" in data for tag, data in outline.text)
    assert any("Program 24 of the notes" in data for tag, data in outline.text if tag == "summary")


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_of_the_page_is_enough(theme: int) -> None:
    colors = {name: pair[theme] for name, pair in (COLORS | _THEMES).items()}
    for back in ("back", "paper", "raised"):
        for name in ("ink", "soft", "link", "confirmed", "refined", "refuted", "definition"):
            assert contrast(colors[name], colors[back]) >= 4.5, (name, back)


def test_the_table_below_a_drawing_has_a_bound() -> None:
    lane = Lane("busy", tuple(Span(float(at), at + 0.5) for at in range(1000)))
    case = specimen((Timeline(same("busy"), (lane,)),))
    whole = html.page([(case, run(case))], "en")
    assert "and 800 more" in whole
    assert whole.count("<tr>") < 300
