"""Who may come as far as the handshake: limits, early drop and penalties for connections that are not authenticated.

Rules of this module:

* It costs a stranger's connection less to be turned away here than it cost to make: no cryptography, no allocation
  that outlives the connection, tables of a stated size.
* A source is an IPv4 address or an IPv6 network of 64 bits (one host has all of that). Local sockets are no source.
* Only a failed authentication and a protocol error are blamed. A connection that merely ends costs nothing, for that is
  what a cut looks like.
* A source that authenticated of late is spared: four times the room, outside the strangers' limit, and no penalty. So
  a flood, also one from behind the same address, cannot keep out those who were here before it.

The shape of the penalties is OpenSSH's (sshd_config(5), PerSourcePenalties): they add up, bite from a minimum, and run
out by themselves.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Final, NewType

Source = NewType("Source", str)
"""An IPv4 address, or an IPv6 network as ``2001:db8:1:2``."""

PER_SOURCE: Final = 16
"""Unauthenticated connections of one source."""
KNOWN_FACTOR: Final = 4
"""So many times more for a source that authenticated of late; for all of those together, too."""
STRANGERS: Final = 128
"""Unauthenticated connections of all other sources together; from half of it on, some are dropped at random."""
KNOWN_S: Final = 600.0
"""How long an authentication speaks for its source."""
SOURCES: Final = 65_536
"""Sources remembered, with penalties as well as known ones; the oldest entry makes room (about 10 MiB each)."""
BITES_S: Final = 15.0
"""Penalties below this sum have no effect."""
LONGEST_S: Final = 600.0
"""No penalty reaches further than this."""


class Offence(StrEnum):
    """What a source is blamed for."""

    AUTHENTICATION = "authentication"
    PROTOCOL = "protocol"


PENALTY_S: Final = {Offence.AUTHENTICATION: 5.0, Offence.PROTOCOL: 10.0}


class Shed(StrEnum):
    """Why a connection is closed before a byte of it is read."""

    PENALTY = "penalty"
    SOURCE = "source_limit"
    FULL = "strangers_limit"
    EARLY = "early_drop"


def source_of(host: str) -> Source:
    """The source that an address of accept(2) belongs to.

    Args:
        host: As in a socket address: IPv4, IPv6 (a zone such as ``%eth0`` is cut off), or IPv4 mapped into IPv6.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return Source(address.exploded[:19])
        address = mapped
    return Source(str(address))


class _Penalty:
    __slots__ = ("bites", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.bites = False


class Gate:
    """Admission of connections before they are authenticated. ``now`` is monotonic seconds.

    Each admitted connection is given back once: ``left`` when it ends unauthenticated, ``authenticated`` otherwise.

    Attributes:
        counters: Admitted and shed connections, by reason, since the start.
    """

    def __init__(self, *, per_source: int = PER_SOURCE, strangers: int = STRANGERS) -> None:
        self._per_source = per_source
        self._strangers = strangers
        self._open: dict[Source, int] = {}
        self._open_known = 0
        self._open_strangers = 0
        self._known: dict[Source, float] = {}
        self._penalties: dict[Source, _Penalty] = {}
        self.counters = {"admitted": 0, **{f"shed_{reason.value}": 0 for reason in Shed}}

    @property
    def unauthenticated(self) -> int:
        """Admitted connections that are neither authenticated nor gone."""
        return self._open_known + self._open_strangers

    def admit(self, source: Source, now: float, draw: float) -> Shed | Ticket:
        """Whether this connection may begin its handshake.

        Args:
            source: Where it comes from.
            now: Monotonic seconds.
            draw: A random number from 0 to just below 1, for the early drop.

        Returns:
            A ticket, to be given back; or why it is shed.
        """
        known = self.is_known(source, now)
        reason = self._reason_against(source, known, now, draw)
        if reason is not None:
            self.counters[f"shed_{reason.value}"] += 1
            return reason
        self.counters["admitted"] += 1
        self._open[source] = self._open.get(source, 0) + 1
        if known:
            self._open_known += 1
        else:
            self._open_strangers += 1
        return Ticket(source, known)

    def _reason_against(self, source: Source, known: bool, now: float, draw: float) -> Shed | None:
        factor = KNOWN_FACTOR if known else 1
        if not known and self.penalised(source, now):
            return Shed.PENALTY
        if self._open.get(source, 0) >= self._per_source * factor:
            return Shed.SOURCE
        if known:
            return Shed.FULL if self._open_known >= self._strangers * factor else None
        if self._open_strangers >= self._strangers:
            return Shed.FULL
        half = self._strangers // 2
        return Shed.EARLY if draw < (self._open_strangers - half) / (self._strangers - half) else None

    def left(self, ticket: Ticket) -> None:
        """This connection ended before it was authenticated."""
        source = ticket.source
        number = self._open[source] - 1
        if number:
            self._open[source] = number
        else:
            del self._open[source]
        if ticket.known:
            self._open_known -= 1
        else:
            self._open_strangers -= 1

    def authenticated(self, ticket: Ticket, now: float) -> None:
        """This connection is authenticated: it counts here no more, and its source is known for a while."""
        self.left(ticket)
        self._penalties.pop(ticket.source, None)
        self._known.pop(ticket.source, None)  # to the end of the table: the oldest makes room first
        _make_room(self._known)
        self._known[ticket.source] = now

    def blame(self, source: Source, offence: Offence, now: float) -> None:
        """A penalty, unless the source is known: others may sit behind the same address."""
        if self.is_known(source, now):
            return
        penalty = self._penalties.pop(source, None)
        if penalty is None or now >= penalty.until:
            penalty = _Penalty()
            _make_room(self._penalties)
        penalty.until = min(max(penalty.until, now) + PENALTY_S[offence], now + LONGEST_S)
        penalty.bites = penalty.bites or penalty.until - now >= BITES_S
        self._penalties[source] = penalty

    def penalised(self, source: Source, now: float) -> bool:
        """Whether this source is turned away for what it did."""
        penalty = self._penalties.get(source)
        if penalty is None:
            return False
        if now >= penalty.until:
            del self._penalties[source]
            return False
        return penalty.bites

    def is_known(self, source: Source, now: float) -> bool:
        """Whether somebody authenticated from this source of late."""
        at = self._known.get(source)
        if at is None:
            return False
        if now - at >= KNOWN_S:
            del self._known[source]
            return False
        return True

    def validate(self) -> None:
        """All that always holds; for tests."""
        assert sum(self._open.values()) == self.unauthenticated
        assert all(number > 0 for number in self._open.values())
        assert self._open_strangers <= self._strangers
        assert self._open_known <= self._strangers * KNOWN_FACTOR
        assert len(self._penalties) <= SOURCES
        assert len(self._known) <= SOURCES


class Ticket:
    """One admitted connection.

    Attributes:
        source: Where it comes from.
        known: How it was counted when it came.
    """

    __slots__ = ("known", "source")

    def __init__(self, source: Source, known: bool) -> None:
        self.source = source
        self.known = known


def _make_room(table: dict[Source, float] | dict[Source, _Penalty]) -> None:
    if len(table) >= SOURCES:
        del table[next(iter(table))]
