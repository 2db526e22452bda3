"""Addresses as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.addresses.data import (
    Answerers,
    Asked,
    Data,
    DnsAsked,
    Interface,
    Moved,
    Page,
    Replaced,
    Service,
    Talk,
    Twin,
)
from tests.unit.lab.outcomes.table import Outcomes

ANSWERED = Asked(0.01, 0.001, "")
REFUSED = Asked(0.15, 0.001, "ConnectionRefusedError")
ALONE = Replaced("server", (0.1, 0.4), (ANSWERED, REFUSED, ANSWERED))
KEPT = Replaced("keeper", (0.1, 0.4), (ANSWERED, Asked(0.15, 0.25, ""), ANSWERED))
TCP = Talk("browser/server", "TCP on a loopback", True, True)
UNIX = Talk("browser/server", "unix socket", False, True)
CUT_OFF = Talk("client/server", "TCP, no interface up", False, False, "TimeoutError: timed out")
BASE = "http://127.0.0.1:4000"
MAC = "02:00:5e:10:20:30"


def twin(name: str, mac: str = MAC) -> Twin:
    """A network."""
    return Twin("192.168.7.10", mac, "0e:00:00:00:00:01", 4000, "http://192.168.7.10:4000/", f"I am {name}", 100)


TRUE = Data(
    talks=(TCP, UNIX, CUT_OFF),
    mismatch="BadStatusLine: 42",
    replaced=(ALONE, KEPT),
    moved=Moved((4000, 4001), (True, True), False, 4002),
    interfaces=(Interface("lo", "00:00:00:…", "127.0.0.1"), Interface("eth0", "02:fc:00:…", "192.0.2.7")),
    twins=(twin("the first"), twin("the second")),
    answerers=Answerers((33, 27), True, 2),
    pages=(
        Page(f"{BASE}/visits", "first time", "visit 1"),
        Page(f"{BASE}/visits", "second time", "visit 2"),
        Page(f"{BASE}/", "Accept-Language: en", "hello"),
        Page("http://localhost:4000/", "another name", "hello"),
    ),
    services=(Service("bootps", "udp", 67), Service("bootpc", "udp", 68), Service("domain", "udp", 53)),
    stranger_on_67=True,
    dns=DnsAsked("192.0.2.1", 53, "192.0.2.53", True),
)
ALONE_ON_EARTH = replace(TRUE, twins=(), interfaces=TRUE.interfaces[1:])

OUTCOMES: Outcomes = {
    "n006": [
        (TRUE, "refined"),
        (replace(TRUE, talks=(TCP,)), "confirmed"),
        (replace(TRUE, talks=(UNIX, CUT_OFF)), "refuted"),
    ],
    "n007": [
        (TRUE, "refined"),
        (replace(TRUE, replaced=(ALONE, replace(KEPT, asked=(REFUSED,)))), "confirmed"),
        (replace(TRUE, replaced=(replace(ALONE, asked=(ANSWERED,)), KEPT)), "refuted"),
    ],
    "n008": [
        (TRUE, "refined"),
        (replace(TRUE, moved=Moved((4000, 4001), (False, True), False, 0)), "confirmed"),
        (replace(TRUE, moved=Moved((4000, 4001), (True, True), True, 4002)), "refuted"),
    ],
    "n009": [
        (TRUE, "refined"),
        (replace(TRUE, talks=(CUT_OFF,)), "confirmed"),
        (replace(TRUE, mismatch=""), "refuted"),
    ],
    "n013": [
        (TRUE, "refuted"),
        (replace(TRUE, twins=()), "refined"),
        (ALONE_ON_EARTH, "confirmed"),
    ],
    "n014": [
        (TRUE, "refuted"),
        (replace(TRUE, answerers=Answerers((60,), True, 2)), "refined"),
        (replace(TRUE, answerers=Answerers((60,), False, 1)), "confirmed"),
    ],
    "n015": [(TRUE, "refined"), (replace(TRUE, twins=(), pages=TRUE.pages[2:]), "confirmed")],
    "n016": [
        (TRUE, "refined"),
        (replace(TRUE, services=(Service("bootps", "udp", 67), Service("bootpc", "udp", None))), "confirmed"),
        (replace(TRUE, services=(Service("bootps", "udp", 6700),)), "refuted"),
        (replace(TRUE, services=()), "definition"),
    ],
    "n017": [
        (TRUE, "confirmed"),
        (replace(TRUE, dns=None), "confirmed"),
        (replace(TRUE, dns=None, services=(Service("domain", "udp", 5300),)), "refuted"),
        (replace(TRUE, dns=None, services=()), "definition"),
    ],
}
