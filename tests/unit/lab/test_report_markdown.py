"""The report as Markdown: an index, a page a case, pictures as files; every link leads to a file."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from holdfast.lab.report import markdown
from holdfast.lab.sections import CLAIMS, claim_id
from holdfast.lab.text import LANGUAGES, Language
from tests.unit.lab.report_specimens import BLOCKS, LINES, OTHERS, SEQUENCE, TIMELINE, open_fonts, run, specimen
from tools import markdown as reader

PLAIN = (TIMELINE, SEQUENCE, *OTHERS)
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def fonts() -> None:
    open_fonts()


def written(folder: Path, language: Language = "en", *, failed: str | None = None) -> dict[str, str]:
    case = specimen(PLAIN)
    markdown.write([(case, run(case, failed=failed))], language, folder)
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_writes_an_index_a_page_a_case_and_its_pictures(tmp_path: Path, language: Language) -> None:
    files = written(tmp_path, language)
    assert set(files) == {"README.md", "specimen.md", "images/specimen-1.svg", "images/specimen-2.svg"}
    for name, text in files.items():
        if name.endswith(".svg"):
            ElementTree.fromstring(text)
        else:
            for link in reader.links(text):
                assert (tmp_path / link.target).is_file(), link
    assert written(tmp_path, language) == files


def test_the_index_has_every_claim_once_and_the_machine(tmp_path: Path) -> None:
    index = written(tmp_path)["README.md"]
    rows = [line.split("|")[1].strip() for line in index.splitlines() if re.match(r"\| n\d", line)]
    assert rows == [claim_id(number) for number in range(1, CLAIMS + 1)]
    assert "anvil: A processor, 2 processors" in index
    assert "| n001 | The pool bounds requests in English (半连接池) | ✓ confirmed | [specimen](specimen.md) |" in index


def test_no_word_becomes_markup(tmp_path: Path) -> None:
    case = written(tmp_path)["specimen.md"]
    prose = "\n".join(line for _, line in reader.prose(case))
    assert "<script" not in prose
    assert "100\\|2" in case
    assert "\x1b" not in case


def test_old_pictures_go_and_files_of_others_stay(tmp_path: Path) -> None:
    written(tmp_path)
    images = tmp_path / "images"
    (images / "specimen-9.svg").write_text("old")
    (images / "specimen-other.svg").write_text("of somebody")
    written(tmp_path)
    assert sorted(path.name for path in images.iterdir()) == ["specimen-1.svg", "specimen-2.svg", "specimen-other.svg"]


def test_a_case_that_failed_has_its_traceback(tmp_path: Path) -> None:
    files = written(tmp_path, failed="Traceback: it broke")
    assert "Traceback: it broke" in files["specimen.md"]
    assert "| n001 | The pool bounds requests in English (半连接池) | failed |" in files["README.md"]


def test_files_of_the_project_are_linked_from_within_it(tmp_path: Path) -> None:
    (tmp_path / "src" / "holdfast" / "lab" / "cases").mkdir(parents=True)
    folder = tmp_path / "docs" / "lab"
    case = written(folder)["specimen.md"]
    assert "[`src/holdfast/wire/frames.py`](../../src/holdfast/wire/frames.py)" in case


def test_plots_are_pictures_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra holdfast[lab]")
    case = specimen(BLOCKS)
    markdown.write([(case, run(case))], "zh", tmp_path)
    drawn = (tmp_path / "images" / f"specimen-{BLOCKS.index(LINES) + 1}.svg").read_text()
    assert "connections（中文）" in drawn
