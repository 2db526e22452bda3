"""TLS with pinned keys (S5, S6): what is let in, what is turned away, and what has been sent by then.

No network: both sides are pipes in memory, and the other side of each test is Python's own ``ssl`` with settings of the
test.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from holdfast.errors import ConnectFailed, HoldfastError, KeyChanged, LinkLost, Unauthorized
from holdfast.transport import tls
from holdfast.transport.identity import Identity, load_or_make
from tests.unit.transport.certificates import certificate_by, expired_identity, plain_client


class Keys(NamedTuple):
    agent: Identity
    client: Identity
    stranger: Identity


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    return Keys(*(load_or_make(str(folder / name)) for name in Keys._fields))


class Server:
    """One side that accepts, with any context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.received = b""
        self.error: ssl.SSLError | None = None

    def feed(self, data: bytes) -> bytes:
        """Takes ciphertext, gives ciphertext."""
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
            while data := self.tls.read(65536):
                self.received += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self.error = self.error or exc
        return self.outgoing.read()


class Client:
    """The other side with Python's own ssl, to try what our own client would not."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.error: ssl.SSLError | None = None
        self.done = False

    def feed(self, data: bytes) -> bytes:
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
            self.done = True
            self.tls.read(65536)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self.error = self.error or exc
        return self.outgoing.read()


def meet(client: Client, server: Server) -> None:
    """Carries bytes until nobody has any."""
    data = client.feed(b"")
    while data:
        data = client.feed(server.feed(data))


def join(pipe: tls.TlsPipe, server: Server, first: bytes = b"") -> None:
    """The same with our own client; ``first`` is written as soon as it is ready."""
    pipe.start()
    wrote = False
    while data := pipe.outgoing():
        pipe.feed(server.feed(data))
        if pipe.ready and not wrote:
            pipe.write(first)
            wrote = True


def _join_and_read(pipe: tls.TlsPipe, server: Server) -> None:
    join(pipe, server, b"secret request")
    pipe.read()  # TLS 1.3: the other side judges our key after our handshake is done


def test_enrolled_keys_talk(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.stranger.certificate, keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate)
    join(pipe, server, b"hello")
    assert server.received == b"hello"
    assert server.tls.version() == "TLSv1.3"
    assert server.tls.selected_alpn_protocol() == "holdfast/1"
    assert server.tls.getpeercert(binary_form=True) == keys.client.certificate
    assert pipe.peer_certificate == keys.agent.certificate
    server.tls.write(b"x" * 100_000)
    pipe.feed(server.outgoing.read())
    assert pipe.read() == b"x" * 100_000
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    pipe.feed(server.outgoing.read())
    assert pipe.read() == b""
    assert pipe.ended


def test_each_enrolled_key_is_found_among_many(keys: Keys) -> None:
    """OpenSSL looks anchors up by name (X509_STORE_CTX_get1_issuer(3)): of many with one name it finds the first."""
    everybody = [keys.agent, keys.client, keys.stranger]
    context = tls.server_context(keys.agent, [each.certificate for each in everybody])
    for each in everybody:
        server = Server(context)
        join(tls.TlsPipe(tls.client_context(each, keys.agent.certificate)), server, b"hello")
        assert server.received == b"hello"


def test_an_invited_one_shows_no_certificate(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.enrol_context())
    join(pipe, server, b"ask")
    assert server.received == b"ask"
    assert server.tls.selected_alpn_protocol() == "holdfast-enrol/1"
    assert server.tls.getpeercert(binary_form=True) is None
    assert pipe.peer_certificate == keys.agent.certificate


def test_s05_tls_1_2_is_refused(keys: Keys) -> None:
    context = plain_client(["holdfast/1"], keys.client.path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client, server = Client(context), Server(tls.server_context(keys.agent, [keys.client.certificate]))
    meet(client, server)
    assert not client.done
    assert server.error is not None
    assert "VERSION" in str(server.error.reason) or "PROTOCOL" in str(server.error.reason)


def test_s05_an_unknown_certificate_is_refused(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.stranger, keys.agent.certificate), keys.agent.certificate)
    with pytest.raises(Unauthorized, match="does not accept this key") as caught:
        _join_and_read(pipe, server)
    assert caught.value.code == 200
    assert isinstance(server.error, ssl.SSLCertVerificationError)
    assert server.received == b""


def test_s05_a_certificate_issued_by_an_enrolled_key_is_refused(keys: Keys, tmp_path: Path) -> None:
    certificate_by(keys.client, tmp_path / "issued.pem")
    client = Client(plain_client(["holdfast/1"], str(tmp_path / "issued.pem")))
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    meet(client, server)
    assert isinstance(server.error, ssl.SSLCertVerificationError)


def test_s05_an_expired_pin_is_refused_by_both_sides(keys: Keys, tmp_path: Path) -> None:
    old = expired_identity(tmp_path)
    server = Server(tls.server_context(keys.agent, [old.certificate]))
    meet(Client(plain_client(["holdfast/1"], old.path)), server)
    assert isinstance(server.error, ssl.SSLCertVerificationError)
    pipe = tls.TlsPipe(tls.client_context(keys.client, old.certificate), old.certificate)
    with pytest.raises(Unauthorized, match="expired"):
        join(pipe, Server(tls.server_context(old, [keys.client.certificate])), b"x")


@pytest.mark.parametrize("alpn", [["http/1.1"], ["holdfast/2"], ["holdfast"]])
def test_s05_another_alpn_is_not_selected(keys: Keys, alpn: list[str]) -> None:
    """OpenSSL goes on without one; the accept loop then closes (see the agent's tests), and our client refuses."""
    client = Client(plain_client(alpn, keys.client.path))
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    meet(client, server)
    assert server.tls.selected_alpn_protocol() is None


@pytest.mark.parametrize("alpn", [None, ["http/1.1"]])
def test_s05_a_server_without_our_alpn_is_refused(keys: Keys, alpn: list[str] | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.agent.path)
    if alpn:
        context.set_alpn_protocols(alpn)
    server = Server(context)
    with pytest.raises(ConnectFailed, match="not Holdfast's protocol") as caught:
        join(tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate)), server, b"secret request")
    assert caught.value.layer == "tls"
    assert server.received == b""


