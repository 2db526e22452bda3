"""An agent under the profiler: ``python -m bench.profiled_agent PROFILE --state-dir DIR --listen ADDRESS``.

The profile is written at its end. Other settings are those of the environment, as for ``holdfast agent run``.
"""

from __future__ import annotations

import argparse
import cProfile
import sys

from holdfast.agent import app
from holdfast.config import load


def main() -> int:
    """Be the agent until it is told to leave."""
    parser = argparse.ArgumentParser(prog="python -m bench.profiled_agent", description=__doc__)
    parser.add_argument("profile")
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--listen", required=True)
    options = parser.parse_args()
    settings = load(overrides={"state_dir": options.state_dir, "listen": (options.listen,)})
    profiler = cProfile.Profile()
    code = profiler.runcall(app.run, state_dir=settings.state_dir, embedded=False, keeper_fd=None, settings=settings)
    profiler.dump_stats(options.profile)
    return code


if __name__ == "__main__":
    sys.exit(main())
