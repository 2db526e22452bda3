"""The command line that the fuzzers share."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable


class Find(Exception):
    """Something came out that must not."""


def campaign(fuzz: Callable[[int, int], Counter[str]], description: str | None) -> int:
    """``--frames`` and ``--seed``: fuzz, tell the seed first and the rate at the end; 1 if there was a find."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to pass")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run; without it a fresh one is drawn")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    start = time.perf_counter()
    try:
        fuzz(options.frames, seed)
    except Find as find:
        print(f"FOUND: {find}", file=sys.stderr)
        return 1
    print(f"{options.frames / (time.perf_counter() - start):.0f} frames/s, nothing found")
    return 0
