"""An invitation: what an admin hands to somebody who is to be enrolled, as one line of text. Pure.

The text is ``hf1.`` and base64url without padding of (docs/spec/protocol.md, "Invitations"):

======  =====================================================================
bytes   what
======  =====================================================================
1       role: 1 viewer, 2 runner, 3 operator, 4 admin
6       when it expires, in milliseconds since 1970, big-endian
20      fingerprint of the agent's key
16      the secret
0-300   the address in ASCII
4       the first bytes of SHA-256 over ``hf1.`` and all bytes before
======  =====================================================================

The last four bytes tell a slip of copying from a wrong invitation; they protect against nobody. There is one text for
each invitation: another spelling of the same bytes is refused. No error repeats a part of the text, since the text is
a secret.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

import msgspec

from holdfast.errors import IdentityError, InvitationError
from holdfast.wire.certificate import FINGERPRINT_BYTES, fingerprint_bytes, fingerprint_text
from holdfast.wire.limits import ADDRESS_CHARS, INVITATION_CHARS, SECRET_BYTES
from holdfast.wire.request_types import RoleName

PREFIX: Final = "hf1."
_ROLES: Final[tuple[RoleName, ...]] = ("viewer", "runner", "operator", "admin")
_TIME_BYTES: Final = 6
_CHECK_BYTES: Final = 4
_ADDRESS_AT: Final = 1 + _TIME_BYTES + FINGERPRINT_BYTES + SECRET_BYTES
_ADDRESS: Final = re.compile(r"[!-~]*")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_DAMAGED: Final = "the invitation is damaged or not complete: copy the whole line again, from `hf1.` to its end"


class Invitation(msgspec.Struct, frozen=True):
    """One invitation, checked when it is made.

    Attributes:
        address: Where the agent listens, as ``--host`` takes it; may be empty.
        fingerprint: Of the agent's key, ``hf:`` and 32 characters.
        secret: 16 random bytes.
        role: What the invited one may do.
        expires_unix_s: When it ends, in seconds since 1970, kept to the millisecond. The agent's clock counts.

    Raises:
        InvitationError: a value that cannot be part of one.
    """

    address: str
    fingerprint: str
    secret: bytes
    role: RoleName
    expires_unix_s: float

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise InvitationError(f"the secret of an invitation must have {SECRET_BYTES} bytes")
        if self.role not in _ROLES:
            raise InvitationError(f"no such role; there are {', '.join(_ROLES)}")
        if len(self.address) > ADDRESS_CHARS or not _ADDRESS.fullmatch(self.address):
            raise InvitationError(f"the address must be at most {ADDRESS_CHARS} ASCII characters without spaces")
        if not 0 <= self.expires_unix_s < (1 << 8 * _TIME_BYTES) / 1000 - 1:
            raise InvitationError("the end of the invitation must be a time after 1970")
        try:
            fingerprint_bytes(self.fingerprint)
        except IdentityError as exc:
            raise InvitationError(str(exc)) from None

    def __repr__(self) -> str:
        """Without the secret: it may end in a log or a traceback."""
        return f"Invitation(id={self.id!r}, address={self.address!r}, role={self.role!r})"

    @property
    def id(self) -> str:
        """Which invitation this is, 16 hex digits; tells nothing about the secret."""
        return invitation_id(self.secret)

    def encode(self) -> str:
        """The text; a secret."""
        content = bytes([_ROLES.index(self.role) + 1])
        content += int(self.expires_unix_s * 1000 + 0.5).to_bytes(_TIME_BYTES, "big")
        content += fingerprint_bytes(self.fingerprint) + self.secret + self.address.encode("ascii")
        return PREFIX + base64.urlsafe_b64encode(content + _check(content)).decode("ascii").rstrip("=")

    @staticmethod
    def decode(text: str) -> Invitation:
        """The invitation of a text; white space around it, and line breaks that a terminal put into it, are fine.

        Raises:
            InvitationError: this is none; one line tells what to do.
        """
        if len(text) > INVITATION_CHARS:
            raise InvitationError(f"this is not an invitation: it is longer than {INVITATION_CHARS} characters")
        text = "".join(text.split())
        if not text.startswith(PREFIX):
            if re.match(r"hf[0-9]+\.", text):
                raise InvitationError("the invitation was made by a newer version of holdfast: upgrade this one")
            raise InvitationError(f"this is not an invitation: it must begin with `{PREFIX}`")
        body = text.removeprefix(PREFIX)
        if not _BASE64URL.fullmatch(body) or len(body) % 4 == 1:
            raise InvitationError(_DAMAGED)
        content = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        content, check = content[:-_CHECK_BYTES], content[-_CHECK_BYTES:]
        if len(content) < _ADDRESS_AT or check != _check(content) or not 1 <= content[0] <= len(_ROLES):
            raise InvitationError(_DAMAGED)
        secret_at = _ADDRESS_AT - SECRET_BYTES
        invitation = Invitation(
            address=content[_ADDRESS_AT:].decode("ascii", "replace"),
            fingerprint=fingerprint_text(content[1 + _TIME_BYTES : secret_at]),
            secret=content[secret_at:_ADDRESS_AT],
            role=_ROLES[content[0] - 1],
            expires_unix_s=int.from_bytes(content[1 : 1 + _TIME_BYTES], "big") / 1000,
        )
        if invitation.encode() != text:
            raise InvitationError(_DAMAGED)
        return invitation


def invitation_id(secret: bytes) -> str:
    """The id of the invitation with this secret: the first 8 bytes of its SHA-256, in hex."""
    return hashlib.sha256(secret).digest()[:8].hex()


def _check(content: bytes) -> bytes:
    return hashlib.sha256(PREFIX.encode("ascii") + content).digest()[:_CHECK_BYTES]
