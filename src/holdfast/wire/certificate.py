"""The public key inside a certificate, and its fingerprint. Pure.

An identity is a key; the certificate is only its envelope (docs/spec/protocol.md, "Identity"). So of a certificate the
key is read, and a walk over the DER elements in front of it finds that (RFC 5280, section 4.1; X.690, section 8).
Dates and the signature are not looked at: a certificate is trusted because it is known, or not at all. Its names must
be its key's, since TLS finds it by them.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from holdfast.errors import IdentityError
from holdfast.wire.limits import CERTIFICATE_BYTES

FINGERPRINT_PREFIX: Final = "hf:"
FINGERPRINT_BYTES: Final = 20

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_VERSION: Final = 0xA0
_UNUSABLE: Final = "this is not a certificate in DER"


def public_key_info(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, as it stands there.

    Args:
        certificate: DER, up to ``limits.CERTIFICATE_BYTES`` bytes.

    Raises:
        IdentityError: this is no such certificate, or it is too large.
    """
    return _fields(certificate)[-1]


def check_names(certificate: bytes) -> None:
    """Whether issuer and subject are ``name_of_key`` of the certificate's own key.

    TLS looks trust anchors up by name. If two keys could have one name, an enrolled key could stand in another's way.

    Raises:
        IdentityError: they are not, or as for ``public_key_info``.
    """
    _serial, _algorithm, issuer, _dates, subject, _key = _fields(certificate)
    if not issuer == subject == name_of_key(fingerprint(certificate)):
        raise IdentityError("this certificate does not carry the name of its own key")


def name_of_key(fingerprint: str) -> bytes:
    """The X.501 name of a key, DER: one common name, the fingerprint in UTF-8."""
    text = fingerprint.encode()
    name = b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    for tag in (b"\x30", b"\x31", b"\x30"):  # attribute, set of attributes, name: RFC 5280, 4.1.2.4
        name = tag + bytes([len(name)]) + name
    return name


def key_digest(certificate: bytes) -> bytes:
    """SHA-256 of the public key of a certificate: the identity itself, 32 bytes.

    Raises:
        IdentityError: as for ``public_key_info``.
    """
    return hashlib.sha256(public_key_info(certificate)).digest()


def fingerprint(certificate: bytes) -> str:
    """The identity as people compare it: ``hf:`` and the first 20 bytes of ``key_digest`` in base32, 35 characters.

    Raises:
        IdentityError: as for ``public_key_info``.
    """
    return fingerprint_text(key_digest(certificate)[:FINGERPRINT_BYTES])


def fingerprint_text(start: bytes) -> str:
    """A fingerprint from its 20 bytes."""
    return FINGERPRINT_PREFIX + base64.b32encode(start).decode("ascii").lower()


def fingerprint_bytes(text: str) -> bytes:
    """The 20 bytes of a fingerprint.

    Raises:
        IdentityError: this is none.
    """
    try:
        start = base64.b32decode(text.removeprefix(FINGERPRINT_PREFIX).upper())
    except ValueError:
        start = b""
    if len(start) != FINGERPRINT_BYTES or fingerprint_text(start) != text:
        raise IdentityError("this is not the fingerprint of a key: it must be `hf:` and 32 characters from a-z and 2-7")
    return start


def _fields(certificate: bytes) -> list[bytes]:
    """Serial, algorithm, issuer, dates, subject and public key, as they stand there."""
    if len(certificate) > CERTIFICATE_BYTES:
        raise IdentityError(f"a certificate of {len(certificate)} bytes; the limit is {CERTIFICATE_BYTES}")
    start, end = _element(certificate, 0, len(certificate), _SEQUENCE)
    if end != len(certificate):
        raise IdentityError(_UNUSABLE)
    place, end = _element(certificate, start, end, _SEQUENCE)
    if certificate[place : place + 1] == bytes([_VERSION]):
        _, place = _element(certificate, place, end, _VERSION)
    fields = []
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE):
        _, after = _element(certificate, place, end, tag)
        fields.append(certificate[place:after])
        place = after
    return fields


def _element(data: bytes, place: int, end: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at ``place`` begins and where it ends, both within ``end``."""
    if place + 2 > end or data[place] != tag:
        raise IdentityError(_UNUSABLE)
    start, length = place + 2, data[place + 1]
    if length >= 0x80:  # the long form: so many bytes of length follow; 0x80 alone is BER, not DER
        start += length & 0x7F
        if not 0x81 <= length <= 0x82 or start > end:
            raise IdentityError(_UNUSABLE)
        length = int.from_bytes(data[place + 2 : start], "big")
        if length < 0x80 or length < 1 << 8 * (start - place - 3):  # DER takes the shortest form there is
            raise IdentityError(_UNUSABLE)
    if start + length > end:
        raise IdentityError(_UNUSABLE)
    return start, start + length
