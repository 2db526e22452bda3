"""Servers that end and start again, move, share a port, or have several."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from holdfast.lab.cases.addresses.data import Answerers, Asked, Moved, Replaced

SERVES: Final = 10
"""Questions that a server process answers before it ends."""
_PAUSE_S: Final = 0.01
_LIMIT_S: Final = 10.0
_CONNECTIONS: Final = 60


def replaced(who_listens: str, gap_s: float) -> Replaced:
    """A client asks all the time; the server ends after ten answers, and ten more come from the next one."""
    kept = socket.create_server(("127.0.0.1", 0))
    address = kept.getsockname()
    if who_listens == "server":
        kept.close()
    ready, tell = os.pipe()
    go, start = os.pipe()

    def serve() -> None:
        # create_server sets SO_REUSEADDR, without which the second one could not have the first one's port yet.
        with kept if who_listens == "keeper" else socket.create_server(address) as listener:
            os.write(tell, b"1")
            for _ in range(SERVES):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(connection.recv(10).upper())

    def serve_later() -> None:
        os.read(go, 1)
        serve()

    # Both are forked before the client's thread begins: a fork takes along only the thread that calls it.
    first, second = _fork(serve), _fork(serve_later)
    os.read(ready, 1)
    asked: list[Asked] = []
    over = threading.Event()
    began = time.monotonic()
    client = threading.Thread(target=_ask_all_the_time, args=(address, began, asked, over))
    client.start()
    os.waitpid(first, 0)
    gone = time.monotonic() - began
    time.sleep(gap_s)
    back = time.monotonic() - began
    os.write(start, b"1")
    os.waitpid(second, 0)
    over.set()
    kept.close()
    client.join()
    for end in (ready, tell, go, start):
        os.close(end)
    return Replaced(who_listens, (gone, back), tuple(asked[: _last_answered(asked) + 1]))


def _last_answered(asked: list[Asked]) -> int:
    """What comes after the last answer is the end of the trial."""
    return max((place for place, each in enumerate(asked) if not each.error), default=-1)


def _ask_all_the_time(address: tuple[str, int], began: float, asked: list[Asked], over: threading.Event) -> None:
    while not over.is_set() and time.monotonic() - began < _LIMIT_S:
        at = time.monotonic()
        error = ""
        try:
            with socket.create_connection(address, timeout=_LIMIT_S) as near:
                near.sendall(b"ask")
                if near.recv(10) != b"ASK":
                    error = "closed"
        except OSError as caught:
            error = type(caught).__name__
        asked.append(Asked(at - began, time.monotonic() - at, error))
        time.sleep(_PAUSE_S)


def moved() -> Moved:
    """Two servers, one after the other, that took the port they were given."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        old, new = first.getsockname(), second.getsockname()
        told_first = _reached(old)
        first.close()
        told_second, old_reached = _reached(new), _reached(old)
    with socket.socket() as unbound:
        unbound.listen()
        port = unbound.getsockname()[1] if _reached(("127.0.0.1", unbound.getsockname()[1])) else 0
    return Moved((old[1], new[1]), (told_first, told_second), old_reached, port)


def _reached(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=2.0).close()
    except OSError:
        return False
    return True


def answerers() -> Answerers:
    """Processes that share one port, and a process that has several."""
    with socket.socket() as chooser:
        chooser.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        chooser.bind(("127.0.0.1", 0))  # keeps the number until the servers have it
        address = chooser.getsockname()
        ready, tell = os.pipe()

        def serve_tcp() -> None:
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind(address)
                listener.listen(_CONNECTIONS)
                os.write(tell, b"1")
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"%d" % os.getpid())

        def serve_udp() -> None:
            with socket.socket(type=socket.SOCK_DGRAM) as end:
                end.bind(address)
                os.write(tell, b"1")
                while True:
                    _, asker = end.recvfrom(10)
                    end.sendto(b"%d" % os.getpid(), asker)

        servers = [_fork(serve) for serve in (serve_tcp, serve_tcp, serve_udp)]
        try:
            for _ in servers:
                os.read(ready, 1)
            by_tcp = Counter(_ask_tcp(address) for _ in range(_CONNECTIONS))
            by_udp = _ask_udp(address)
        finally:
            for pid in servers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(ready)
            os.close(tell)
    by_tcp.pop("", None)
    return Answerers(tuple(by_tcp.values()), bool(by_udp) and by_udp not in by_tcp, _ports_of_one())


def _ports_of_one() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return len({end.getsockname()[1] for end in (one, other) if _reached(end.getsockname())})


def _ask_tcp(address: tuple[str, int]) -> str:
    with suppress(OSError), socket.create_connection(address, timeout=2.0) as near:
        return near.recv(20).decode()
    return ""


def _ask_udp(address: tuple[str, int]) -> str:
    with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as near:
        near.settimeout(2.0)
        near.sendto(b"who?", address)
        return near.recv(20).decode()
    return ""


def _fork(work: Callable[[], None]) -> int:
    """Do this in a child process."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid
