"""An agent under the profiler, written at its end: ``python -m bench.profiled_agent PROFILE --listen ADDRESS``.

State directory and settings are those of the environment, as for ``holdfast agent run``.
"""

from __future__ import annotations

import cProfile
import sys

from holdfast.agent import app
from holdfast.config import load


def main(profile_path: str, _flag: str, address: str) -> int:
    """Be the agent until it is told to leave."""
    settings = load(overrides={"listen": (address,)})
    profiler = cProfile.Profile()
    code = profiler.runcall(app.run, state_dir=settings.state_dir, embedded=False, keeper_fd=None, settings=settings)
    profiler.dump_stats(profile_path)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
