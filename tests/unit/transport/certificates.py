"""Keys and contexts that Holdfast would not make itself, for the tests of what it refuses."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.transport.identity import Identity


def plain_client(alpn: list[str] | None = None, identity: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if identity:
        context.load_cert_chain(identity)
    return context


def certificate_by(issuer: Identity, path: Path, *, days: int = 10) -> bytes:
    """A certificate for a new key, signed with the key of ``issuer``; written with its key to ``path``."""
    pem = Path(issuer.path).read_bytes()
    signer = serialization.load_pem_private_key(pem, None)
    assert isinstance(signer, Ed25519PrivateKey)
    issued_by = x509.load_der_x509_certificate(issuer.certificate).subject
    key = Ed25519PrivateKey.generate()
    begin = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issued")]))
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365 * days))
        .sign(signer, None)
    )
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(encoding)
    )
    return made.public_bytes(serialization.Encoding.DER)


def expired_identity(folder: Path) -> Identity:
    """A self-signed certificate whose time is over."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(8)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=1))
        .sign(key, None)
    )
    encoding = serialization.Encoding.PEM
    path = folder / "old.pem"
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(encoding)
    )
    return Identity(made.public_bytes(serialization.Encoding.DER), str(path))
