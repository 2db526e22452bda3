"""What is observed of the number that is given to ``listen``."""

from __future__ import annotations

import msgspec

from holdfast.lab.segments import Segment


class Crowd(msgspec.Struct, frozen=True):
    """So many clients came, and nobody accepted until all had been looked at."""

    number: int
    """As given to ``listen``."""
    limit: int
    """As the kernel holds it."""
    came: int
    waiting: int
    """Finished connections that wait for ``accept``, as the kernel counts them."""
    half_open: int
    """Entries in SYN_RECV in the kernel's table."""
    believe: int
    """Clients that are ESTABLISHED in their own eyes."""
    unanswered: int
    """Clients in SYN_SENT."""
    accepted: int
    """Connections that ``accept`` then gave, until it had none."""
    cookies: int | None
    """``tcp_syncookies`` while it was tried; None: not told."""
    cookies_sent: int | None
    """None, as the next two: the counters are shared with others here."""
    overflows: int | None
    """ListenOverflows: no room among the finished ones."""
    drops: int | None
    """ListenDrops: all requests that were thrown away."""


class Asked(msgspec.Struct, frozen=True):
    """By hand: requests arrive, and the answers to them are lost, so that no client can confirm."""

    number: int
    cookies: int | None
    came: int
    answered: int
    """How many SYN+ACK the server's kernel has sent."""
    half_open: int
    """Entries in SYN_RECV. Those that were answered without one are kept in the answer itself (SYN cookies)."""


class Guest(msgspec.Struct, frozen=True):
    """A client of the crowd that is let in at last; seconds since the first one came."""

    asked_s: float
    connected_s: float | None
    accepted_s: float | None


class Believers(msgspec.Struct, frozen=True):
    """Clients that are connected in their own eyes alone."""

    silent: int
    """Clients that have connected and said nothing, so that the server's kernel keeps them half-open."""
    established: int
    """How many of them are ESTABLISHED, by their own kernel, while others have filled the queue."""
    half_open: int
    """What they are at the server."""
    sent: int
    """Bytes that their kernel took from them then."""
    unconfirmed: int
    """How many of them have data that nobody confirms."""
    accepted: int
    """Connections that ``accept`` gave, of all."""
    accepted_silent: int
    """Of these: theirs."""
    later: int
    """Of theirs: given once there was room again."""


class Data(msgspec.Struct, frozen=True):
    """One run. What is None was not possible here."""

    own_network: bool
    somaxconn: int | None
    syncookies: int | None
    """As it was found."""
    max_syn_backlog: int | None
    finished: tuple[Crowd, ...]
    """Plain clients."""
    half_open: tuple[Crowd, ...]
    """Clients that say nothing, at a server that does not count them as finished until they do; without SYN cookies, if
    that may be chosen."""
    cookies: Crowd | None
    """The same, with SYN cookies."""
    asked: tuple[Asked, ...] | None
    asked_for: int
    """A number above all limits."""
    granted: int
    """What the kernel made of it."""
    kept: int
    """Connections that were open at the same time at a server that accepts, with ``kept_number``."""
    kept_number: int
    guests: tuple[Guest, ...]
    """More than there is room for; the server begins to accept after a while."""
    guests_number: int
    retried: tuple[Segment, ...] | None
    """Captured: what passes between the server and the last of them."""
    guests_port: int
    believers: Believers
