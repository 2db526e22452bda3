"""Every program in examples/ runs and prints what it is there to show."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = {
    "watch_build.py": ["building lexer", "building linker", "warning: old flag"],
    "once.py": ["sent 117\nsent 117\nsent 117\nsent 118\n", "lines in the ledger: 2", "did it run? no"],
    "parallel_tests.py": ["fast  ok  12 passed", "red   RED 1 failed", "slow  RED took longer", "2 of 4 passed"],
    "talk_to_a_job.py": ["2 + 3 = 5\n6 * 7 = 42\n"],
    "handle_every_ending.py": [
        "true:       code 0",
        "exit 3:     code 3",
        "signal 11 (SIGSEGV), ended by itself",
        "time limit of 0.3 s: yes",
        "missing:    not started (executable): no",
        "no program: not started (executable): no",
    ],
    "tail_from_offset.py": ["['one', 'two'] then b'' at byte 8"],
    "many_hosts.py": [
        "web1     ok  Linux",
        "web2     ok  Linux",
        "web3     BAD not reached",
        "2 of 3 hosts have answered",
    ],
    "pool_map.py": ["5133 primes below 50000"],
    "lock_a_deploy.py": ["refused: token of the one who was too late\ndeployed: 2.0\n"],
    "work_queue.py": ["took 1 and died with -9\n", "page 1 done at delivery 2\npage 2 done at delivery 1\n"],
    "roles.sh": [
        "running unit\n",
        "refused, code 125\n",
        "allow ci@build profile tests\ndeny ci@build no profile\ndeny ci@build no profile\n",
        "ci@build: revoked;",
        "refused, code 255\n",
    ],
    "nightly.sh": ["done\n", "backing up\nbacked up\n"],
    "supervise.sh": ["the client is dead, the job is not\ntick 1\n", "tick 6\nexit code 4\nverified\n"],
}


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with a state folder of its own; its agent is stopped at the end."""
    variables = {
        **os.environ,
        "HOLDFAST_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
    }
    yield variables
    stop = [sys.executable, "-m", "holdfast", "agent", "stop", "--jobs"]
    subprocess.run(stop, env=variables, timeout=20, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def test_every_example_is_listed_here_and_in_the_readme() -> None:
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert programs == set(EXPECTED)
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"({name})" in readme for name in programs)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_shows_what_it_is_there_to_show(name: str, env: dict[str, str], tmp_path: Path) -> None:
    program = EXAMPLES / name
    command = [sys.executable, str(program)] if program.suffix == ".py" else ["/bin/sh", str(program)]
    done = subprocess.run(
        command,
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for text in EXPECTED[name]:
        assert text in done.stdout
