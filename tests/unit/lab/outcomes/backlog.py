"""Queues of a listening socket as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.backlog.data import Asked, Believers, Crowd, Data, Guest
from tests.unit.lab.outcomes.table import Outcomes


def crowd(number: int, *, finished: int, half_open: int = 0) -> Crowd:
    """Eight more than the number came."""
    came = number + 8
    return Crowd(
        number=number,
        limit=number,
        came=came,
        waiting=finished,
        half_open=half_open,
        believe=finished + half_open,
        unanswered=came - finished - half_open,
        accepted=finished,
        cookies=0,
        cookies_sent=0,
        overflows=came - finished - half_open,
        drops=came - finished - half_open,
    )


NUMBERS = (0, 1, 5, 16)
TRUE = Data(
    own_network=True,
    somaxconn=4096,
    syncookies=1,
    max_syn_backlog=2048,
    finished=tuple(crowd(number, finished=number + 1) for number in NUMBERS),
    half_open=tuple(crowd(number, finished=0, half_open=number + 1) for number in NUMBERS),
    cookies=crowd(5, finished=6, half_open=6),
    asked=(Asked(5, 0, 13, 6, 6), Asked(5, 1, 13, 13, 6)),
    asked_for=1 << 20,
    granted=4096,
    kept=100,
    kept_number=5,
    guests=(Guest(0.0, 0.0, 0.3), Guest(0.0, 1.0, 1.1), Guest(0.0, None, None)),
    guests_number=5,
    retried=None,
    guests_port=80,
    believers=Believers(4, 4, 4, 16, 4, 6, 0, 4),
)
SYN_COOKIES = tuple(crowd(number, finished=number + 1, half_open=7) for number in NUMBERS)
ALL_WAIT = tuple(crowd(number, finished=number + 8) for number in NUMBERS)
LESSER = replace(
    TRUE,
    own_network=False,
    half_open=tuple(replace(each, cookies=1, cookies_sent=None, overflows=None, drops=None) for each in SYN_COOKIES),
    cookies=None,
    asked=None,
)

OUTCOMES: Outcomes = {
    "n001": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(TRUE, finished=ALL_WAIT), "confirmed"),
        (replace(TRUE, finished=ALL_WAIT, half_open=SYN_COOKIES), "refuted"),
        (replace(TRUE, kept=5), "refuted"),
    ],
}
