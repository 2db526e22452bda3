"""A contestant under the profiler, written at its end: ``python -m bench.profiled_contestant PROFILE KIND ARG...``."""

from __future__ import annotations

import cProfile
import sys

from bench import contestant


def main(profile_path: str, *args: str) -> None:
    """Be the contestant until the end of the input."""
    profiler = cProfile.Profile()
    try:
        profiler.runcall(contestant.main, *args)
    finally:
        profiler.dump_stats(profile_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
