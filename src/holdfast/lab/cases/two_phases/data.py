"""What is observed of waiting and copying."""

from __future__ import annotations

from typing import Literal

import msgspec


class Waited(msgspec.Struct, frozen=True):
    """A read before anything has come, and when its parts were over."""

    delay_s: float
    """How long the sender pauses before it sends."""
    size: int
    blocking_s: float
    """One blocking ``recv``: wait and copy in one call."""
    blocking_cpu_s: float
    """What of that the thread was computing."""
    poll_s: float
    """The same apart: ``poll`` until readable,"""
    copy_s: float
    """and ``recv`` of what is there by then."""


class Copied(msgspec.Struct, frozen=True):
    """Reads of data that have come already: no waiting is left."""

    size: int
    poll_s: tuple[float, ...]
    copy_s: tuple[float, ...]
    cpu_s: tuple[float, ...]


class NotWaiting(msgspec.Struct, frozen=True):
    """A socket that does not block: asked again and again until the data are there."""

    delay_s: float
    refusals: int
    """How often it said that nothing is there."""
    refusal_s: float
    """The median of such an answer."""
    last_s: float
    """The call that brought the data."""
    last_cpu_s: float
    total_s: float


class Held(msgspec.Struct, frozen=True):
    """Bytes in the receiving kernel around a call."""

    call: str
    before: int
    got: int
    after: int


class Sent(msgspec.Struct, frozen=True):
    """One send larger than all buffers, and a reader that starts late."""

    size: int
    delay_s: float
    """When the reader starts."""
    blocking_s: float
    blocking_cpu_s: float
    reading_s: tuple[float, float]
    """When the reader began and ended, counted from the start of the blocking send."""
    taken: int
    """Bytes that a non-blocking send takes at most, before the reader has read any."""
    refused: str
    """What it says after that."""
    kept: int
    """Of the bytes taken: in the sending kernel."""
    unread: int
    """In the receiving kernel."""
    room_s: float
    """The wait for room with ``poll``, from the refusal on."""


class Handed(msgspec.Struct, frozen=True):
    """What the receiver reads when the source is changed right after the call."""

    way: Literal["send", "sendfile"]
    size: int
    old: int
    """Bytes as they were at the time of the call."""
    new: int
    """Bytes as they became afterwards, so that nothing can have been copied before."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    waited: tuple[Waited, ...]
    copied: tuple[Copied, ...]
    not_waiting: NotWaiting
    held: tuple[Held, ...]
    sent: Sent
    returned_before_read: int
    """Bytes that a send has handed over and that lie unread at the other side when it has returned."""
    handed: tuple[Handed, ...]
