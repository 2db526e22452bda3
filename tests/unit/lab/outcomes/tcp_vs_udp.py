"""TCP and UDP as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.tcp_vs_udp.data import Bulk, Crossing, Data, Exchange, Kept, Protocol, Unread
from tests.unit.lab.outcomes.table import Outcomes

ALL = tuple(range(10))
SOME = (0, 1, 3, 2, 5, 5, 6, 9)


def crossing(protocol: Protocol, arrived: tuple[int, ...], again: int = 0) -> Crossing:
    """Ten messages, of which these arrived."""
    return Crossing(protocol, 0.1, 10, arrived, 0, again, 3, 1, 1, 0.5)


def bulk(protocol: Protocol, write_bytes: int, seconds: float) -> Bulk:
    """64 MiB three times."""
    return Bulk(protocol, write_bytes, 64 << 20, (64 << 20,) * 3, (seconds,) * 3)


def bulks(tcp_s: float, udp_s: float) -> tuple[Bulk, ...]:
    """In two sizes of writes."""
    return tuple(each for size in (1400, 60_000) for each in (bulk("TCP", size, tcp_s), bulk("UDP", size, udp_s)))


UDP_KEEPS_NOTHING = Kept("UDP", "sent, held on the wire", 4000, 0, 0, 0)

TRUE = Data(
    kept=(
        Kept("TCP", "sent, held on the wire", 4000, 0, 4000, 0),
        Kept("TCP", "1 arrived", 4000, 0, 4000, 0),
        Kept("TCP", "4 confirmed", 4000, 4000, 0, 0),
        UDP_KEEPS_NOTHING,
    ),
    crossings=(crossing("UDP", SOME), crossing("TCP", ALL, 4)),
    exchanges=(
        Exchange("UDP", 0.02, (0.021,), 2),
        Exchange("TCP, connection made for it", 0.02, (0.041,), 10, (0.02,)),
        Exchange("TCP, open connection", 0.02, (0.021,), 2),
    ),
    bulks=bulks(0.05, 0.08),
    unread=Unread(1000, 1000, 0, "ConnectionResetError: Connection reset by peer"),
    refused=("", "ConnectionRefusedError"),
    not_read_in_time=1900,
    burst=2000,
)
LATE = Kept("TCP", "all confirmed", 4000, 4000, 1000, 0)
TCP_SLOW = replace(TRUE, bulks=bulks(0.5, 0.05))

OUTCOMES: Outcomes = {
    "n021": [
        (TRUE, "confirmed"),
        (replace(TRUE, kept=(TRUE.kept[0], LATE, UDP_KEEPS_NOTHING)), "refined"),
        (replace(TRUE, kept=(Kept("TCP", "sent", 4000, 0, 0, 0), UDP_KEEPS_NOTHING)), "refuted"),
    ],
    "n022": [
        (TRUE, "refined"),
        (TCP_SLOW, "confirmed"),
        (replace(TRUE, crossings=(TRUE.crossings[0], crossing("TCP", SOME))), "refuted"),
    ],
    "n023": [
        (TRUE, "refined"),
        (TCP_SLOW, "confirmed"),
        (replace(TRUE, crossings=(crossing("UDP", ALL), TRUE.crossings[1])), "refuted"),
    ],
}
