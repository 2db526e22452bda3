"""Plants known bugs, one at a time, in a copy of the sources, and sees the tests that guard against them turn red.

Each room keeps its list in ``tests/mutants/ROOM.toml``:

    [[mutant]]
    name = "credit off by one"
    file = "src/holdfast/wire/flow.py"
    old = "position + size > self.limit"        # must occur exactly once
    new = "position + size > self.limit + 1"
    tests = ["tests/unit/wire/test_flow.py"]

A mutant that stays green is a test that cannot fail, and ends the run with exit code 1. So does one whose ``old`` text
is not there any more. The checkout itself is never changed.

    python tests/mutants.py                 # all rooms
    python tests/mutants.py wire            # one room
    python tests/mutants.py wire -k credit  # those with this word in their name
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
COPIED: Final = ("src", "tests", "bench", "docs", "pyproject.toml")
LIMIT_S: Final = 120.0
"""A mutant may make its tests hang: that is red, too."""
MEMORY_BYTES: Final = 4 << 30


class Mutant(NamedTuple):
    """One planted bug."""

    room: str
    name: str
    file: str
    old: str
    new: str
    tests: list[str]


def load(rooms: list[str], word: str) -> list[Mutant]:
    """The mutants of these rooms (none named: all) whose name holds ``word``."""
    found = []
    for table in sorted((ROOT / "tests" / "mutants").glob("*.toml")):
        if not rooms or table.stem in rooms:
            rows = tomllib.loads(table.read_text())["mutant"]
            found += [Mutant(table.stem, r["name"], r["file"], r["old"], r["new"], r["tests"]) for r in rows]
    return [mutant for mutant in found if word.lower() in mutant.name.lower()]


def run_tests(copy: Path, tests: list[str]) -> bool:
    """Whether these tests pass in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(copy), *tests]
    with subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_bound_memory,
    ) as process:
        try:
            return process.wait(LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:  # also when we are interrupted: a planted bug may be an endless loop
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _bound_memory() -> None:
    """A planted bug may eat memory without end; each process of its tests, and what they start, may have so much."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def verdict(copy: Path, mutant: Mutant) -> str:
    """``red`` if the planted bug was seen; else what is wrong."""
    file = copy / mutant.file
    source = file.read_text()
    if source.count(mutant.old) != 1:
        return f"STALE: {mutant.old!r} occurs {source.count(mutant.old)} times in {mutant.file}"
    file.write_text(source.replace(mutant.old, mutant.new))
    try:
        return "STILL GREEN" if run_tests(copy, mutant.tests) else "red"
    finally:
        file.write_text(source)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rooms", nargs="*", help="tables to run; none: all")
    parser.add_argument("-k", dest="word", default="", help="only mutants with this in their name")
    options = parser.parse_args()
    mutants = load(options.rooms, options.word)
    if not mutants:
        print("no such mutants", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            elif source.exists():
                shutil.copy(source, copy / name)
        guards = sorted({test for mutant in mutants for test in mutant.tests})
        if not run_tests(copy, guards):
            print("the tests are red without any mutant; mend them first", file=sys.stderr)
            return 2
        survivors = 0
        for mutant in mutants:
            found = verdict(copy, mutant)
            survivors += found != "red"
            print(f"{mutant.room}: {mutant.name}: {found}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} planted bugs seen")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
