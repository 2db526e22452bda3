"""Invitations and the names of those who come with one. Pure: time comes in, what is to be kept goes out by ``save``.

Rules of this module:

* An invitation lets one key in, once. That key may ask again until the invitation expires and hears the same answer:
  the first answer may have been lost on the way. Any other key is refused.
* Five wrong proofs burn an invitation, across restarts; an expired one is as one that never was.
* A wrong proof costs the same whether its invitation exists or not: what is kept of it is kept later, either way.
* It is used up on disk before the key is trusted: a crash in between costs a new invitation, never a second guest.
* A name always has an ``@``, which logins of this host lack, so no enrolled key meets the jobs of a local user. A name
  that was ever given is not given to another key: that one gets a number behind it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

import msgspec

from holdfast.errors import HoldfastError, LimitExceeded, Refused
from holdfast.wire.certificate import fingerprint
from holdfast.wire.codes import ErrorCode
from holdfast.wire.invitation import invitation_id
from holdfast.wire.request_types import RoleName

WRONG_TRIES: Final = 5
"""An invitation with so many wrong proofs is burnt."""
MOST_OPEN: Final = 256
"""Invitations open at once."""
NAME_CHARS: Final = 120
"""Longest name that is given, before a number."""
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._+-]+")


class OpenInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """One invitation that has not expired.

    Attributes:
        secret: 16 bytes; whoever knows them may enrol.
        role: What the guest will be.
        expires_unix_s: When it ends.
        wrong: Wrong proofs so far.
        guest: Fingerprint of the key that came with it; empty: nobody yet.
    """

    secret: bytes
    role: RoleName
    expires_unix_s: float
    wrong: int = 0
    guest: str = ""

    @property
    def id(self) -> str:
        """Which one it is; tells nothing about the secret."""
        return invitation_id(self.secret)

    def __repr__(self) -> str:
        """Without the secret."""
        return f"OpenInvitation(id={self.id!r}, role={self.role!r}, wrong={self.wrong})"


class Known(Protocol):
    """What is asked about principals."""

    @property
    def name(self) -> str:
        """Who it is."""

    @property
    def active(self) -> bool:
        """Not revoked."""


class Guests(Protocol):
    """Who is enrolled, for reading and for taking somebody in."""

    def of_key(self, fingerprint: str) -> Known | None:
        """Whose key this is, revoked ones too."""

    def names(self) -> Collection[str]:
        """All names that were ever given, and those that must not be."""

    def take_in(self, name: str, certificate: bytes, fingerprint: str, role: RoleName) -> None:
        """Trust this key from now on under this name, which is new or its own."""


class Enrolment:
    """The open invitations of one agent.

    Args:
        guests: Who is enrolled.
        unix_s: Gives the time.
        save: Keeps the invitations that are open; called before anything is told to anybody. May raise what is ours.
        save_later: Asks for a call of ``keep_tries`` a little later; called for each wrong proof.
        invitations: Those of the agent before.
    """

    def __init__(
        self,
        guests: Guests,
        unix_s: Callable[[], float],
        save: Callable[[list[OpenInvitation]], None],
        save_later: Callable[[], None],
        invitations: Iterable[OpenInvitation] = (),
    ) -> None:
        self._guests = guests
        self._unix_s = unix_s
        self._save = save
        self._save_later = save_later
        self._open = {each.id: each for each in invitations}

    @property
    def is_open(self) -> bool:
        """Whether there is any invitation to come with."""
        self._drop_expired()
        return bool(self._open)

    def invite(self, secret: bytes, role: RoleName, ttl_s: float) -> OpenInvitation:
        """Open an invitation.

        Args:
            secret: 16 fresh random bytes.
            role: What the guest will be.
            ttl_s: How long it is open.

        Raises:
            LimitExceeded: too many are open.
        """
        self._drop_expired()
        if len(self._open) >= MOST_OPEN:
            first = min(each.expires_unix_s for each in self._open.values())
            raise LimitExceeded(
                f"{MOST_OPEN} invitations are open, which is the limit",
                code=ErrorCode.BUSY, retry_after_s=max(1.0, first - self._unix_s()),
            )  # fmt: skip
        invitation = OpenInvitation(secret=secret, role=role, expires_unix_s=self._unix_s() + ttl_s)
        self._keep(invitation)
        return invitation

    def secret_of(self, invitation: str) -> bytes | None:
        """The secret of an open invitation; None: there is no such one. ``invitation`` is its id."""
        self._drop_expired()
        found = self._open.get(invitation)
        return None if found is None else found.secret

    def role_of(self, invitation: str) -> RoleName | None:
        """What the guest of an open invitation will be."""
        found = self._open.get(invitation)
        return None if found is None else found.role

    def failed(self, invitation: str) -> None:
        """Somebody named this invitation and could not prove that they have it."""
        found = self._open.pop(invitation, None)
        if found is not None and found.wrong + 1 < WRONG_TRIES:
            self._open[invitation] = msgspec.structs.replace(found, wrong=found.wrong + 1)
        self._save_later()

    def keep_tries(self) -> None:
        """Keep how many wrong proofs there were; on a full disk they count until the agent ends."""
        with contextlib.suppress(HoldfastError):
            self._save(list(self._open.values()))

    def used(self, invitation: str, certificate: bytes, name: str) -> tuple[str, RoleName]:
        """Take in a key that has proved its invitation.

        Args:
            invitation: Its id.
            certificate: The key in its envelope, DER.
            name: What the guest would like to be called.

        Returns:
            Its name here and its role. Asked again by the same key: the same.

        Raises:
            Refused: the invitation is over, was used by another key, or the key was revoked.
            IdentityError: the certificate is none.
        """
        key = fingerprint(certificate)
        self._drop_expired()
        found = self._open.get(invitation)
        if found is None or found.guest not in ("", key):
            raise Refused("this invitation is over: ask for a new one", code=ErrorCode.UNAUTHENTICATED)
        known = self._guests.of_key(key)
        if known is not None and not known.active:
            raise Refused(
                "this key was revoked here and is not taken again: make a new one (docs/howto/add-a-host.md)",
                code=ErrorCode.REVOKED,
            )
        if found.guest and known is not None:
            return known.name, found.role
        self._keep(msgspec.structs.replace(found, guest=key))
        own = known.name if known is not None else fresh_name(name, self._guests.names())
        self._guests.take_in(own, certificate, key, found.role)
        return own, found.role

    def _keep(self, invitation: OpenInvitation) -> None:
        kept = {**self._open, invitation.id: invitation}
        self._save(list(kept.values()))
        self._open = kept

    def _drop_expired(self) -> None:
        now = self._unix_s()
        for id_ in [id_ for id_, each in self._open.items() if now >= each.expires_unix_s]:
            del self._open[id_]


def fresh_name(wish: str, taken: Collection[str]) -> str:
    """A name that was never given: the wished one, in plain characters, with an ``@``, numbered where it must be."""
    user, _, machine = wish.strip().partition("@")
    user, machine = (_UNUSUAL.sub("-", part)[: NAME_CHARS // 2].strip("-.") for part in (user, machine))
    name = f"{user or 'somebody'}@{machine or 'remote'}"
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
