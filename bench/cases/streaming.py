"""Output of one command as fast as it comes, every byte compared by digest; memory of both ends meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import xxhash

from bench import procfs
from bench.arena import Arena
from bench.cases.commands import CLIENTS
from bench.cases.measures import amount
from bench.contestant import Answer, Order
from bench.figures import Figure, Line, figure
from bench.samples import ContestantFailed, Turns, reading
from bench.sizes import MIB
from bench.worker import Worker

RSS_LIMIT_MIB: Final = 64.0
TARGETS: Final = {"blocking": 1000.0, "tls_blocking": 700.0, "tls_uvloop": 700.0}
BESIDE_TLS: Final = ("bare_ssl", "bare_uvloop", "asyncssh", "openssh")
BESIDE_UNIX: Final = ("local", "asyncssh", "openssh")


def streaming(arena: Arena) -> list[Figure]:
    """Holdfast's client hashes what it delivers by itself, as part of the measured work.

    Whether it does so truly is checked once, outside the measured rounds, with a digest made in the contestant.
    """
    count = arena.size.stream_bytes
    expected = _digest_of_zeros(count)
    agent_peaks: dict[str, list[float]] = {}
    client_peaks: dict[str, list[float]] = {}
    checked: set[str] = set()

    def stream(worker: Worker, *, own_digest: bool = False) -> Answer:
        answer = worker.ask(Order("stream", count, own_digest=own_digest))
        if (answer.bytes, answer.digest) != (count, expected):
            raise ContestantFailed(f"{worker.name} delivered {answer.bytes} of {count} bytes, or other ones")
        return answer

    def through(agent_pid: Callable[[], int] | None) -> Callable[[Worker], float]:
        def measure(worker: Worker) -> float:
            if agent_pid is not None and worker.name not in checked:
                stream(worker, own_digest=True)
                checked.add(worker.name)
            if agent_pid is not None:
                procfs.reset_peak_rss(agent_pid())
            answer = stream(worker)
            if agent_pid is not None:
                agent_peaks.setdefault(worker.name, []).append(procfs.peak_rss(agent_pid()) / MIB)
            client_peaks.setdefault(worker.name, []).append(answer.peak_rss_bytes / MIB)
            return count / MIB / answer.wall_s

        return measure

    unix, tls = (lambda: arena.agent.pid), (lambda: arena.network.pid)
    turns = arena.turns(
        arena.size.stream_rounds,
        {
            **{name: through(None) for name in ("local", "bare_ssl", "bare_uvloop", "asyncssh", "openssh")},
            **{name: through(tls if name.startswith("tls") else unix) for name in TARGETS},
        },
    )
    peaks = _turns_of(client_peaks, turns)
    agents = _turns_of(agent_peaks, turns)
    rates = [
        Line(
            id=f"stream_{name}", of=name, what=f"{amount(count)} of output, every byte checked, {CLIENTS[name]}",
            unit="MiB/s", kind="throughput", better="higher", beside=_beside(name), target=target,
        )
        for name, target in TARGETS.items()
    ]  # fmt: skip
    ends = {
        "agent": ("peak resident memory of the agent while streaming", agents),
        "client": ("peak resident memory of the client while streaming", peaks),
    }
    memory = [
        figure(
            Line(
                id=f"stream_{name}_{end}_rss", of=name, what=f"{what}, {CLIENTS[name]}", unit="MiB", kind="memory",
                better="lower", beside=_beside(name) if end == "client" else (), target=RSS_LIMIT_MIB,
            ),
            found,
        )
        for name in TARGETS
        for end, (what, found) in ends.items()
    ]  # fmt: skip
    return [*(figure(line, turns) for line in rates), *memory]


def _beside(name: str) -> tuple[str, ...]:
    return BESIDE_TLS if name.startswith("tls") else BESIDE_UNIX


def _turns_of(peaks: dict[str, list[float]], turns: Turns) -> Turns:
    """Another figure of the same rounds."""
    return Turns({name: reading(peaks[name]) for name in turns.readings if name in peaks}, turns.failed)


def _digest_of_zeros(count: int) -> str:
    digest, piece = xxhash.xxh3_128(), bytes(MIB)
    for _ in range(count // MIB):
        digest.update(piece)
    digest.update(piece[: count % MIB])
    return digest.hexdigest()
