"""Which frame may come when (S1, S27): every type byte, in every phase, for both roles; expected as written here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from holdfast.wire import limits, phases
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.link import LinkClosed
from holdfast.wire.phases import ALLOWED, Phase, Role
from tests.unit.wire.pair import drain, frames_of, sample, side_in

LIVENESS = {"GOAWAY", "PING", "PONG", "CLOSE"}
TO_AGENT = {"REQ", "CANCEL", "DATA", "CREDIT", "END"} | LIVENESS
TO_CLIENT = {"RES", "ERR", "EVT", "DATA", "CREDIT", "END", "ACK", "GAP"} | LIVENESS
EXPECTED: dict[tuple[Role, Phase], set[str]] = {
    (Role.AGENT, Phase.ENROL): {"ENROL"},
    (Role.AGENT, Phase.PRE): {"HELLO"},
    (Role.AGENT, Phase.OPEN): TO_AGENT,
    (Role.AGENT, Phase.DRAIN): TO_AGENT,
    (Role.AGENT, Phase.CLOSED): set(),
    (Role.CLIENT, Phase.ENROL): {"ENROL"},
    (Role.CLIENT, Phase.PRE): {"WELCOME", "CLOSE"},
    (Role.CLIENT, Phase.OPEN): TO_CLIENT,
    (Role.CLIENT, Phase.DRAIN): TO_CLIENT,
    (Role.CLIENT, Phase.CLOSED): set(),
}
EVERY = [(role, phase, type_) for role, phase in EXPECTED for type_ in range(256)]
NAMES = {int(kind): kind.name for kind in FrameType}
LEGAL = [(r, p, t) for r, p, t in EVERY if NAMES.get(t) in EXPECTED[r, p]]
ILLEGAL = [(r, p, t) for r, p, t in EVERY if NAMES.get(t) not in EXPECTED[r, p]]


def test_the_table_is_complete() -> None:
    assert set(ALLOWED) == set(EXPECTED)
    assert {key: {NAMES[t] for t in bounds} for key, bounds in ALLOWED.items()} == EXPECTED
    assert len(LEGAL) + len(ILLEGAL) == len(Role) * len(Phase) * 256 == 2560


@pytest.mark.parametrize(("role", "phase"), EXPECTED)
def test_illegal_types_close_without_a_byte_that_depends_on_the_payload(role: Role, phase: Phase) -> None:
    for _, _, type_ in (row for row in ILLEGAL if row[:2] == (role, phase)):
        replies = set()
        for stream, channel, position, header, body in (
            (0, 0, 0, b"", b""),
            (1, 1, 0, b"{}", b"x"),
            (99, 255, 2**64 - 1, b'{"op":"status"}', bytes(2000)),
        ):
            link = side_in(role, phase)
            frame = encode_frame(
                type_, channel=channel, stream=stream, position=position, header=header, body_bytes=len(body)
            )
            link.receive_data(frame + body, now=0.0)
            assert link.closed
            replies.add(link.data_to_send())
            found = drain(link)
            if phase is Phase.CLOSED:
                assert found == []
            else:
                assert [type(event) for event in found] == [LinkClosed]
                assert found[0].code == 100  # type: ignore[attr-defined]
        assert len(replies) == 1, f"type 0x{type_:02x}: the reply tells payloads apart"
        answered = [frame.type for frame in frames_of(replies.pop())]
        silent = phase is Phase.CLOSED or (role is Role.CLIENT and phase in (Phase.PRE, Phase.ENROL))
        says = FrameType.ENROL if phase is Phase.ENROL else FrameType.CLOSE
        assert answered == ([] if silent else [says])


@pytest.mark.parametrize(("role", "phase", "type_"), LEGAL)
def test_legal_types_do_something_or_are_known_to_do_nothing(role: Role, phase: Phase, type_: int) -> None:
    link = side_in(role, phase)
    link.receive_data(sample(type_, role), now=0.0)
    found, reply = drain(link), frames_of(link.data_to_send())
    assert link.closed == (type_ == FrameType.CLOSE)
    if type_ == FrameType.PONG:
        assert (found, reply) == ([], [])
    elif type_ == FrameType.PING:
        assert [(frame.type, frame.position) for frame in reply] == [(FrameType.PONG, 7)]
    elif type_ == FrameType.ENROL:
        assert [frame.type for frame in reply] == [FrameType.ENROL]
        assert found == []
    elif type_ == FrameType.REQ and phase is Phase.DRAIN:
        assert [frame.type for frame in reply] == [FrameType.ERR]
        assert found == []
    else:
        assert len(found) == 1
        assert reply == []


@pytest.mark.parametrize(("role", "phase", "type_"), LEGAL)
@pytest.mark.parametrize("part", ["header", "body"])
def test_one_byte_over_a_bound_is_refused_at_the_prefix(role: Role, phase: Phase, type_: int, part: str) -> None:
    most_header, most_body = ALLOWED[role, phase][type_]
    lengths = (most_header + 1, 0) if part == "header" else (0, most_body + 1)
    prefix = encode_frame(type_, body_bytes=lengths[1])
    prefix = prefix[:4] + lengths[0].to_bytes(4, "big") + prefix[8:]
    link = side_in(role, phase)
    link.receive_data(prefix, now=0.0)
    assert link.closed
    assert drain(link)[-1].code == 101  # type: ignore[attr-defined]


def test_before_welcome_no_header_is_over_4_kib_and_there_is_no_body() -> None:
    for role in Role:
        for phase in (Phase.PRE, Phase.ENROL):
            for header, body in ALLOWED[role, phase].values():
                assert header <= limits.CONTROL_BYTES_BEFORE_WELCOME
                assert body == 0


@pytest.mark.parametrize("bit", range(8))
def test_a_frame_that_claims_to_be_compressed_or_anything_else_is_refused(bit: int) -> None:
    """No flag is defined, so there is nothing to decompress: a set bit ends the connection before its payload."""
    for role, phase, type_ in LEGAL:
        frame = bytearray(sample(type_, role))
        frame[3] = 1 << bit
        side = side_in(role, phase)
        side.receive_data(bytes(frame[:24]), now=0.0)
        assert side.closed
        (event,) = drain(side)
        assert event.code == 100  # type: ignore[attr-defined]


def test_nothing_in_this_room_can_decompress() -> None:
    room = Path(phases.__file__).parent
    for module in room.glob("*.py"):
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(module.read_text()))
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            + ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        }
        assert not imported & {"zlib", "gzip", "bz2", "lzma", "zipfile", "compression", "zstandard", "brotli"}, module
