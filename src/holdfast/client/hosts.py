"""Hosts by name, and the keys of agents that this user trusts: ``hosts.toml`` and ``known_agents/`` of the settings.

Rules:

* The file is read anew by each ``load`` and replaced whole (rename(2)), under a lock: neither a crash nor two commands
  at once can spoil it. Where it is a link, what it points to is replaced.
* A certificate lies in a file named by its own fingerprint; one that does not have that fingerprint is not used.
* A name never gets another key: that is what an attacker in between would need. It is removed first, by a person.
* A file that others can write is refused: whoever puts an address and a key there is believed.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from holdfast.client.host_entries import HostEntry, check_name, drop_entry, put_entry, read_entries
from holdfast.errors import ConnectFailed, KeyChanged, SettingsError, Unauthorized
from holdfast.transport.address import Address, parse
from holdfast.wire.certificate import fingerprint

__all__ = ["HostEntry", "Hosts", "check_name"]

FILE: Final = "hosts.toml"
LOCK: Final = "hosts.lock"
PINS: Final = "known_agents"


class Hosts:
    """The named hosts of one user, as they were when loaded; changes go to the file and are seen here at once.

    Args:
        config_dir: Where ``hosts.toml`` lies, or will.
    """

    def __init__(self, config_dir: str) -> None:
        self._directory = config_dir
        self.path = os.path.join(config_dir, FILE)
        self._entries = read_entries(self._read(), self.path)

    @classmethod
    def load(cls, config_dir: str) -> Hosts:
        """The hosts of a settings directory; none if it has no file.

        Raises:
            SettingsError: the file cannot be read or understood.
        """
        return cls(config_dir)

    def __iter__(self) -> Iterator[HostEntry]:
        return iter(self._entries.values())

    def get(self, name: str) -> HostEntry | None:
        """The entry of a name."""
        return self._entries.get(name)

    def find(self, name: str) -> HostEntry:
        """The entry of a name.

        Raises:
            ConnectFailed: there is none; layer ``name``.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ConnectFailed(
                f"unknown host {name!r}: `holdfast host add {name} INVITE` enrols one, `holdfast hosts` lists them, "
                f"and an address has a scheme (ssh://{name})",
                layer="name",
            )
        return entry

    def by_address(self, address: str) -> HostEntry | None:
        """The first entry with this address; spelling of the host in capitals and a left-out port do not matter."""
        wanted = _canonical(parse(address))
        for entry in self._entries.values():
            try:
                if _canonical(parse(entry.address)) == wanted:
                    return entry
            except ConnectFailed:
                continue  # an entry that a person has mistyped is told about when it is used
        return None

    def certificate(self, entry: HostEntry) -> bytes:
        """The pinned certificate of an enrolled agent, DER.

        Raises:
            Unauthorized: it is missing, unreadable, or not the one that ``key`` names.
        """
        if not entry.key:
            raise not_enrolled(entry.name)
        path = self._pin_path(entry.key)
        again = f"`holdfast host rm {entry.name}`, then `holdfast host add {entry.name} INVITE` with a new invitation"
        try:
            with open(path, encoding="ascii") as file:
                certificate = _from_pem(file.read())
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is not a certificate"
            raise Unauthorized(
                f"the pinned key of {entry.name} cannot be read ({path}: {why}): {again}", code=200
            ) from exc
        if fingerprint(certificate) != entry.key:
            raise KeyChanged(f"{path} holds another key than {self.path} names for {entry.name}: {again}")
        return certificate

    def add(self, entry: HostEntry, certificate: bytes | None = None) -> None:
        """Add a host, or give the same agent another address.

        Args:
            entry: With the key, if it has one.
            certificate: The agent's, DER; it must have that key.

        Raises:
            KeyChanged: the name is known with another key.
            SettingsError: the name is taken by another kind of host or cannot be one, or nothing can be written.
        """
        check_name(entry.name)
        self._edit(lambda text: put_entry(text, entry, self.path), entry, certificate)

    def check_free(self, entry: HostEntry) -> None:
        """Refuse what ``add`` would refuse, before anything is done about it.

        Raises:
            KeyChanged: the name is known with another key.
            SettingsError: it is taken by another kind of host.
        """
        check_name(entry.name)
        known = self._entries.get(entry.name)
        if known is None or known == entry or (known.key and known.key == entry.key):
            return
        if known.key and entry.key:
            raise KeyChanged(
                f"{entry.name} is known with the key {known.key}, and this is {entry.key}: if its agent was set up "
                f"anew, `holdfast host rm {entry.name}` first"
            )
        raise SettingsError(f"{entry.name} stands for {known.address} already: `holdfast host rm {entry.name}` first")

    def check_writable(self) -> None:
        """Refuse what could not be written.

        Raises:
            SettingsError: the settings directory cannot be made or written.
        """
        with self._locked():
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise SettingsError(f"{self._directory} cannot be written: hosts and keys are kept there")

    def replace(self, entry: HostEntry) -> None:
        """Change address or remote program of a known host; its key stays.

        Raises:
            KeyChanged: another key is given.
            SettingsError: nothing can be written.
        """
        known = self.find(entry.name)
        if known.key != entry.key:
            raise KeyChanged(f"the key of {entry.name} cannot be replaced: `holdfast host rm {entry.name}` first")
        self._edit(lambda text: put_entry(text, entry, self.path))

    def remove(self, name: str) -> HostEntry:
        """Forget a host, and its agent's key unless another name has the same.

        Raises:
            ConnectFailed: no such name.
            SettingsError: nothing can be written.
        """
        with self._locked():
            text = self._read()
            self._entries = read_entries(text, self.path)
            gone = self.find(name)
            self._write(drop_entry(text, name, self.path))
            if gone.key and all(entry.key != gone.key for entry in self):
                try:
                    os.unlink(self._pin_path(gone.key))
                except FileNotFoundError:
                    pass
        return gone

    # --- inside ------------------------------------------------------------------------------------------------------

    def _edit(
        self, edit: Callable[[str], str], fresh: HostEntry | None = None, certificate: bytes | None = None
    ) -> None:
        with self._locked():
            text = self._read()
            self._entries = read_entries(text, self.path)
            if fresh is not None:
                self.check_free(fresh)
            if fresh is not None and certificate is not None:
                self._pin(fresh.key, certificate)
            self._write(edit(text))

    def _pin(self, key: str, certificate: bytes) -> None:
        if fingerprint(certificate) != key:
            raise KeyChanged(f"this certificate does not have the key {key}")
        path = self._pin_path(key)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _replace(path, _to_pem(certificate))

    def _pin_path(self, key: str) -> str:
        return os.path.join(self._directory, PINS, key.removeprefix("hf:") + ".pem")

    def _read(self) -> str:
        try:
            with open(self.path, encoding="utf-8", newline="") as file:
                _check_owner(self.path, os.fstat(file.fileno()))
                directory = os.path.dirname(os.path.realpath(self.path))
                _check_owner(directory, os.stat(directory))
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except UnicodeDecodeError as exc:
            raise SettingsError(f"{self.path}: {exc}") from exc
        except OSError as exc:
            raise SettingsError(f"{self.path}: {exc.strerror}") from exc

    def _write(self, text: str) -> None:
        entries = read_entries(text, self.path)
        _replace(os.path.realpath(self.path), text)
        self._entries = entries

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else edits meanwhile: flock(2), which also keeps threads apart and ends with us."""
        path = os.path.join(self._directory, LOCK)
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise SettingsError(f"{path}: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as exc:
            raise SettingsError(f"{exc.filename or self._directory}: {exc.strerror}") from exc
        finally:
            os.close(descriptor)


def not_enrolled(what: str) -> Unauthorized:
    """The error for an agent whose key is not known here."""
    return Unauthorized(
        f"not enrolled with {what}: let somebody there run `holdfast agent invite`, then "
        f"`holdfast host add NAME INVITE` here",
        code=200,
    )


def _check_owner(path: str, found: os.stat_result) -> None:
    """Nobody but root and this user may be able to write here."""
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{path} belongs to another user (uid {found.st_uid}), who could name hosts and keys in it")
    if found.st_mode & 0o022:
        mode = stat.S_IMODE(found.st_mode)
        raise SettingsError(
            f"others can write {path} (mode {mode:04o}), and name hosts and keys in it: chmod go-w {path}"
        )


def _canonical(address: Address) -> Address:
    return msgspec.structs.replace(address, host=address.host.lower())


def _replace(path: str, text: str) -> None:
    """Write a file whole, for us alone from its first instant, on disk before it has its name. With the lock held."""
    fresh = f"{path}.new"
    try:
        os.unlink(fresh)  # left by a crash
    except FileNotFoundError:
        pass
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)


def _to_pem(certificate: bytes) -> str:
    import ssl  # here, so that a list of hosts costs no TLS

    return ssl.DER_cert_to_PEM_cert(certificate)


def _from_pem(text: str) -> bytes:
    import ssl

    return ssl.PEM_cert_to_DER_cert(text)
