"""The harness of `make bench` works: every case gives its figures, the three files are written. No time is judged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench import procfs
from bench.cases import CASES
from bench.report import Results

ROOT = Path(__file__).resolve().parents[2]
IDS = {
    "serial_blocking", "serial_asyncio", "burst_asyncio", "burst_uvloop", "burst_blocking", "stream",
    "stream_agent_rss", "stream_client_rss", "fresh", "trivial_p50", "trivial_p99", "start_agent", "start_run",
    "start_version", "pss_agent_idle", "pss_keeper_idle", "pss_shim_idle", "pss_agent_busy", "pss_keeper_busy",
    "pss_shim_busy", "jobs_start", "jobs_stop", "durable_serial", "durable_burst",
}  # fmt: skip


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, "TMPDIR": str(folder), "MPLCONFIGDIR": str(folder)},
    )  # fmt: skip


def test_every_case_is_measured_and_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(tmp_path, "bench.run", "--size", "smoke", "--out", str(out))
    assert done.returncode == 0, done.stderr
    results = msgspec.json.decode((out / "results.json").read_bytes(), type=Results)
    assert {figure.id for figure in results.figures} == IDS
    for figure in results.figures:
        assert figure.holdfast is not None
        assert 0 < figure.holdfast.low <= figure.holdfast.median <= figure.holdfast.high
    page = (out / "RESULTS.md").read_text()
    assert all(f"| {figure.what} |" in page for figure in results.figures)
    assert ElementTree.parse(out / "results.svg").getroot().tag.endswith("svg")
    assert not procfs.naming(str(tmp_path))
    assert not list(tmp_path.glob("holdfast-bench-*"))


def test_a_case_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was measured is thrown away because one contestant is missing."""
    from bench import run as harness
    from bench.samples import ContestantFailed

    def fails(arena: object) -> list[object]:
        raise ContestantFailed("asyncssh ended: without a word")

    monkeypatch.setitem(CASES, "serial", fails)
    figures = harness._measure(str(tmp_path), "smoke", ["serial", "trivial"])
    assert figures[0].failed == "asyncssh ended: without a word"
    assert [figure.id for figure in figures[1:]] == [
        "trivial_blocking_p50", "trivial_blocking_p99", "trivial_tls_blocking_p50", "trivial_tls_blocking_p99",
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["true", "stream"])
def test_the_profile_names_the_agents_functions(tmp_path: Path, what: str) -> None:
    done = run(tmp_path, "bench.profile", what, "--share", "0.01")
    assert done.returncode == 0, done.stderr
    assert "Ordered by: internal time" in done.stdout
    assert "app.py" in done.stdout
    assert not procfs.naming(str(tmp_path))
