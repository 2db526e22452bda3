"""Enrolment (S17, S30): both cores against each other, against liars, and against an HMAC written here once more."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import (
    ConnectFailed,
    HoldfastError,
    IdentityError,
    LocalProtocolError,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    StorageError,
    Unauthorized,
)
from holdfast.wire import enrol
from holdfast.wire.certificate import key_digest
from holdfast.wire.enrol import EnrolClient, EnrolServer
from holdfast.wire.frames import FrameType, encode_frame
from holdfast.wire.invitation import Invitation
from tests.unit.wire.certificates import AGENT, CLIENT, OTHER
from tests.unit.wire.pair import INVITATION, Book, enrol_client, enrol_server, frames_of

Frames = list[bytes]


def talk(client: EnrolClient, server: EnrolServer) -> Frames:
    """Carry bytes until both are silent; gives all frames that passed."""
    passed = []
    while True:
        up = client.data_to_send()
        if up:
            server.receive_data(up)
        down = server.data_to_send()
        if down:
            client.receive_data(down)
        passed += [data for data in (up, down) if data]
        if not up and not down:
            return passed


def step(**fields: object) -> bytes:
    return encode_frame(FrameType.ENROL, header=json.dumps(fields).encode())


def header_of(data: bytes) -> dict[str, str]:
    (frame,) = frames_of(data)
    assert frame.type == FrameType.ENROL
    told: dict[str, str] = json.loads(frame.header)
    return told


def listed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def test_a_key_is_let_in_once_both_have_proved_the_secret() -> None:
    book = Book(INVITATION)
    client, server = enrol_client(), enrol_server(book)
    ask, challenge, proof, enrolled = map(header_of, talk(client, server))
    assert (ask["enrol"], challenge["enrol"], proof["enrol"], enrolled["enrol"]) == (
        "ask", "challenge", "proof", "enrolled",
    )  # fmt: skip
    assert client.closed
    assert server.closed
    assert client.result == server.result
    assert client.result is not None
    assert (client.result.principal, client.result.role, client.result.host) == ("ada@laptop-2", "operator", "web1")
    assert (client.error, server.error) == (None, None)
    assert (book.uses, book.failures) == ([(INVITATION.id, CLIENT, "ada@laptop")], [])
    assert server.invitation == INVITATION.id


def test_the_proofs_are_those_of_the_specification() -> None:
    _, _, proof, enrolled = map(header_of, talk(enrol_client(), enrol_server()))
    agreed = (
        INVITATION.id.encode(), key_digest(AGENT), hashlib.sha256(CLIENT).digest(), b"ada@laptop", b"c" * 32,
        b"a" * 32, b"operator",
    )  # fmt: skip
    theirs = hmac.new(b"s" * 16, listed(b"holdfast-enrol/1 client", *agreed), hashlib.sha256).digest()
    assert proof["mac"] == b64encode(theirs).decode()
    told = (b"ada@laptop-2", b"operator", b"web1")
    ours = hmac.new(b"s" * 16, listed(b"holdfast-enrol/1 agent", *agreed, *told), hashlib.sha256).digest()
    assert enrolled["mac"] == b64encode(ours).decode()


def test_the_secret_is_never_sent() -> None:
    passed = b"".join(talk(enrol_client(), enrol_server()))
    secret = INVITATION.secret
    for spelled in (secret, secret.hex().encode(), b64encode(secret)):
        assert spelled not in passed


# --- who is not let in -----------------------------------------------------------------------------------------------


def test_nothing_is_sent_to_an_agent_with_another_key() -> None:
    client = enrol_client(agent=OTHER)
    assert client.closed
    assert isinstance(client.error, Unauthorized)
    assert (client.error.code, client.error.ran) == (200, "no")
    assert "nothing was sent" in str(client.error)
    assert client.data_to_send() == b""
    client.receive_data(step(enrol="challenge", nonce=b64encode(b"a" * 32).decode()))
    assert client.data_to_send() == b""


def test_nothing_is_sent_to_an_agent_whose_certificate_is_none() -> None:
    client = enrol_client(agent=AGENT[:-1])
    assert isinstance(client.error, IdentityError)
    assert client.data_to_send() == b""


WRONG_SECRET = msgspec.structs.replace(INVITATION, secret=b"t" * 16)


def with_right_id(invitation: Invitation) -> EnrolClient:
    """A client that names ``INVITATION`` and proves another secret."""
    client = enrol_client(invitation)
    client._ask = msgspec.structs.replace(client._ask, invitation=INVITATION.id)
    client.data_to_send()
    client._send(client._ask)
    return client


def test_a_wrong_secret_is_refused_and_counted() -> None:
    book = Book(INVITATION)
    client, server = with_right_id(WRONG_SECRET), enrol_server(book)
    talk(client, server)
    for side in (client, server):
        assert isinstance(side.error, Unauthorized)
        assert side.error.code == 200
        assert side.result is None
    assert (book.uses, book.failures) == ([], [INVITATION.id])


def test_an_invitation_that_is_none_looks_like_a_wrong_secret() -> None:
    book = Book(INVITATION)
    wrong = talk(with_right_id(WRONG_SECRET), enrol_server(book))
    unknown = talk(enrol_client(WRONG_SECRET), enrol_server(book))
    assert [wrong[1], wrong[3]] == [unknown[1], unknown[3]]
    assert book.failures == [INVITATION.id, WRONG_SECRET.id]


@pytest.mark.parametrize("known", [True, False])
def test_the_comparison_is_made_for_known_and_unknown_alike_and_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    macs: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    def digest(key: bytes, text: bytes, kind: str) -> bytes:
        macs.append(key)
        return hmac.digest(key, text, kind)

    client, server = (with_right_id if known else enrol_client)(WRONG_SECRET), enrol_server()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    proof = client.data_to_send()
    fake = type("fake", (), {"compare_digest": staticmethod(compare), "digest": staticmethod(digest)})
    monkeypatch.setattr(enrol, "hmac", fake)
    server.receive_data(proof)
    assert [len(one) for pair in compared for one in pair] == [32, 32]
    assert len(macs) == 1
    assert isinstance(server.error, Unauthorized)


def test_no_secret_is_compared_in_another_way() -> None:
    """Of bytes that are secret, ``==`` must not be asked: such bytes would tell here."""

    class Guarded(bytes):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared with ==")

        def __ne__(self, other: object) -> bool:
            raise AssertionError("compared with !=")

        __hash__ = bytes.__hash__

    book = Book(INVITATION)
    guarded = Guarded(INVITATION.secret)
    book.secret_of = lambda _: guarded  # type: ignore[method-assign, assignment]
    client, server = enrol_client(), enrol_server(book)
    talk(client, server)
    assert client.result is not None


def test_the_stand_in_for_an_unknown_secret_opens_nothing() -> None:
    stand_in = msgspec.structs.replace(INVITATION, secret=bytes(16))
    book = Book(INVITATION)
    client, server = enrol_client(stand_in), enrol_server(book)
    talk(client, server)
    assert isinstance(server.error, Unauthorized)
    assert (book.uses, book.failures) == ([], [stand_in.id])


def test_a_recorded_proof_is_worth_nothing_on_another_connection() -> None:
    book = Book(INVITATION)
    ask, _, proof, _ = talk(enrol_client(), enrol_server(book))
    again = enrol_server(book, nonce=b"b" * 32)
    again.receive_data(ask)
    again.data_to_send()
    again.receive_data(proof)
    assert isinstance(again.error, Unauthorized)
    assert len(book.uses) == 1


def test_a_recorded_answer_is_worth_nothing_to_another_client() -> None:
    *_, enrolled = talk(enrol_client(), enrol_server())
    client, server = enrol_client(nonce=b"d" * 32), enrol_server()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    client.receive_data(enrolled)
    assert isinstance(client.error, Unauthorized)
    assert client.error.ran == "unknown"
    assert client.result is None


def test_a_proof_that_is_relayed_to_another_agent_is_worth_nothing() -> None:
    """Both agents know the invitation: even so the proof names the one key that the client was looking at."""
    book = Book(INVITATION)
    client, other = enrol_client(), enrol_server(book, agent=OTHER)
    talk(client, other)
    assert isinstance(client.error, Unauthorized)
    assert (book.uses, book.failures) == ([], [INVITATION.id])


@pytest.mark.parametrize("field", ["certificate", "nonce", "name"])
def test_one_in_the_middle_can_change_nothing_of_what_is_asked(field: str) -> None:
    book = Book(INVITATION)
    client, server = enrol_client(), enrol_server(book)
    ask: dict[str, str] = header_of(client.data_to_send())
    other = {"certificate": b64encode(OTHER), "nonce": b64encode(b"x" * 32), "name": b"eve@laptop"}
    server.receive_data(step(**{**ask, field: other[field].decode()}))
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    assert isinstance(server.error, Unauthorized)
    assert book.uses == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("principal", "root@laptop"), ("role", "admin"), ("host", "web2"), ("mac", b64encode(bytes(32)).decode())],
)
def test_one_in_the_middle_can_change_nothing_of_what_is_answered(field: str, value: str) -> None:
    client, server = enrol_client(), enrol_server()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    client.receive_data(step(**{**header_of(server.data_to_send()), field: value}))
    assert isinstance(client.error, Unauthorized)
    assert client.result is None


def test_an_agent_that_takes_every_proof_proves_nothing() -> None:
    client = enrol_client()
    client.data_to_send()
    client.receive_data(step(enrol="challenge", nonce=b64encode(b"a" * 32).decode()))
    mac = header_of(client.data_to_send())["mac"]
    client.receive_data(step(enrol="enrolled", mac=mac, principal="ada", role="operator", host=""))  # its own, back
    assert isinstance(client.error, Unauthorized)


def test_the_role_of_the_invitation_is_what_counts() -> None:
    book = Book(INVITATION)
    client = enrol_client(msgspec.structs.replace(INVITATION, role="admin"))
    talk(client, enrol_server(book))
    assert isinstance(client.error, Unauthorized)
    assert book.uses == []


def test_what_the_agent_decides_after_a_right_proof_is_told() -> None:
    book = Book(INVITATION)
    book.refusal = Refused("this key was revoked", code=202)
    client, server = enrol_client(), enrol_server(book)
    talk(client, server)
    assert isinstance(client.error, Unauthorized)
    assert (client.error.code, str(client.error)) == (202, "this key was revoked")
    assert server.error is book.refusal
    book.refusal = Refused("too many principals", code=401)
    client = enrol_client()
    talk(client, enrol_server(book))
    assert type(client.error) is Refused


def test_an_agent_that_cannot_keep_it_says_so() -> None:
    book = Book(INVITATION)
    book.refusal = StorageError("no space left", path="/p")
    client, server = enrol_client(), enrol_server(book)
    talk(client, server)
    assert isinstance(client.error, Refused)
    assert client.error.code == 501
    assert "no space left" in str(client.error)


def test_texts_of_the_agent_reach_no_terminal_as_commands() -> None:
    client = enrol_client()
    client.receive_data(step(enrol="refused", code=403, text="\x1b[2Jbusy" + "x" * 2000))
    assert str(client.error).startswith("?[2Jbusy")
    assert len(str(client.error)) <= 1024
    client = enrol_client()
    client.receive_data(step(enrol="refused", code=403))
    assert str(client.error) == "the agent refused with code 403"


# --- order, ends, broken frames --------------------------------------------------------------------------------------

NONCE = b64encode(b"n" * 32).decode()
STEPS: dict[str, dict[str, object]] = {
    "ask": {"invitation": "0" * 16, "certificate": b64encode(CLIENT).decode(), "nonce": NONCE, "name": "a@b"},
    "challenge": {"nonce": NONCE},
    "proof": {"mac": NONCE},
    "enrolled": {"mac": NONCE, "principal": "a@b", "role": "viewer"},
    "refused": {"code": 200},
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("asked", [False, True])
def test_only_the_next_step_is_taken(name: str, asked: bool) -> None:
    server, client = enrol_server(), enrol_client()
    if asked:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        client.data_to_send()
    server.receive_data(step(enrol=name, **STEPS[name]))
    assert isinstance(server.error, RemoteProtocolError) == (name != ("proof" if asked else "ask"))
    assert server.result is None
    client.receive_data(step(enrol=name, **STEPS[name]))
    legal = name in ({"enrolled", "refused"} if asked else {"challenge", "refused"})
    assert isinstance(client.error, RemoteProtocolError) != legal
    assert client.result is None


def test_a_step_without_its_name_is_none() -> None:
    server = enrol_server()
    server.receive_data(step(**STEPS["ask"]))
    assert isinstance(server.error, RemoteProtocolError)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("invitation", "0" * 15),
        ("invitation", "0" * 17),
        ("invitation", "G" * 16),
        ("invitation", "0" * 16 + "\n"),
        ("certificate", ""),
        ("certificate", "!!"),
        ("certificate", b64encode(b"x" * 300).decode()),
        ("certificate", b64encode(CLIENT[:-1]).decode()),
        ("nonce", b64encode(b"n" * 31).decode()),
        ("nonce", b64encode(b"n" * 33).decode()),
        ("name", ""),
        ("name", "x" * 129),
        ("name", 5),
    ],
)
def test_an_ask_out_of_its_bounds_ends_the_connection(field: str, value: object) -> None:
    book = Book(INVITATION)
    server = enrol_server(book)
    server.receive_data(step(enrol="ask", **(STEPS["ask"] | {field: value})))
    assert isinstance(server.error, RemoteProtocolError)
    assert header_of(server.data_to_send())["enrol"] == "refused"
    assert book.failures == []


@pytest.mark.parametrize("place", [2, 12, 16])
def test_frames_of_an_enrolment_belong_to_the_connection(place: int) -> None:
    server = enrol_server()
    frame = bytearray(step(enrol="ask", **STEPS["ask"]))
    frame[place] = 1
    server.receive_data(bytes(frame))
    assert isinstance(server.error, RemoteProtocolError)


def test_nothing_behind_the_last_frame_is_looked_at() -> None:
    book = Book(INVITATION)
    server = enrol_server(book)
    server.receive_data(step(enrol="ask", **STEPS["ask"]) + step(enrol="proof", **STEPS["proof"]) * 1000)
    assert len(book.failures) == 1
    server.receive_data(b"\xff" * 100)
    server.receive_data(b"")
    assert isinstance(server.error, Unauthorized)


def test_an_end_says_what_may_have_happened() -> None:
    client, server = enrol_client(), enrol_server()
    client.receive_data(b"")
    assert isinstance(client.error, ConnectFailed)
    server.receive_data(b"")
    assert isinstance(server.error, ConnectFailed)
    assert server.data_to_send() == b""
    client, server = enrol_client(), enrol_server()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    client.receive_data(b"")
    assert isinstance(client.error, OutcomeUnknown)


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "\ud800@x", "a\x1b[m"])
def test_a_name_that_cannot_be_asked_for_is_refused_here(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        EnrolClient(INVITATION, certificate=CLIENT, agent_certificate=AGENT, name=name, nonce=b"c" * 32)


def test_a_certificate_of_our_own_that_is_none_is_refused_here() -> None:
    with pytest.raises(IdentityError):
        EnrolClient(INVITATION, certificate=b"x", agent_certificate=AGENT, name="a@b", nonce=b"c" * 32)


@given(sizes=st.lists(st.integers(1, 200), min_size=1))
def test_frames_may_come_in_any_pieces(sizes: list[int]) -> None:
    client, server = enrol_client(), enrol_server()
    for _ in range(2):
        for sender, receiver in ((client, server), (server, client)):
            data, place, at = sender.data_to_send(), 0, 0
            while place < len(data):
                size = sizes[at % len(sizes)]
                receiver.receive_data(data[place : place + size])
                place, at = place + size, at + 1
    assert client.result is not None


@given(st.data())
def test_bytes_changed_on_the_way_let_nobody_else_in(data: st.DataObject) -> None:
    """Either somebody notices, or all is as it was asked for: as when a name that nobody looks at was changed."""
    book = Book(INVITATION)
    client, server = enrol_client(), enrol_server(book)
    target = data.draw(st.integers(0, 3))
    for number, (sender, receiver) in enumerate([(client, server), (server, client)] * 2):
        frame = bytearray(sender.data_to_send())
        if number == target and frame:
            for _ in range(data.draw(st.integers(1, 3))):
                frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
        receiver.receive_data(bytes(frame))
    assert book.uses in ([], [(INVITATION.id, CLIENT, "ada@laptop")])
    assert bool(book.uses) == (server.result is not None)
    if client.result is not None:
        assert client.result == server.result
    if target < 3 and server.result is None:
        assert isinstance(client.error or server.error, HoldfastError)


@given(header=st.binary(max_size=300), frames=st.integers(1, 3))
def test_any_header_at_all_gives_an_error_or_a_step(header: bytes, frames: int) -> None:
    for side in (enrol_server(), enrol_client()):
        side.data_to_send()
        side.receive_data(encode_frame(FrameType.ENROL, header=header) * frames)
        assert side.result is None
        assert isinstance(side.error, RemoteProtocolError)


def test_the_secret_is_in_no_representation() -> None:
    client, server = enrol_client(), enrol_server()
    talk(client, server)
    for text in (repr(client), repr(server), repr(INVITATION), str(client.error), str(server.error)):
        assert "ssss" not in text
        assert INVITATION.secret.hex() not in text
