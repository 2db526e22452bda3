"""Requests about enrolled keys, and the guests who come with an invitation.

Rules of this module:

* A key is on disk before it is trusted, and revoked on disk before that is answered. A secret is told once, in the
  answer to INVITE, and is never logged.
* Revoking ends the key's connections and its waiting jobs. Its running jobs go on as their own client-loss policy says
  (``--on-disconnect``), for their client is gone; or they are stopped, when that is asked for, or the policy says so.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from holdfast.agent.enrolment import Enrolment, OpenInvitation
from holdfast.agent.gate import Offence
from holdfast.agent.guest import Guest, no_words
from holdfast.agent.network import reachable_at
from holdfast.errors import IdentityError, NotFound, Refused, RemoteProtocolError, StorageError, Unauthorized
from holdfast.jobs.stimuli import StopAsked
from holdfast.types import JobState
from holdfast.wire.certificate import check_names, public_key_info
from holdfast.wire.codes import ErrorCode
from holdfast.wire.enrol import EnrolServer
from holdfast.wire.invitation import Invitation
from holdfast.wire.limits import NONCE_BYTES, SECRET_BYTES
from holdfast.wire.messages import (
    Invite,
    InviteAnswer,
    PrincipalInfo,
    Principals,
    PrincipalsAnswer,
    Revoke,
    RevokeAnswer,
)

if TYPE_CHECKING:
    import asyncio

    from holdfast.agent.accept import Acceptor
    from holdfast.agent.guard import Guard
    from holdfast.agent.keyring import Keyring
    from holdfast.agent.peer import Peer
    from holdfast.agent.service import Service
    from holdfast.agent.stranger import Stranger
    from holdfast.store.principals import Enrolled
    from holdfast.wire.request_types import RoleName

SAVE_TRIES_S: Final = 1.0
"""Wrong proofs are kept so much later: after the answer, which must not tell by its time whether there was anything to
keep, and many in one flush of the disk.
"""
_ED25519: Final = bytes.fromhex("302a300506032b6570032100")
"""How the SubjectPublicKeyInfo of an Ed25519 key begins (RFC 8410, section 4)."""


class PrincipalsDesk:
    """Invites, lists, revokes; takes guests in.

    Args:
        service: Answers.
        keys: Who is trusted.
        acceptor: Who is connected.
        log: Takes one line for the agent's log.

    Raises:
        StorageError: the invitations of the agent before cannot be read.
    """

    def __init__(self, service: Service, keys: Keyring, acceptor: Acceptor, log: Callable[[str], None]) -> None:
        self._service = service
        self._board = service.board
        self._keys = keys
        self._acceptor = acceptor
        self._log = log
        self._enrolment = Enrolment(
            _Careful(keys, service.guard), service.board.unix_s, self._save, self._save_later, keys.load_invitations()
        )
        self._saving: asyncio.TimerHandle | None = None
        acceptor.on_enrol = self.guest_came
        service.offer({Invite: self.invite, Principals: self.list_principals, Revoke: self.revoke})

    # --- requests ----------------------------------------------------------------------------------------------------

    def invite(self, peer: Peer, stream: int, invite: Invite, _body: bytes) -> None:
        """Open an invitation; the answer alone has its secret."""
        address = reachable_at(self._acceptor.addresses, invite.address)
        identity = self._keys.open()
        opened = self._enrolment.invite(os.urandom(SECRET_BYTES), invite.role, invite.ttl_s)
        self._log(f"{peer.principal} opened invitation {opened.id} for a {opened.role}, {invite.ttl_s:g} s")
        text = Invitation(address, identity.fingerprint, opened.secret, opened.role, opened.expires_unix_s).encode()
        peer.link.respond(stream, InviteAnswer(text, opened.id, opened.role, opened.expires_unix_s))

    def list_principals(self, peer: Peer, stream: int, _request: Principals, _body: bytes) -> None:
        """Everybody who is or was enrolled."""
        infos = tuple(self._info(each) for each in self._keys.principals)
        peer.link.respond(stream, PrincipalsAnswer(infos))

    def _info(self, principal: Enrolled) -> PrincipalInfo:
        return PrincipalInfo(
            principal.name,
            principal.fingerprint,
            principal.role,
            "active" if principal.active else "revoked",
            principal.enrolled_unix_s,
            principal.seen_unix_s,
            principal.revoked_unix_s,
            self._acceptor.connections(principal.name),
        )

    def revoke(self, peer: Peer, stream: int, revoke: Revoke, _body: bytes) -> None:
        """Trust a key no more; answered when its connections are told and its waiting jobs are ended."""
        name = revoke.principal
        try:
            self._keys.revoke(name)
        except KeyError:
            raise NotFound(
                f"nobody called {name!r} is enrolled here: see holdfast agent principals", code=ErrorCode.NOT_FOUND
            ) from None
        finally:  # also when the disk is full
            connections = self._acceptor.turn_out(name, "this key was revoked here: ask whoever runs this agent")
        running = revoke.jobs or self._service.guard.policy().on_revoke == "stop"
        cancelled, stopped = self._end_jobs(name, f"person:{peer.principal}", running=running)
        self._log(f"{peer.principal} revoked {name}: {connections} connections, {cancelled + stopped} jobs ended")
        peer.link.respond(stream, RevokeAnswer(name, connections, cancelled, stopped))

    def _end_jobs(self, name: str, by: str, *, running: bool) -> tuple[int, int]:
        cancelled = stopped = 0
        for live in list(self._board.jobs.values()):
            if live.principal != name or not live.job.allows(StopAsked):
                continue
            if live.job.state is JobState.QUEUED:
                cancelled += 1
            elif running:
                stopped += 1
            else:
                continue
            self._board.step(live, StopAsked(by, live.job.spec.grace_s))
        return cancelled, stopped

    # --- guests ------------------------------------------------------------------------------------------------------

    def guest_came(self, stranger: Stranger) -> None:
        """Let a connection try to enrol; there is nothing to try while no invitation is open."""
        if not self._enrolment.is_open:
            text = "no invitation is open here: ask for a new one (holdfast agent invite)"
            self._acceptor.turn_away(stranger, no_words(ErrorCode.UNAUTHENTICATED, text))
            return
        server = EnrolServer(
            agent_certificate=self._keys.open().certificate,
            nonce=os.urandom(NONCE_BYTES),
            decide=self._enrolment,
            host=self._service.host,
        )
        Guest(self._board.loop, stranger, server, self._guest_left)

    def _guest_left(self, stranger: Stranger, server: EnrolServer) -> None:
        if server.result is not None:
            self._log(f"{server.result.principal} ({server.result.role}) enrolled from {stranger.address}")
            self._acceptor.trusted(stranger)
            return
        if isinstance(server.error, Unauthorized):
            self._service.guard.refused_stranger(stranger.address, f"a wrong try with invitation {server.invitation}")
            self._acceptor.left(stranger, Offence.AUTHENTICATION)
        elif isinstance(server.error, RemoteProtocolError):
            self._acceptor.left(stranger, Offence.PROTOCOL)
        else:
            self._acceptor.left(stranger)

    def _save_later(self) -> None:
        if self._saving is None:
            self._saving = self._board.loop.call_later(SAVE_TRIES_S, self._save_now)

    def _save_now(self) -> None:
        self._saving = None
        self._enrolment.keep_tries()

    def _save(self, invitations: list[OpenInvitation]) -> None:
        with _as_refusal():
            self._keys.save_invitations(invitations)


class _Careful:
    """The keyring as enrolment sees it: what TLS cannot work with is refused, what is taken is recorded first."""

    def __init__(self, keys: Keyring, guard: Guard) -> None:
        self._keys = keys
        self._guard = guard
        self.of_key = keys.of_key
        self.names = keys.names

    def take_in(self, name: str, certificate: bytes, fingerprint: str, role: RoleName) -> None:
        try:
            if public_key_info(certificate)[: len(_ED25519)] != _ED25519:
                raise Refused("this is not an Ed25519 key", code=ErrorCode.INVALID)
            check_names(certificate)
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=certificate)
        except (IdentityError, ssl.SSLError) as exc:
            raise Refused(f"the certificate cannot be used: {exc}", code=ErrorCode.INVALID) from exc
        self._guard.change(None, "principal.enrolled", name, {"role": role, "key": fingerprint})
        with _as_refusal():
            self._keys.take_in(name, certificate, fingerprint, role)


@contextlib.contextmanager
def _as_refusal() -> Iterator[None]:
    """What cannot be kept is refused; the reason is not told to strangers in full."""
    try:
        yield
    except StorageError as exc:
        raise Refused("the agent cannot keep it: its disk takes nothing", code=ErrorCode.JOURNAL_FAILED) from exc
