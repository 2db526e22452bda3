"""Google-style docstrings as Markdown. Pure."""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

SECTIONS = ("Args", "Returns", "Raises", "Attributes")


class Docstring(NamedTuple):
    """A docstring taken apart: the text before the sections, and the lines of each section."""

    text: str
    sections: dict[str, list[str]]

    @property
    def first_sentence(self) -> str:
        """The first paragraph in one line, up to its first full stop, colon or semicolon that ends a clause."""
        return re.split(r"(?<=[.])\s", " ".join(self.text.partition("\n\n")[0].split()))[0].rstrip(".")


def parse(documented: object) -> Docstring:
    """The docstring of an object, taken apart; empty if it has none."""
    lines: list[str] = []
    sections: dict[str, list[str]] = {}
    current = lines
    for line in (inspect.getdoc(documented) or "").splitlines():
        name = line.removesuffix(":")
        if line.endswith(":") and name in SECTIONS:
            current = sections.setdefault(name, [])
        else:
            current.append(line)
    return Docstring("\n".join(lines).strip(), sections)


def entries(section: list[str]) -> dict[str, str]:
    """The items ``name: text`` of a section; continuation lines are joined."""
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc("\n".join(section)).splitlines():
        head, colon, rest = line.partition(":")
        if colon and not line.startswith(" "):
            name = head.strip()
            found[name] = rest.strip()
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def markdown(text: str) -> str:
    """Text of a docstring as Markdown: code spans have one backtick there."""
    return text.replace("``", "`")


def render(documented: object) -> str:
    """The whole docstring of an object as Markdown paragraphs and lists."""
    docstring = parse(documented)
    parts = [markdown(docstring.text)] if docstring.text else []
    for name, section in docstring.sections.items():
        if name == "Returns":
            parts.append(f"Returns: {markdown(' '.join(' '.join(section).split()))}")
            continue
        items = [f"- `{item}`: {markdown(text)}" for item, text in entries(section).items()]
        parts.append("\n".join([f"{name}:", "", *items]))
    return "\n\n".join(parts)
