"""Keys and TLS contexts of the bare contestants: the same shape as Holdfast's, made without its code.

TLS 1.3, both sides with a self-signed Ed25519 certificate that is the other's only anchor, no tickets.
"""

from __future__ import annotations

import datetime
import os
import ssl
from typing import Final, Literal

Side = Literal["server", "client"]
_OTHER: Final[dict[Side, Side]] = {"server": "client", "client": "server"}


def make(folder: str) -> None:
    """Key and certificate of both sides, as PEM in one file each; the folder is nobody else's (0700)."""
    from cryptography import x509  # not in the contestants: it would weigh in their memory
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509.oid import NameOID

    for side in _OTHER:
        key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, side)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(2099, 1, 1))
            .sign(key, None)
        )
        with open(_path(folder, side), "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            file.write(certificate.public_bytes(serialization.Encoding.PEM))


def context(folder: str, side: Side) -> ssl.SSLContext:
    """For one side, from what ``make`` has written."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.check_hostname = False
    found.verify_mode = ssl.CERT_REQUIRED
    found.load_cert_chain(_path(folder, side))
    found.load_verify_locations(_path(folder, _OTHER[side]))
    if side == "server":
        found.num_tickets = 0
    return found


def _path(folder: str, side: Side) -> str:
    return os.path.join(folder, f"bare-{side}.pem")
