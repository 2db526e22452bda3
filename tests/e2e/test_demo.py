"""``make demo`` keeps its word: it succeeds here, without a terminal, within a minute; and it can fail."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import demo_command
from tools.demo_parts import BrokenPromise, Client, Stage, processes_mentioning

ROOT = Path(__file__).resolve().parents[2]


def test_demo_keeps_every_promise() -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begin < 60
    assert done.stderr == ""
    accidents = ("connection is cut", "for one second", "client is killed", "The agent, process", "The shim, process")
    for accident in accidents:
        assert accident in done.stdout
    assert len(re.findall(r"^ +ok  ", done.stdout, re.MULTILINE)) == 9
    assert "Every promise held." in done.stdout
    assert "\x1b" not in done.stdout


def test_a_broken_promise_ends_the_demo() -> None:
    shown = io.StringIO()
    stage = Stage(shown)
    stage.check(True, "kept")
    with pytest.raises(BrokenPromise, match="not kept"):
        stage.check(False, "not kept")
    assert shown.getvalue() == "      ok  kept\n"


def test_a_client_that_ends_too_early_is_noticed() -> None:
    client = Client("client", [sys.executable, "-c", "print('abc')"], {}, Stage(io.StringIO()))
    try:
        client.wait_for(4)
        with pytest.raises(BrokenPromise, match="byte 5"):
            client.wait_for(5)
    finally:
        client.end()
    assert bytes(client.stdout) == b"abc\n"


def test_the_command_writes_what_is_expected(tmp_path: Path) -> None:
    command = [sys.executable, demo_command.__file__, "seed", "250", "0", str(tmp_path / "marks")]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert done.returncode == demo_command.EXIT_CODE
    assert done.stdout == demo_command.expected_stdout("seed", 250)
    assert done.stderr == demo_command.expected_stderr("seed", 250)
    assert done.stdout.startswith(b"000001 ")
    assert len(done.stdout) == 250 * 72
    assert (tmp_path / "marks").read_bytes() == b"started\n"


def test_processes_are_found_by_a_text_in_their_arguments(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], env={"MARK": str(tmp_path)})
    try:
        deadline = time.monotonic() + 5
        while processes_mentioning(str(tmp_path)) != [sleeper.pid] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes_mentioning(str(tmp_path)) == [sleeper.pid]
    finally:
        sleeper.kill()
        sleeper.wait()
    assert processes_mentioning(str(tmp_path)) == []
