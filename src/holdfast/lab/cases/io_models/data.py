"""What is observed of the ways to wait for input and output."""

from __future__ import annotations

from typing import Literal

import msgspec


class Cell(msgspec.Struct, frozen=True):
    """One server under one load."""

    model: str
    connections: int
    active: int
    """So many of them ask all the time."""
    connected: int
    """The kernel took so many."""
    served: int
    """The server itself has answered so many."""
    connect_s: float
    per_s: float
    """Of several rounds this is the one in the middle, by this figure."""
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    wrong: int
    lost: int
    cpu_us: float
    """Processor time of the server for one request."""
    idle_cpu: float
    """Part of one core that the server used while nobody asked."""
    memory_bytes: float
    """Its own memory for one connection."""
    voluntary: float
    """How often a thread of the server went to sleep, for one request."""
    involuntary: float
    """How often one was put to sleep, for one request."""
    threads: int
    processes: int
    low_per_s: float = 0.0
    """The slowest round."""
    high_per_s: float = 0.0
    """And the quickest."""
    rounds: int = 1


class Turn(msgspec.Struct, frozen=True):
    """One of some clients that came at once, asked one thing and stayed: in seconds since the first one came."""

    model: str
    came_s: float
    answered_s: float
    left_s: float


Manner = Literal["polite", "at length", "silent", "leaves", "resets", "never reads"]


class Meeting(msgspec.Struct, frozen=True):
    """A server of the notes and one client of that manner, then a polite one."""

    server: Literal["non-blocking", "select", "gevent"]
    repaired: bool
    manner: Manner
    alive: bool
    """Whether the server still runs."""
    serves: bool
    """Whether a polite client that comes afterwards gets its answer."""
    descriptors_left: int
    """Descriptors that the server has more than before, after the client has gone."""
    cpu: float
    """Part of one core that it uses afterwards, while nobody says anything."""
    error: str
    """The last line of its standard error."""


class Wait(msgspec.Struct, frozen=True):
    """What one wait costs, one of so many connections having something to say."""

    call: Literal["select", "poll", "epoll", "asking"]
    connections: int
    seconds: float
    found: int


class Blocking(msgspec.Struct, frozen=True):
    """What reading does where there is nothing to read."""

    default_waits: bool
    """Whether a socket as it is made waits for what comes."""
    asked_not_to_s: float
    """How long the same call takes when it was told not to wait."""
    error: str
    """What it raises then."""
    accepted_waits: bool
    """Whether what a listener that does not wait gives waits."""
    other_thread_steps: int
    """How far another thread of the process came while one waited in select for 0.2 s."""
    select_cpu_s: float
    """Processor time of that wait."""
    select_found: int
    """How many it found ready when one had something to say."""
    steps_without_limit: int
    """How often a loop around select came to do something else within 0.5 s, nobody saying anything."""
    steps_with_limit: int
    """The same with a time limit of 0.05 s."""


class Sending(msgspec.Struct, frozen=True):
    """A large answer and a client that does not read."""

    size: int
    taken: int
    """Bytes that send took when it was told not to wait."""
    writable: bool
    """Whether select called the connection writable then."""
    offered: bool
    """Whether select called another connection writable, on which nothing was under way."""
    blocking_stuck: bool
    """Whether a send that waits had not come back from that one after 0.3 s."""


class Completion(msgspec.Struct, frozen=True):
    """Reading that the kernel does by itself."""

    why_not: str | None
    """Why io_uring could not be tried."""
    submit_s: float = 0.0
    """How long asking took."""
    filled: bool = False
    """Whether the bytes were in the buffer without a call that reads."""
    signals: int = 0
    """Signals that came meanwhile."""


class PosixAio(msgspec.Struct, frozen=True):
    """Reading with aio_read(3) and a signal at the end of it (SIGEV_SIGNAL)."""

    why_not: str | None
    """Why it could not be tried."""
    submit_s: float = 0.0
    """How long asking took."""
    filled: bool = False
    """Whether the bytes were in the buffer when the signal came."""
    signals: int = 0
    threads: int = 0
    """So many threads more had the process while the reading was under way."""


class Signalled(msgspec.Struct, frozen=True):
    """Reading that the kernel tells of by a signal (O_ASYNC)."""

    signals: int
    unread: int
    """Bytes that still had to be read when it came."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    models: tuple[str, ...]
    missing: dict[str, str]
    """Models that could not be tried, and why."""
    cells: tuple[Cell, ...]
    floor: Cell
    """A server without the protocol, that sends answers which were made before."""
    turns: tuple[Turn, ...]
    """In the order of the answers."""
    meetings: tuple[Meeting, ...]
    waits: tuple[Wait, ...]
    blocking: Blocking
    sending: Sending
    completion: Completion
    posix_aio: PosixAio
    signalled: Signalled
    descriptors: int
    """How many a process may have here."""
    asking_cpu: float
    """Part of a core that a server needs which asks a hundred silent connections all the time."""
