"""Who we are: an Ed25519 key and the self-signed certificate that is its envelope, in one private file.

The certificate's dates say nothing: a key is trusted because it was enrolled, until it is revoked, whatever a clock may
show. Its name is the key's own fingerprint.
"""

from __future__ import annotations

import errno
import os
import ssl
import stat
from collections.abc import Callable
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


def load_or_make(directory: str, *, new_key: Callable[[], bytes] | None = None) -> Identity:
    """The identity kept in a directory; made, with the directory (0700), if there is none.

    Args:
        directory: Where it is kept.
        new_key: Makes key and certificate (PEM), as ``new_key.make`` and ``new_key.make_apart`` do (None: the former).

    Raises:
        IdentityError: it cannot be made, or others could read or change it.
    """
    path = os.path.join(directory, FILE)
    try:
        _make_directory(directory)
        found = _read(path)
        if found is None:
            _make(path, new_key)
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


def _make(path: str, new_key: Callable[[], bytes] | None) -> None:
    """Makes key and certificate; whoever comes first has made them, the others find them.

    The file appears whole, by a hard link, with its mode from the first instant.
    """
    if new_key is None:
        from holdfast.transport.new_key import make  # once in the life of a key

        new_key = make
    pem = new_key()
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
