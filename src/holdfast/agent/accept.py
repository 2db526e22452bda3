"""Accepts connections: local ones at once, those of the network after gate, handshake and key.

Rules of this module:

* Whoever cannot be served is shed before TLS, by RST: no handshake, no TIME_WAIT, nothing kept.
* Descriptors: a new one gets the lowest free number (open(2)), so a number above the mark says that fewer than the
  reserve are left for jobs, journal and spools; nothing has to be counted. Local connections may go further than remote
  ones, so that the owner of a flooded agent can still ask it.
* A connection of the network has at most ``HANDSHAKE_S`` for its handshake and as long again for its HELLO, whatever it
  sends meanwhile. Until its key is matched it holds a ticket of the gate.
* Nothing is answered before the key is matched, but one CLOSE that says why, to those who speak the protocol.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import socket
import ssl
import struct
import traceback
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Final

from holdfast.agent.access import Principal, Role
from holdfast.agent.gate import Gate, Offence, Shed, Ticket, source_of
from holdfast.agent.peer import Peer
from holdfast.agent.stranger import Stranger, closing_words, shaking_hands
from holdfast.agent.trim import Trim
from holdfast.transport import tcp, unix
from holdfast.transport.tls import ALPN, ALPN_ENROL
from holdfast.wire.messages import ErrorCode

if TYPE_CHECKING:
    from holdfast.agent.keyring import Keyring
    from holdfast.agent.service import Service

HANDSHAKE_S: Final = 4.5
"""Longest handshake; with the time to notice it the connection is closed within 5 s."""
FRESH_TICK_S: Final = 0.25
"""How often the greeting's deadline is looked at; connections that have been greeted are content with a second."""
GOODBYE_S: Final = 0.5
"""After this a connection that was told to go is torn down; also the longest wait for the peer's end of TLS."""
AT_ONCE: Final = 64
"""Connections accepted in one turn of the loop."""
RESERVE: Final = 64
"""Descriptors that connections of the network leave for the agent's own work; local ones leave half of it."""
BREATH_S: Final = 0.1
"""How long a listener rests when there are no descriptors: waiting connections keep it readable all the time."""
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, no time: close(2) sends RST (socket(7))."""


class Acceptor:
    """The listeners of one agent and the connections that nobody serves yet.

    Args:
        service: Serves whoever is authenticated.
        gate: Admission before that.
        max_connections: Served connections, all principals together.
        max_per_principal: Served connections of one enrolled key.
        log: Takes one line for the agent's log.

    Attributes:
        counters: What has happened, since the start; for status and metrics.
        addresses: Where it listens, as clients would write it.
        on_enrol: Takes a connection that wants to enrol, and gives its ticket back by ``trusted`` or ``left``.
    """

    def __init__(
        self,
        service: Service,
        gate: Gate,
        *,
        max_connections: int,
        max_per_principal: int,
        log: Callable[[str], None],
    ) -> None:
        self.addresses: list[str] = []
        self.counters = dict.fromkeys(
            (
                "accepted", "authenticated", "enrolling", "shed_descriptors", "shed_connections", "shed_principal",
                "handshakes_failed", "handshakes_slow", "wrong_protocol", "unauthenticated", "accept_errors",
            ), 0,
        )  # fmt: skip
        self.on_enrol: Callable[[Stranger], None] = lambda stranger: self.turn_away(stranger, b"")
        self._service = service
        self._loop = service.loop
        self._gate = gate
        self._max_connections = max_connections
        self._max_per_principal = max_per_principal
        self._log = log
        self._keys: Keyring | None = None
        self._listeners: dict[socket.socket, Callable[[socket.socket], None]] = {}
        self._resting: set[socket.socket] = set()
        self._shaking: set[asyncio.Task[None]] = set()
        self._of_principal: dict[str, set[Peer]] = {}
        self._trim = Trim(service.loop)
        self._fresh: set[Peer] = set()
        self._fresh_timer: asyncio.TimerHandle | None = None
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._owner = os.getuid()

    # --- listeners ---------------------------------------------------------------------------------------------------

    def listen_unix(self, path: str) -> None:
        """Serve this socket path.

        Raises:
            OSError: it cannot be bound.
        """
        self._open(unix.bind_listener(path), self._accept_unix)

    def listen_tls(self, listener: socket.socket, keys: Keyring) -> None:
        """Serve enrolled keys on a listening TCP socket, which becomes ours."""
        self._keys = keys
        self.addresses.append(f"tls://{tcp.format_peer(listener.getsockname())}")
        self._open(listener, self._accept_tls)

    def _open(self, listener: socket.socket, accept: Callable[[socket.socket], None]) -> None:
        listener.setblocking(False)
        self._listeners[listener] = accept
        self._loop.add_reader(listener, accept, listener)

    def close(self) -> None:
        """Accept nothing more; handshakes under way are broken off."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for task in self._shaking:
            task.cancel()
        self._trim.close()
        if self._fresh_timer is not None:
            self._fresh_timer.cancel()

    def facts(self) -> dict[str, int]:
        """All counters, and what is open now."""
        return {
            **self.counters,
            **self._gate.counters,
            "unauthenticated_now": self._gate.unauthenticated,
            "remote_now": sum(map(len, self._of_principal.values())),
        }

    def connections(self, name: str) -> int:
        """Open connections of an enrolled key."""
        return len(self._of_principal.get(name, ()))

    def turn_out(self, name: str, text: str) -> int:
        """Close all connections of an enrolled key, now; gives how many there were."""
        peers = list(self._of_principal.get(name, ()))
        for peer in peers:
            peer.close(ErrorCode.REVOKED, text)
            self._loop.call_later(GOODBYE_S, peer.abort)
        return len(peers)

    # --- local -------------------------------------------------------------------------------------------------------

    def _accept_unix(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            accepted = self._next(listener, RESERVE // 2)
            if accepted is None:
                return
            conn, _ = accepted
            unix.tune(conn)
            credentials = unix.peer_credentials(conn)
            if credentials.uid not in (self._owner, 0):
                conn.close()
                continue
            who = Principal(login(credentials.uid), Role.ADMIN, "unix", source=f"uid {credentials.uid}")
            peer = Peer(self._service, credentials, self._loop.time())
            peer.who = who
            self._welcome_in(peer)
            self._start(self._join(conn, peer))

    async def _join(self, conn: socket.socket, peer: Peer) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: peer, conn)
        except OSError as exc:
            self._log(f"a local connection failed: {exc}")
            self._service.peers.discard(peer)
            conn.close()

    # --- network -----------------------------------------------------------------------------------------------------

    def _accept_tls(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            accepted = self._next(listener, RESERVE)
            if accepted is None:
                return
            conn, address = accepted
            ticket = self._ticket(address[0])
            if ticket is None:
                _reset(conn)
                continue
            try:
                tcp.tune(conn)
            except OSError:  # it is gone already
                self._gate.left(ticket)
                conn.close()
                continue
            stranger = Stranger(ticket, tcp.format_peer(address), self._shaken, self._gone)
            self._start(self._shake_hands(conn, stranger))

    def _ticket(self, host: str) -> Ticket | None:
        if len(self._service.peers) >= self._max_connections:
            self.counters["shed_connections"] += 1
            return None
        outcome = self._gate.admit(source_of(host), self._loop.time(), random.random())
        return None if isinstance(outcome, Shed) else outcome

    async def _shake_hands(self, conn: socket.socket, stranger: Stranger) -> None:
        assert self._keys is not None
        ticket = stranger.ticket
        shaking_hands.set(conn)
        try:
            await self._loop.connect_accepted_socket(
                lambda: stranger, conn, ssl=self._keys.context,
                ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S,
            )  # fmt: skip
        except ssl.SSLCertVerificationError as exc:
            self._unauthenticated(stranger, f"a certificate that is not enrolled: {exc.verify_message}")
        except ssl.SSLError as exc:
            self.counters["handshakes_failed"] += 1
            if _is_offence(exc):
                self._gate.blame(ticket.source, Offence.PROTOCOL, self._loop.time())
        except ConnectionAbortedError:  # uvloop's word for a handshake that takes too long
            self.counters["handshakes_slow"] += 1
        except (OSError, EOFError):
            self.counters["handshakes_failed"] += 1
        finally:
            if stranger.transport is None:
                self._gate.left(ticket)
                self._trim.ended()

    def _shaken(self, stranger: Stranger, alpn: str | None, certificate: bytes | None) -> None:
        """The handshake is over: whoever it is gets a protocol, or is turned away."""
        assert self._keys is not None
        assert stranger.transport is not None
        if alpn == ALPN_ENROL:
            self.counters["enrolling"] += 1
            self.on_enrol(stranger)
            return
        if alpn != ALPN:
            self.counters["wrong_protocol"] += 1
            self._blame(stranger, Offence.PROTOCOL)
            stranger.transport.abort()
            return
        principal = self._keys.principal_of(certificate)
        if principal is None or not principal.active:
            code = ErrorCode.UNAUTHENTICATED if principal is None else ErrorCode.REVOKED
            self._unauthenticated(stranger, "no certificate" if certificate is None else "not an enrolled key")
            text = "this agent does not know your key: enrol it (holdfast host add)"
            self.turn_away(stranger, closing_words(code, text))
            return
        now = self._loop.time()
        if self.connections(principal.name) >= self._max_per_principal:
            self.counters["shed_principal"] += 1
            text = f"{principal.name} has {self._max_per_principal} connections open, which is the limit"
            self.turn_away(stranger, closing_words(ErrorCode.BUSY, text))
            return
        self._gate.authenticated(stranger.ticket, now)
        self.counters["authenticated"] += 1
        self._keys.principals.saw(principal.name, self._service.board.unix_s())
        peer = Peer(self._service, None, now)
        peer.who = Principal(
            principal.name, Role(principal.role), "tls", fingerprint=principal.fingerprint, source=stranger.address
        )
        peer.on_lost = self._lost
        self._of_principal.setdefault(principal.name, set()).add(peer)
        self._welcome_in(peer)
        stranger.transport.set_protocol(peer)
        peer.connection_made(stranger.transport)

    def turn_away(self, stranger: Stranger, words: bytes) -> None:
        """Say these last words, and be rid of it soon, whether it listens or not."""
        transport = stranger.transport
        assert transport is not None
        if words:
            transport.write(words)
        transport.close()
        self._loop.call_later(GOODBYE_S, transport.abort)

    def trusted(self, stranger: Stranger) -> None:
        """This connection has ended, and was somebody's who is known now."""
        self._trim.ended()
        self._gate.authenticated(stranger.ticket, self._loop.time())

    def left(self, stranger: Stranger, offence: Offence | None = None) -> None:
        """This connection has ended, and was nobody's."""
        self._trim.ended()
        self._gate.left(stranger.ticket)
        if offence is not None:
            self._blame(stranger, offence)

    def _unauthenticated(self, stranger: Stranger, why: str) -> None:
        self.counters["unauthenticated"] += 1
        self._blame(stranger, Offence.AUTHENTICATION)
        self._service.guard.refused_stranger(stranger.address, why)

    def _blame(self, stranger: Stranger, offence: Offence) -> None:
        self._gate.blame(stranger.ticket.source, offence, self._loop.time())

    def _gone(self, stranger: Stranger) -> None:
        self.left(stranger)

    def _lost(self, peer: Peer) -> None:
        name = peer.principal
        peers = self._of_principal[name]
        peers.discard(peer)
        if not peers:
            del self._of_principal[name]
        self._fresh.discard(peer)
        self._trim.ended()
        assert self._keys is not None
        self._keys.principals.saw(name, self._service.board.unix_s())

    # --- both --------------------------------------------------------------------------------------------------------

    def _next(self, listener: socket.socket, reserve: int) -> tuple[socket.socket, tuple[str, int]] | None:
        """The next waiting connection, not blocking; None if there is none, or no descriptor to spare for it."""
        while True:
            try:
                conn, address = listener.accept()
            except BlockingIOError:
                return None
            except OSError as exc:
                self.counters["accept_errors"] += 1
                if exc.errno in _EXHAUSTED:
                    self._rest(listener)
                    return None
                continue  # that connection is gone (accept(2), "Error handling"); the next may be well
            self.counters["accepted"] += 1
            self._service.counters["connections"] += 1
            if conn.fileno() < self._descriptors - reserve:
                conn.setblocking(False)
                return conn, address
            self.counters["shed_descriptors"] += 1
            _reset(conn)
            if self.counters["shed_descriptors"] % AT_ONCE == 0:
                self._rest(listener)
                return None

    def _rest(self, listener: socket.socket) -> None:
        if listener in self._resting or listener not in self._listeners:
            return
        self._resting.add(listener)
        self._loop.remove_reader(listener)
        self._loop.call_later(BREATH_S, self._rested, listener)

    def _rested(self, listener: socket.socket) -> None:
        self._resting.discard(listener)
        accept = self._listeners.get(listener)
        if accept is not None:
            self._loop.add_reader(listener, accept, listener)

    def _welcome_in(self, peer: Peer) -> None:
        self._service.peers.add(peer)
        self._fresh.add(peer)
        if self._fresh_timer is None:
            self._fresh_timer = self._loop.call_later(FRESH_TICK_S, self._look_at_fresh)

    def _look_at_fresh(self) -> None:
        self._fresh_timer = None
        now = self._loop.time()
        for peer in list(self._fresh):
            if peer.greeted or peer not in self._service.peers:
                self._fresh.discard(peer)
            else:
                peer.tick(now)
        if self._fresh:
            self._fresh_timer = self._loop.call_later(FRESH_TICK_S, self._look_at_fresh)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._shaking.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._shaking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log("a connection failed\n" + "".join(traceback.format_exception(error)))


def _is_offence(error: ssl.SSLError) -> bool:
    """Whether this is a broken rule, and not a connection that ended, or a client that does not trust us."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return False
    return "ALERT" not in (error.reason or "")


def _reset(conn: socket.socket) -> None:
    try:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        pass  # it is gone already
    conn.close()


def login(uid: int) -> str:
    """The name of a user of this host, or the number where there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
