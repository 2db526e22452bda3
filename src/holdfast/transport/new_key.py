"""Makes an Ed25519 key and the certificate that is its envelope: once in the life of an identity."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Final

from holdfast.errors import IdentityError
from holdfast.wire import certificate as certificates

APART_S: Final = 60.0
"""How long a process of its own may take; it takes 0.15 s."""


def make() -> bytes:
    """Private key (PKCS #8) and certificate, PEM."""
    import datetime  # this, and what follows, costs 0.1 s: once in the life of a key

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(spki).digest()
    own = certificates.fingerprint_text(digest[: certificates.FINGERPRINT_BYTES])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, own)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC))  # RFC 5280, 4.1.2.5
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None)
    )
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pkcs8 + made.public_bytes(serialization.Encoding.PEM)


def make_apart() -> bytes:
    """The same by a process of its own: ``cryptography`` and its Rust stay out of this one, where they are 12 MiB.

    Raises:
        IdentityError: it has failed; what it said last is in the message.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",  # "-m" looks into the current directory first
            timeout=APART_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise IdentityError(f"a key cannot be made: {exc}") from exc
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise IdentityError(f"a key cannot be made: {last or f'status {done.returncode}'}")
    return done.stdout


if __name__ == "__main__":
    sys.stdout.buffer.write(make())
