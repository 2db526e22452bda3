"""The programs behind the make targets do what the targets promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import picture, test_all

ROOT = Path(__file__).resolve().parents[2]
PRESENT = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_interpreter_is_what_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = tmp_path / "versions" / f"{PRESENT}.99" / "bin" / "python"
    wanted.parent.mkdir(parents=True)
    wanted.symlink_to(sys.executable)
    broken = tmp_path / "path" / f"python{PRESENT}"  # as a shim of pyenv for a version that is not active
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert test_all.reported_version(sys.executable) == PRESENT
    assert test_all.interpreter(PRESENT) == str(wanted)
    assert test_all.interpreter("3.2") is None


def test_the_fuzz_loop_refuses_to_succeed_without_a_fuzzer(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--seconds", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no tests/fuzz" in done.stderr


def test_the_fuzz_loop_counts_seeds_and_stops_at_the_first_find(tmp_path: Path) -> None:
    fuzzer = tmp_path / "tests" / "fuzz" / "fuzz_x.py"
    fuzzer.parent.mkdir(parents=True)
    fuzzer.write_text("import sys\nprint('seed', sys.argv[4])\nsys.exit(sys.argv[4] == '7')\n")
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--seconds", "30", "--seed", "5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout.split() == ["seed", "5", "seed", "6", "seed", "7"]
    assert "--seed 7" in done.stderr


def test_a_run_under_a_terminal_is_recorded_with_its_times(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code = "import os, sys, time; print(os.isatty(1)); sys.stdout.flush(); time.sleep(0.3); print('late'); sys.exit(4)"
    chunks, status = picture.record([sys.executable, "-c", code])
    assert status == 4
    assert b"".join(data for _, data in chunks) == b"True\r\nlate\r\n"
    assert chunks[-1][0] - chunks[0][0] > 0.2
