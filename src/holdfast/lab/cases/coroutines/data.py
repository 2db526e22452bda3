"""What is observed of coroutines."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.lab.blocks import Spread
from holdfast.lab.seen import Line

Means = Literal["turn by turn", "asyncio", "gevent"]
"""One after another without any switching; tasks of asyncio; greenlets of gevent."""


class Worked(msgspec.Struct, frozen=True):
    """The same tasks by one means, all in one thread."""

    means: Means
    waiting_s: Spread
    """Tasks that do nothing but wait."""
    computing_s: Spread
    """Tasks that do nothing but compute, and give way after each step."""
    short_s: float
    """A short task came last, behind long ones: when it was done."""


class Cost(msgspec.Struct, frozen=True):
    """What it costs to hand the CPU to another one, both on one CPU."""

    name: str
    inside: bool
    """The program switches, not the kernel."""
    us: Spread
    kernel_switches: float
    """Switches that the kernel has counted for each (getrusage(2): ru_nvcsw and ru_nivcsw)."""


class Stop(msgspec.Struct, frozen=True):
    """A ticker, and beside it in the same thread a task that calls something."""

    loop: Literal["asyncio", "gevent", "gevent, patched"]
    call: str
    gives_way: bool
    """Whether the loop knows of this call: it is caught, or handed to a thread."""
    began_s: float
    ended_s: float
    ticks: tuple[float, ...]
    every_s: float


class Patched(msgspec.Struct, frozen=True):
    """What ``monkey.patch_all()`` has changed."""

    replaced: tuple[tuple[str, int], ...]
    """Modules, and how many of their names lead to something else than before."""
    same_code: bool
    """The same source was compiled before and after, to the very same code."""
    early_name_is_old: bool
    """``from time import sleep`` before the call still leads to the old function."""
    early_name: Stop
    """Somebody calls that one."""
    written_above: Stop
    """Somebody calls ``time.sleep`` in a function that was written before the call."""


class Ending(msgspec.Struct, frozen=True):
    """A program whose last line is over while something else still has a while to go."""

    what: Literal["greenlet", "greenlet, joined", "greenlet, another one joined", "thread"]
    began: bool
    """It has begun at all."""
    finished: bool
    """It came to its end."""


class Family(msgspec.Struct, frozen=True):
    """A hundred greenlets, seen from inside and from the kernel."""

    greenlets: int
    pids: int
    """Different process ids that they have seen."""
    threads: int
    """Threads of the process while all of them live."""
    children: int
    """Processes below it."""


Kind = Literal["as-in-the-notes", "repaired"]


class Served(msgspec.Struct, frozen=True):
    """A server of greenlets and the notes' five hundred client threads, as they come."""

    kind: Kind
    clients: int
    rounds: int
    """Lines that each says; it waits for the answer before the next."""
    answers: int
    wrong: int
    """Lines that hold something else than what clients had said, in capital letters."""
    complete: int
    """Clients that have had as many answers as they have said lines."""
    ended: bool
    """The client program came to its end by itself; else its time was over."""
    overflows: int
    """How often the kernel has turned somebody away since no more may wait (ListenOverflows)."""
    seconds: float
    lines: tuple[Line, ...]
    """The first ones."""
    curve: tuple[tuple[float, int], ...]
    """How many clients had been answered by when."""


class Burst(msgspec.Struct, frozen=True):
    """All knock at the same moment, while the server is held up for that moment."""

    kind: Kind
    backlog: int
    """Connections that may wait until the server accepts them, as it has asked for."""
    knocked: int
    let_in: int
    """Those that the kernel has connected meanwhile."""
    answered: int
    """Of these, who was answered rightly once the server went on, with all of them connected."""
    threads: int
    processes: int
    """Of the server, while they are connected."""


class Impolite(msgspec.Struct, frozen=True):
    """A server and clients that do not read, or leave in the middle."""

    kind: Kind
    sent_bytes: int
    """By somebody who reads only when nothing more can be sent."""
    returned_bytes: int
    vanished: int
    """Clients that said that nothing more comes, and then reset the connection instead of reading."""
    escaped: int
    """Errors that the server did not catch: a greenlet died, with a traceback."""
    serves: bool
    """Whoever comes afterwards is answered."""


class Data(msgspec.Struct, frozen=True):
    """One run; what needs gevent is missing or None without it."""

    tasks: int
    worked: tuple[Worked, ...]
    costs: tuple[Cost, ...]
    stops: tuple[Stop, ...]
    patched: Patched | None
    endings: tuple[Ending, ...]
    family: Family | None
    served: tuple[Served, ...]
    bursts: tuple[Burst, ...]
    impolite: tuple[Impolite, ...]
    """Each for the notes' server and for the repaired one."""
