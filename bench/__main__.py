"""``python -m bench [CASE...]``: measure, and print one table with goals.

A temporary agent is started for it. Verdicts on a busy machine say nothing, so above a load average of 1.0 at the start
the figures are printed without them. Exit code 1 if a goal was judged and missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import holdfast
from bench.cases import CASES, Figure

BUSY = 1.0


def line(figure: Figure, *, judged: bool) -> str:
    """One line of the table."""
    goal = f"{'>=' if figure.more_is_better else '<='} {figure.goal:g}"
    verdict = ("reached" if figure.reached else "MISSED") if judged else "-"
    return f"{figure.name:<34} {figure.value:>9.2f} {figure.unit:<6} {goal:>9}  {verdict:<8} {figure.beside}".rstrip()


def main() -> int:
    names = [case.__name__ for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed and cost on this machine.")
    parser.add_argument("case", nargs="*", help=f"only these of {', '.join(names)}; default: all")
    wanted = parser.parse_args().case or names
    if unknown := set(wanted) - set(names):
        parser.error(f"unknown case: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    load = os.getloadavg()[0]
    judged = load <= BUSY
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {load:.2f}"
        + ("" if judged else ": no verdicts")
    )
    missed = False
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as state_dir:
        try:
            for case in CASES:
                if case.__name__ not in wanted:
                    continue
                for figure in case(state_dir):
                    missed |= judged and not figure.reached
                    print(line(figure, judged=judged), flush=True)
        finally:
            with holdfast.connect(state_dir=state_dir, start=False) as host:
                host.shutdown(jobs=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
