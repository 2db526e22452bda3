"""The notes' servers, and clients that do not behave."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, get_args

from holdfast.lab import measure, serving
from holdfast.lab.case import PROGRAM_KINDS
from holdfast.lab.cases import find
from holdfast.lab.cases.io_models.data import Manner, Meeting
from holdfast.lab.workbench import Lab, Running

Server = Literal["non-blocking", "select", "gevent"]
STEMS: Final[dict[Server, str]] = {"non-blocking": "p36", "select": "p38", "gevent": "p34"}
MANNERS: Final[Sequence[Manner]] = get_args(Manner)
AT_ONCE: Final = 2
"""Most of the time is waiting."""
ANSWER_S: Final = 1.0
_SETTLE_S: Final = 0.05
_LOOK_S: Final = 0.2
_FLOOD_BYTES: Final = 16 << 20
_LENGTH_BYTES: Final = 1500
"""More than the servers read at once (1 024), so that it takes them two turns."""


def meetings(lab: Lab) -> tuple[Meeting, ...]:
    """Every server of the notes with every manner, as it is and repaired."""
    kinds = [
        (server, kind)
        for server in STEMS
        for kind in PROGRAM_KINDS
        if _program(lab, server, kind).exists() and (server != "gevent" or serving.available("gevent") is None)
    ]
    pairs = [(server, kind, manner) for server, kind in kinds for manner in MANNERS]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return tuple(threads.map(lambda pair: _meet(lab, *pair), pairs))


def _program(lab: Lab, server: Server, kind: str) -> Path:
    owner = find("coroutines") if server == "gevent" else lab.case
    return owner.program(STEMS[server], kind)


def _meet(lab: Lab, server: Server, kind: str, manner: Manner) -> Meeting:
    running = Running([str(_program(lab, server, kind)), "0"], lab.folder, lab.pace, {})
    try:
        port = _port(running)
        before = _descriptors(running.pid)
        held = _behave(manner, port)
        time.sleep(_SETTLE_S)
        used = measure.usage(running.pid).cpu_s
        time.sleep(_LOOK_S)
        cpu = (measure.usage(running.pid).cpu_s - used) / _LOOK_S
        serves = _polite(port)
        if held is not None:
            held.close()
        time.sleep(_SETTLE_S)
        alive = running.process.poll() is None
        left = _descriptors(running.pid) - before if alive else 0
        errors = [line.text for line in running.lines() if line.stream == "err" and line.text.strip()]
    finally:
        running.kill()
    return Meeting(server, kind == "repaired", manner, alive, serves, left, cpu, errors[-1] if errors else "")


def _port(running: Running) -> int:
    """The last number of the line that tells it."""
    line = running.await_line("port")
    return int("".join(sign for sign in line.text.split("port", 1)[1] if sign.isdigit()))


def _polite(port: int) -> bool:
    """Whether a client that says one thing gets it back in capitals."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as client:
            client.sendall(b"hello")
            return client.recv(1024) == b"HELLO"
    except OSError:
        return False


def _behave(manner: Manner, port: int) -> socket.socket | None:
    """Behave in that manner; gives the connection if it is still there."""
    client = socket.create_connection(("127.0.0.1", port), ANSWER_S)
    if manner == "silent":
        return client
    words = b"x" * _LENGTH_BYTES if manner == "at length" else b"hello"
    client.sendall(words)
    try:
        left = len(words)
        while left and (data := client.recv(left)):
            left -= len(data)
    except TimeoutError:
        return client
    except ConnectionError:  # it has ended itself
        client.close()
        return None
    if manner == "polite":
        return client
    if manner == "never reads":
        client.settimeout(0.0)
        try:
            sent = 0
            while sent < _FLOOD_BYTES:
                sent += client.send(b"x" * 65536)
                time.sleep(0.0005)
        except OSError:  # there is no more room between us
            pass
        return client
    if manner == "resets":
        client.sendall(b"and then")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    return None


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
