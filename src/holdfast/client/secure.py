"""TLS to an enrolled agent: whose key is expected, and the way from a name to a finished handshake.

Rules:

* Keys are looked up before anything is connected: an agent that this user is not enrolled with is never asked.
* The handshake ends here, so a driver gets a connection that is up, or an error that says which layer was in the way.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast import config
from holdfast.client.connector import Dialled, NotWelcomed
from holdfast.client.hosts import FILE as HOSTS_FILE
from holdfast.client.hosts import HostEntry, Hosts, not_enrolled
from holdfast.errors import ConnectFailed, HoldfastError, KeyChanged, Unauthorized
from holdfast.transport import tcp
from holdfast.transport.address import Address, parse
from holdfast.transport.identity import FILE as IDENTITY_FILE
from holdfast.transport.identity import load_or_make
from holdfast.transport.tls import TlsPipe, client_context

if TYPE_CHECKING:
    from ssl import SSLContext

    from holdfast.transport.identity import Identity

IDENTITY: Final = "identity"
"""Directory of this user's own key, below the settings."""
READ_BYTES: Final = 1 << 16
CONTEXTS_MOST: Final = 1024
"""Kept for agents that are connected to again."""


class Security(msgspec.Struct, frozen=True):
    """What a TLS connection to one agent needs.

    Attributes:
        context: OpenSSL's settings, with our key.
        certificate: The agent's, DER.
        name: What the agent is called here, or its address.
    """

    context: SSLContext
    certificate: bytes
    name: str

    def pipe(self) -> TlsPipe:
        """A pipe for one more connection."""
        return TlsPipe(self.context, self.certificate)

    def told(self, error: HoldfastError) -> HoldfastError:
        """An error of the handshake, with what the user can do about it."""
        if isinstance(error, KeyChanged):
            return KeyChanged(
                f"{error} ({self.name}). If its agent was set up anew: `holdfast host rm {self.name}`, "
                f"`holdfast agent invite` there, `holdfast host add {self.name} INVITE` here; "
                "otherwise somebody may stand in between"
            )
        if isinstance(error, Unauthorized):
            return Unauthorized(
                f"{error}: it was revoked there, or never enrolled; `holdfast agent invite` there and "
                f"`holdfast host add` here enrol it ({self.name})",
                code=error.code,
            )
        return error


def look_up(where: Address, address: str) -> tuple[Address, Security | None, str]:
    """What a name or a ``tls://`` address stands for: an address, its keys if it needs some, the program for ssh.

    Raises:
        ConnectFailed: an unknown name.
        Unauthorized: this user is not enrolled with that agent.
        SettingsError: ``hosts.toml`` cannot be read.
        IdentityError: this user's key cannot be used.
    """
    config_dir = config.load().config_dir
    hosts = _hosts(config_dir)
    if where.kind == "name":
        entry = hosts.find(where.host)
        where = parse(entry.address)
        if where.kind == "name":
            raise ConnectFailed(f"{hosts.path}: [{entry.name}] stands for another name, {where.host!r}", layer="name")
        if where.kind != "tls":
            return where, None, entry.remote
    else:
        found = hosts.by_address(address)
        if found is None:
            raise not_enrolled(address)
        entry = found
    return where, security(config_dir, hosts, entry), ""


def security(config_dir: str, hosts: Hosts, entry: HostEntry) -> Security:
    """Our key, and the one that is known for a host.

    Raises:
        Unauthorized: one of the two is missing.
        IdentityError: ours cannot be used.
    """
    certificate = hosts.certificate(entry)
    directory = os.path.join(config_dir, IDENTITY)
    if not os.path.lexists(os.path.join(directory, IDENTITY_FILE)):
        raise not_enrolled(f"{entry.name} any more (there is no key in {directory})")
    return Security(_context(load_or_make(directory), certificate), certificate, entry.name)


_hosts_seen: dict[str, tuple[object, Hosts]] = {}
_contexts: dict[tuple[str, bytes, bytes], SSLContext] = {}


def _hosts(config_dir: str) -> Hosts:
    """The named hosts, read again when the file is another: parsing a hundred of them costs as much as connecting."""
    try:
        facts = os.stat(os.path.join(config_dir, HOSTS_FILE))
        signature = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return Hosts.load(config_dir)
    seen = _hosts_seen.get(config_dir)
    if seen is not None and seen[0] == signature:
        return seen[1]
    hosts = Hosts.load(config_dir)
    _hosts_seen[config_dir] = (signature, hosts)
    return hosts


