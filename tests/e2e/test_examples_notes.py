"""Each program of examples/notes gives on Holdfast, with another import, what it gives on the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NOTES = Path(__file__).resolve().parents[2] / "examples" / "notes"
RUNNER = "on_holdfast.py"

BUNS = [f"{baker}'s bun {bun}" for baker in ("Ada", "Bo") for bun in range(5)]
EXPECTED = {
    "tickets.py": [
        "without a lock",
        "  10 of 10 buyers have one of the 3 tickets; on the shelf: 2",
        "with a lock",
        "  3 of 10 buyers have one of the 3 tickets; on the shelf: 0",
    ],
    "buns.py": ["the shop is open", *(f"eaten: {bun}" for bun in BUNS), "the shop is closed"],
    "buns_joinable.py": ["every bun was eaten:", *(f"  {bun}" for bun in BUNS)],
    "ipc_queue.py": [
        "full: True",
        *3 * ["no room for a fourth one"],
        "a word",
        "{'a': 'dict'}",
        "['a', 'list']",
        *3 * ["nothing left"],
    ],
    "lost_update.py": ["without a lock: 99", "with a lock: 0"],
    "deadlock.py": ["has eaten: 1", "has given up: 1"],
    "recursive_lock.py": [f"guest {number} has eaten" for number in range(10)],
    "semaphore.py": ["at the most at the same time: 5", "inside now: 0"],
    "timer.py": ["the program goes on", "10 is running", "half a second later: True"],
    "orders.py": [
        "Queue [(3, 'three'), (-10, 'minus ten'), (11, 'eleven')]",
        "LifoQueue [(11, 'eleven'), (-10, 'minus ten'), (3, 'three')]",
        "PriorityQueue [(-10, 'minus ten'), (3, 'three'), (11, 'eleven')]",
    ],
    "pool_of_processes.py": [
        "one after the other: [1, 4]",
        "in order: [1, 4, 9, 16]",
        "nobody has waited",
        "the pool takes nothing more",
        *(f"{n}: called back in the program's process: True, done there: False" for n in (16, 1, 4, 9)),
    ],
    "pool_of_threads.py": [
        "nobody has waited",
        "processes: 1",
        "threads: 4",
        *(f"{n}: called back in the main thread: False" for n in (16, 1, 4, 9)),
    ],
    "process_by_function.py": [
        "alive before the start: False",
        "the first, by position: count is 0, a process apart: True",
        "started: the first True",
        "alive after the end: False with 0",
        "count is still 100",
        "its own exit code: 3",
        "after a tenth of a second: True None",
        "terminated: False -15",
    ],
    "process_by_subclass.py": ["Ada greets, 1 of 2", "Ada greets, 2 of 2", "ended with 0"],
    "daemon.py": [
        "the daemon is watching",
        "the worker is working",
        "the program has come to its end",
        "the worker is done",
    ],
}
DEADLOCK = {"standard library": "RuntimeError: no second one after 2 s", "Holdfast": "DeadlockError: "}
"""The one difference: who finds it. What follows the lines that both have begins like this."""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with a state folder of its own; its agent is stopped at the end."""
    variables = {
        **os.environ,
        "HOLDFAST_STATE_DIR": str(tmp_path_factory.mktemp("state")),
        "PYTHONWARNINGS": "error",
    }
    yield variables
    stop = [sys.executable, "-m", "holdfast", "agent", "stop", "--jobs"]
    subprocess.run(stop, env=variables, timeout=20, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def test_every_program_is_listed_here_and_in_the_readme() -> None:
    programs = {path.name for path in NOTES.glob("*.py")} - {RUNNER}
    assert programs == set(EXPECTED)
    readme = (NOTES / "README.md").read_text()
    assert all(f"({name})" in readme for name in programs)


@pytest.mark.parametrize("where", ["standard library", "Holdfast"])
@pytest.mark.parametrize("name", EXPECTED)
def test_program_gives_the_same(name: str, where: str, env: dict[str, str], tmp_path: Path) -> None:
    runner = [str(NOTES / RUNNER)] if where == "Holdfast" else []
    done = subprocess.run(
        [sys.executable, *runner, str(NOTES / name)],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    expected = EXPECTED[name]
    assert lines[: len(expected)] == expected
    rest = "\n".join(lines[len(expected) :])
    assert rest.startswith(DEADLOCK[where]) if name == "deadlock.py" else rest == ""
