"""The lab as its users have it: real runs, and how they end when somebody has had enough."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from holdfast.lab.cases import NAMES
from tests.e2e.cli_harness import Cli

SHORT = ("semaphore", "queue-orders", "lost-update")


def marked(mark: str) -> list[str]:
    """Command lines of the processes that have ``mark`` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it has gone, or is not ours
                continue
    return found


def within(seconds: float, mark: str, *, some: bool) -> list[str]:
    """Marked processes, as soon as there are some (or none), at the latest after so many seconds."""
    until = time.monotonic() + seconds
    while bool(found := marked(mark)) != some and time.monotonic() < until:
        time.sleep(0.02)
    return found


@pytest.fixture
def mark() -> str:
    return f"mark-{uuid4()}"


def listening() -> set[str]:
    """Addresses of the host that somebody listens at, by TCP."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A"}


def check(document: dict[str, object]) -> None:
    assert "failed" not in document, document.get("failed")
    assert document["leftovers"] == []
    claims = document["claims"]
    assert isinstance(claims, list)
    assert all(claim["verdict"] in ("confirmed", "refined", "refuted", "definition") for claim in claims)


@pytest.mark.parametrize("case", SHORT)
def test_a_case_runs_and_leaves_nothing(case: str, tmp_path: Path, mark: str) -> None:
    done = Cli(str(tmp_path / "state"), LAB_MARK=mark)("lab", "run", case, "--quick", "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout))
    assert marked(mark) == []


@pytest.mark.soak
def test_every_case_runs_within_five_minutes(tmp_path: Path, mark: str) -> None:
    cli = Cli(str(tmp_path / "state"), LAB_MARK=mark)
    ports = listening()  # nothing else may listen anew meanwhile
    began = time.monotonic()
    whole = cli.command("lab", "run", "all", "--quick", "--json")
    done = subprocess.run(whole, env=cli.env, capture_output=True, timeout=900, check=False)
    seconds = time.monotonic() - began
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document["case"] for document in documents] == list(NAMES)
    for document in documents:
        check(document)
    assert done.returncode == 0, done.stderr
    assert marked(mark) == []
    assert listening() <= ports
    assert seconds < 300


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_goes_on_when_the_command_has_ended(tmp_path: Path, mark: str, signum: int, code: int) -> None:
    running = Cli(str(tmp_path / "state"), LAB_MARK=mark).popen("lab", "run", "deadlock", "--quick")
    until = time.monotonic() + 20
    while not any("p22" in command for command in marked(mark)):  # the notes' program stands still
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(running.pid, signum)
    _, said = running.communicate(timeout=20)
    assert running.returncode == code
    assert b"Traceback" not in said
    assert within(10, mark, some=False) == []
