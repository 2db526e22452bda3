"""The phases of reads and sends as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.two_phases.data import Copied, Data, Handed, Held, NotWaiting, Sent, Waited
from tests.unit.lab.outcomes.table import Outcomes

SMALL = Copied(64, (1e-6,), (1e-6,), (1e-6,))
LARGE = Copied(1 << 20, (1e-6,), (2e-4,), (2e-4,))
COPIES = Handed("send", 20_000, 20_000, 0)

TRUE = Data(
    waited=(Waited(0.03, 65536, 0.031, 1e-4, 0.031, 1e-5), Waited(0.3, 65536, 0.301, 1e-4, 0.301, 1e-5)),
    copied=(SMALL, LARGE),
    not_waiting=NotWaiting(0.1, 40, 1e-6, 1e-5, 1e-5, 0.1),
    held=(Held("recv(1000, MSG_PEEK)", 3000, 1000, 3000), Held("recv(1000)", 3000, 1000, 2000)),
    sent=Sent(32 << 20, 0.1, 0.12, 0.01, (0.1, 0.13), 4 << 20, "BlockingIOError", 3 << 20, 1 << 20, 0.1),
    returned_before_read=20_000,
    handed=(COPIES, Handed("sendfile", 20_000, 0, 20_000)),
)
NEVER_FULL = replace(TRUE.sent, taken=TRUE.sent.size)

OUTCOMES: Outcomes = {
    "n124": [
        (TRUE, "confirmed"),
        (replace(TRUE, copied=(SMALL, replace(LARGE, copy_s=(1e-6,)))), "refined"),
        (replace(TRUE, waited=(Waited(0.3, 65536, 0.001, 1e-4, 0.001, 1e-5),)), "refuted"),
    ],
    "n125": [
        (TRUE, "refined"),
        (replace(TRUE, sent=NEVER_FULL, handed=(COPIES, Handed("sendfile", 20_000, 20_000, 0))), "confirmed"),
        (replace(TRUE, handed=(Handed("send", 20_000, 0, 20_000), TRUE.handed[1])), "refuted"),
    ],
}
