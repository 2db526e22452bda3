"""What is observed of a connection's end."""

from __future__ import annotations

import msgspec

from holdfast.lab.segments import Segment, Step


class Moment(msgspec.Struct, frozen=True):
    """States of both sides after something was done."""

    what: str
    client: str
    server: str


class Half(msgspec.Struct, frozen=True):
    """The client has no more to say, and the server goes on for a while."""

    middle: Moment
    """While only one side had closed."""
    flowed: int
    """Bytes that the client received after it had closed its direction."""
    first: int
    """Segments of the client's close, as the two kernels' counters have it."""
    second: int
    """Of the server's."""
    end: Moment
    captured: tuple[Segment, ...] | None


class Abrupt(msgspec.Struct, frozen=True):
    """One side does not close in order."""

    segments: int
    """That ended it."""
    error: str
    """What the other side's ``recv`` raised; "": it read the end as of an orderly close."""
    end: Moment
    captured: tuple[Segment, ...] | None


class Gone(msgspec.Struct, frozen=True):
    """The client calls ``close``, not ``shutdown``, and the server still writes."""

    read: str
    """What the server read first: "end" or an error."""
    first_write: str
    """"": it went well; else an error."""
    second_write: str
    resets: int
    """RST that the server's kernel received."""
    captured: tuple[Segment, ...] | None


class Pause(msgspec.Struct, frozen=True):
    """The server waits for so long between the client's end and its own close."""

    pause_s: float
    segments: tuple[int, ...]
    """One number for each round."""


class Data(msgspec.Struct, frozen=True):
    """One run. What is None was not possible here."""

    own_network: bool
    port: int
    """Of the captured servers' end; 0: nothing was captured."""
    half: Half
    at_once: tuple[int, ...]
    """Segments of each of several conversations whose server closes as soon as it reads the end."""
    at_once_captured: tuple[Segment, ...] | None
    at_once_end: Moment
    time_wait_s: float
    """How long TIME_WAIT lasts, by the kernel's own timer."""
    pauses: tuple[Pause, ...]
    reset: Abrupt
    """The client closes with ``SO_LINGER`` of 0 seconds."""
    unread: Abrupt
    """The client closes while it has bytes that it never read."""
    gone: Gone
    stuck: tuple[Moment, ...]
    """Each state made to last: a FIN has to wait behind data that the other side does not read."""
    four: tuple[Step, ...] | None
    """By hand: the client closes, the server sends some more, and closes."""
    three: tuple[Step, ...] | None
    """By hand: the server closes before its kernel has confirmed the client's FIN."""
    crossing: tuple[Step, ...] | None
    """By hand: both close at once."""
    one: tuple[Step, ...] | None
    """By hand: a reset."""
