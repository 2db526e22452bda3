"""Closes as they are, and as they might be."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.teardown.data import Abrupt, Data, Gone, Half, Moment, Pause
from holdfast.lab.segments import Segment, Step
from tests.unit.lab.outcomes.table import Outcomes

CLIENT, SERVER = 50000, 80


def segment(to_server: bool, flags: str, seq: int, ack: int = 0, length: int = 0) -> Segment:
    """Of a connection that is about to end."""
    ports = (CLIENT, SERVER) if to_server else (SERVER, CLIENT)
    return Segment(0.0, "::1", ports[0], "::1", ports[1], seq, ack, tuple(flags.split()), 64, length)


def steps(*each: tuple[Segment, str, str]) -> tuple[Step, ...]:
    """With the states after each."""
    return tuple(Step(one, one.target_port == SERVER, client, server) for one, client, server in each)


THREE = (segment(True, "FIN ACK", 5, 9), segment(False, "FIN ACK", 9, 6), segment(True, "ACK", 6, 10))
FOUR = (THREE[0], segment(False, "ACK", 9, 6), THREE[1], THREE[2])
ENDED = Moment("both are closed", "TIME_WAIT", "CLOSED")
RESET = Abrupt(1, "ECONNRESET", Moment("one has closed", "CLOSED", "CLOSED"), (segment(True, "RST ACK", 5, 9),))
TRUE = Data(
    own_network=True,
    port=SERVER,
    half=Half(Moment("one direction is closed", "FIN_WAIT_2", "CLOSE_WAIT"), 5000, 2, 2, ENDED, FOUR),
    at_once=(3, 3, 4, 3),
    at_once_captured=THREE,
    at_once_end=ENDED,
    time_wait_s=60.0,
    pauses=(Pause(0.0, (3, 3)), Pause(0.04, (3, 4)), Pause(0.1, (4, 4))),
    reset=RESET,
    unread=RESET,
    gone=Gone("end", "", "EPIPE", 1, None),
    stuck=(Moment("connected", "ESTABLISHED", "ESTABLISHED"),),
    four=steps(
        (FOUR[0], "FIN_WAIT_1", "CLOSE_WAIT"),
        (FOUR[1], "FIN_WAIT_2", "CLOSE_WAIT"),
        (FOUR[2], "TIME_WAIT", "LAST_ACK"),
        (FOUR[3], "TIME_WAIT", "CLOSED"),
    ),
    three=steps(
        (THREE[0], "FIN_WAIT_1", "CLOSE_WAIT"),
        (THREE[1], "TIME_WAIT", "LAST_ACK"),
        (THREE[2], "TIME_WAIT", "CLOSED"),
    ),
    crossing=None,
    one=steps((segment(True, "RST ACK", 5, 9), "CLOSED", "CLOSED")),
)
LESSER = replace(
    TRUE,
    own_network=False,
    port=0,
    half=replace(TRUE.half, captured=None),
    at_once_captured=None,
    reset=replace(RESET, captured=None),
    unread=replace(RESET, captured=None),
    four=None,
    three=None,
    one=None,
)
ALWAYS_FOUR = replace(LESSER, at_once=(4, 4), pauses=(Pause(0.0, (4, 4)),))
NO_RESETS = replace(ALWAYS_FOUR, reset=replace(RESET, segments=4), unread=replace(RESET, segments=4))

OUTCOMES: Outcomes = {
    "n005": [
        (TRUE, "refined"),
        (LESSER, "refined"),
        (replace(LESSER, half=replace(TRUE.half, first=1), at_once=(3,), pauses=()), "refuted"),
        (NO_RESETS, "confirmed"),
    ],
    "n019": [
        (TRUE, "refined"),
        (replace(TRUE, half=replace(TRUE.half, flowed=0)), "refuted"),
        (replace(TRUE, gone=Gone("end", "", "", 0, None)), "confirmed"),
    ],
    "n020": [
        (TRUE, "refuted"),
        (replace(LESSER, pauses=()), "refuted"),
        (ALWAYS_FOUR, "refined"),
        (NO_RESETS, "confirmed"),
    ],
}
