"""What is observed of a connection's beginning."""

from __future__ import annotations

import msgspec

from holdfast.lab.segments import Segment, Step


class Birth(msgspec.Struct, frozen=True):
    """The state of the server's socket after a call."""

    call: str
    state: str


class Early(msgspec.Struct, frozen=True):
    """A moment at which the client is connected and the server is not yet, and what could be done in it."""

    client: str
    server: str
    accepted_before: bool
    """Whether ``accept`` gave the connection while the server's state was this one."""
    taken: int
    """Bytes that the client's kernel took to send."""
    server_after: str
    """The server's state once the client's data had arrived."""
    read: int
    """Bytes that the server could read then."""
    answered: int
    """Bytes of its answer that the client could read."""
    client_out: int
    """Segments that the client had sent until the server could read."""


class Forged(msgspec.Struct, frozen=True):
    """The third segment with a wrong acknowledgement number, and then the right one."""

    off_by: int
    answer: str
    """What the server's kernel sent back: the flags; "": nothing."""
    state_after: str
    state_after_right: str


class FastOpen(msgspec.Struct, frozen=True):
    """A connection whose SYN carries data."""

    steps: tuple[Step, ...]
    read: int
    """Bytes that the server's program had read before the client's second segment left."""
    state_when_read: str
    answered: int
    """Bytes of the answer that the client could read while the server still was in that state."""


class Data(msgspec.Struct, frozen=True):
    """One run. What is None was not possible here."""

    own_network: bool
    births: tuple[Birth, ...]
    port: int
    """Of the captured server."""
    before_accept: tuple[str, str]
    """States of client and server when ``connect`` had returned and nobody had called ``accept``."""
    connect_s: tuple[float, ...]
    asked: str
    """The client's state as long as its request is not answered (nobody has room for it)."""
    early: Early
    """On the loopback: the client keeps its ACK back until it has data to go with it."""
    acknowledged: tuple[int, int]
    """Of the client's numbers, as its kernel counts: after ``connect``, and when ``sent`` bytes had been confirmed."""
    sent: int
    segments: int
    """Segments of a plain connect, as the client's kernel counts them."""
    captured: tuple[Segment, ...] | None
    """A whole conversation on the loopback, up to the server's confirmation of ``sent`` bytes."""
    first_numbers: tuple[int, ...] | None
    """From which number the clients of several connections have started to count."""
    captured_s: tuple[float, ...] | None
    """Of these connections: from SYN to the client's ACK."""
    steps: tuple[Step, ...] | None
    """The same by hand, segment by segment."""
    early_wire: Early | None
    """By hand: the client's bare ACK is lost, and data follow."""
    forged: Forged | None
    fast_open: FastOpen | None
    simultaneous: tuple[Step, ...] | None
    """Two sockets that ask each other at the same time; nobody listens."""
