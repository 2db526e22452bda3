"""Checks the documents and writes their generated parts again.

    python -m tools.docs            write the generated parts, then check everything
    python -m tools.docs --check    write nothing; a generated part that is out of date is an error

Checked: every relative link and picture leads to a file (and heading) that is there; the names of the change notes;
every page below docs/ can be reached from docs/README.md. Links to other sites are not followed: the answer must be the
same without a network.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tools import api_reference, decisions, markdown, settings_reference

ROOT = Path(__file__).resolve().parent.parent
GENERATED: dict[str, dict[str, Callable[[], str]]] = {
    "docs/README.md": {"decisions": decisions.render},
    "docs/reference/python.md": {
        "python-api": api_reference.render,
        "job-options": api_reference.render_options,
        "errors": api_reference.render_errors,
    },
    "docs/reference/configuration.md": {
        "settings": settings_reference.render_settings,
        "environment": settings_reference.render_environment,
    },
}
CHANGE_NOTE = re.compile(r"[a-z0-9][a-z0-9-]*\.(added|changed|fixed|removed|security)\.md")


def documents(root: Path) -> list[Path]:
    """Every Markdown file of the project, without environments and caches."""
    folders = [root / name for name in ("docs", "changes", "examples", "bench")]
    return sorted([*root.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


def broken_links(root: Path, paths: Iterable[Path]) -> Iterator[str]:
    """One line for each link that leads nowhere."""
    for path in paths:
        for link in markdown.links(path.read_text()):
            if re.match(r"[a-z][a-z0-9+.-]*:", link.target):
                continue
            name, _, anchor = link.target.partition("#")
            target = (path.parent / name).resolve() if name else path
            where = f"{path.relative_to(root)}:{link.line}"
            if not target.exists():
                yield f"{where}: {link.target}: no such file"
            elif not target.is_relative_to(root):
                yield f"{where}: {link.target}: leads out of the project"
            elif anchor and target.suffix == ".md" and anchor not in markdown.anchors(target.read_text()):
                yield f"{where}: {link.target}: no such heading"


def unreachable_pages(root: Path) -> Iterator[str]:
    """One line for each page below docs/ that no chain of links from docs/README.md leads to."""
    start = root / "docs" / "README.md"
    seen, todo = {start}, [start]
    while todo:
        path = todo.pop()
        for link in markdown.links(path.read_text()):
            target = (path.parent / link.target.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file() and target not in seen:
                seen.add(target)
                todo.append(target)
    for page in sorted((root / "docs").rglob("*.md")):
        if page not in seen:
            yield f"{page.relative_to(root)}: not linked from docs/README.md, directly or in steps"


def bad_change_notes(root: Path) -> Iterator[str]:
    """One line for each file in changes/ that is not named as changes/README.md says, or is empty."""
    for path in sorted((root / "changes").iterdir()):
        if path.name == "README.md":
            continue
        if not CHANGE_NOTE.fullmatch(path.name):
            yield f"{path.relative_to(root)}: not named <short-name>.<kind>.md"
        elif not path.read_text().strip():
            yield f"{path.relative_to(root)}: empty"


def stale_parts(root: Path, *, write: bool) -> Iterator[str]:
    """One line for each generated part that is out of date; with ``write`` they are brought up to date instead."""
    for name, parts in GENERATED.items():
        path = root / name
        text = path.read_text()
        fresh = text
        for part, render in parts.items():
            fresh = markdown.replace_generated(fresh, part, render())
        if fresh == text:
            continue
        if write:
            path.write_text(fresh)
        else:
            yield f"{name}: a generated part is out of date; run `make docs`"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    faults = [
        *stale_parts(ROOT, write=not options.check),
        *broken_links(ROOT, documents(ROOT)),
        *unreachable_pages(ROOT),
        *bad_change_notes(ROOT),
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{len(documents(ROOT))} documents: links, generated parts and change notes are in order")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
