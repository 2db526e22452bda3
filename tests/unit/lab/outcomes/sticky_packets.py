"""Messages in streams as they stick, and as they might."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.lab.cases.sticky_packets.data import (
    Announced,
    Code,
    Data,
    Framing,
    HeaderText,
    OneRead,
    Passage,
    Ways,
    Wired,
)
from holdfast.lab.seen import Line, Ran
from holdfast.lab.segments import Segment, Step
from tests.unit.lab.outcomes.table import Outcomes

SENT = (9,) * 8
WAYS = ("send", "TCP_NODELAY", "MSG_MORE", "TCP_CORK", "sendmsg")


def passage(channel: str, nagle: bool, reads: int, segments: int | None = None) -> Passage:
    """Eight messages in so many reads."""
    return Passage(channel, nagle, 0.0, SENT, (72 // reads,) * reads, segments)


def wired(nagle: bool, acknowledged: bool, segments: int) -> Wired:
    """Eight messages in so many segments, and an acknowledgement."""
    data = Segment(0.0, "192.0.2.1", 4000, "192.0.2.2", 80, 1, 1, ("ACK", "PSH"), 100, 72 // segments)
    answer = Segment(0.0, "192.0.2.1", 80, "192.0.2.2", 4000, 1, 73, ("ACK",), 100, 0)
    steps = [Step(data, True, "ESTABLISHED", "ESTABLISHED")] * segments
    return Wired(nagle, acknowledged, 0.01, 8, (*steps, Step(answer, False, "ESTABLISHED", "ESTABLISHED")))


def ran(*lines: str) -> Ran:
    """A program that printed this."""
    return Ran(tuple(Line(0.1, line) for line in lines), 0.1, 0, 0.05)


def ways(at_once: tuple[int, ...], late: tuple[int, ...]) -> tuple[Ways, ...]:
    """Segments of each way, acknowledged at once and late."""
    return tuple(
        Ways(way, acks_wait, 8, segments)
        for acks_wait, counts in ((False, at_once), (True, late))
        for way, segments in zip(WAYS, counts, strict=True)
    )


UNFRAMED = Framing("nothing", False, False, 8, 0, 0, 0)
FIXED = Framing("length in 4 bytes", True, True, 8, 8, 8, 32)
DELIMITED = Framing("newline behind", False, False, 8, 8, 8, 8)
PRINTED = ("507", "b'\\xfb\\x01\\x00\\x00' 4", "(507,)")

TRUE = Data(
    passages=(passage("TCP", True, 1, 8), passage("TCP, TCP_NODELAY", False, 1, 8), passage("UDP", False, 8)),
    ways=ways((8, 8, 1, 1, 1), (2, 8, 1, 1, 1)),
    wired=(wired(True, False, 2), wired(True, True, 8), wired(False, False, 8)),
    corked_s=(0.2,),
    large_sent=300,
    large_reads=(100, 200),
    framings=(UNFRAMED, FIXED, DELIMITED),
    one_reads=(OneRead("prefix", 4, 2, "error: unpack requires a buffer of 4 bytes", 4),),
    announced=(Announced("whole", True, True), Announced("flipped", True, False), Announced("cut", False, False)),
    bytes_in_json="TypeError: Object of type bytes is not JSON serializable",
    base64_factor=4 / 3,
    program=ran(*PRINTED[1:]),
    repaired=ran("507", "b'\\x00\\x00\\x01\\xfb' 4", "(507,)"),
    codes=(
        Code("i", 4, "fb 01 00 00"),
        Code(">i", 4, "00 00 01 fb"),
        Code("l", 8, "fb 01 00 00 00 00 00 00"),
        Code("<l", 4, "fb 01 00 00"),
    ),
    too_large=("2147483648", "struct.error: too large"),
    swapped=-83820544,
    byte_order="little",
    texts=(HeaderText(("file",), True, 20, 20, True, True), HeaderText(("文件",), False, 26, 38, True, False)),
    frame_prefix_hex=" ".join(["00"] * 24),
)
NO_WIRE = replace(TRUE, wired=())

OUTCOMES: Outcomes = {
    "n010": [
        (TRUE, "refined"),
        (replace(TRUE, framings=(UNFRAMED, FIXED)), "confirmed"),
        (replace(TRUE, framings=(UNFRAMED, replace(FIXED, intact_split=3))), "refuted"),
    ],
    "n011": [
        (TRUE, "refined"),
        (replace(TRUE, framings=(UNFRAMED, FIXED)), "confirmed"),
        (replace(TRUE, framings=(UNFRAMED, replace(FIXED, intact_merged=0), DELIMITED)), "refuted"),
    ],
    "n012": [
        (TRUE, "refined"),
        (replace(TRUE, bytes_in_json=""), "confirmed"),
        (replace(TRUE, announced=(Announced("whole", True, False),)), "refuted"),
    ],
    "n024": [
        (TRUE, "refuted"),
        (replace(TRUE, passages=(passage("TCP", True, 1, 1), passage("TCP_NODELAY", False, 8, 8))), "confirmed"),
        (replace(TRUE, passages=(passage("TCP", True, 8, 8), passage("TCP_NODELAY", False, 8, 8))), "refuted"),
    ],
    "n025": [
        (TRUE, "refined"),
        (NO_WIRE, "refined"),
        (replace(TRUE, wired=(wired(True, False, 2), wired(True, True, 2))), "confirmed"),
        (replace(NO_WIRE, ways=ways((8, 8, 1, 1, 1), (8, 8, 1, 1, 1))), "refuted"),
    ],
    "n026": [(TRUE, "refuted"), (replace(TRUE, ways=ways((8,) * 5, (2,) * 5)), "confirmed")],
    "n027": [
        (TRUE, "refined"),
        (replace(TRUE, too_large=("2147483648", "")), "confirmed"),
        (replace(TRUE, codes=(Code("i", 2, "fb 01"), *TRUE.codes[1:])), "refuted"),
    ],
    "n028": [
        (TRUE, "refined"),
        (replace(TRUE, program=ran(*PRINTED)), "confirmed"),
        (replace(TRUE, program=ran("b'\\x00\\x00\\x01\\xfb' 4", "(507,)")), "refuted"),
    ],
    "n029": [
        (TRUE, "confirmed"),
        (replace(TRUE, texts=(HeaderText(("file",), True, 20, 20, False, False),)), "refuted"),
    ],
}
