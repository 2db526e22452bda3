"""What ``hosts.toml`` says, and how its text is edited; pure.

Rules:

* The file belongs to a person: comments, order and everything that an edit does not concern stay as they are.
* An edit is made on the lines, and believed only when the result parses to exactly what was meant. A file written in
  a way that line editing cannot follow (inline tables, dotted keys) is left untouched, with an error that says so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Final

import msgspec

from holdfast.errors import SettingsError

NAME_CHARACTERS: Final = 63
RESERVED: Final = ("local", "all")
"""Words that mean something else wherever a host is named."""
FIELDS: Final = ("address", "key", "remote")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEY: Final = re.compile(r"hf:[a-z2-7]{32}")
_HEADER: Final = re.compile(r"""\s*\[\s*(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\]\s*(?:#.*)?""")
_VALUE: Final = re.compile(r"""(\s*([a-z]+)\s*=\s*)("(?:[^"\\]|\\.)*"|'[^']*')(\s*(?:#.*)?)""")


class HostEntry(msgspec.Struct, frozen=True):
    """One name of ``hosts.toml``.

    Attributes:
        name: What people call it.
        address: What it stands for: ``tls://``, ``ssh://``, ``unix://`` or ``local``.
        key: Fingerprint of the agent's key, ``hf:…``; for ``tls://``, by enrolment.
        remote: Path of ``holdfast`` on the other machine, for ``ssh://``; empty: as found there.
    """

    name: str
    address: str
    key: str = ""
    remote: str = ""


def check_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        SettingsError: it cannot.
    """
    if not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS or name in RESERVED:
        raise SettingsError(
            f"{name!r} cannot name a host: letters, digits, '.', '_' and '-', {NAME_CHARACTERS} at most, "
            f"and none of {', '.join(RESERVED)}"
        )
    return name


def read_entries(text: str, path: str) -> dict[str, HostEntry]:
    """The entries of a file's text, in its order.

    Args:
        text: TOML.
        path: Where it comes from, for messages.

    Raises:
        SettingsError: not TOML, an unknown key or an unusable value; one line with file and name.
    """
    try:
        tables = tomllib.loads(text)
    except ValueError as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    return {name: _entry(name, table, path) for name, table in tables.items()}


def put_entry(text: str, entry: HostEntry, path: str) -> str:
    """The text with this entry in it, in the place of one of the same name or at the end.

    Raises:
        SettingsError: the text cannot be read, or is written in a way that cannot be edited.
    """
    expected = read_entries(text, path)
    lines = text.splitlines(keepends=True)
    place = _section(lines, entry.name)
    if place is None:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        edited = f"{text}{gap}{_written(entry)}"
    else:
        start, end = place
        edited = "".join([*lines[:start], *_rewritten(lines[start:end], entry), *lines[end:]])
    expected[entry.name] = entry
    return _believed(edited, expected, path)


def drop_entry(text: str, name: str, path: str) -> str:
    """The text without the table of this name; comments above it stay.

    Raises:
        SettingsError: as ``put_entry``.
    """
    expected = read_entries(text, path)
    expected.pop(name, None)
    lines = text.splitlines(keepends=True)
    place = _section(lines, name)
    if place is not None:
        start, end = place
        if end < len(lines) and not lines[end].strip() and (start == 0 or not lines[start - 1].strip()):
            end += 1  # one of the two blank lines that would meet
        lines = [*lines[:start], *lines[end:]]
    return _believed("".join(lines), expected, path)


def _entry(name: str, table: object, path: str) -> HostEntry:
    where = f"{path}: [{name}]"
    if not isinstance(table, Mapping):
        raise SettingsError(f'{path}: {name!r} is not a table: write [{name}] and address = "…" below it')
    try:
        check_name(name)
    except SettingsError as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    for field, value in table.items():
        if field not in FIELDS:
            raise SettingsError(f"{where}: unknown key {field!r}; known are {', '.join(FIELDS)}")
        if not isinstance(value, str) or not value:
            raise SettingsError(f"{where}: {field}: {value!r} is not a non-empty text")
    if "address" not in table:
        raise SettingsError(f"{where}: it has no address")
    if "key" in table and not _KEY.fullmatch(table["key"]):
        raise SettingsError(f"{where}: key: {table['key']!r} is not a fingerprint: hf: and 32 letters or digits")
    return HostEntry(name, **table)


def _section(lines: list[str], name: str) -> tuple[int, int] | None:
    """First line of a table and the line after its last; comments before the next table belong to that."""
    start = None
    end = len(lines)
    for number, line in enumerate(lines):
        if start is None:
            match = _HEADER.fullmatch(line.rstrip("\r\n"))
            if match is not None and name in match.groups():
                start = number
        elif line.lstrip().startswith("["):
            end = number
            break
    if start is None:
        return None
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return start, end


def _written(entry: HostEntry) -> str:
    lines = [f"{field} = {_quoted(value)}\n" for field in FIELDS if (value := getattr(entry, field))]
    return "".join([f"[{_quoted(entry.name) if '.' in entry.name else entry.name}]\n", *lines])


def _rewritten(section: list[str], entry: HostEntry) -> list[str]:
    """The lines of a table with its values changed, those alone."""
    missing = [field for field in FIELDS if getattr(entry, field)]
    lines = []
    for line in section:
        body = line.rstrip("\r\n")
        match = _VALUE.fullmatch(body)
        if match is None or match[2] not in FIELDS:
            lines.append(line)
        elif match[2] in missing:
            missing.remove(match[2])
            lines.append(f"{match[1]}{_quoted(getattr(entry, match[2]))}{match[4]}{line[len(body) :] or chr(10)}")
    if missing and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines + [f"{field} = {_quoted(getattr(entry, field))}\n" for field in missing]


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()  # a JSON text is a basic string of TOML


def _believed(text: str, expected: Mapping[str, HostEntry], path: str) -> str:
    try:
        found = read_entries(text, path)
    except SettingsError:
        found = {}
    if found != expected:
        raise SettingsError(f"{path} is written in a way that cannot be edited line by line: edit it by hand")
    return text
