"""The harness of `make bench` works: every case gives its figures, the three files are written. No time is judged."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench import procfs
from bench.cases import CASES
from bench.report import Results

ROOT = Path(__file__).resolve().parents[2]
IDS = {
    *(f"serial_{way}{client}" for way in ("", "tls_") for client in ("blocking", "asyncio")),
    *(f"burst_{way}{client}" for way in ("", "tls_") for client in ("blocking", "asyncio", "uvloop")),
    *(
        f"stream_{client}{of}"
        for client in ("blocking", "tls_blocking", "tls_uvloop")
        for of in ("", "_agent_rss", "_client_rss")
    ),
    "fresh_blocking", "fresh_tls_blocking", "fresh_tls_asyncio",
    "hosts_asyncio", "hosts_tls_asyncio", "hosts_tls_uvloop",
    *(f"trivial_{way}blocking_{share}" for way in ("", "tls_") for share in ("p50", "p99")),
    "start_agent", "start_run", "start_run_tls", "start_version", "idle_asyncio_4", "idle_tls_asyncio_4",
    "pss_agent_idle", "pss_keeper_idle", "pss_shim_idle", "pss_agent_busy", "pss_keeper_busy",
    "pss_shim_busy", "jobs_start", "jobs_stop", "durable_serial", "durable_burst",
    *(
        f"{what}_{way}{client}"
        for what in ("call", "submit", "map", "lock")
        for way in ("", "tls_")
        for client in ("blocking", "asyncio")
    ),
    *(f"{what}_{way}blocking" for what in ("semaphore", "handover", "queue", "flow") for way in ("", "tls_")),
    "flow_many_blocking", "flow_many_asyncio", "flow_many_tls_asyncio",
}  # fmt: skip


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: some neighbours listen on unix sockets in it, whose paths have 107 bytes at the most."""
    with tempfile.TemporaryDirectory(prefix="hf-bench-", dir="/tmp") as folder:
        yield Path(folder)


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
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
        assert not [why for why in figure.absent.values() if not why.startswith("not installed")]
    page = (out / "RESULTS.md").read_text()
    assert all(f"| {figure.what} |" in page for figure in results.figures)
    assert ElementTree.parse(out / "results.svg").getroot().tag.endswith("svg")
    assert not procfs.naming(str(tmp_path))
    assert not list(tmp_path.glob("holdfast-bench-*"))


def test_one_case_alone_is_printed_and_replaces_no_results(tmp_path: Path) -> None:
    """A part of the table in the place of the whole would lose what took ten minutes."""
    before = (ROOT / "bench" / "results.json").read_bytes()
    done = run(tmp_path, "bench.run", "--size", "smoke", "--only", "durable")
    assert done.returncode == 0, done.stderr
    assert "durable `/bin/true`, one at a time" in done.stdout
    assert "in flight, TLS" not in done.stdout
    assert (ROOT / "bench" / "results.json").read_bytes() == before


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


@pytest.mark.parametrize(
    ("what", "side", "share", "module"),
    [
        ("true", "agent", "0.01", "app.py"),
        ("stream", "agent", "0.01", "app.py"),
        ("tls-fresh", "agent", "0.01", "app.py"),
        ("tls-stream", "client", "0.1", "drive_async.py"),  # with less, the imports are dearer than any of it
        ("map", "worker", "0.1", "in_order.py"),
        ("items", "agent", "0.01", "app.py"),
    ],
)
def test_the_profile_names_the_functions_of_that_side(
    tmp_path: Path, what: str, side: str, share: str, module: str
) -> None:
    done = run(tmp_path, "bench.profile", what, "--side", side, "--share", share)
    assert done.returncode == 0, done.stderr
    assert "Ordered by: internal time" in done.stdout
    assert module in done.stdout
    assert not procfs.naming(str(tmp_path))
