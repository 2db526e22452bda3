"""The key inside a certificate, against the cryptography library; everything else is refused in one way."""

from __future__ import annotations

import base64
import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import IdentityError
from holdfast.wire.certificate import check_names, fingerprint, fingerprint_bytes, key_digest, public_key_info
from holdfast.wire.limits import CERTIFICATE_BYTES
from tests.unit.wire.certificates import AGENT, CLIENT, OTHER

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def made(key: Key, *, name: str = "x", serial: int = 1) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(datetime.datetime(2020, 1, 1))
    builder = builder.not_valid_after(datetime.datetime(9999, 12, 31))
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, hashed).public_bytes(serialization.Encoding.DER)


def told(certificate: bytes) -> bytes:
    """The same of another library."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


CASES = {
    "ed25519": made(ed25519.Ed25519PrivateKey.generate()),
    "a long name and a long serial number": made(
        ed25519.Ed25519PrivateKey.generate(), name="n" * 64, serial=2**158 + 1
    ),
    "p256": made(ec.generate_private_key(ec.SECP256R1())),
    "rsa, lengths in two bytes": made(rsa.generate_private_key(65537, 4096)),
    "fixed": AGENT,
}


@pytest.mark.parametrize("certificate", CASES.values(), ids=CASES.keys())
def test_the_key_is_the_one_that_another_library_finds(certificate: bytes) -> None:
    expected = told(certificate)
    assert public_key_info(certificate) == expected
    assert key_digest(certificate) == hashlib.sha256(expected).digest()
    start = hashlib.sha256(expected).digest()[:20]
    assert fingerprint(certificate) == "hf:" + base64.b32encode(start).decode().lower()
    assert fingerprint_bytes(fingerprint(certificate)) == start


def test_one_key_has_one_fingerprint_in_every_envelope() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    assert fingerprint(made(key, name="a")) == fingerprint(made(key, name="b", serial=99))
    assert len({fingerprint(AGENT), fingerprint(CLIENT), fingerprint(OTHER)}) == 3


@pytest.mark.parametrize("cut", range(len(AGENT)))
def test_a_certificate_that_is_cut_is_refused(cut: int) -> None:
    with pytest.raises(IdentityError):
        public_key_info(AGENT[:cut])


def test_the_fixed_one_begins_as_the_next_test_expects() -> None:
    assert AGENT[:7].hex() == "3082011c3081cf"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        AGENT + b"\0",
        b"\x30\x80" + AGENT[4:] + b"\0\0",  # a length that is told at the end: BER, not DER
        b"\x30\x82\x01\x1d\x30\x82\x00\xcf" + AGENT[7:],  # a length in more bytes than it needs
        b"\x30\x83\x00" + AGENT[2:],
        b"\x31" + AGENT[1:],
        b"\x30\x84\xff\xff\xff\xff" + AGENT[4:],
        b"\x30\xff" + AGENT[2:],
        base64.b64encode(AGENT),
        AGENT[:6] + b"\xb6" + AGENT[7:],  # what is signed ends in the middle of the key
    ],
)
def test_what_is_not_der_is_refused(damaged: bytes) -> None:
    with pytest.raises(IdentityError, match="not a certificate in DER"):
        public_key_info(damaged)


def test_a_large_one_is_refused_by_its_size() -> None:
    with pytest.raises(IdentityError, match="limit is 2048"):
        public_key_info(AGENT + bytes(CERTIFICATE_BYTES))


@given(st.data())
def test_whatever_it_is_a_key_or_a_refusal_comes_out(data: st.DataObject) -> None:
    damaged = bytearray(AGENT)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(AGENT) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = public_key_info(bytes(damaged))
    except IdentityError:
        return
    assert found in bytes(damaged)
    assert found[0] == 0x30


@pytest.mark.parametrize(
    "text",
    ["", "hf:", fingerprint(AGENT)[3:], fingerprint(AGENT).upper(), fingerprint(AGENT)[:-1], "hf:" + "1" * 32, "hf:é"],
)
def test_a_fingerprint_has_one_spelling(text: str) -> None:
    with pytest.raises(IdentityError, match="not the fingerprint"):
        fingerprint_bytes(text)


def test_a_certificate_carries_the_name_of_its_own_key() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    own = fingerprint(made(key))
    check_names(made(key, name=own))
    other = fingerprint(made(ed25519.Ed25519PrivateKey.generate()))
    for name in ("x", other, own.upper(), own + " ", own[:-1]):
        with pytest.raises(IdentityError, match="name of its own key"):
            check_names(made(key, name=name))
