"""Hostile connections by the thousand, each from a source of its own; a program that knows nothing of the package.

Two thirds never come as far as a handshake; the others speak TLS, some of them with a key that is enrolled. What was
done is printed as JSON: how often each kind, and how many connections were refused while they were made.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.e2e.net_oracle import HELLO, MAGIC, PREFIX

SOURCES = 12_000
"""A penalty is over before its source comes again, so nobody is turned away for it: each attack gets its hearing."""
SLOW_AT_ONCE = 10
"""Of each enemy; all of them together stay below where strangers are dropped at random."""
PATIENCE_S = 1.0
NO_WORD_S = 0.02
RESET = struct.pack("ii", 1, 0)
FRAMES = (1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 32, 33, 34, 35, 36, 99, 255)
HEADERS = (
    b"", b"{}", b"[]", b"{", b"null", b'{"op":"list"}', b'{"op":"status"}', b'{"op":"read","job":"x","offsets":{}}',
    b'{"op":"nothing"}', b'{"op":1}', b'{"code":0,"text":""}', b"\xff\xfe", b"[" * 500, b'{"op":"list","op":"list"}',
)  # fmt: skip


class Enemy:
    """Attacks one agent; ``dice`` decides how.

    Args:
        port: The agent's.
        dice: Of all that is random.
        enrolled: The key file of somebody who is enrolled and may only look.
        unknown: The key file of somebody who is not.
    """

    def __init__(self, port: int, dice: random.Random, enrolled: str, unknown: str) -> None:
        self.done: Counter[str] = Counter()
        self._port = port
        self._dice = dice
        self._contexts = [_context(None), _context(unknown), _context(enrolled)]
        self._slow: list[socket.socket] = []
        self._attacks: list[Callable[[socket.socket], None]] = [
            *[self.garbage] * 4, *[self.flipped_hello] * 4, *[self.cut_hello] * 3, *[self.nothing] * 3,
            self.slow, self.no_key, self.unknown_key, self.garbage_for_hello, self.wild_frames, self.wild_frames,
            self.flipped_record, self.half_a_frame,
        ]  # fmt: skip

    def attack(self, number: int) -> None:
        """Once, from a source that follows from the number."""
        attack = self._dice.choice(self._attacks)
        source = f"127.{16 + number // 65_536}.{number // 256 % 256}.{number % 256}"
        sock = socket.socket()
        try:
            sock.settimeout(PATIENCE_S)
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", self._port))
        except OSError:
            sock.close()
            self.done["refused"] += 1
            return
        self.done[attack.__name__] += 1
        if attack == self.slow:
            self.slow(sock)
            return
        with sock, contextlib.suppress(OSError, ssl.SSLError):
            attack(sock)
            if self._dice.random() < 0.3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def close(self) -> None:
        for sock in self._slow:
            sock.close()

    # --- before TLS --------------------------------------------------------------------------------------------------

    def nothing(self, sock: socket.socket) -> None:
        """Come and go."""

    def garbage(self, sock: socket.socket) -> None:
        sock.sendall(self._some(3000))
        _hear(sock)

    def flipped_hello(self, sock: socket.socket) -> None:
        hello = bytearray(_Tls(sock, self._dice.choice(self._contexts)).begin())
        for _ in range(self._dice.choice((1, 1, 3))):
            hello[self._dice.randrange(len(hello))] ^= 1 << self._dice.randrange(8)
        sock.sendall(hello)
        _hear(sock)

    def cut_hello(self, sock: socket.socket) -> None:
        hello = _Tls(sock, self._contexts[0]).begin()
        sock.sendall(hello[: self._dice.randrange(1, len(hello))])

    def slow(self, sock: socket.socket) -> None:
        """A few bytes, and then silence until ten others of its kind have come."""
        with contextlib.suppress(OSError):
            sock.sendall(_Tls(sock, self._contexts[0]).begin()[: self._dice.randrange(20)])
        self._slow.append(sock)
        if len(self._slow) > SLOW_AT_ONCE:
            self._slow.pop(0).close()

    # --- after TLS ---------------------------------------------------------------------------------------------------

    def no_key(self, sock: socket.socket) -> None:
        self._speak(sock, 0).say(self._frames())

    def unknown_key(self, sock: socket.socket) -> None:
        self._speak(sock, 1).say(self._frames())

    def garbage_for_hello(self, sock: socket.socket) -> None:
        self._speak(sock, 2).say(self._some(6000))
        _hear(sock)

    def wild_frames(self, sock: socket.socket) -> None:
        tls = self._speak(sock, 2)
        tls.say(self._greeting())
        tls.say(self._frames() if self._dice.random() < 0.8 else self._some(3000))
        _hear(sock)

    def flipped_record(self, sock: socket.socket) -> None:
        tls = self._speak(sock, 2)
        tls.say(self._greeting())
        record = bytearray(tls.wrapped(self._frame(16, b'{"op":"list"}', stream=1)))
        record[self._dice.randrange(len(record))] ^= 1 << self._dice.randrange(8)
        sock.sendall(record)
        _hear(sock)

    def half_a_frame(self, sock: socket.socket) -> None:
        tls = self._speak(sock, 2)
        words = self._greeting() + self._frame(16, b'{"op":"list"}', stream=1)
        tls.say(words[: self._dice.randrange(1, len(words))])

    def _speak(self, sock: socket.socket, who: int) -> _Tls:
        tls = _Tls(sock, self._contexts[who])
        tls.shake_hands()
        return tls

    def _greeting(self) -> bytes:
        instance = self._dice.randbytes(16).hex()
        return self._frame(HELLO, json.dumps({"lowest": 1, "highest": 1, "instance": instance}).encode())

    def _frames(self) -> bytes:
        """Some, in an order that is hardly ever legal."""
        dice = self._dice
        return b"".join(
            self._frame(dice.choice(FRAMES), dice.choice(HEADERS), stream=dice.choice((0, 0, 1, 2, 3, 2**32 - 1)))
            for _ in range(dice.randrange(1, 12))
        )

    def _frame(self, kind: int, header: bytes, *, stream: int = 0) -> bytes:
        odd = self._dice.random() < 0.1 and kind != HELLO
        body = self._some(40) if odd else b""
        channel, flags = (self._dice.randrange(256), self._dice.randrange(256)) if odd else (0, 0)
        size = self._dice.choice((0, 2**20 + 1, 2**32 - 1)) if odd else len(body)
        return PREFIX.pack(MAGIC, kind, channel, flags, len(header), size, stream, 0) + header + body

    def _some(self, most: int) -> bytes:
        start = self._dice.choice(
            (b"", b"", b"\x16\x03\x01", b"\x16\x03\x03\x40\x00", b"GET / HTTP/1.1\r\n", b"SSH-2.0-")
        )
        return start + self._dice.randbytes(self._dice.randrange(1, most))


class _Tls:
    """TLS whose records are in our hands."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out)

    def begin(self) -> bytes:
        """The first flight."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._ssl.do_handshake()
        return self._out.read()

    def shake_hands(self) -> None:
        while True:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._out.read())
                data = self._sock.recv(65_536)
                if not data:
                    raise ConnectionResetError from None
                self._in.write(data)
            else:
                self._sock.sendall(self._out.read())
                return

    def wrapped(self, plain: bytes) -> bytes:
        self._ssl.write(plain)
        return self._out.read()

    def say(self, plain: bytes) -> None:
        self._sock.sendall(self.wrapped(plain))


def _hear(sock: socket.socket) -> None:
    """Listen for a moment, or until the agent ends it."""
    sock.settimeout(NO_WORD_S)
    while sock.recv(65_536):
        pass


def _context(key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["holdfast/1"])
    if key is not None:
        context.load_cert_chain(key)
    return context


def main(port: int, seed: int, first: int, count: int, enrolled: str, unknown: str) -> None:
    """Attack ``count`` times."""
    enemy = Enemy(port, random.Random(seed), enrolled, unknown)
    for number in range(first, first + count):
        enemy.attack(number % SOURCES)
    enemy.close()
    print(json.dumps(enemy.done))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:5]]
    main(numbers[0], numbers[1], numbers[2], numbers[3], sys.argv[5], sys.argv[6])
