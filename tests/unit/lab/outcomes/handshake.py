"""Handshakes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.handshake.data import Birth, Data, Early, FastOpen, Forged
from holdfast.lab.segments import Segment, Step
from tests.unit.lab.outcomes.table import Outcomes

CLIENT, SERVER = 50000, 80


def segment(to_server: bool, flags: str, seq: int, ack: int = 0, length: int = 0) -> Segment:
    """Client's numbers start at 1000, the server's at 4294967295, the last one there is."""
    ports = (CLIENT, SERVER) if to_server else (SERVER, CLIENT)
    return Segment(0.0, "::1", ports[0], "::1", ports[1], seq, ack, tuple(flags.split()), 64, length)


def step(segment: Segment, client: str, server: str, listener: str = "LISTEN") -> Step:
    """With the states after it."""
    return Step(segment, segment.target_port == SERVER, client, server, listener)


Y = (1 << 32) - 1
THREE = (
    segment(True, "SYN", 1000),
    segment(False, "SYN ACK", Y, 1001),
    segment(True, "ACK", 1001, 0),
)
CONVERSATION = (*THREE, segment(True, "PSH ACK", 1001, 0, 5), segment(False, "ACK", 0, 1006))
STEPS = (
    step(THREE[0], "SYN_SENT", "SYN_RECV"),
    step(THREE[1], "ESTABLISHED", "SYN_RECV"),
    step(THREE[2], "ESTABLISHED", "ESTABLISHED"),
)
EARLY = Early("ESTABLISHED", "SYN_RECV", False, 5, "ESTABLISHED", 5, 5, 2)
FAST = FastOpen(
    (
        step(segment(True, "SYN", 1000, 0, 5), "SYN_SENT", "SYN_RECV"),
        step(segment(False, "SYN ACK", Y, 1006), "ESTABLISHED", "SYN_RECV"),
        step(segment(False, "PSH ACK", 0, 1006, 5), "ESTABLISHED", "SYN_RECV"),
        step(segment(True, "ACK", 1006, 5), "ESTABLISHED", "ESTABLISHED"),
    ),
    5,
    "SYN_RECV",
    5,
)
CROSSING = (
    step(segment(True, "SYN", 1000), "SYN_SENT", "SYN_RECV", ""),
    step(segment(False, "SYN", 7), "SYN_RECV", "SYN_RECV", ""),
    step(segment(True, "SYN ACK", 1000, 8), "SYN_RECV", "ESTABLISHED", ""),
    step(segment(False, "SYN ACK", 7, 1001), "ESTABLISHED", "ESTABLISHED", ""),
)
TRUE = Data(
    own_network=True,
    births=(Birth("socket()", "CLOSED"), Birth("bind()", "CLOSED"), Birth("listen()", "LISTEN")),
    port=SERVER,
    before_accept=("ESTABLISHED", "ESTABLISHED"),
    connect_s=(2e-5, 3e-5),
    asked="SYN_SENT",
    early=EARLY,
    acknowledged=(1, 6),
    sent=5,
    segments=3,
    captured=CONVERSATION,
    first_numbers=(1000, 7),
    captured_s=(2e-5, 3e-5),
    steps=STEPS,
    early_wire=replace(EARLY, client_out=3),
    forged=Forged(1000, "RST", "SYN_RECV", "ESTABLISHED"),
    fast_open=FAST,
    simultaneous=CROSSING,
)
LESSER = replace(
    TRUE,
    own_network=False,
    captured=None,
    first_numbers=None,
    captured_s=None,
    steps=None,
    early_wire=None,
    forged=None,
    fast_open=None,
    simultaneous=None,
)
ALWAYS_LISTENS = tuple(Birth(birth.call, "LISTEN") for birth in TRUE.births)
LATE = replace(EARLY, client_out=3)

OUTCOMES: Outcomes = {
    "n002": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(TRUE, asked="CLOSED"), "refuted"),
        (
            replace(TRUE, births=ALWAYS_LISTENS, steps=tuple(replace(each, listener="SYN_RECV") for each in STEPS)),
            "confirmed",
        ),
    ],
    "n003": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(LESSER, early=replace(EARLY, accepted_before=True)), "confirmed"),
        (replace(LESSER, early=replace(EARLY, server="ESTABLISHED")), "refuted"),
    ],
    "n004": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(TRUE, captured=(*CONVERSATION[:4], segment(False, "ACK", 0, 1001))), "confirmed"),
        (replace(TRUE, captured=(THREE[0], segment(False, "SYN ACK", Y, 1000), *CONVERSATION[2:])), "refuted"),
        (replace(LESSER, acknowledged=(0, 5)), "refuted"),
        (replace(LESSER, acknowledged=(1, 1)), "confirmed"),
    ],
    "n018": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(LESSER, early=LATE), "confirmed"),
        (replace(LESSER, segments=4), "refuted"),
    ],
}
