"""The notes' server with its five hundred clients, and with clients that are less polite."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Final

from holdfast.lab.cases.coroutines.data import Burst, Impolite, Kind, Served
from holdfast.lab.kernel_tables import counters
from holdfast.lab.measure import usage
from holdfast.lab.proc import await_state
from holdfast.lab.workbench import Lab

CLIENTS = 500
ANSWER: Final = re.compile(r"(THREAD-\d+)(?: \(CHAT\))? IS ON THE LINE")
"""One line may hold several or none: `print` writes the text and its end apart, and another thread comes in between."""

LATE_BYTES = 16 << 20
"""More than the kernel keeps for both sides together, so that the server must wait for who does not read."""
SMALL_BYTES = 4096
STALLED_S = 0.2
PATIENCE_S = 10.0
VANISHING = 10
UNREAD_BYTES = 20_000
"""So many requests that the server is still answering when the reset comes."""
SETTLE_S = 0.1


def serve(lab: Lab, kind: Kind, rounds: int, limit_s: float) -> Served:
    """The server and the notes' clients, until all have said their lines or the time is over."""
    with lab.started("p34", kind, "0") as server:
        port = server.await_line("port").text.rpartition(" ")[2]
        before = counters()["ListenOverflows"]
        ran = lab.program("p35", "as-in-the-notes", port, str(rounds), str(CLIENTS), limit_s=limit_s)
        overflows = counters()["ListenOverflows"] - before
    answers = [(name, line.at_s) for line in ran.lines if line.stream == "out" for name in ANSWER.findall(line.text)]
    firsts = sorted(dict(reversed(answers)).values())
    return Served(
        kind=kind,
        clients=CLIENTS,
        rounds=rounds,
        answers=len(answers),
        wrong=sum(bool(ANSWER.sub("", line)) for line in ran.out),
        complete=sum(count == rounds for count in Counter(name for name, _ in answers).values()),
        ended=ran.returncode is not None,
        overflows=overflows,
        seconds=ran.seconds,
        lines=ran.lines[:12],
        curve=tuple((at, number) for number, at in enumerate(firsts, 1) if number % 10 == 0 or number == len(firsts)),
    )


def burst(lab: Lab, kind: Kind, backlog: int) -> Burst:
    """All knock while the server is stopped; it goes on, and those who were let in say something, all connected."""
    with lab.started("p34", kind, "0") as server, ExitStack() as open_lines:
        port = int(server.await_line("port").text.rpartition(" ")[2])
        os.kill(server.pid, signal.SIGSTOP)
        await_state(server.pid, "T")
        lines = [open_lines.enter_context(socket.socket()) for _ in range(CLIENTS)]
        connected = select.poll()
        for line in lines:
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", port))
            connected.register(line, select.POLLOUT)
        ready = {descriptor for descriptor, event in connected.poll(0) if not event & (select.POLLERR | select.POLLHUP)}
        inside = [line for line in lines if line.fileno() in ready]
        os.kill(server.pid, signal.SIGCONT)
        for number, line in enumerate(inside):
            line.settimeout(PATIENCE_S)
            line.sendall(f"client {number}".encode())
        answered = sum(line.recv(100) == f"CLIENT {number}".encode() for number, line in enumerate(inside))
        used = usage(server.pid)
    return Burst(kind, backlog, CLIENTS, len(inside), answered, used.threads, used.processes)


def be_impolite(lab: Lab, kind: Kind) -> Impolite:
    """Somebody who reads late, and some who leave in the middle of their answers."""
    with lab.started("p34", kind, "0") as server:
        port = int(server.await_line("port").text.rpartition(" ")[2])
        returned = _read_late(port)
        for _ in range(VANISHING):
            _vanish(port)
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as after:
            after.sendall(b"?a")
            serves = after.recv(2) == b"?A"
        time.sleep(SETTLE_S)  # a traceback may be on its way
        escaped = sum("Error: [" in line.text for line in server.lines() if line.stream == "err")
    return Impolite(kind, LATE_BYTES, returned, VANISHING, escaped, serves)


def _read_late(port: int) -> int:
    """Bytes that come back to somebody who reads only when nothing more can be sent."""
    block = b"x" * 65536
    with _small(port) as line:
        line.setblocking(False)
        sent = 0
        while sent < LATE_BYTES and select.select([], [line], [], STALLED_S)[1]:
            sent += line.send(block[: LATE_BYTES - sent])
        line.settimeout(PATIENCE_S)

        def send_the_rest() -> None:
            line.sendall(b"x" * (LATE_BYTES - sent))
            line.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send_the_rest)
        sender.start()
        returned = 0
        while part := line.recv(65536):
            returned += len(part)
        sender.join()
    return returned


def _vanish(port: int) -> None:
    """Say that nothing more comes, then reset: the server, still answering, is told EPIPE instead of ECONNRESET."""
    with _small(port) as line:
        line.sendall(b"x" * UNREAD_BYTES)
        line.shutdown(socket.SHUT_WR)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _small(port: int) -> socket.socket:
    """A connection that holds little on the receiving side."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
    line.settimeout(PATIENCE_S)
    line.connect(("127.0.0.1", port))
    return line
