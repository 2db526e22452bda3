"""An agent under the profiler, written at its end: ``python -m bench.profiled_agent STATE_DIR PROFILE``."""

from __future__ import annotations

import cProfile
import sys

from holdfast.agent import app
from holdfast.config import load


def main(state_dir: str, profile_path: str) -> int:
    """Be the agent until it is told to leave."""
    settings = load(overrides={"state_dir": state_dir})
    profiler = cProfile.Profile()
    code = profiler.runcall(app.run, state_dir=state_dir, embedded=False, keeper_fd=None, settings=settings)
    profiler.dump_stats(profile_path)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
