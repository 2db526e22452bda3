"""A process for each connection: a crash takes one client along and no more, and each costs a fork."""

from __future__ import annotations

import os
import signal
import socket

from holdfast.lab.measure import accepted
from holdfast.lab.serve_threads import serve_one
from holdfast.wire.endpoint import Handler


def serve(listener: socket.socket, handler: Handler) -> None:
    """Serve whoever comes, until the listener is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children (wait(2), "Notes"): no zombies
    for conn in accepted(listener):
        with conn:  # the child has its own
            try:
                pid = os.fork()
            except BlockingIOError:  # as many processes as the system allows
                continue
            if pid == 0:
                try:
                    listener.close()
                    serve_one(conn, handler)
                finally:
                    os._exit(0)
