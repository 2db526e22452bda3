"""The process of one contestant: reads an order a line, measures, answers a line. Idle in between.

``python -m bench.contestant KIND ARG...`` is started by ``bench.worker``. The first line it writes is an empty answer
and says that its connection is open.
"""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol

import msgspec

KINDS: Final[Mapping[str, str]] = {
    "local": "bench.with_subprocess",
    "bare_ssl": "bench.with_bare_ssl",
    "bare_uvloop": "bench.with_bare_uvloop",
    "blocking": "bench.with_blocking",
    "asyncio": "bench.with_asyncio",
    "uvloop": "bench.with_asyncio",
    "asyncssh": "bench.with_asyncssh",
    "openssh": "bench.with_openssh",
    "processes": "bench.with_processes",
    "execnet": "bench.with_execnet",
    "mitogen": "bench.with_mitogen",
    "ray": "bench.with_ray",
    "dask": "bench.with_dask",
    "manager": "bench.with_manager",
    "redis": "bench.with_redis",
}
"""Where the contestants are; each module has ``contestant(kind, args)``."""

TRUE: Final = "/bin/true"


class Order(msgspec.Struct, frozen=True):
    """What to measure: so many commands (or bytes, requests, jobs, connections, calls, items), so many in flight.

    Attributes:
        what: ``fresh`` is a connection for each command, one after the other, and ``hosts`` all of them at once;
            ``hold`` opens idle connections and keeps them until ``release``. ``call``, ``submit`` and ``map`` call
            ``bench.work.successor``, see ``bench.calling``; the rest is about objects that programs share, see
            ``bench.sharing``.
        own_digest: Hash what was delivered here as well, where the client does so by itself.
        workers: Processes that calls are run by; the same in every order of a run.
    """

    what: Literal[
        "serial", "burst", "fresh", "hosts", "stream", "trivial", "start_jobs", "stop_jobs", "hold", "release",
        "call", "submit", "map", "lock", "semaphore", "handover", "queue", "put", "get",
    ]  # fmt: skip
    count: int
    width: int = 1
    durable: bool = False
    own_digest: bool = False
    workers: int = 1


class Answer(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        wall_s: Seconds for all of it.
        each_s: Seconds of each call, where they went one at a time.
        bytes: Bytes delivered.
        digest: XXH3-128 of what was delivered, 32 hex digits.
        peak_rss_bytes: Of this process, while it streamed.
        spans: Begin and end of each time that the lock was held, or of all puts or gets, by the clock that all
            processes of a machine share (``time.perf_counter`` on Linux).
        total: Sum of the numbers that came out of a queue.
        error: Why there is no result.
    """

    wall_s: float = 0.0
    each_s: tuple[float, ...] = ()
    bytes: int = 0
    digest: str = ""
    peak_rss_bytes: int = 0
    spans: tuple[tuple[float, float], ...] = ()
    total: int = 0
    error: str = ""


class Contestant(Protocol):
    """Does what an order says. An operation that it lacks is a ``NotImplementedError``."""

    def obey(self, order: Order) -> Answer: ...
    def close(self) -> None: ...


def one_at_a_time(call: Callable[[], object], count: int) -> Answer:
    """Time ``count`` calls, each by itself."""
    clock = time.perf_counter
    each = []
    begin = before = clock()
    for _ in range(count):
        call()
        after = clock()
        each.append(after - before)
        before = after
    return Answer(wall_s=before - begin, each_s=tuple(each))


def head_command(count: int) -> list[str]:
    """A command that writes ``count`` zero bytes."""
    return ["head", "-c", str(count), "/dev/zero"]


def main(kind: str, *args: str) -> None:
    """Serve orders until the end of the input."""
    contestant: Contestant = importlib.import_module(KINDS[kind]).contestant(kind, args)
    decoder = msgspec.json.Decoder(Order)
    try:
        _say(Answer())
        for line in sys.stdin.buffer:
            gc.collect()
            try:
                answer = contestant.obey(decoder.decode(line))
            except Exception as exc:  # the harness puts it into the table
                answer = Answer(error=_words(exc))
            _say(answer)
    finally:
        contestant.close()


def _words(exc: BaseException) -> str:
    """Of many calls that failed at the same time, one says what all the others say."""
    if isinstance(exc, BaseExceptionGroup):
        return f"{len(exc.exceptions)} calls failed, the first: {_words(exc.exceptions[0])}"
    return f"{type(exc).__name__}: {exc}"


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
