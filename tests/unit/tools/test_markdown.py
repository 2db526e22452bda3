"""The checks of the documents find what they are there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import docs, docstrings, markdown

PAGE = """# A page

See [one](one.md#first-part) and ![picture](p.png "title"), not `[code](none.md)`.

```console
$ echo '[not a link](nowhere.md)'
# no heading
```

## What's `new`, here?

## Twice
## Twice
"""


def test_links_are_found_outside_of_code_only() -> None:
    assert list(markdown.links(PAGE)) == [(3, "one.md#first-part"), (3, "p.png")]


def test_anchors_are_made_as_github_makes_them() -> None:
    assert markdown.anchors(PAGE) == {"a-page", "whats-new-here", "twice", "twice-1"}


def test_blocks_tell_line_language_and_text() -> None:
    (block,) = markdown.blocks(PAGE)
    assert (block.line, block.language) == (6, "console")
    assert block.text.endswith("# no heading\n")
    assert block.before.startswith("See [one]")


def test_generated_part_is_replaced_and_a_missing_one_is_an_error() -> None:
    text = "before\n<!-- generated: x -->\nold\n<!-- end -->\nafter\n"
    fresh = markdown.replace_generated(text, "x", "new \\1")
    assert fresh == "before\n<!-- generated: x -->\n\nnew \\1\n\n<!-- end -->\nafter\n"
    assert markdown.replace_generated(fresh, "x", "new \\1") == fresh
    with pytest.raises(KeyError, match="0 parts"):
        markdown.replace_generated(text, "y", "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project in which every document is in order."""
    for folder in ("docs", "changes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").write_text(
        "# Title\n\n[docs](docs/README.md), [self](#title), [site](https://example.org/)\n"
    )
    (tmp_path / "docs" / "README.md").write_text("[page](page.md#two)\n")
    (tmp_path / "docs" / "page.md").write_text("# One\n## Two\n")
    (tmp_path / "changes" / "README.md").write_text("how\n")
    (tmp_path / "changes" / "a-thing.fixed.md").write_text("text\n")
    return tmp_path


def faults(root: Path) -> list[str]:
    return [
        *docs.broken_links(root, docs.documents(root)),
        *docs.unreachable_pages(root),
        *docs.bad_change_notes(root),
    ]


def test_a_project_in_order_has_no_faults(project: Path) -> None:
    assert faults(project) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("README.md", "[gone](docs/gone.md)\n", "README.md:1: docs/gone.md: no such file"),
        ("README.md", "\n[gone](docs/page.md#three)\n", "README.md:2: docs/page.md#three: no such heading"),
        ("README.md", "[out](../)\n", "README.md:1: ../: leads out of the project"),
        (
            "docs/lonely.md",
            "# Nobody links here\n",
            "docs/lonely.md: not linked from docs/README.md, directly or in steps",
        ),
        ("changes/thing.md", "text\n", "changes/thing.md: not named <short-name>.<kind>.md"),
        ("changes/thing.added.md", " \n", "changes/thing.added.md: empty"),
    ],
)
def test_each_fault_is_found(project: Path, name: str, text: str, fault: str) -> None:
    (project / name).write_text(text)
    assert faults(project) == [fault]


def documented(first: int) -> int:
    """Twice ``first``, a number: nothing else. More of it.

    Second paragraph.

    Args:
        first: Any number; a long
            line goes on.

    Returns:
        A number.

    Raises:
        ValueError: never.
    """
    return 2 * first


def test_docstrings_become_markdown() -> None:
    assert docstrings.render(documented) == (
        "Twice `first`, a number: nothing else. More of it.\n\nSecond paragraph.\n\n"
        "Args:\n\n- `first`: Any number; a long line goes on.\n\n"
        "Returns: A number.\n\n"
        "Raises:\n\n- `ValueError`: never."
    )
    assert docstrings.parse(documented).first_sentence == "Twice ``first``, a number: nothing else"
