"""Who we are: an Ed25519 key and the self-signed certificate that is its envelope, in one private file.

The certificate's dates say nothing: a key is trusted because it was enrolled, until it is revoked, whatever a clock may
show. Its name is the key's own fingerprint.
"""

from __future__ import annotations

import errno
import hashlib
import os
import ssl
import stat
from typing import Final

import msgspec

from holdfast.errors import IdentityError
from holdfast.wire import certificate as certificates

FILE: Final = "identity.pem"
"""Private key (PKCS #8) and certificate, PEM."""
MOST_BYTES: Final = 64 * 1024


class Identity(msgspec.Struct, frozen=True):
    """A key that TLS can use.

    Attributes:
        certificate: DER.
        path: The file with key and certificate; the key itself is read by OpenSSL alone.
    """

    certificate: bytes
    path: str

    @property
    def fingerprint(self) -> str:
        """``hf:`` and 32 letters; see ``wire.certificate.fingerprint``."""
        return certificates.fingerprint(self.certificate)


def load_or_make(directory: str) -> Identity:
    """The identity kept in a directory; made, with the directory (0700), if there is none.

    Raises:
        IdentityError: it cannot be made, or others could read or change it.
    """
    path = os.path.join(directory, FILE)
    try:
        _make_directory(directory)
        found = _read(path)
        if found is None:
            _make(path)
            found = _read(path)
    except OSError as exc:
        raise IdentityError(f"{exc.filename or path}: {exc.strerror}") from exc
    if found is None:
        raise IdentityError(f"{path}: it was removed while it was being made")
    return found


def _make_directory(directory: str) -> None:
    parent = os.path.dirname(directory)
    if not os.path.isdir(parent):
        os.makedirs(parent, mode=0o700, exist_ok=True)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        _check_facts(directory, os.lstat(directory), 0o077)


def _check_facts(path: str, facts: os.stat_result, forbidden: int) -> None:
    if facts.st_uid != os.geteuid():
        raise IdentityError(f"{path} belongs to another user ({facts.st_uid}): it is not used as a key")
    if stat.S_ISLNK(facts.st_mode):
        raise IdentityError(f"{path} is a symbolic link: it is not used as a key")
    mode = stat.S_IMODE(facts.st_mode)
    if mode & forbidden:
        wanted = "0700" if stat.S_ISDIR(facts.st_mode) else "0600"
        raise IdentityError(f"others can read or change {path} (mode {mode:04o}): chmod it to {wanted}")


def _read(path: str) -> Identity | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise IdentityError(f"{path} is a symbolic link: it is not used as a key") from exc
        raise
    with open(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise IdentityError(f"{path} is no plain file: it is not used as a key")
        _check_facts(path, facts, 0o077)
        text = file.read(MOST_BYTES).decode("ascii", "replace")
    begin = text.find("-----BEGIN CERTIFICATE-----")
    try:
        der = ssl.PEM_cert_to_DER_cert(text[begin:] if begin >= 0 else "")
        certificates.key_digest(der)
    except (ValueError, IdentityError) as exc:
        raise IdentityError(f"{path} holds no usable certificate: move it away, and a new key is made") from exc
    return Identity(der, path)


def _make(path: str) -> None:
    """Makes key and certificate; whoever comes first has made them, the others find them.

    The file appears whole, by a hard link, with its mode from the first instant.
    """
    pem = _new_key_and_certificate()
    fresh = f"{path}.{os.getpid()}.new"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(fd)
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
        finally:
            os.unlink(fresh)
        _flush_directory(os.path.dirname(path))
    except FileExistsError as exc:
        raise IdentityError(f"{fresh} is in the way: remove it") from exc


def _flush_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _new_key_and_certificate() -> bytes:
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
