"""What the clients make of answers: in pieces, large, cut off, in another encoding, damaged."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Sequence

from holdfast.lab.cases.remote_exec import peers, sayings
from holdfast.lab.cases.remote_exec.data import Lengths
from holdfast.lab.cases.remote_exec.peers import NOTES, REPAIRED, Server
from holdfast.lab.workbench import Lab

PAUSE_S = 0.25
"""Between two pieces: long enough for a client to have read the first."""
BODY = b"hello\n"
TEXTS = (
    ("ASCII", "hello", "utf-8"),
    ("UTF-8", "你好", "utf-8"),
    ("GBK", "你好", "gbk"),
    ("UTF-8, 9 bytes", "测试中", "utf-8"),
)
"""Name, text and encoding. An odd number of bytes cannot be GBK; an even one may be, of something else."""


def prefixes_in_one(server: Server, tries: int) -> int:
    """How many answers of the notes' server had prefix and header in one ``recv`` each."""
    whole = 0
    with server.line() as sock:
        for number in range(tries):
            sock.sendall(f"echo {number}".encode())
            prefix = sock.recv(4)
            if len(prefix) < 4:
                prefix += peers.exactly(sock, 4 - len(prefix))
                whole -= 1
            size = struct.unpack("i", prefix)[0]
            header = sock.recv(size)
            whole += len(header) == size
            header += peers.exactly(sock, size - len(header))
            peers.exactly(sock, json.loads(header)["total_size"])
    return whole


def answered_by(lab: Lab, kind: str, chunks: Sequence[bytes], pause_s: float = 0.0) -> tuple[str, str]:
    """What a client printed, and its last words, when its answer came in these chunks; "" for one that did well."""

    def play(sock: socket.socket) -> None:
        if kind == REPAIRED:
            peers.let_in(sock)
        else:
            sock.recv(1024)
        for number, chunk in enumerate(chunks):
            if number:
                time.sleep(pause_s)
            sock.sendall(chunk)
        sock.recv(1)  # until the client leaves

    with peers.acting(play) as port:
        ran = peers.client(lab, kind, port, "any\n")
    text = "\n".join(ran.out)
    words = sayings.last_words(ran)
    return text, "" if words.startswith("EOFError") else words  # it has read all that was typed: its way to end


def in_pieces(lab: Lab) -> tuple[str, str, str]:
    """Last words: of the notes' client for a split prefix and a split header, of the repaired one for single bytes."""
    prefix, header, body = peers.notes_answer(BODY)
    half = len(header) // 2
    split_prefix = answered_by(lab, NOTES, [prefix[:2], prefix[2:] + header + body], PAUSE_S)[1]
    split_header = answered_by(lab, NOTES, [prefix + header[:half], header[half:] + body], PAUSE_S)[1]
    single = [bytes([byte]) for byte in b"".join(peers.repaired_answer(BODY))]
    return split_prefix, split_header, answered_by(lab, REPAIRED, single, 0.002)[1]


def in_characters(lab: Lab) -> Lengths:
    """Headers with a Chinese file name, their length told in characters."""
    header = {"file": "报告.txt", "total_size": len(BODY), "hashlib": "0123456789abcdef"}
    escaped, plain = json.dumps(header), json.dumps(header, ensure_ascii=False)
    sent = struct.pack("i", len(plain)) + plain.encode() + BODY
    return Lengths(
        escaped_characters=len(escaped),
        escaped_bytes=len(escaped.encode()),
        plain_characters=len(plain),
        plain_bytes=len(plain.encode()),
        plain_error=answered_by(lab, NOTES, [sent])[1],
    )


def damaged(lab: Lab) -> tuple[str, str]:
    """Last words of both clients when a byte of the answer was not the one that was sent; "": not noticed."""
    wrong = bytes([BODY[0] ^ 1]) + BODY[1:]
    prefix, header, _ = peers.notes_answer(BODY)
    notes = answered_by(lab, NOTES, [prefix + header + wrong])[1]
    return notes, answered_by(lab, REPAIRED, [b"".join(peers.repaired_answer(BODY, wrong))])[1]


def cut_off(lab: Lab, watched_s: float) -> tuple[bool, float, str]:
    """An answer of 1000 bytes that ends after 10.

    Whether the notes' client ended, the processor time it took meanwhile, and what the repaired client said.
    """

    def notes(sock: socket.socket) -> None:
        sock.recv(1024)
        prefix, header, body = peers.notes_answer(b"x" * 1000)
        sock.sendall(prefix + header + body[:10])

    def repaired(sock: socket.socket) -> None:
        peers.let_in(sock)
        sock.sendall(b"".join(peers.repaired_answer(b"x" * 1000, b"x" * 10)))

    with peers.acting(notes) as port, lab.started("p02", NOTES, str(port)) as running:
        running.write("any\n")
        _until(lambda: peers.cpu_seconds(running.pid) > 0 and running.process.poll() is None, 1.0)
        time.sleep(0.3)  # its start is over, and the answer has come
        before, began = peers.cpu_seconds(running.pid), time.monotonic()
        _until(lambda: running.process.poll() is not None, watched_s - (time.monotonic() - began))
        ended, used = running.process.poll() is not None, peers.cpu_seconds(running.pid) - before
    with peers.acting(repaired) as port:
        said = sayings.last_words(peers.client(lab, REPAIRED, port, "any\n"))
    return ended, max(0.0, used), said


def octal(data: bytes) -> str:
    """A command that writes these bytes."""
    return "printf '" + "".join(f"\\{byte:03o}" for byte in data) + "'"


def _until(happened: Callable[[], bool], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not happened() and time.monotonic() < until:
        time.sleep(0.01)