def test_s05_there_is_nothing_to_resume(keys: Keys) -> None:
    context = plain_client(["holdfast/1"], keys.client.path)
    accepting = tls.server_context(keys.agent, [keys.client.certificate])
    client, server = Client(context), Server(accepting)
    meet(client, server)
    session = client.tls.session
    assert session is None or not session.has_ticket
    again = Client(context)
    if session is not None:
        again.tls.session = session
    second = Server(accepting)
    meet(again, second)
    assert not second.tls.session_reused
    assert second.tls.getpeercert(binary_form=True) == keys.client.certificate, "the key was proved again"


def test_s05_no_renegotiation(keys: Keys) -> None:
    """TLS 1.3 has none (RFC 8446, 4.1.2), and the option forbids it whatever the version."""
    for context in (tls.server_context(keys.agent, []), tls.client_context(keys.client, keys.agent.certificate)):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3


def seal(secret: bytes, number: int, content: bytes, kind: int) -> bytes:
    """A record of TLS_AES_256_GCM_SHA384 (RFC 8446, 5.2 and 7.3), made without OpenSSL's state of the connection."""

    def expand(label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(hashes.SHA384(), size, info).derive(secret)

    inner = content + bytes([kind])
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    nonce = (int.from_bytes(expand(b"iv", 12), "big") ^ number).to_bytes(12, "big")
    return header + AESGCM(expand(b"key", 32)).encrypt(nonce, inner, header)


@pytest.mark.parametrize("again", [False, True])
def test_s05_a_second_client_hello_ends_the_connection(keys: Keys, tmp_path: Path, again: bool) -> None:
    """What renegotiation is in older versions, under the keys of the connection; a record with data shows they fit."""
    context = plain_client(["holdfast/1"], keys.client.path)
    context.keylog_filename = str(tmp_path / "keys")
    client, server = Client(context), Server(tls.server_context(keys.agent, [keys.client.certificate]))
    hello = client.feed(b"")
    assert hello[0] == 22, "a handshake record"
    data = hello
    while data:
        data = client.feed(server.feed(data))
    assert server.tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
    lines = (tmp_path / "keys").read_text().splitlines()
    secret = next(bytes.fromhex(line.split()[2]) for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_0"))
    answer = server.feed(seal(secret, 0, hello[5:], 22) if again else seal(secret, 0, b"data", 23))
    if not again:
        assert (server.received, server.error) == (b"data", None)
        return
    assert server.error is not None
    assert server.error.reason in ("UNEXPECTED_MESSAGE", "NO_RENEGOTIATION")
    assert answer[0] == 23, "an alert, sealed"
    client.feed(answer)
    assert client.error is not None
    assert "UNEXPECTED_MESSAGE" in str(client.error.reason)


def test_importing_it_imports_no_cryptography_and_no_loop() -> None:
    check = (
        "import sys; import holdfast.transport.tls; print([n for n in sys.modules if n in ('cryptography','asyncio')])"
    )
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)
    assert done.stdout == b"[]\n"


def test_s06_a_wrong_server_key_is_refused_and_nothing_is_sent(keys: Keys) -> None:
    server = Server(tls.server_context(keys.stranger, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate)
    with pytest.raises(KeyChanged, match="another key"):
        join(pipe, server, b"secret request")
    server.feed(pipe.outgoing())
    assert server.received == b""
    with pytest.raises(ValueError, match="handshake not done"):
        server.tls.getpeercert(binary_form=True)  # not even our certificate was shown
    assert not pipe.ready


def test_s06_a_certificate_issued_by_the_agents_key_is_refused(keys: Keys, tmp_path: Path) -> None:
    issued = certificate_by(keys.agent, tmp_path / "issued.pem")
    server = Server(tls.server_context(Identity(issued, str(tmp_path / "issued.pem")), [keys.client.certificate]))
    with pytest.raises(HoldfastError):
        join(tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate), server, b"x")
    assert server.received == b""


def test_s06_the_bytes_are_compared_even_where_openssl_is_content(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.stranger.certificate)
    with pytest.raises(KeyChanged):
        join(pipe, server, b"secret request")
    assert server.received == b""


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 64])
def test_garbage_instead_of_tls(keys: Keys, garbage: bytes) -> None:
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate)
    pipe.start()
    with pytest.raises(ConnectFailed, match="TLS handshake failed"):
        pipe.feed(garbage)


def test_a_changed_record_breaks_the_stream(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate)
    join(pipe, server, b"hello")
    server.tls.write(b"answer")
    record = bytearray(server.outgoing.read())
    record[-1] ^= 1
    pipe.feed(record)
    with pytest.raises(LinkLost, match="broken"):
        pipe.read()


def test_good_records_before_a_broken_one_are_delivered(keys: Keys) -> None:
    server = Server(tls.server_context(keys.agent, [keys.client.certificate]))
    pipe = tls.TlsPipe(tls.client_context(keys.client, keys.agent.certificate), keys.agent.certificate)
    join(pipe, server, b"hello")
    server.tls.write(b"good" * 10_000)
    good = server.outgoing.read()
    server.tls.write(b"bad")
    bad = bytearray(server.outgoing.read())
    bad[-1] ^= 1
    pipe.feed(good + bad)
    buffer = bytearray(1 << 16)
    assert pipe.read_into(buffer) == 40_000
    assert buffer[:40_000] == b"good" * 10_000
    for _ in range(2):
        with pytest.raises(LinkLost, match="broken"):
            pipe.read_into(buffer)
