"""TLS 1.3 with pinned keys: contexts for both sides, and a pipe without I/O for the clients.

Nobody is trusted for a signature of somebody else, or for a name. Each side knows the other's certificate byte for
byte: it is the only trust anchor of the context, and it is compared again after the handshake, so a certificate *issued
by* a known key is worth nothing. There are no session tickets and no early data: each connection proves its key anew.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, cast

from holdfast.errors import ConnectFailed, KeyChanged, LinkLost, Unauthorized

if TYPE_CHECKING:
    from holdfast.transport.identity import Identity

ALPN: Final = "holdfast/1"
"""The protocol of enrolled keys (RFC 7301)."""
ALPN_ENROL: Final = "holdfast-enrol/1"
"""Enrolment alone, without a certificate of the client."""

_ABOUT_OUR_KEY: Final = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""OpenSSL's names of the alerts that turn a certificate down (RFC 8446, 6.2)."""
_EXPIRED: Final = 10
"""X509_V_ERR_CERT_HAS_EXPIRED (X509_STORE_CTX_get_error(3))."""


class TlsRefused(ConnectFailed):
    """The other side speaks no TLS 1.3, or not our protocol; nothing was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, layer="tls")


def server_context(identity: Identity, enrolled: Iterable[bytes]) -> ssl.SSLContext:
    """The context of an agent.

    A client may come without a certificate, to enrol; one that it shows must be enrolled.

    Args:
        identity: The agent's own.
        enrolled: Certificates (DER) that may connect. Further ones are added with
            ``load_verify_locations(cadata=...)``; after a revocation a new context is needed.

    Raises:
        ssl.SSLError: a key or certificate cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, [ALPN, ALPN_ENROL])
    context.load_cert_chain(identity.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0
    for certificate in enrolled:
        context.load_verify_locations(cadata=certificate)
    return context


def client_context(identity: Identity, agent_certificate: bytes) -> ssl.SSLContext:
    """The context of a client for one agent.

    Args:
        identity: The client's own.
        agent_certificate: The agent's, DER, as enrolled.

    Raises:
        ssl.SSLError: a key or certificate cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, [ALPN])
    context.check_hostname = False  # the certificate itself is known; its names mean nothing
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.path)
    context.load_verify_locations(cadata=agent_certificate)
    return context


def enrol_context() -> ssl.SSLContext:
    """The context of a client that has an invitation: it shows no certificate, and checks the agent's key itself.

    Whoever uses it compares the fingerprint of the certificate with the invitation's before a byte is sent.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, [ALPN_ENROL])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int, alpn: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.set_alpn_protocols(alpn)
    return context


def check_peer(connection: ssl.SSLObject, expected: bytes) -> None:
    """Compare the certificate that was shown with the one that is known, byte for byte.

    Raises:
        KeyChanged: it is another one.
    """
    shown = connection.getpeercert(binary_form=True)
    if shown is None or not hmac.compare_digest(shown, expected):
        raise KeyChanged("the agent shows another key than the one that is known for it")


class TlsPipe:
    """TLS of one client connection, without I/O: ciphertext on one side, plain bytes on the other.

    Not for two threads at once: OpenSSL keeps one state for both directions (SSL(7)).

    Args:
        context: Of ``client_context`` or ``enrol_context``.
        expected: The agent's certificate (DER), compared byte for byte after the handshake; None: the caller looks at
            ``peer_certificate`` itself.

    Attributes:
        ready: The handshake is done and the other side is who it should be: bytes may be written.
        ended: The other side has said that nothing follows (close_notify).
    """

    def __init__(self, context: ssl.SSLContext, expected: bytes | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._read = cast("Callable[[int, memoryview], int]", self._tls.read)
        self._expected = expected
        self._failure: ssl.SSLError | None = None
        self.ready = False
        self.ended = False

    @property
    def peer_certificate(self) -> bytes | None:
        """What the agent has shown (DER); None before the handshake."""
        return self._tls.getpeercert(binary_form=True) if self.ready else None

    def start(self) -> None:
        """Say the first words of the handshake; they lie in ``outgoing``."""
        self._shake_hands()

    def feed(self, ciphertext: bytes | bytearray | memoryview) -> None:
        """Bytes from the network.

        Raises:
            KeyChanged: the agent's key is not the one that is known.
            Unauthorized: the agent turns our key down.
            TlsRefused: it does not speak TLS 1.3 and our protocol.
        """
        self._incoming.write(ciphertext)
        if not self.ready:
            self._shake_hands()

    def read_into(self, buffer: bytearray | memoryview) -> int:
        """Plain bytes into ``buffer``, as many as there are and as it holds: their number, 0 when there are none now.

        Raises:
            Unauthorized: the agent turns our key down (it says so after the handshake).
            LinkLost: the stream of records is broken.
        """
        if not self.ready:
            return 0
        view = memoryview(buffer)
        read, filled, room = self._read, 0, len(view)
        while filled < room and not self.ended and self._failure is None:  # OpenSSL gives a record, 16 KiB, a call
            try:
                size = read(room - filled, view[filled:] if filled else view)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                size = 0
            except ssl.SSLError as exc:
                self._failure = exc  # what came before is good; OpenSSL says it only once
                break
            self.ended = not size
            filled += size
        if self._failure is not None and not filled:
            if self._failure.reason in _ABOUT_OUR_KEY:
                raise _not_enrolled(self._failure) from self._failure
            raise LinkLost(f"the TLS stream is broken ({_reason(self._failure)})") from self._failure
        return filled

    def read(self) -> bytes:
        """All plain bytes there are."""
        buffer = bytearray(16 * 1024)
        found = bytearray()
        while size := self.read_into(buffer):
            found += buffer[:size]
        return bytes(found)

    def write(self, plain: bytes | bytearray | memoryview) -> None:
        """Encrypt; the ciphertext lies in ``outgoing``.

        Raises:
            LinkLost: not after the end of the connection.
        """
        try:
            sent = 0
            view = memoryview(plain)
            while sent < len(view):
                sent += self._tls.write(view[sent:])
        except ssl.SSLError as exc:
            raise LinkLost(f"the TLS stream is broken ({_reason(exc)})") from exc

    def outgoing(self) -> bytes:
        """Ciphertext to send, possibly none."""
        return self._outgoing.read()

    def close(self) -> None:
        """Say that nothing follows (close_notify, RFC 8446, 6.1); it lies in ``outgoing``."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            return  # the answer is not waited for

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as exc:
            if exc.verify_code == _EXPIRED:
                raise Unauthorized("the agent's certificate has expired", code=200) from exc
            raise KeyChanged("the agent shows another key than the one that is known for it") from exc
        except ssl.SSLError as exc:
            if exc.reason in _ABOUT_OUR_KEY:
                raise _not_enrolled(exc) from exc
            raise TlsRefused(f"the TLS handshake failed ({_reason(exc)})") from exc
        alpn = self._tls.selected_alpn_protocol()
        if alpn not in (ALPN, ALPN_ENROL):
            raise TlsRefused("the other side speaks TLS, but not Holdfast's protocol")
        if self._expected is not None:
            check_peer(self._tls, self._expected)
        self.ready = True


def _not_enrolled(error: ssl.SSLError) -> Unauthorized:
    return Unauthorized(f"the agent does not accept this key ({_reason(error)})", code=200)


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or type(error).__name__).lower().replace("_", " ")
