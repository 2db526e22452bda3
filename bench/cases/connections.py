"""What a connection costs: fresh ones one at a time, many fresh ones at the same time, and the memory of idle ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Final, Literal

from bench import procfs
from bench.arena import Arena
from bench.cases.commands import CLIENTS
from bench.cases.measures import median_ms, seconds
from bench.contestant import Order
from bench.figures import Figure, Line, figure
from bench.samples import ContestantFailed, Turns, reading
from bench.worker import Worker

FRESH_MS: Final = 5.0
HOSTS_S: Final = 0.35
IDLE_KIB: Final = 30.0
OPENING: Final = 8
"""Connections that one client opens at the same time to hold them: strangers are limited (``agent/gate.py``)."""
PROCESSES_PER_CONNECTION: Final = 50
"""OpenSSH serves each connection with processes of its own: so many of them tell what one costs."""


def _with_descendants(pid: int) -> list[int]:
    try:
        children = procfs.children(pid)
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has just ended
    return [pid, *(found for child in children for found in _with_descendants(child))]


SERVERS: Final[Mapping[str, Callable[[Arena], list[int]]]] = {
    "asyncio": lambda arena: [arena.agent.pid],
    "tls_asyncio": lambda arena: [arena.network.pid],
    "bare_uvloop": lambda arena: [arena.bare("uvloop").pid],
    "asyncssh": lambda arena: [arena.asyncssh.pid],
    "openssh": lambda arena: _with_descendants(arena.openssh.pid),
}
"""The processes that serve a contestant's connections."""


def fresh(arena: Arena) -> list[Figure]:
    """Connect, run ``/bin/true``, close: what a short program pays. The bare ones: handshake, one echo, close."""
    count = max(1, arena.size.serial // 4)
    order = Order("fresh", count)
    ours = ("blocking", "tls_blocking", "tls_asyncio")
    turns = arena.turns(
        arena.size.rounds,
        {
            **{name: median_ms(order) for name in ("local", "bare_ssl", "bare_uvloop", *ours, "asyncssh")},
            "openssh": median_ms(Order("fresh", max(1, count // 10))),
        },
    )
    return [
        figure(
            Line(
                id=f"fresh_{name}", of=name, what=f"connect, authenticate, run `/bin/true`, close, {CLIENTS[name]}",
                unit="ms", kind="latency", better="lower", beside=_beside(name), target=FRESH_MS,
            ),
            turns,
        )
        for name in ours
    ]  # fmt: skip


def hosts(arena: Arena) -> list[Figure]:
    """As many hosts at the same time: a fresh connection and a command each, all of them to the one server there is."""
    size = arena.size
    order = Order("hosts", size.hosts, size.hosts)
    ours = ("asyncio", "tls_asyncio", "tls_uvloop")
    turns = arena.turns(size.hosts_rounds, dict.fromkeys(("bare_uvloop", *ours, "asyncssh", "openssh"), seconds(order)))
    return [
        figure(
            Line(
                id=f"hosts_{name}", of=name, what=f"`/bin/true` on {size.hosts} hosts, all fresh, {CLIENTS[name]}",
                unit="s", kind="latency", better="lower", target=HOSTS_S,
                beside=("bare_uvloop", "asyncssh", "openssh") if name.startswith("tls") else ("asyncssh", "openssh"),
            ),
            turns,
        )
        for name in ours
    ]  # fmt: skip


def idle(arena: Arena) -> list[Figure]:
    """Growth of the server's memory (PSS) for each idle authenticated connection; the clients are other processes."""
    counts = arena.size.idle
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for name, pids in SERVERS.items():
        most = PROCESSES_PER_CONNECTION if name == "openssh" else max(counts)
        try:
            found[name] = _kib_each(arena, name, pids, [min(count, most) for count in counts])
        except ContestantFailed as exc:
            failed[name] = str(exc)
    return [
        figure(
            Line(
                id=f"idle_{name}_{count}", of=name, unit="KiB", kind="memory", better="lower", target=IDLE_KIB,
                what=f"memory of the agent for each of {count} idle connections, {CLIENTS[name].split(',')[0]}",
                beside=(("bare_uvloop",) if name.startswith("tls") else ()) + ("asyncssh", "openssh"),
            ),
            Turns({each: reading([values[place]]) for each, values in found.items()}, failed),
        )
        for place, count in enumerate(counts)
        for name in ("asyncio", "tls_asyncio")
    ]  # fmt: skip


def _kib_each(arena: Arena, name: str, pids: Callable[[Arena], list[int]], counts: Sequence[int]) -> list[float]:
    """KiB for each connection, with so many of them, fewest first.

    The server is a new one: memory that an old one has freed and kept would hide what the connections take. A process
    may have 20 000 descriptors, client and server alike, so several clients share the connections.
    """
    found = []
    with tempfile.TemporaryDirectory(dir=arena.folder) as folder, closing(Arena(folder, arena.size)) as own:
        clients = [own.worker(name)]  # connected and warm, as is its server
        if name != "openssh":
            clients += [own.lend(name) for _ in range(arena.size.idle_processes - 1)]
        before, held = _pss(pids(own)), 0
        for count in counts:
            _share(clients, "hold", count - held)
            held = max(held, count)
            grown = _pss(pids(own)) - before
            found.append(max(grown, 1) / held / procfs.KIB)  # a handful may fit into what was there already
        _share(clients, "release", held)
    return found


def _share(workers: Sequence[Worker], what: Literal["hold", "release"], count: int) -> None:
    """Let all of them do their part at the same time."""
    for number, worker in enumerate(workers):
        worker.tell(Order(what, count // len(workers) + (number < count % len(workers)), OPENING))
    for worker in workers:
        worker.answer()


def _pss(pids: list[int]) -> int:
    """Of all of them; one that has just ended (a session of OpenSSH has a process for a while) holds none."""
    total = 0
    for pid in pids:
        try:
            total += procfs.pss(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def _beside(name: str) -> tuple[str, ...]:
    limits = ("bare_ssl", "bare_uvloop") if name.startswith("tls") else ("local",)
    return (*limits, "asyncssh", "openssh")
