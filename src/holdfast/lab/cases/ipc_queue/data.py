"""What is observed of queues between processes."""

from __future__ import annotations

import msgspec

from holdfast.lab.seen import Ran


class Way(msgspec.Struct, frozen=True):
    """A way to tell another process something, and whether it arrived."""

    name: str
    arrived: bool


class Parts(msgspec.Struct, frozen=True):
    """What a ``multiprocessing.Queue`` is made of."""

    descriptors: int
    """Descriptors that came with it."""
    threads_before: int
    threads_after_put: int
    """Threads of the process once something was put."""
    put_large_s: float
    """How long putting 8 MiB takes while nobody gets."""
    pipe_large_waits: bool
    """Whether sending as much through a bare pipe waits then."""
    pipe_bytes: int
    """What a pipe holds."""


class Room(msgspec.Struct, frozen=True):
    """A queue without a size, to which nobody comes."""

    bound: int
    """How many items it would count up to."""
    put: int
    """How many were put, without waiting."""
    item_bytes: int
    grown_bytes: int
    """By how much the memory of the process that put them has grown."""


class Passage(msgspec.Struct, frozen=True):
    """A message from one process to another, and a word back; the quickest of some."""

    size: int
    queue_s: float
    shared_s: float
    """The same bytes through shared memory that was made once, for all messages."""
    intact: bool


class Limits(msgspec.Struct, frozen=True):
    """A queue of three, full or empty."""

    order_kept: bool
    fourth_put_waited: bool
    fourth_get_waited: bool
    limit_s: float
    put_limit_s: float
    """How long a put with that limit took, at a full one."""
    get_limit_s: float
    put_nowait_s: float
    get_nowait_s: float
    raised: tuple[str, ...]
    """What the four raised."""


class Early(msgspec.Struct, frozen=True):
    """Three put and three got at once, many times."""

    kind: str
    rounds: int
    early: int
    """Rounds in which one of the three was not there yet."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    ways: tuple[Way, ...]
    parts: Parts
    room: Room
    passages: tuple[Passage, ...]
    limits: Limits
    early: tuple[Early, ...]
    waits: Ran
    """The notes' program whose fourth get waits."""
    timed: Ran
    not_waiting: Ran
    nowait: tuple[Ran, ...]
    repaired: Ran
