"""Enrolment with an agent: from an invitation to a name in ``hosts.toml``.

Rules:

* The agent's key is compared with the invitation's before a byte of ours is sent (``wire.enrol``).
* What would be refused at the end (a name that is taken, a directory that cannot be written) is refused at the start:
  an invitation is good once.
* The invitation is a secret: it is in no message of ours.
"""

from __future__ import annotations

import os
import pwd
import select
import socket
import time

from holdfast.client.hosts import HostEntry, Hosts
from holdfast.client.secure import IDENTITY, READ_BYTES, say_alert, shake_hands
from holdfast.errors import ConnectFailed, HoldfastError, InvitationError, OutcomeUnknown
from holdfast.transport import tcp
from holdfast.transport.address import Address, parse
from holdfast.transport.identity import load_or_make
from holdfast.transport.tls import TlsPipe, enrol_context
from holdfast.wire.enrol import EnrolClient, Enrolled
from holdfast.wire.invitation import Invitation
from holdfast.wire.limits import NONCE_BYTES, PRINCIPAL_CHARS


def enrol(
    name: str,
    invitation_text: str,
    *,
    address: str | None = None,
    config_dir: str,
    as_name: str | None = None,
    timeout_s: float,
) -> tuple[Enrolled, HostEntry]:
    """Enrol this user's key with an agent, and give the agent a name here.

    Args:
        name: What the agent is to be called here.
        invitation_text: What ``holdfast agent invite`` has printed.
        address: Where the agent is reached from here, ``tls://HOST:PORT``; None: as the invitation says.
        config_dir: Where keys and names are kept.
        as_name: What we would like to be called there; None: ``user@machine``.
        timeout_s: For everything that the network does, together.

    Returns:
        What the agent says of us, and the new entry.

    Raises:
        InvitationError: the text is no invitation, or says no address.
        ConnectFailed: the agent cannot be reached; nothing was changed.
        Unauthorized: the agent has another key than the invitation says (nothing was sent), or refuses it.
        KeyChanged: the name is known here with another key.
        OutcomeUnknown: the connection broke before the answer; the same invitation may be used again with this key.
        SettingsError: the name is taken, or nothing can be written.
        IdentityError: this user's key cannot be used.
    """
    deadline = time.monotonic() + timeout_s
    invitation = Invitation.decode(invitation_text)
    where = _place(invitation, address)
    entry = HostEntry(name, where.text, invitation.fingerprint)
    hosts = Hosts.load(config_dir)
    hosts.check_free(entry)
    hosts.check_writable()
    identity = load_or_make(os.path.join(config_dir, IDENTITY))
    wish = default_name() if as_name is None else as_name
    left_s = max(0.0, deadline - time.monotonic())
    with tcp.connect(where.host, where.port, timeout_s=left_s) as sock:
        pipe = TlsPipe(enrol_context())
        try:
            shake_hands(sock, pipe, where, deadline=deadline)
        except HoldfastError as error:
            say_alert(sock, pipe, error)
            raise
        agent_certificate = pipe.peer_certificate
        if agent_certificate is None:
            raise ConnectFailed(f"{where.text}: the agent has shown no key", layer="tls")
        client = EnrolClient(
            invitation,
            certificate=identity.certificate,
            agent_certificate=agent_certificate,
            name=wish,
            nonce=os.urandom(NONCE_BYTES),
        )
        result = _converse(sock, pipe, client, where, deadline)
    hosts.add(entry, agent_certificate)
    return result, entry


def default_name() -> str:
    """``user@machine`` of this process."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    machine = socket.gethostname().partition(".")[0] or "unknown"
    return f"{user}@{machine}"[:PRINCIPAL_CHARS]


def _place(invitation: Invitation, address: str | None) -> Address:
    if address is None and not invitation.address:
        raise InvitationError("the invitation says no address: give it with --address tls://HOST:PORT")
    where = parse(address if address is not None else invitation.address)
    if where.kind != "tls" or not where.port:
        raise ConnectFailed(f"{where.text}: an agent is enrolled with at tls://HOST:PORT", layer="name")
    return where


def _converse(sock: socket.socket, pipe: TlsPipe, client: EnrolClient, where: Address, deadline: float) -> Enrolled:
    """The four frames, until it is decided."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    try:
        while not client.closed:
            if ours := client.data_to_send():
                pipe.write(ours)
                sock.send(pipe.outgoing())  # some hundred bytes on a fresh socket
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise _overdue(client, where)
            if waiting.poll(1000 * left_s + 1):
                theirs = sock.recv(READ_BYTES)
                pipe.feed(theirs)
                if plain := pipe.read():
                    client.receive_data(plain)
                elif not theirs or pipe.ended:
                    client.receive_data(b"")
    except OSError:
        client.receive_data(b"")
    if client.result is None:
        assert client.error is not None, "closed without a result"
        raise client.error
    return client.result


def _overdue(client: EnrolClient, where: Address) -> HoldfastError:
    client.receive_data(b"")
    if isinstance(client.error, OutcomeUnknown):
        return client.error
    return ConnectFailed(f"{where.text}: the agent does not answer; nothing was changed", layer="welcome")
