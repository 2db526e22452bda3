"""The printer of exchanges: every frame in a line, whatever the chunks; what is no frame is said."""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.documents import to_json
from holdfast.cli.relay import Sender
from holdfast.cli.tap import Chunk, Decoder, read_recording
from holdfast.errors import HoldfastError
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.messages import InviteAnswer, encode
from tests.unit.wire.pair import INVITATION, enrol_client, enrol_server

FRAMES = (
    encode_frame(FrameType.REQ, stream=1, header=b'{"op":"get","job":"a\\u001b"}')
    + encode_frame(FrameType.DATA, channel=1, stream=1, position=7, body_bytes=40)
    + b"\x1b" * 40
    + encode_frame(FrameType.PING, position=3)
)


def shown(chunks: list[bytes], *, as_json: bool = False, sender: Sender = "client") -> list[str]:
    decoder = Decoder(as_json=as_json)
    return [line for data in chunks for line in decoder.lines(Chunk(1.5, 0, sender, data))]


def test_frames_as_text() -> None:
    request, data, ping = shown([FRAMES])
    assert request == (
        '   1.500000 0 client -> agent REQ     stream 1 channel 0 position 0 {"op":"get","job":"a\\u001b"}'
    )
    assert data.endswith(f"stream 1 channel 1 position 7 + 40 bytes {bytes(32 * [27])!r}...")
    assert " PING    stream 0 channel 0 position 3" in ping
    assert "agent -> client" in shown([FRAMES], sender="agent")[0]


def test_frames_as_json() -> None:
    request, data, _ = (json.loads(line) for line in shown([FRAMES], as_json=True))
    assert request["header"] == {"op": "get", "job": "a\x1b"}
    assert (request["type"], request["sender"], request["body_bytes"]) == ("REQ", "client", 0)
    assert (data["type"], data["position"], data["body_bytes"], data["header"]) == ("DATA", 7, 40, None)


@given(st.lists(st.integers(0, len(FRAMES)), max_size=6))
def test_cuts_do_not_show(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(FRAMES)]
    chunks = [FRAMES[a:b] for a, b in pairwise(places) if a < b]
    assert shown(chunks) == shown([FRAMES])


def test_the_end_and_what_is_no_frame() -> None:
    assert shown([b""]) == ["   1.500000 0 client -> agent (end of stream)"]
    (line,) = shown([b"GET / HTTP/1.1\r\n" * 10, FRAMES])
    assert "(not a frame: bad magic 0x47" in line
    assert json.loads(shown([b""], as_json=True)[0])["remark"] == "end of stream"


@given(st.binary(min_size=1))
def test_no_bytes_break_it(data: bytes) -> None:
    shown([data, data], as_json=True)
    assert all(line.isprintable() for line in shown([data]))


def test_directions_and_connections_do_not_mix() -> None:
    decoder = Decoder(as_json=False)
    half = len(FRAMES) // 2
    lines: list[str] = []
    for connection, sender, data in (
        (0, "client", FRAMES[:half]),
        (0, "agent", FRAMES[:half]),
        (1, "client", FRAMES),
        (0, "agent", FRAMES[half:]),
        (0, "client", FRAMES[half:]),
    ):
        lines += decoder.lines(Chunk(0.0, connection, sender, data))  # type: ignore[arg-type]
    assert len(lines) == 9


def test_recordings_come_back() -> None:
    chunks = [Chunk(0.25, 0, "client", b"\x00\xff"), Chunk(0.5, 1, "agent", b"")]
    assert list(read_recording([to_json(chunk) for chunk in chunks])) == chunks
    with pytest.raises(HoldfastError, match="line 2 is not part of a recording"):
        list(read_recording([to_json(chunks[0]), b"{}\n"]))


@pytest.mark.parametrize("as_json", [False, True])
def test_an_enrolment_is_shown_without_its_proofs_and_an_invitation_not_at_all(as_json: bool) -> None:
    client, server = enrol_client(), enrol_server()
    lines = []
    for _ in range(2):
        for side, other, sender in ((client, server, "client"), (server, client, "agent")):
            data = side.data_to_send()
            other.receive_data(data)
            lines += shown([data], as_json=as_json, sender=sender)  # type: ignore[arg-type]
    assert client.result is not None
    assert len(lines) == 4
    assert all("ENROL" in line and "not a frame" not in line for line in lines)
    assert "ada@laptop" in lines[0]
    answer = InviteAnswer(INVITATION.encode(), INVITATION.id, "operator", 2e9)
    lines += shown([encode_frame(FrameType.RES, stream=1, header=encode(answer))], as_json=as_json, sender="agent")
    told = "\n".join(lines)
    assert told.count("(hidden)") == 3
    for secret in (client.result.mac, INVITATION.secret):
        assert b64encode(secret).decode() not in told
    assert INVITATION.encode()[4:] not in told
    assert INVITATION.id in lines[-1]
