"""README in Chinese is README: the same commands, programs, links and lines of the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import markdown

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


def blocks(text: str) -> list[str]:
    """Fenced blocks without what is said in comments."""
    return [re.sub(r"\s+# .*$", "", block.text, flags=re.MULTILINE) for block in markdown.blocks(text)]


def table(text: str) -> list[int]:
    """Cells in each line of the table."""
    return [line.count("|") for line in text.splitlines() if line.startswith("|")]


def test_the_commands_are_the_same() -> None:
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_the_links_are_the_same_but_for_those_between_the_two() -> None:
    between = {"README.md", "README.zh-CN.md"}
    english, chinese = (re.findall(r"\]\(([^)]+)\)", text) for text in (ENGLISH, CHINESE))
    assert [target for target in chinese if target not in between] == [t for t in english if t not in between]
    assert "README.zh-CN.md" in english
    assert "README.md" in chinese


def test_the_table_is_the_same_in_size() -> None:
    assert table(CHINESE) == table(ENGLISH)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_there_are_as_many_headings(level: int) -> None:
    heading = re.compile(rf"^{'#' * level} ", re.MULTILINE)
    assert len(heading.findall(CHINESE)) == len(heading.findall(ENGLISH))
