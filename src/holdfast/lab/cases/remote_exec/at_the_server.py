"""What the servers do: with full pipes, long commands, strangers, clients that leave, clients that wait."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import threading
import time

from holdfast.lab.cases.remote_exec import peers, sayings
from holdfast.lab.cases.remote_exec.data import Framed, Turns
from holdfast.lab.cases.remote_exec.peers import NOTES, Server
from holdfast.lab.workbench import Lab

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, no time: close(2) sends RST (socket(7))."""
REST_S = 0.06
"""Silence after which nothing more is to come than the header says."""
TWO_COMMANDS = "id -u; echo $((6 * 7))"
"""Two commands in one line of a shell."""


def framed(server: Server, command: str) -> Framed:
    """One answer, with the times at which its three parts were there."""
    with server.line() as sock:
        began = time.monotonic()
        sock.sendall(command.encode())
        declared = struct.unpack("i", peers.exactly(sock, 4))[0]
        prefix_s = time.monotonic() - began
        header = peers.exactly(sock, declared).decode()
        header_s = time.monotonic() - began
        body = peers.exactly(sock, json.loads(header)["total_size"])
        body_s = time.monotonic() - began
        sock.settimeout(REST_S)
        try:
            while piece := sock.recv(65536):
                body += piece
        except TimeoutError:  # nothing more than its header says
            pass
        return Framed(command, declared, header, body.decode(), prefix_s, header_s, body_s)


def option_after(call: str) -> int:
    """SO_REUSEADDR of a socket on which ``call`` was made with it and 1."""
    with socket.socket() as sock:
        getattr(sock, call)(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0)


def started_again(lab: Lab, kind: str) -> str:
    """Why a server could not be started on its port again after it was killed with a client in it; "": it could."""
    with peers.server(lab, kind) as first:
        port = first.port
        sock = first.line()
        first.ask("true", sock)
    sock.recv(1)  # the end that the killed server's kernel has sent
    sock.close()
    try:
        with peers.server(lab, kind, port):
            return ""
    except TimeoutError as error:
        return str(error)


def pipe_capacity() -> int:
    """Bytes that a pipe of this user holds."""
    ends = os.pipe()
    try:
        return int(fcntl.fcntl(ends[0], fcntl.F_GETPIPE_SZ))
    finally:
        for end in ends:
            os.close(end)


def fill(size: int) -> str:
    """A command that writes so much to standard error, and then says that it has."""
    return f"head -c {size} /dev/zero >&2; echo written"


def stuck(lab: Lab, size: int, limit_s: float) -> tuple[float | None, str, str]:
    """Seconds until the notes' server answered ``fill(size)``, or None and where it and the command wait."""
    with peers.server(lab, NOTES) as server:
        seconds = peers.timed(lambda: server.ask(fill(size), limit_s=limit_s))
        if seconds is not None:
            return seconds, "", ""
        deepest = server.pid
        while below := peers.children(deepest):
            deepest = below[0]
        return None, peers.waits_in(server.pid), peers.waits_in(deepest)


def stranger(lab: Lab, kind: str) -> str:
    """What somebody without the secret gets for two commands in one line; "": nothing was run for him."""
    with peers.server(lab, kind) as server, socket.create_connection(("127.0.0.1", server.port), 2.0) as sock:
        if kind == NOTES:
            return server.ask(TWO_COMMANDS, sock) or ""
        command = TWO_COMMANDS.encode()
        try:
            peers.exactly(sock, 16)
            sock.sendall(bytes(32) + struct.pack("!I", len(command)) + command)
            return sock.recv(65536).decode(errors="backslashreplace")
        except OSError:
            return ""


def departures(lab: Lab, kind: str) -> tuple[tuple[str, bool, str], ...]:
    """Each way to leave: how, whether the server served the next client, and its last words if not."""
    pending = [
        ("it closes", _closes),
        ("it resets", _resets),
        ("it leaves before its answer", _leaves_early),
        ("its command is no UTF-8", _sends_rubbish),
    ]
    found = []
    while pending:
        with peers.server(lab, kind) as server:
            served = True
            while pending and served:
                how, leave = pending.pop(0)
                leave(server)
                served = server.ask("echo next", limit_s=2.0) == "next\n"
                words = "" if served else sayings.last_words(server.running.ended(2.0))
                found.append((how, served, words))
    return tuple(found)


def _closes(server: Server) -> None:
    with server.line() as sock:
        server.ask("true", sock)


def _resets(server: Server) -> None:
    with server.line() as sock:
        server.ask("true", sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _leaves_early(server: Server) -> None:
    command = b"sleep 0.2; head -c 200000 /dev/zero"
    with server.line() as sock:
        sock.sendall(command if server.kind == NOTES else struct.pack("!I", len(command)) + command)
    time.sleep(0.4)


def _sends_rubbish(server: Server) -> None:
    command = b"echo \xff\xfe"
    with server.line() as sock:
        sock.sendall(command if server.kind == NOTES else struct.pack("!I", len(command)) + command)
        time.sleep(0.1)


def turns(lab: Lab, kind: str, stay_s: float) -> Turns:
    """One client comes and stays without a word; another asks meanwhile."""
    with peers.server(lab, kind) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), 2.0)
        began = time.monotonic()
        left = [0.0]

        def leave() -> None:
            time.sleep(stay_s)
            left[0] = time.monotonic() - began
            idle.close()

        leaving = threading.Thread(target=leave)
        leaving.start()
        time.sleep(stay_s / 4)
        asked = time.monotonic() - began
        server.ask("echo turn")
        answered = time.monotonic() - began
        leaving.join()
        return Turns(left[0], asked, answered)


def unreaped(lab: Lab, kind: str, commands: int) -> tuple[int, ...]:
    """Zombies among the server's children after each command of one client."""
    counts = []
    with peers.server(lab, kind) as server, server.line() as sock:
        for number in range(commands):
            server.ask(f"echo {number}", sock)
            time.sleep(0.03)  # the shell has written all, and now ends
            counts.append(peers.zombies(lambda _, parent: parent == server.pid))
    return tuple(counts)
