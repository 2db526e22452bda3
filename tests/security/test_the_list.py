"""The security list in the documentation names tests that exist and that name their number back."""

from __future__ import annotations

import re

from tests.security.sources import ROOT

PAGE = ROOT / "docs" / "explanation" / "security.md"
NUMBERS = [*range(1, 21), 23, *range(25, 31)]


def _rows() -> dict[int, list[str]]:
    rows: dict[int, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        if match := re.match(r"\| S(\d+) \|", line):
            assert int(match[1]) not in rows, f"S{match[1]} stands there twice"
            rows[int(match[1])] = re.findall(r"`(tests/[\w/.]+\.py)`", line)
    return rows


def test_each_number_has_its_line() -> None:
    assert sorted(_rows()) == NUMBERS


def test_each_line_names_tests_that_name_its_number() -> None:
    wrong = []
    for number, paths in _rows().items():
        if not paths:
            wrong.append(f"S{number} names no test")
        for path in paths:
            file = ROOT / path
            if not file.exists():
                wrong.append(f"S{number}: {path} is not there")
            elif not re.search(rf"\bS{number}\b|_s0?{number}_", file.read_text()):
                wrong.append(f"S{number}: {path} does not name it")
    assert wrong == []
