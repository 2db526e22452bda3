"""A client of the network made of ``socket``, ``ssl``, ``struct`` and ``hmac``: nothing of the package is in it.

Written from docs/spec/protocol.md; keys come from ``cryptography``.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

HELLO, WELCOME, CLOSE, ENROL, REQ, RES, ERR = 0x01, 0x02, 0x06, 0x07, 0x10, 0x11, 0x12
PREFIX = struct.Struct(">BBBBIIIQ")
MAGIC = 0xF5
WAIT_S = 10.0


class Key:
    """An Ed25519 key in a certificate of its own, or of ``issuer``'s."""

    def __init__(self, directory: Path, name: str, *, issuer: Key | None = None) -> None:
        self.private = ed25519.Ed25519PrivateKey.generate()
        public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        own = "hf:" + base64.b32encode(hashlib.sha256(public).digest()[:20]).decode().lower()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, own)])
        signer = self if issuer is None else issuer
        self.certificate: x509.Certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.certificate.subject)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(9999, 12, 31))
            .sign(signer.private, None)
        )
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.pem = str(directory / f"{name}.pem")
        pem = self.certificate.public_bytes(serialization.Encoding.PEM) + self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        Path(self.pem).write_bytes(pem)


def key_digest(der: bytes) -> bytes:
    """SHA-256 of the public key of a certificate."""
    public = x509.load_der_x509_certificate(der).public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


class Line:
    """One TLS connection."""

    def __init__(
        self,
        port: int,
        key: Key | None = None,
        *,
        alpn: str | None = "holdfast/1",
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        source: str = "127.0.0.1",
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if alpn is not None:
            context.set_alpn_protocols([alpn])
        if key is not None:
            context.load_cert_chain(key.pem)
        raw = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S, source_address=(source, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise
        self.agent_der = self.socket.getpeercert(binary_form=True) or b""

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, kind: int, header: Any, *, stream: int = 0, body: bytes = b"") -> None:
        """One frame with a JSON header."""
        text = json.dumps(header).encode()
        self.socket.sendall(PREFIX.pack(MAGIC, kind, 0, 0, len(text), len(body), stream, 0) + text + body)

    def receive(self) -> tuple[int, Any, bytes]:
        """The next frame: type, header, body. EOFError when the agent has closed."""
        magic, kind, _, _, header, body, _, _ = PREFIX.unpack(self._exactly(PREFIX.size))
        assert magic == MAGIC
        text = self._exactly(header)
        return kind, json.loads(text) if text else None, self._exactly(body)

    def answer(self) -> tuple[int, Any, bytes]:
        """The next frame that is an answer; what the heartbeat says is skipped."""
        while True:
            frame = self.receive()
            if frame[0] in (RES, ERR, CLOSE, WELCOME):
                return frame

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def greet(self) -> Any:
        """HELLO, and the WELCOME that comes for it."""
        self.send(HELLO, {"lowest": 1, "highest": 1, "instance": os.urandom(16).hex()})
        kind, header, _ = self.receive()
        assert kind == WELCOME, header
        return header

    def closed_within(self, seconds: float) -> bool:
        """Whether the agent ends the connection in that time; what it says before is thrown away."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


def refused(port: int, key: Key | None, **options: Any) -> str:
    """How an agent refuses this: the reason, or ``""`` if it does not.

    In TLS 1.3 a client is done before the server has looked at its certificate, so the alert comes with the first read.
    """
    try:
        with Line(port, key, **options) as line:
            kind, header, _ = line.receive()
            return f"CLOSE {header['code']}" if kind == CLOSE else f"frame {kind}"
    except ssl.SSLError as exc:
        return exc.reason or str(exc)
    except EOFError:
        return "closed"
    except OSError as exc:
        return str(exc)


def part(data: bytes) -> bytes:
    """One part under an HMAC."""
    return len(data).to_bytes(4, "big") + data


class Invited:
    """What an invitation says."""

    def __init__(self, text: str) -> None:
        body = text.removeprefix("hf1.")
        content = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        self.role = ("viewer", "runner", "operator", "admin")[content[0] - 1]
        self.fingerprint = content[7:27]
        self.secret = content[27:43]
        self.address = content[43:-4].decode()
        self.id = hashlib.sha256(self.secret).digest()[:8].hex()


def enrol(
    port: int, invited: Invited, key: Key, name: str = "anna@box", *, secret: bytes | None = None, until: str = ""
) -> Any:
    """The four frames of an enrolment; the header of the agent's last one. ``until`` "ask" or "proof" stops early."""
    secret = invited.secret if secret is None else secret
    with Line(port, alpn="holdfast-enrol/1") as line:
        assert key_digest(line.agent_der)[:20] == invited.fingerprint
        nonce = os.urandom(32)
        ask = {
            "enrol": "ask", "invitation": invited.id, "certificate": base64.b64encode(key.der).decode(),
            "nonce": base64.b64encode(nonce).decode(), "name": name,
        }  # fmt: skip
        line.send(ENROL, ask)
        kind, header, _ = line.receive()
        assert kind == ENROL
        if header["enrol"] != "challenge" or until == "ask":
            return header
        parts = [
            b"holdfast-enrol/1 client", invited.id.encode(), key_digest(line.agent_der),
            hashlib.sha256(key.der).digest(), name.encode(), nonce, base64.b64decode(header["nonce"]),
            invited.role.encode(),
        ]  # fmt: skip
        mac = hmac.new(secret, b"".join(map(part, parts)), hashlib.sha256).digest()
        line.send(ENROL, {"enrol": "proof", "mac": base64.b64encode(mac).decode()})
        if until == "proof":
            return None
        kind, header, _ = line.receive()
        assert kind == ENROL
        if header["enrol"] == "enrolled":
            told = [header["principal"].encode(), header["role"].encode(), header.get("host", "").encode()]
            parts[0] = b"holdfast-enrol/1 agent"
            ours = hmac.new(secret, b"".join(map(part, parts + told)), hashlib.sha256).digest()
            assert base64.b64decode(header["mac"]) == ours
        return header
