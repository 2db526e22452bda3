"""A thread for each connection: each waits by itself, and the kernel gives the CPU to whoever has something to do."""

from __future__ import annotations

import socket
import threading
import time

from holdfast.lab.measure import READ_BYTES, accepted, seconds_until
from holdfast.wire.endpoint import Endpoint, Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    for conn in accepted(listener):
        try:
            threading.Thread(target=serve_one, args=(conn, handler), daemon=True).start()
        except RuntimeError:  # as many threads as the system allows
            conn.close()


def serve_one(conn: socket.socket, handler: Handler) -> None:
    """One connection from beginning to end, on blocking calls alone."""
    peer = Endpoint(handler, now=time.monotonic())
    with conn:
        try:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.sendall(peer.start())
            while not peer.closed:
                conn.settimeout(seconds_until(peer.deadline))  # also of sendall: who does not read is not waited for
                try:
                    out = peer.feed(conn.recv(READ_BYTES), now=time.monotonic())
                except TimeoutError:
                    out = peer.tick(now=time.monotonic())
                conn.sendall(out)
        except OSError:  # the peer has gone, or did not read in time
            pass