def _context(identity: Identity, certificate: bytes) -> SSLContext:
    """OpenSSL's settings for one agent; making them costs 0.8 ms, most of it for reading our key."""
    known = (identity.path, identity.certificate, certificate)
    context = _contexts.get(known)
    if context is None:
        if len(_contexts) >= CONTEXTS_MOST:
            _contexts.clear()
        context = _contexts[known] = client_context(identity, certificate)
    return context


def dial(
    where: Address, security: Security, *, deadline: float, cancelled: Callable[[], bool], wake: socket.socket | None
) -> Dialled:
    """A connection whose handshake is done. Blocks.

    Args:
        where: Host and port.
        security: Keys.
        deadline: Monotonic seconds, for name, connection and handshake together.
        cancelled: Asked when ``wake`` is readable; True: give up.
        wake: See ``Connector.connect``.

    Raises:
        ConnectFailed: with ``layer``.
        NotWelcomed: the connection ended during the handshake.
        Unauthorized: the agent turned our key down.
        KeyChanged: it is not the agent that is known.
    """
    left_s = max(0.0, deadline - time.monotonic())
    sock = tcp.connect(where.host, where.port, timeout_s=left_s, wake=wake, cancelled=cancelled)
    pipe = security.pipe()
    try:
        shake_hands(sock, pipe, where, deadline=deadline, cancelled=cancelled, wake=wake)
    except HoldfastError as error:
        say_alert(sock, pipe, error)
        sock.close()
        raise security.told(error) from error.__cause__
    except BaseException:
        sock.close()
        raise
    return Dialled(sock, pipe)


def shake_hands(
    sock: socket.socket,
    pipe: TlsPipe,
    where: Address,
    *,
    deadline: float,
    cancelled: Callable[[], bool] = lambda: False,
    wake: socket.socket | None = None,
) -> None:
    """The handshake on a connected socket; our last words of it stay in the pipe and travel with the first request.

    Raises:
        ConnectFailed, Unauthorized, KeyChanged: as ``dial``.
    """
    sock.setblocking(False)
    pipe.start()
    waiting = select.poll()  # not select: descriptors may be above 1023
    waiting.register(sock, select.POLLIN)
    if wake is not None:
        waiting.register(wake, select.POLLIN)
    try:
        while not pipe.ready:
            if ours := pipe.outgoing():
                sock.send(ours)  # the first flight of an empty socket: it fits
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise handshake_overdue(where)
            for descriptor, _ in waiting.poll(1000 * left_s + 1):
                if wake is not None and descriptor == wake.fileno():
                    wake.recv(4096)
                    if cancelled():
                        raise ConnectFailed(f"{where.text}: given up during the TLS handshake", layer="tls")
                else:
                    theirs = sock.recv(READ_BYTES)
                    if not theirs:
                        raise handshake_cut(where, "the connection ended")
                    pipe.feed(theirs)
    except OSError as exc:
        raise handshake_cut(where, (exc.strerror or str(exc)).lower()) from exc


def say_alert(sock: socket.socket, pipe: TlsPipe, error: HoldfastError) -> None:
    """Tell the other side why, if OpenSSL has an alert for it."""
    try:
        sock.send(alert(pipe, error))
    except OSError:
        return  # it has gone


def alert(pipe: TlsPipe, error: HoldfastError) -> bytes:
    """The last words of a handshake that failed with ``error``.

    None where it was us who compared the certificate: what lies ready then would finish the handshake, with our key.
    """
    return b"" if error.__cause__ is None else pipe.outgoing()


def handshake_overdue(where: Address) -> ConnectFailed:
    """The error for a handshake that takes too long."""
    return ConnectFailed(f"{where.text}: something listens there, but the TLS handshake does not end", layer="tls")


def handshake_cut(where: Address, reason: str) -> NotWelcomed:
    """The error for a connection that was lost during the handshake."""
    return NotWelcomed(f"{where.text}: {reason} during the TLS handshake{tcp.TURNED_AWAY}", layer="tls")
