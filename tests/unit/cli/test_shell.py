"""Which lines the simple shell takes for its own."""

from __future__ import annotations

import pytest

from holdfast.cli.shell import simple_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cd /tmp", ["cd", "/tmp"]),
        ("cd 'a b'", ["cd", "a b"]),
        ("cd", ["cd"]),
        ("export A='x;y'", ["export", "A=x;y"]),
        ("cd /tmp && ls", []),
        ("cd /tmp; ls", []),
        ("cd $(mktemp -d)", []),
        ("(cd /tmp)", []),
        ("cd 'unfinished", []),
        ("echo a | cat", []),
        ("export A=#b", ["export", "A=#b"]),
    ],
)
def test_plain_commands_are_told_from_the_rest(line: str, words: list[str]) -> None:
    assert simple_words(line) == words
