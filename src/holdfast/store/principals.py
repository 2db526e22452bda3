"""The enrolled keys of an agent and what they may do: one JSON file, replaced whole and flushed.

Rules of this module:

* A name belongs to one key for ever. Revoking leaves a tombstone; another key that asks for the name gets it with a
  number behind it, so it never meets the jobs, locks or rights of the one before.
* A key belongs to one name. A revoked key is not enrolled again: whoever lost it makes a new one.
* What the file says is in memory only once it is on disk.

Format: ``{"version": 1, "principals": [...]}``, each with ``name``, ``certificate`` (DER in base64), ``fingerprint``,
``role``, ``enrolled_unix_s``, ``seen_unix_s``, ``revoked_unix_s``. Mode 0600.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.errors import StorageError
from holdfast.store.faults import flush_directory, storage_error

VERSION: Final = 1
MOST_BYTES: Final = 16 * 1024 * 1024
"""A longer file is not ours."""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """One enrolled key.

    Attributes:
        name: Who it is, for people; always with an ``@``.
        certificate: DER, in the file as base64.
        fingerprint: ``hf:`` and base32 of its key's hash.
        role: One of viewer, runner, operator, admin.
        enrolled_unix_s: When it was taken in.
        seen_unix_s: When it was last connected; kept to some minutes.
        revoked_unix_s: When it was turned out, or None.
    """

    name: str
    certificate: bytes
    fingerprint: str
    role: str
    enrolled_unix_s: float
    seen_unix_s: float | None = None
    revoked_unix_s: float | None = None

    @property
    def active(self) -> bool:
        """Not revoked."""
        return self.revoked_unix_s is None


class _File(msgspec.Struct, frozen=True):
    version: int
    principals: list[Enrolled]


class Principals:
    """The principals of one state directory.

    Args:
        path: The file; made with the first principal.

    Raises:
        StorageError: it cannot be read, is no such file, or can be read by others.

    Attributes:
        path: As given.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._by_name: dict[str, Enrolled] = {}
        self._by_certificate: dict[bytes, Enrolled] = {}
        self._by_fingerprint: dict[str, Enrolled] = {}
        self._noted = False
        for principal in _read(path):
            self._put(principal)

    def __iter__(self) -> Iterator[Enrolled]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> Enrolled | None:
        """The principal of this name, revoked ones too."""
        return self._by_name.get(name)

    def of_certificate(self, certificate: bytes) -> Enrolled | None:
        """Whose certificate (DER) this is, byte for byte; revoked ones too."""
        return self._by_certificate.get(certificate)

    def of_fingerprint(self, fingerprint: str) -> Enrolled | None:
        """Whose key has this fingerprint; revoked ones too."""
        return self._by_fingerprint.get(fingerprint)

    def certificates(self) -> list[bytes]:
        """Certificates (DER) of all that are not revoked."""
        return [principal.certificate for principal in self if principal.active]

    def put(self, principal: Enrolled) -> None:
        """Add or replace a principal, on disk when this returns.

        Raises:
            StorageError: it could not be written; all is as before.
        """
        self._write(list({**self._by_name, principal.name: principal}.values()))
        self._put(principal)

    def revoke_in_memory(self, principal: Enrolled) -> None:
        """What ``put`` would do, without the disk: to refuse a key at once matters more than to remember it."""
        self._put(principal)

    def saw(self, name: str, unix_s: float) -> None:
        """Note that a principal was connected; written with the next change, or by ``save``."""
        principal = self._by_name[name]
        self._put(msgspec.structs.replace(principal, seen_unix_s=unix_s))
        self._noted = True

    def save(self) -> None:
        """Write what ``saw`` noted, if it did.

        Raises:
            StorageError: it could not be written.
        """
        if self._noted:
            self._write(list(self))

    def _put(self, principal: Enrolled) -> None:
        before = self._by_name.get(principal.name)
        if before is not None and before.certificate != principal.certificate:
            del self._by_certificate[before.certificate]
        self._by_name[principal.name] = principal
        self._by_certificate[principal.certificate] = principal
        self._by_fingerprint[principal.fingerprint] = principal

    def _write(self, principals: list[Enrolled]) -> None:
        data = msgspec.json.format(msgspec.json.encode(_File(VERSION, principals)), indent=1)
        replace_private_file(self.path, data + b"\n")
        self._noted = False


def replace_private_file(path: str, data: bytes) -> None:
    """The file's new content, whole or not at all, flushed, readable by its owner alone from the first instant.

    Raises:
        StorageError: it could not be written; what was there is still there.
    """
    fresh = f"{path}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)  # left over by a writer that was killed
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(fresh, path)
        flush_directory(os.path.dirname(path))
    except OSError as exc:
        raise storage_error("write", exc, path) from exc


def read_private_file(path: str, most_bytes: int) -> bytes | None:
    """The file's content, or None if there is none.

    Raises:
        StorageError: it cannot be read, is too long, or others can read or write it.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_mode & 0o077 or facts.st_uid != os.geteuid():
                mode = facts.st_mode & 0o777
                raise StorageError(f"others can read or change {path} (mode {mode:o}): make it 0600", path=path)
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise storage_error("read", exc, path) from exc
    if len(data) > most_bytes:
        raise StorageError(f"{path} is longer than {most_bytes} bytes", path=path)
    return data


def _read(path: str) -> list[Enrolled]:
    data = read_private_file(path, MOST_BYTES)
    if data is None:
        return []
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.MsgspecError as exc:
        raise StorageError(f"{path} is no list of principals: {exc}", path=path) from exc
    if file.version != VERSION:
        raise StorageError(f"{path} has version {file.version}; this agent reads {VERSION}", path=path)
    return file.principals
