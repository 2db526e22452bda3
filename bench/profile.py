"""``make profile WHAT=true|stream|fresh|tls-true|tls-stream|tls-fresh``: where agent or client spend their time.

One side runs under cProfile: the agent's own thread (jobs and journal thread are outside it), or with ``--side client``
the loop of the asyncio client. The profiler makes small functions look dearer than they are: ranks count, not the
seconds.
"""

from __future__ import annotations

import argparse
import os
import pstats
import sys
import tempfile
from collections.abc import Mapping
from typing import Final

from bench.contestant import Order
from bench.samples import ContestantFailed
from bench.sizes import MIB
from bench.worker import Worker
from bench.world import NetworkAgent

SHOWN: Final = 30
COMMANDS: Final = 2000
CONNECTIONS: Final = 500
WIDTH: Final = 64
STREAM_BYTES: Final = 1024 * MIB

LOADS: Final[Mapping[str, str]] = {
    "true": "/bin/true with 64 in flight, unix socket",
    "stream": "1 GiB of output, unix socket",
    "fresh": "a connection for each /bin/true, unix socket",
    "tls-true": "the same over TLS",
    "tls-stream": "the same over TLS",
    "tls-fresh": "the same over TLS",
}


def main() -> int:
    """Profile one kind of work and print the dearest functions."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("what", choices=LOADS, help="; ".join(f"{name}: {what}" for name, what in LOADS.items()))
    parser.add_argument("--side", choices=("agent", "client"), default="agent", help="which one (default: agent)")
    parser.add_argument("--share", type=float, default=1.0, help="part of the usual amount (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-profile-") as folder:
        path = os.path.join(folder, "profile")
        of_agent = options.side == "agent"
        program = [sys.executable, "-m", "bench.profiled_agent", path] if of_agent else None
        with NetworkAgent(os.path.join(folder, "network"), program) as agent:
            _load(agent, options.what, options.share, None if of_agent else path)
        stats = pstats.Stats(path, stream=sys.stdout)
        for order in ("tottime", "cumulative"):
            stats.strip_dirs().sort_stats(order).print_stats(SHOWN)
    return 0


def _load(agent: NetworkAgent, what: str, share: float, client_profile: str | None) -> None:
    """Do the work once; the client is profiled if there is a path for that."""
    order = _order(what, share)
    streams = order.what == "stream"
    # A profiler sees the thread that it was started in, and the blocking client pumps its connection in another one.
    kind = "blocking" if streams and client_profile is None else "asyncio"
    where = (agent.NAME,) if what.startswith("tls-") else ("local", agent.state_dir)
    with Worker(kind, *where, env=agent.client_env, profile=client_profile) as worker:
        answer = worker.ask(order)
    if streams:
        print(f"{answer.bytes >> 20} MiB: {answer.bytes / MIB / answer.wall_s:.0f} MiB/s under the profiler")
    else:
        words = f"{order.count} commands, {order.width} in flight"
        print(f"{words}: {order.count / answer.wall_s:.0f}/s under the profiler")


def _order(what: str, share: float) -> Order:
    if what.endswith("stream"):
        return Order("stream", max(1, int(STREAM_BYTES * share)))
    if what.endswith("fresh"):
        return Order("fresh", max(1, int(CONNECTIONS * share)))
    return Order("burst", max(WIDTH, int(COMMANDS * share)), WIDTH)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ContestantFailed as failure:
        sys.exit(f"profile: {failure}")
