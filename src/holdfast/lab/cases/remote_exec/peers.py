"""Both ends of both protocols: the programs as servers, plain clients for them, and servers that misbehave."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.lab.cases.remote_exec.sayings import last_words
from holdfast.lab.seen import Ran
from holdfast.lab.workbench import Lab, Running

NOTES: Final = "as-in-the-notes"
REPAIRED: Final = "repaired"
SECRET: Final = "a secret of this lab"
ENV: Final = {"REMOTE_SECRET": SECRET}
ANSWER_LIMIT_S: Final = 8.0
"""Longer than any answer takes that comes at all; what must not come is given less."""


@dataclass(frozen=True)
class Server:
    """A server program that runs."""

    running: Running
    port: int
    kind: str

    @property
    def pid(self) -> int:
        """Its process."""
        return self.running.pid

    def line(self, limit_s: float = ANSWER_LIMIT_S) -> socket.socket:
        """A connection to it; to the repaired one with the secret told."""
        sock = socket.create_connection(("127.0.0.1", self.port), limit_s)
        if self.kind == REPAIRED:
            sock.sendall(hmac.digest(SECRET.encode(), exactly(sock, 16), "sha256"))
        return sock

    def ask(self, command: str, sock: socket.socket | None = None, limit_s: float = ANSWER_LIMIT_S) -> str | None:
        """The answer to one command, both streams together; None: there was none in time."""
        try:
            if sock is None:
                with self.line(limit_s) as own:
                    return self.ask(command, own, limit_s)
            sock.settimeout(limit_s)
            if self.kind == NOTES:
                sock.sendall(command.encode())
                header = json.loads(exactly(sock, struct.unpack("i", exactly(sock, 4))[0]))
                return exactly(sock, header["total_size"]).decode("utf-8", "backslashreplace")
            sock.sendall(struct.pack("!I", len(command.encode())) + command.encode())
            header = json.loads(exactly(sock, struct.unpack("!I", exactly(sock, 4))[0]))
            return exactly(sock, header["out"] + header["err"]).decode("utf-8", "backslashreplace")
        except OSError:  # too late, refused, reset
            return None


@contextmanager
def server(lab: Lab, kind: str, port: int = 0) -> Iterator[Server]:
    """A server program on a port of its own.

    Raises:
        TimeoutError: it did not come up; the message has what it said.
    """
    with lab.started("p03", kind, str(port), env=ENV) as running:
        said = running.await_line("port" if port == 0 else "")
        if not said.text.startswith("port"):
            raise TimeoutError(last_words(running.ended(2.0)))
        yield Server(running, int(said.text.split()[1]), kind)


def client(lab: Lab, kind: str, port: int, typed: str, limit_s: float = ANSWER_LIMIT_S) -> Ran:
    """The client program with commands at its standard input."""
    return lab.program("p02", kind, str(port), stdin=typed, limit_s=limit_s, env=ENV)


@contextmanager
def acting(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that treats its one client as ``play`` says, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(ANSWER_LIMIT_S)

        def serve() -> None:
            try:
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(ANSWER_LIMIT_S)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    play(sock)
            except OSError:  # the client has gone, which may be its answer
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            thread.join()


def notes_answer(body: bytes, *, length: int | None = None, **more: object) -> tuple[bytes, bytes, bytes]:
    """Prefix, header and body in the notes' format; ``length`` other than that of the header's bytes, if given."""
    header = json.dumps({"file": "out.txt", "total_size": len(body), "hashlib": "0123456789abcdef", **more}).encode()
    return struct.pack("i", len(header) if length is None else length), header, body


def repaired_answer(body: bytes, sent: bytes | None = None) -> tuple[bytes, bytes, bytes]:
    """The same in the repaired format; ``sent`` is what really goes out behind the header of ``body``."""
    told = {"out": len(body), "err": 0, "status": 0, "sha256": hashlib.sha256(body).hexdigest()}
    header = json.dumps(told).encode()
    return struct.pack("!I", len(header)), header, body if sent is None else sent


def let_in(sock: socket.socket) -> None:
    """The repaired server's side of a greeting and of one command, whatever they are."""
    sock.sendall(os.urandom(16))
    exactly(sock, 32)
    exactly(sock, struct.unpack("!I", exactly(sock, 4))[0])


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes.

    Raises:
        ConnectionError: the other side has gone.
    """
    parts = []
    while size:
        piece = sock.recv(min(size, 65536))
        if not piece:
            raise ConnectionError("gone")
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def zombies(parents: Callable[[int, int], bool]) -> int:
    """Processes that are over and not taken away; ``parents(pid, parent)`` says which are meant."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            count += fields[0] == "Z" and parents(int(entry.name), int(fields[1]))
    return count


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 if it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waits_in(pid: int) -> str:
    """The kernel's function in which a process waits; "" if that is not told."""
    try:
        place = Path(f"/proc/{pid}/wchan").read_text().strip()
    except OSError:
        return ""
    return "" if place == "0" else place


def children(pid: int) -> list[int]:
    """Children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def timed(ask: Callable[[], str | None]) -> float | None:
    """Seconds until there was an answer; None: there was none."""
    began = time.monotonic()
    return None if ask() is None else time.monotonic() - began
