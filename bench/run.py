"""``make bench``: measures everything and writes RESULTS.md, results.json and results.svg.

Rules of this run:

* Everything is measured side by side and in turns (A B A B), so that what the machine does meanwhile falls on all
  alike. Ratios count, absolute values belong to one machine.
* Every contestant is a process of its own that holds its connection open and is idle until it is told to measure. A
  neighbour that is not installed is named as such in its column; the others go on.
* A figure is the median of its rounds, told with the lowest and the highest one. What could not be measured stays in
  the table with the reason. Why a target is missed is written by a person, in ``notes.toml``.

Exit code 0: measured, whatever the figures say; 1: something could not be measured, and the table says why.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sqlite3
import ssl
import sys
import tempfile
import time
from pathlib import Path

import holdfast
from bench import openssh_server, procfs, redis_server, report
from bench.arena import Arena
from bench.cases import CASES
from bench.figures import Figure
from bench.samples import ContestantFailed
from bench.sizes import SIZES
from holdfast.errors import HoldfastError

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Measure and write."""
    options = _options()
    load = procfs.load_average()
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=options.folder) as folder:
        figures = _measure(folder, options.size, options.only or list(CASES))
        disk = procfs.filesystem(folder)
    results = report.Results(
        date=date, size=options.size, seconds=time.monotonic() - begin, load_before=load,
        machine=procfs.machine() | {"file system": disk}, versions=_versions(), figures=figures,
    )  # fmt: skip
    text = report.to_markdown(results, report.read_notes((HERE / "notes.toml").read_text(encoding="utf-8")))
    out = options.out or (None if options.only else HERE)  # a part does not replace the whole
    if out is not None:
        _write(results, text, out)
    print(text)
    for figure in figures:
        if figure.failed:
            print(f"bench: {figure.what} could not be measured: {figure.failed}", file=sys.stderr)
    for name, why in {name: why for figure in figures for name, why in figure.absent.items()}.items():
        print(f"bench: beside it no {name}: {why}", file=sys.stderr)
    return 1 if any(figure.failed for figure in figures) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="Measure speed and cost on this machine.")
    parser.add_argument("--size", choices=SIZES, default="full", help="how much to measure (default: full)")
    parser.add_argument("--only", action="append", choices=CASES, help="only this case; may be given again")
    parser.add_argument(
        "--out", type=Path, help="where the three files go (default: bench/; with --only nowhere, the table is printed)"
    )
    parser.add_argument(
        "--folder", default=None, help="where agents and spools live while measuring (default: the temporary folder)"
    )
    return parser.parse_args()


def _measure(folder: str, size: str, cases: list[str]) -> list[Figure]:
    """Every case in order. One that fails is a line of the table with its reason; the others go on."""
    figures: list[Figure] = []
    arena = Arena(folder, SIZES[size])
    try:
        for name in cases:
            begin = time.monotonic()
            try:
                figures += CASES[name](arena)
            except (ContestantFailed, HoldfastError, OSError) as exc:
                figures.append(
                    Figure(id=name, what=name, unit="", kind="latency", better="lower", failed=str(exc) or repr(exc))
                )
            print(f"bench: {name}: {time.monotonic() - begin:.1f} s", file=sys.stderr)
    finally:
        arena.close()
    return figures


def _versions() -> dict[str, str]:
    found = {"holdfast": holdfast.__version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    found["openssl"] = ssl.OPENSSL_VERSION.split()[1]
    for package in (
        "uvloop", "msgspec", "xxhash", "cloudpickle", "asyncssh", "execnet", "mitogen", "ray", "distributed", "redis",
    ):  # fmt: skip
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["openssh"] = openssh_server.version()
    found["redis-server"] = redis_server.version()
    return found


def _write(results: report.Results, text: str, out: Path) -> None:
    from bench.plot import draw  # matplotlib is slow to import and large: not while anything is measured

    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_bytes(report.to_json(results))
    (out / "RESULTS.md").write_text(text, encoding="utf-8")
    load = results.load_before
    caption = (
        f"{results.machine['processor']}, {results.machine['cores']} cores, {results.date}, load before {load:.2f}"
    )
    draw(results.figures, str(out / "results.svg"), caption=caption)


if __name__ == "__main__":
    sys.exit(main())
