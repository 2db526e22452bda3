"""What is observed of addresses."""

from __future__ import annotations

import msgspec


class Talk(msgspec.Struct, frozen=True):
    """A client or browser and its server."""

    pair: str
    carrier: str
    """What carries the bytes."""
    network: bool
    """Some network interface was up."""
    answered: bool
    error: str = ""


class Asked(msgspec.Struct, frozen=True):
    """One question to a server that was replaced meanwhile."""

    at_s: float
    took_s: float
    error: str
    """"": it was answered."""


class Replaced(msgspec.Struct, frozen=True):
    """A server whose process ended and was started again."""

    who_listens: str
    """"server": its socket ends with it; "keeper": somebody else holds the socket open."""
    gap_s: tuple[float, float]
    """From when to when no server process was there."""
    asked: tuple[Asked, ...]

    @property
    def failed(self) -> int:
        """Questions without an answer."""
        return sum(bool(each.error) for each in self.asked)


class Moved(msgspec.Struct, frozen=True):
    """A server that took whatever port it was given, and then another one."""

    ports: tuple[int, int]
    told_reached: tuple[bool, bool]
    """Reached by a client that was told where it is."""
    old_reached: bool
    """Reached after the move by a client that only knows the first port."""
    unbound_port: int
    """The port of a server that has never called ``bind``; 0: it cannot listen."""


class Interface(msgspec.Struct, frozen=True):
    """An interface of this machine. Of its MAC only the maker's half is kept."""

    name: str
    mac: str
    ip: str


class Twin(msgspec.Struct, frozen=True):
    """One of two networks that were there at the same time, as seen from inside."""

    ip: str
    mac: str
    mac_before: str
    """What its interface had before it was changed."""
    port: int
    url: str
    body: str
    process: int


class Page(msgspec.Struct, frozen=True):
    """What a URL gave."""

    url: str
    how: str
    """What was different in this request."""
    body: str


class Answerers(msgspec.Struct, frozen=True):
    """Who answers at one IP and port of this machine."""

    tcp: tuple[int, ...]
    """How many connections each process got that listens there, by ``SO_REUSEPORT``."""
    udp_too: bool
    """Yet another process answers datagrams at the same number."""
    ports_of_one: int
    """Ports at which a single process answered."""


class Service(msgspec.Struct, frozen=True):
    """A line of this machine's list of services."""

    name: str
    protocol: str
    port: int | None
    """None: it is not in the list, or there is no list."""


class DnsAsked(msgspec.Struct, frozen=True):
    """The system's resolver, watched in a private network in which the lab is the name server."""

    nameserver: str
    port: int
    """At which the question came."""
    answer: str
    elsewhere: bool
    """The same server answered at another port too, to whoever asked there."""


class Data(msgspec.Struct, frozen=True):
    """One run."""

    talks: tuple[Talk, ...]
    mismatch: str
    """What HTTP says to a server that speaks another protocol; "": it understood."""
    replaced: tuple[Replaced, ...]
    moved: Moved
    interfaces: tuple[Interface, ...]
    twins: tuple[Twin, ...]
    """Empty: not allowed here."""
    answerers: Answerers
    pages: tuple[Page, ...]
    services: tuple[Service, ...]
    stranger_on_67: bool | None
    """Whether a program that knows nothing of DHCP could have port 67; None: not tried."""
    dns: DnsAsked | None
