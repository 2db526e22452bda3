"""The little Markdown that our documents need to be checked: headings, links, fenced blocks, generated parts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w-]*)\s*$")
_HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
_CODE_SPAN = re.compile(r"`[^`]*`")


class Block(NamedTuple):
    """One fenced block: where its first line stands (from 1), its language word, its text, and the line before it."""

    line: int
    language: str
    text: str
    before: str


class Link(NamedTuple):
    """One link or picture: the line it stands in (from 1) and its target as written."""

    line: int
    target: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced code blocks, in order; a fence that is never closed ends with the text."""
    before, lines = "", iter(enumerate(text.splitlines(), 1))
    for _, line in lines:
        opened = _FENCE.match(line)
        if not opened:
            before = line if line.strip() else before
            continue
        body, first = [], 0
        for number, inner in lines:
            first = first or number
            if inner.strip() == opened["fence"]:
                break
            body.append(inner)
        yield Block(first, opened["language"], "".join(f"{item}\n" for item in body), before)
        before = ""


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines outside of fenced blocks with their numbers, code spans blanked out."""
    closing = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if closing:
            closing = "" if line.strip() == closing else closing
        elif fence:
            closing = fence["fence"]
        else:
            yield number, _CODE_SPAN.sub(lambda found: " " * len(found[0]), line)


def links(text: str) -> Iterator[Link]:
    """Links and pictures outside of code."""
    for number, line in prose(text):
        for found in _LINK.finditer(line):
            yield Link(number, found["target"])


def anchors(text: str) -> set[str]:
    """The names under which the headings can be linked, made as GitHub makes them (repeated ones get -1, -2, ...)."""
    names: set[str] = set()
    closing = ""
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if closing or fence:
            closing = "" if line.strip() == closing else closing or (fence["fence"] if fence else "")
            continue
        heading = _HEADING.match(line)
        if heading:
            name = re.sub(r"[^\w\- ]", "", heading["text"].lower()).replace(" ", "-")
            repeated = [name, *(f"{name}-{count}" for count in range(1, 100))]
            names.add(next(free for free in repeated if free not in names))
    return names


def replace_generated(text: str, name: str, content: str) -> str:
    """The text with the part between ``<!-- generated: name -->`` and ``<!-- end -->`` replaced.

    Raises:
        KeyError: the text has no such part, or more than one.
    """
    part = re.compile(rf"(<!-- generated: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    replaced, count = part.subn(lambda found: f"{found[1]}\n{content.strip()}\n\n{found[2]}", text)
    if count != 1:
        raise KeyError(f"{count} parts are marked <!-- generated: {name} -->, expected one")
    return replaced
