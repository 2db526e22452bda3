"""Runs every fuzzer of tests/fuzz with one fresh seed after another until the time is over.

A fuzzer is a module ``tests/fuzz/fuzz_*.py`` with the options ``--frames N`` and ``--seed S``; it prints its seed and
ends with a non-zero code when it found something. The first find stops the run, and its command line is printed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

FRAMES_A_RUN = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on; a run under way is finished")
    parser.add_argument("--seed", type=int, default=None, help="first seed; the next runs count on from it")
    options = parser.parse_args()
    fuzzers = sorted(Path("tests/fuzz").glob("fuzz_*.py"))
    if not fuzzers:
        print("no tests/fuzz/fuzz_*.py found; run this from the project's root", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    deadline = time.monotonic() + options.seconds
    runs = 0
    while runs == 0 or time.monotonic() < deadline:
        for fuzzer in fuzzers:
            command = [
                sys.executable,
                "-m",
                f"tests.fuzz.{fuzzer.stem}",
                "--frames",
                str(FRAMES_A_RUN),
                "--seed",
                str(seed + runs),
            ]
            code = subprocess.run(command, check=False).returncode
            if code:
                print(f"found something (exit {code}); again with: {' '.join(command)}", file=sys.stderr)
                return 1
        runs += 1
    print(f"{runs} rounds of {len(fuzzers)} fuzzers, seeds {seed} to {seed + runs - 1}: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
