"""docs/reference/cli.md names every verb, flag, environment variable and exit code that there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from holdfast.cli import exit_codes
from holdfast.cli.app import ALIASES, VERBS, cli
from holdfast.config import VARIABLES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text()


def section(verb: str) -> str:
    """The part of the page about a verb, with the flags that all verbs share."""
    found = re.search(rf"^### {verb}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section about {verb}"
    shared = PAGE[PAGE.index("## Flags of all verbs") : PAGE.index("## Exit codes")]
    return found.group(1) + shared


def commands(verb: str) -> list[click.Command]:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    return [command, *_below(command)]


def _below(command: click.Command) -> list[click.Command]:
    found: list[click.Command] = []
    for each in getattr(command, "commands", {}).values():
        found += [each, *_below(each)]
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_of_every_verb_is_explained(verb: str) -> None:
    text = section(verb)
    for command in commands(verb):
        for option in command.params:
            if isinstance(option, click.Option):
                for name in option.opts:
                    assert re.search(rf"`{re.escape(name)}[` |=\\]", text), f"{verb} {name}"


@pytest.mark.parametrize("verb", VERBS)
def test_no_flag_is_explained_that_does_not_exist(verb: str) -> None:
    known = {name for command in commands(verb) for option in command.params for name in option.opts}
    known |= {"--help", "--sh", "--json", "--output"}
    for name in re.findall(r"^\| `(-[^` ]+)", section(verb).split("| Flag", 1)[-1].split("\n## ")[0], re.MULTILINE):
        assert name in known or name in {"-H", "-q", "-v", "--state-dir", "--connect-timeout", "--color"}, (verb, name)


@pytest.mark.parametrize("alias", ALIASES)
def test_other_names_are_told(alias: str) -> None:
    assert f"`{alias}`" in section(ALIASES[alias])


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_explained(variable: str) -> None:
    assert f"| `{variable}` |" in PAGE


@pytest.mark.parametrize("name", [name for name in vars(exit_codes) if name.isupper() and not name.startswith("_")])
def test_every_exit_code_is_explained(name: str) -> None:
    code = getattr(exit_codes, name)
    assert re.search(rf"^\| {code}[+ ]", PAGE, re.MULTILINE), (name, code)
