"""S20: what a job is given in its environment and on its standard input shows up nowhere else.

There is no sealed field for secrets (``secret_env``) yet: the journal, which is the user's alone (0600), holds the
environment of a job so that a job that waits can start after a restart. Everything else must be clean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from tests.conftest import AgentUnderTest
from tests.e2e.cli_harness import Cli, eventually

CANARY = "canary-4c1f9a7e"
JOURNAL = ("journal.db", "journal.db-wal", "journal.db-shm")


def _files_with(canary: str, folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.name not in JOURNAL
            and canary.encode() in path.read_bytes()
        ):
            yield str(path.relative_to(folder))


def _command_lines_with(canary: str) -> Iterator[str]:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if canary.encode() in line:
                yield f"{name}: {line!r}"


def test_s20_a_canary_in_the_environment_stays_with_the_job(agent: AgentUnderTest, tmp_path: Path) -> None:
    host = agent.connect()
    done = host.run(
        ["sh", "-c", 'test "$SECRET" = ' + CANARY[:6] + '"$REST"'], env={"SECRET": CANARY, "REST": CANARY[6:]}
    )
    assert done.returncode == 0, "the command has it"
    job = host.start(["sleep", "30"], env={"SECRET": CANARY})
    assert list(_command_lines_with(CANARY)) == []
    for pid in agent.pids():
        own = Path(f"/proc/{pid}/environ").read_bytes()
        assert CANARY.encode() not in own, f"process {pid} of ours carries it"
    job.kill()
    job.wait(timeout=10)
    for wrong in ({"cwd": "/not/there"}, {"user": "nobody-of-this-name"}):
        with pytest.raises(HoldfastError) as caught:
            host.run(["true"], env={"SECRET": CANARY}, **wrong)  # type: ignore[arg-type]
        assert CANARY not in repr(caught.value) + str(caught.value)
    assert list(_files_with(CANARY, Path(agent.state_dir))) == []
    journal = Path(agent.state_dir) / "journal.db"
    assert journal.stat().st_mode & 0o077 == 0
    assert CANARY not in repr(host.jobs(all=True))


def test_s20_a_canary_on_standard_input_stays_with_the_job(agent: AgentUnderTest, tmp_path: Path) -> None:
    agent.connect()
    cli = Cli(agent.state_dir)
    done = cli(
        "run", "-i", "--", "sh", "-c", "read line; test ${#line} -eq " + str(len(CANARY)), input=f"{CANARY}\n".encode()
    )
    assert done.returncode == 0, done.stderr
    assert CANARY.encode() not in done.stderr
    eventually(lambda: not list(_files_with(CANARY, Path(agent.state_dir))))  # its spool goes with the job's release


def test_s20_the_search_finds_a_canary(tmp_path: Path) -> None:
    (tmp_path / "some.log").write_text(f"oh: {CANARY}")
    assert list(_files_with(CANARY, tmp_path)) == ["some.log"]
