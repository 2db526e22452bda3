"""The keys of an agent: its own, those it trusts, the invitations to bring another one; and what TLS makes of them.

Rules of this module:

* A certificate that is enrolled is added to the living context; one that is revoked or replaced leaves by a context
  built anew, since OpenSSL cannot take an anchor away. Connections keep the context they began with: whoever accepts
  them asks ``principal_of`` after the handshake, so a key that was revoked in between is turned away as well.
* The agent's own key is made when the network is opened for the first time, not before.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.agent.access import Principal, Role
from holdfast.agent.enrolment import OpenInvitation
from holdfast.agent.stranger import Handshake
from holdfast.errors import IdentityError, StorageError
from holdfast.store.principals import Enrolled, Principals, read_private_file, replace_private_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.transport.identity import Identity
    from holdfast.wire.request_types import RoleName

_INVITATIONS_BYTES: Final = 1024 * 1024


class Keyring:
    """The keys of one state directory.

    Args:
        state_dir: Holds ``identity/``, ``principals.json`` and ``invitations.json``, each made when it is needed.
        unix_s: Gives the time.
        reserved: Names that no enrolled key gets: the logins that local connections come with.

    Raises:
        StorageError: what is kept there cannot be read, or can be read by others.
    """

    def __init__(self, state_dir: str, unix_s: Callable[[], float], reserved: Iterable[str] = ()) -> None:
        self.principals = Principals(os.path.join(state_dir, "principals.json"))
        self._identity_dir = os.path.join(state_dir, "identity")
        self._invitations = os.path.join(state_dir, "invitations.json")
        self._unix_s = unix_s
        self._reserved = frozenset(reserved)
        self._identity: Identity | None = None
        self._context: ssl.SSLContext | None = None

    def open(self) -> Identity:
        """The agent's own key, made if there is none; from now on ``context`` is there.

        Raises:
            IdentityError: it cannot be made or used.
        """
        if self._identity is None:
            from holdfast.transport.identity import load_or_make
            from holdfast.transport.new_key import make_apart

            self._identity = load_or_make(self._identity_dir, new_key=make_apart)
            self._context = self._fresh_context()
        return self._identity

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake is done with; after ``open``."""
        assert self._context is not None
        return self._context

    def principal_of(self, certificate: bytes | None) -> Enrolled | None:
        """Whose certificate this is, byte for byte: one issued by an enrolled key is nobody's.

        Revoked principals are given, too; ``active`` tells.
        """
        return None if certificate is None else self.principals.of_certificate(certificate)

    def known_as(self, who: Principal) -> Principal | None:
        """Somebody as they are known now; None: their key was revoked, or their name is another key's."""
        if who.kind == "unix":
            return who
        enrolled = self.principals.named(who.name)
        if enrolled is None or not enrolled.active or enrolled.fingerprint != who.fingerprint:
            return None
        return msgspec.structs.replace(who, role=Role(enrolled.role))

    # --- enrolment ---------------------------------------------------------------------------------------------------

    def of_key(self, fingerprint: str) -> Enrolled | None:
        """Whose key this is, revoked ones too."""
        return self.principals.of_fingerprint(fingerprint)

    def names(self) -> set[str]:
        """All names that were ever given, and those that must not be."""
        return {each.name for each in self.principals} | self._reserved

    def take_in(self, name: str, certificate: bytes, fingerprint: str, role: RoleName) -> None:
        """Trust this key from now on, on disk first; a name that is there already keeps its place.

        Raises:
            StorageError: it could not be kept, so it is not trusted.
        """
        before = self.principals.named(name)
        self.principals.put(
            Enrolled(
                name=name, certificate=certificate, fingerprint=fingerprint, role=role, enrolled_unix_s=self._unix_s()
            )
        )
        if self._context is not None:
            if before is None:
                self._context.load_verify_locations(cadata=certificate)
            else:
                self._context = self._fresh_context()

    def load_invitations(self) -> list[OpenInvitation]:
        """The invitations of the agent before.

        Raises:
            StorageError: they cannot be read.
        """
        data = read_private_file(self._invitations, _INVITATIONS_BYTES)
        if data is None:
            return []
        try:
            return msgspec.json.decode(data, type=list[OpenInvitation])
        except msgspec.MsgspecError as exc:
            raise StorageError(f"{self._invitations} is unusable: {exc}; remove it", path=self._invitations) from exc

    def save_invitations(self, invitations: list[OpenInvitation]) -> None:
        """Keep the open invitations for the next agent.

        Raises:
            StorageError: they could not be kept.
        """
        replace_private_file(self._invitations, msgspec.json.encode(invitations))

    # --- the end of a key --------------------------------------------------------------------------------------------

    def revoke(self, name: str) -> None:
        """Trust this principal's key no more, on disk first. The name is never given to another key.

        Raises:
            StorageError: it could not be kept. This agent refuses the key all the same; the next one would not.
            KeyError: there is no such principal.
        """
        principal = self.principals.named(name)
        if principal is None:
            raise KeyError(name)
        if not principal.active:
            return
        gone = msgspec.structs.replace(principal, revoked_unix_s=self._unix_s())
        try:
            self.principals.put(gone)
        except StorageError:
            self.principals.revoke_in_memory(gone)
            raise
        finally:
            if self._context is not None:
                self._context = self._fresh_context()

    def _fresh_context(self) -> ssl.SSLContext:
        from holdfast.transport.tls import server_context

        assert self._identity is not None
        try:
            context = server_context(self._identity, self.principals.certificates())
        except ssl.SSLError as exc:
            raise IdentityError(f"{self.principals.path} or {self._identity_dir} holds an unusable key: {exc}") from exc
        context.sslobject_class = Handshake
        return context
