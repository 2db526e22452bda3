"""The project describes itself truly: dependencies, documents, change notes, files that a newcomer needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools import docs

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMPORT_NAMES = {"import-linter": "importlinter", "prometheus-client": "prometheus_client", "pytest-xdist": "xdist"}
FOR_USERS = ("lab", "metrics")
"""Extras that the package itself imports where they are installed; the others are for working on it."""


def names_of(requirements: list[str]) -> set[str]:
    """Import names of requirements such as "click>=8.1"."""
    names = {re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in requirements}
    return {IMPORT_NAMES.get(name, name) for name in names}


def imported_by(folder: Path) -> Iterator[str]:
    """Top-level names of all imports below a folder, those inside of functions included."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    imported = set(imported_by(ROOT / "src")) - set(sys.stdlib_module_names) - {"holdfast"}
    extras = [name for extra in FOR_USERS for name in PROJECT["project"]["optional-dependencies"][extra]]
    assert imported == names_of(PROJECT["project"]["dependencies"]) | names_of(extras)


def test_the_extra_called_all_holds_every_other_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.removeprefix("holdfast[").removesuffix("]").split(",")) == set(extras) - {"all"}


def test_every_supported_python_is_named_in_the_classifiers() -> None:
    from tools.test_all import VERSIONS

    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert tuple(named) == VERSIONS
    assert PROJECT["project"]["requires-python"] == f">={VERSIONS[0]}"


def test_links_pages_and_change_notes_are_in_order() -> None:
    assert list(docs.broken_links(ROOT, docs.documents(ROOT))) == []
    assert list(docs.unreachable_pages(ROOT)) == []
    assert list(docs.bad_change_notes(ROOT)) == []


def test_generated_parts_of_the_documents_are_up_to_date() -> None:
    assert list(docs.stale_parts(ROOT, write=False)) == []


def test_every_verb_of_the_makefile_that_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for path in docs.documents(ROOT):
        named = set(re.findall(r"`make ([a-z-]+)", path.read_text()))
        assert named <= targets, path


def test_the_check_of_the_public_types_finds_what_is_not_written_down() -> None:
    from tools.public_types import faults

    def symbol(name: str, *messages: str) -> dict[str, object]:
        return {"name": name, "diagnostics": [{"message": message} for message in messages]}

    found = {
        "symbols": [
            symbol("holdfast.connect", "Return type is partially unknown\n  Return type is Host"),
            symbol("holdfast.client.sync.Job.wait", "No docstring found for function"),
            symbol("holdfast.types.Receipt.job", "Type is missing type annotation and could be inferred"),
            symbol("holdfast.types._hidden", "Type is missing type annotation"),
            symbol("holdfast.wire.flow.Inflow.limit", "Type is missing type annotation"),
        ]
    }
    assert [fault.partition(":")[0] for fault in faults(found)] == [
        "holdfast.client.sync.Job.wait",
        "holdfast.types.Receipt.job",
    ]
