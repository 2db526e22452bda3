"""``make profile WHAT=true|stream|fresh|call|submit|map|lock|queue``, or ``tls-`` before it: where the time goes.

One side runs under cProfile: the agent's own thread (jobs and journal thread are outside it), with ``--side client``
the loop of the asyncio client, with ``--side worker`` the main thread of the one worker that function calls have then.
The profiler makes small functions look dearer than they are: ranks count, not the seconds.
"""

from __future__ import annotations

import argparse
import os
import pstats
import sys
import tempfile
from collections.abc import Mapping
from typing import Final

import holdfast
from bench import calling, profiled_worker
from bench.contestant import Answer, Order
from bench.samples import ContestantFailed
from bench.sizes import MIB
from bench.worker import Worker
from bench.world import NetworkAgent

SHOWN: Final = 30
COMMANDS: Final = 2000
CONNECTIONS: Final = 500
WIDTH: Final = 64
STREAM_BYTES: Final = 1024 * MIB

CALLS: Final = 100_000
SHARED: Final = 5000
ITEMS: Final = 20_000
WORKERS: Final = 2

LOADS: Final[Mapping[str, str]] = {
    "true": "/bin/true with 64 in flight",
    "stream": "1 GiB of output",
    "fresh": "a connection for each /bin/true",
    "call": "function calls, one at a time",
    "submit": "function calls, all submitted at once",
    "map": "function calls as a map",
    "lock": "a lock acquired and released",
    "queue": "a queue, an item put and got again",
    "items": "a queue from a producer to a consumer, 64 in flight at each end",
}
TLS: Final = "tls-"
CALLED: Final = ("call", "submit", "map")


def main() -> int:
    """Profile one kind of work and print the dearest functions."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    words = "; ".join(f"{name}: {what}" for name, what in LOADS.items())
    parser.add_argument(
        "what", metavar="WHAT", choices=[f"{tls}{name}" for tls in ("", TLS) for name in LOADS],
        help=f"{words}; unix socket, or TLS with {TLS} before it",
    )  # fmt: skip
    sides = ("agent", "client", "worker")
    parser.add_argument("--side", choices=sides, default="agent", help="which one (default: agent)")
    parser.add_argument("--share", type=float, default=1.0, help="part of the usual amount (default: 1)")
    options = parser.parse_args()
    if options.side == "worker" and options.what not in CALLED:
        parser.error(f"a worker has something to do with {', '.join(CALLED)} alone, over the unix socket")
    with tempfile.TemporaryDirectory(prefix="holdfast-profile-") as folder:
        path = os.path.join(folder, "profile")
        of_agent = options.side == "agent"
        program = [sys.executable, "-m", "bench.profiled_agent", path] if of_agent else None
        with NetworkAgent(os.path.join(folder, "network"), program) as agent:
            if options.side == "worker":
                _load_worker(agent, _order(options.what, options.share), path)
            else:
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
    where = (agent.NAME,) if what.startswith(TLS) else ("local", agent.state_dir)
    with Worker(kind, *where, env=agent.client_env, profile=client_profile) as worker:
        if order.what == "put":
            with Worker(kind, *where, env=agent.client_env) as consumer:
                consumer.tell(Order("get", order.count, order.width))
                answer = worker.ask(order)
                consumer.answer()
        else:
            answer = worker.ask(order)
    if streams:
        print(f"{answer.bytes >> 20} MiB: {answer.bytes / MIB / answer.wall_s:.0f} MiB/s under the profiler")
    else:
        _tell(order, answer)


def _load_worker(agent: NetworkAgent, order: Order, path: str) -> None:
    """Do the work once with the one worker there is, which is profiled."""
    with holdfast.connect(state_dir=agent.state_dir, start=False) as host, host.executor(1) as pool:
        pool.submit(profiled_worker.begin).result()
        answer = calling.through(pool, order)
        pool.submit(profiled_worker.end, path).result()
    _tell(order, answer)


def _tell(order: Order, answer: Answer) -> None:
    words = (
        f"{order.count} of {order.what}, {order.width} in flight"
        if order.width > 1
        else f"{order.count} of {order.what}"
    )
    print(f"{words}: {order.count / answer.wall_s:.0f}/s under the profiler")


def _order(what: str, share: float) -> Order:
    name = what.removeprefix(TLS)
    if name == "stream":
        return Order("stream", max(1, int(STREAM_BYTES * share)))
    if name == "fresh":
        return Order("fresh", max(1, int(CONNECTIONS * share)))
    if name in ("submit", "map"):
        return Order(name, max(1, int(CALLS * share)), workers=WORKERS)  # type: ignore[arg-type]
    if name == "items":
        return Order("put", max(WIDTH, int(ITEMS * share)), WIDTH)
    if name in ("call", "lock", "queue"):
        return Order(name, max(1, int(SHARED * share)), workers=WORKERS)  # type: ignore[arg-type]
    return Order("burst", max(WIDTH, int(COMMANDS * share)), WIDTH)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ContestantFailed as failure:
        sys.exit(f"profile: {failure}")
