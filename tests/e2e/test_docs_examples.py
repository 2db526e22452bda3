"""Every command and program of README, tutorial and how-tos does what the document says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import document_session

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a reader with a home folder and a state folder of his own; his agent is stopped at the end."""
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "HOME": str(home),
        "HOLDFAST_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
    }
    yield env
    stop = [sys.executable, "-m", "holdfast", "agent", "stop", "--jobs"]
    subprocess.run(stop, env=env, timeout=20, check=True, stdin=subprocess.DEVNULL, capture_output=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_does_what_it_says(document: Path, tmp_path: Path, reader: dict[str, str]) -> None:
    faults = document_session.play(document, tmp_path, reader)
    assert not faults, "\n\n".join(faults)


def test_a_wrong_document_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "wrong.md"
    document.write_text(
        "```console\n$ echo one\ntwo\n$ echo three\nthree\n```\n"
        "```python\nprint(4)\n```\n```output\n5\n```\n```python\nraise SystemExit(1)\n```\n"
        "```console\n$ printf 'a\\nb\\nc\\n'\na\n...\n$ echo gone\n...\n$ exit\n$ echo never\nnever\n```\n"
    )
    faults = document_session.play(document, tmp_path, {})
    assert [fault.splitlines()[0].split(": ")[0] for fault in faults] == [
        "wrong.md:2",
        "wrong.md:8",
        "wrong.md:14",
        "wrong.md:23",
    ]
