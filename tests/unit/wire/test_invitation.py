"""Invitations: one text each, damage told from strangeness, the secret in no message."""

from __future__ import annotations

import base64
import hashlib
import string
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvitationError
from holdfast.wire.certificate import fingerprint
from holdfast.wire.invitation import Invitation, invitation_id
from holdfast.wire.limits import INVITATION_CHARS
from holdfast.wire.request_types import RoleName
from tests.unit.wire.certificates import AGENT

SECRET = bytes(range(16))
ONE = Invitation("tls://10.0.0.5:7420", fingerprint(AGENT), SECRET, "operator", 1_800_000_000.125)
TEXT = ONE.encode()
VALUES = {
    "address": "tls://10.0.0.5:7420",
    "fingerprint": fingerprint(AGENT),
    "secret": SECRET,
    "role": "operator",
    "expires_unix_s": 1e9,
}


def spelled(content: bytes) -> str:
    """The text of any content, with a right checksum: written here once more, from the specification."""
    check = hashlib.sha256(b"hf1." + content).digest()[:4]
    return "hf1." + base64.urlsafe_b64encode(content + check).decode().rstrip("=")


def test_the_bytes_are_those_of_the_specification() -> None:
    key = base64.b32decode(fingerprint(AGENT)[3:].upper())
    content = b"\x03" + (1_800_000_000_125).to_bytes(6, "big") + key + SECRET + b"tls://10.0.0.5:7420"
    assert spelled(content) == TEXT
    assert ONE.id == invitation_id(SECRET) == hashlib.sha256(SECRET).hexdigest()[:16]


@given(
    address=st.text(string.ascii_letters + string.digits + ":/[].-@", max_size=300),
    secret=st.binary(min_size=16, max_size=16),
    key=st.binary(min_size=20, max_size=20),
    role=st.sampled_from(["viewer", "runner", "operator", "admin"]),
    expires_ms=st.integers(0, 10**14),
)
def test_every_invitation_survives_its_text(
    address: str, secret: bytes, key: bytes, role: RoleName, expires_ms: int
) -> None:
    made = Invitation(
        address,
        "hf:" + base64.b32encode(key).decode().lower(),
        secret,
        role,
        expires_ms / 1000,
    )
    assert Invitation.decode(made.encode()) == made
    assert len(made.encode()) <= INVITATION_CHARS


def test_white_space_and_the_line_breaks_of_a_terminal_are_fine() -> None:
    assert Invitation.decode(f"  {TEXT[:40]}\r\n{TEXT[40:80]}\n {TEXT[80:]}\n") == ONE


@given(place=st.integers(4, len(TEXT) - 1), letter=st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_one_wrong_letter_is_damage(place: int, letter: str) -> None:
    damaged = TEXT[:place] + letter + TEXT[place + 1 :]
    if damaged == TEXT:
        return
    with pytest.raises(InvitationError, match="damaged or not complete"):
        Invitation.decode(damaged)


@pytest.mark.parametrize("cut", range(4, len(TEXT)))
def test_a_part_is_damage(cut: int) -> None:
    with pytest.raises(InvitationError, match="damaged or not complete"):
        Invitation.decode(TEXT[:cut])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must begin with `hf1.`"),
        ("hello", "must begin with `hf1.`"),
        (TEXT[4:], "must begin with `hf1.`"),
        ("hf2." + TEXT[4:], "newer version"),
        ("hf10.x", "newer version"),
        ("x" * 2000, "longer than 1024"),
        ("hf1." + "é" * 60, "damaged"),
        (TEXT + "=", "damaged"),
        (TEXT.replace("hf1.", "HF1."), "must begin"),
        (spelled(b""), "damaged"),
        (spelled(b"\x03" + bytes(41)), "damaged"),
        (spelled(b"\x00" + bytes(42)), "damaged"),
        (spelled(b"\x05" + bytes(42)), "damaged"),
        (spelled(b"\x03" + bytes(42) + b"a b"), "ASCII characters without spaces"),
        (spelled(b"\x03" + bytes(42) + b"\x1b[31m"), "ASCII characters without spaces"),
        (spelled(b"\x03" + bytes(42) + b"\xff"), "ASCII characters without spaces"),
        (spelled(b"\x03" + bytes(42) + b"x" * 301), "at most 300"),
    ],
)
def test_what_is_no_invitation_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(InvitationError, match=told) as caught:
        Invitation.decode(text)
    assert "\n" not in str(caught.value)
    assert caught.value.ran == "no"


def test_bits_that_no_letter_needs_are_damage() -> None:
    content = b"\x03" + bytes(42)
    text = spelled(content)
    assert len(text.removeprefix("hf1.")) % 4 == 3
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    other = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
    assert base64.urlsafe_b64decode(other[4:] + "=") == base64.urlsafe_b64decode(text[4:] + "=")
    Invitation.decode(text)
    with pytest.raises(InvitationError, match="damaged"):
        Invitation.decode(other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret", b""),
        ("secret", bytes(15)),
        ("secret", bytes(17)),
        ("role", "root"),
        ("address", "a b"),
        ("address", "ä"),
        ("address", "x" * 301),
        ("fingerprint", "hf:short"),
        ("fingerprint", ""),
        ("expires_unix_s", -1.0),
        ("expires_unix_s", float("nan")),
        ("expires_unix_s", float("inf")),
    ],
)
def test_none_is_made_of_other_values(name: str, value: object) -> None:
    Invitation(**VALUES)  # type: ignore[arg-type]
    with pytest.raises(InvitationError):
        Invitation(**(VALUES | {name: value}))  # type: ignore[arg-type]


def test_the_secret_is_in_no_message() -> None:
    secrets = {TEXT[:20], TEXT[-20:], SECRET.hex(), repr(SECRET)[2:-1], SECRET.decode("latin-1")}
    told = [repr(ONE), str(ONE)]
    for damaged in (TEXT[:-1], TEXT + "A", TEXT[1:], "hf2" + TEXT[3:], TEXT.swapcase()):
        try:
            Invitation.decode(damaged)
        except InvitationError as error:
            told.append("".join(traceback.format_exception_only(error)))
    for text in told:
        assert not [secret for secret in secrets if secret in text], text
